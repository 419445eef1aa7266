package schedule

import "testing"

// The loop sees a run that ended when it iterates anyway. It is woken for one that cannot wait: the last in progress, one whose
// target asked for fewer requests, and any while others wait for its slot, even if it ended just before they did.
func TestFinished(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		running int
		do      func(*finished)
		woken   bool
	}{
		"nothing ended":             {2, func(f *finished) { f.hurry(true) }, false},
		"one of several":            {3, func(f *finished) { f.add(ended{}) }, false},
		"the last":                  {1, func(f *finished) { f.add(ended{}) }, true},
		"a rate limit":              {3, func(f *finished) { f.add(ended{limited: true}) }, true},
		"one, as others wait":       {3, func(f *finished) { f.hurry(true); f.add(ended{}) }, true},
		"one, before others waited": {3, func(f *finished) { f.add(ended{}); f.hurry(true) }, true},
		"one, as nobody waits now":  {3, func(f *finished) { f.hurry(true); f.hurry(false); f.add(ended{}) }, false},
		"one that was seen":         {3, func(f *finished) { f.add(ended{}); f.take(); f.hurry(true) }, false},
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
