package timesync

import (
	"fmt"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestIntersect(t *testing.T) {
	at := func(mid, half time.Duration) Interval { return Around(mid*ms, half*ms) }
	for name, test := range map[string]struct {
		all    []Interval
		quorum int
		want   string // the agreed interval in ms, and who is a falseticker; "no" if none agree
	}{
		"all agree":                     {[]Interval{at(0, 10), at(1, 10), at(2, 10), at(3, 10)}, 3, "-8..11 []"},
		"one of four is 120 s ahead":    {[]Interval{at(0, 10), at(120000, 10), at(2, 10), at(1, 10)}, 3, "-8..10 [1]"},
		"three of four are 7 s ahead":   {[]Interval{at(7000, 10), at(7000, 10), at(0, 10), at(7000, 10)}, 3, "6990..7010 [2]"},
		"two and two":                   {[]Interval{at(0, 10), at(0, 10), at(500, 10), at(500, 10)}, 3, "no [0 1 2 3]"},
		"each for itself":               {[]Interval{at(0, 10), at(100, 10), at(200, 10), at(300, 10)}, 3, "no [0 1 2 3]"},
		"too few":                       {[]Interval{at(0, 10), at(0, 10)}, 3, "no [0 1]"},
		"none":                          {nil, 3, "no []"},
		"one trusted server":            {[]Interval{at(5, 10)}, 1, "-5..15 []"},
		"they only touch":               {[]Interval{at(0, 10), at(20, 10), at(10, 0)}, 3, "10..10 []"},
		"two ways to be three of four":  {[]Interval{at(0, 10), at(9, 10), at(18, 10), at(-9, 10)}, 3, "-1..10 []"},
		"the widest holds everything":   {[]Interval{at(0, 1000), at(900, 10), at(0, 1), at(0, 1)}, 3, "-1..1 [1]"},
		"an empty one agrees with none": {[]Interval{at(0, 10), {Lo: 5, Hi: 4}, at(0, 10), at(0, 10)}, 3, "-10..10 [1]"},
	} {
		t.Run(name, func(t *testing.T) {
			agreed, falsetickers, ok := Intersect(test.all, test.quorum)
			var out []int
			for i, o := range falsetickers {
				if o {
					out = append(out, i)
				}
			}
			got := fmt.Sprintf("%d..%d %v", agreed.Lo.Milliseconds(), agreed.Hi.Milliseconds(), out)
			if !ok {
				got = fmt.Sprintf("no %v", out)
			}
			if got != test.want {
				t.Errorf("got %s, expected %s", got, test.want)
			}
		})
	}
}

func TestIntervals(t *testing.T) {
	i := Around(4200*ms, 300*ms)
	if i.Mid() != 4200*ms || i.Uncertainty() != 300*ms {
		t.Errorf("got %s ± %s", i.Mid(), i.Uncertainty())
	}
	if got := i.Minus(Around(200*ms, 100*ms)); got != Around(4000*ms, 400*ms) {
		t.Errorf("the difference: got %v", got)
	}
	if got := Around(time.Second, ms).Shift(-3 * time.Second); got != Around(-2*time.Second, ms) {
		t.Errorf("moved by -3 s: got %v", got)
	}
	for _, test := range []struct {
		i              Interval
		limit          time.Duration
		within, beyond bool
	}{
		{Around(-40*ms, 40*ms), 80 * ms, true, false},
		{Around(-40*ms, 41*ms), 80 * ms, false, false},
		{Around(-40*ms, 9*ms), 30 * ms, false, true},
		{Around(40*ms, 9*ms), 30 * ms, false, true},
		{Around(40*ms, 10*ms), 30 * ms, false, false},
		{Around(0, 0), 0, true, false},
	} {
		if test.i.Within(test.limit) != test.within || test.i.Beyond(test.limit) != test.beyond {
			t.Errorf("%v, limit %s: expected within %t, beyond %t", test.i, test.limit, test.within, test.beyond)
		}
	}
	// Nothing overflows, however far apart the times are.
	far := Read(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 1, 0, time.UTC), time.Now(), time.Now())
	near := Read(time.Time{}, time.Time{}, time.Now(), time.Now())
	if d := far.Widen(maxOffset).Minus(near.Widen(maxOffset)); d.Empty() || !d.Beyond(time.Hour) && d.Within(time.Hour) {
		t.Errorf("got %v", d)
	}
	if far.Mid() != maxOffset || near.Mid() != -maxOffset {
		t.Errorf("got %v, %v", far, near)
	}
}

// TestMinus_beyond: of two clocks that are both further off than an offset can say, in the same direction, nothing is known.
func TestMinus_beyond(t *testing.T) {
	const year = 365 * 24 * time.Hour
	ahead, behind, near := Around(100*year, time.Second), Around(-100*year, time.Second), Around(0, time.Second)
	unknown := Interval{-2 * maxOffset, 2 * maxOffset}
	for name, c := range map[string]struct{ a, b, want Interval }{
		"both ahead":     {ahead, Around(200*year, time.Second), unknown},
		"both behind":    {behind, Around(-200*year, time.Second), unknown},
		"one ahead":      {ahead, near, Interval{maxOffset - time.Second, maxOffset + time.Second}},
		"one behind":     {near, behind, Interval{maxOffset - time.Second, maxOffset + time.Second}},
		"on either side": {ahead, behind, Interval{2 * maxOffset, 2 * maxOffset}},
		"neither":        {near, near, Interval{-2 * time.Second, 2 * time.Second}},
	} {
		if got := c.a.Minus(c.b); got != c.want {
			t.Errorf("%s: got %v, expected %v", name, got, c.want)
		}
	}
}
