package schedule

import "testing"

// The loop sees a run that ended when it iterates anyway. It is woken for one that cannot wait: the last in progress unless it iterates soon, one whose
// target asked for fewer requests, and any while others wait for its slot, even if it ended just before they did.
func TestFinished(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		running int
		do      func(*finished)
		woken   bool
	}{
		"nothing ended":             {2, func(f *finished) { f.hurry(true, true) }, false},
		"one of several":            {3, func(f *finished) { f.add(ended{}) }, false},
		"the last":                  {1, func(f *finished) { f.hurry(false, true); f.add(ended{}) }, true},
		"the last, before a pause":  {1, func(f *finished) { f.hurry(false, false); f.add(ended{}); f.hurry(false, true) }, true},
		"the last, with a tick due": {1, func(f *finished) { f.hurry(false, false); f.add(ended{}) }, false},
		"one, before a pause":       {3, func(f *finished) { f.hurry(false, true); f.add(ended{}); f.hurry(false, true) }, false},
		"a rate limit":              {3, func(f *finished) { f.add(ended{limited: true}) }, true},
		"one, as others wait":       {3, func(f *finished) { f.hurry(true, true); f.add(ended{}) }, true},
		"one, before others waited": {3, func(f *finished) { f.add(ended{}); f.hurry(true, true) }, true},
		"one, as nobody waits now":  {3, func(f *finished) { f.hurry(true, true); f.hurry(false, true); f.add(ended{}) }, false},
		"one that was seen":         {3, func(f *finished) { f.add(ended{}); f.take(); f.hurry(true, true) }, false},
	} {
		f := finished{wake: make(chan struct{}, 1)}
		for range c.running {
			f.begin()
		}
		c.do(&f)
		if woken := len(f.wake) > 0; woken != c.woken {
			t.Errorf("%s: woken: %t, want %t", name, woken, c.woken)
		}
	}
}
