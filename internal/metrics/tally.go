package metrics

import (
	"cmp"
	"slices"
)

// maxCounts bounds the counters of one tally, so that the two of a probe leave half of its series to the last run.
const maxCounts = maxSeries / 4

// A tally is a family of counters with two labels, sorted by them. Counters appear when they first count.
type tally struct{ counts []count }

// count is one counter of a tally.
type count struct {
	a, b    string
	n       uint64
	created int64 // Unix milliseconds
	used    int64 // when it last counted
	pinned  bool  // stays, used or not
}

// add counts one. It returns 1 if a counter had to go for it, else 0. Where targets come and go, as the addresses of
// pods do, those not seen for longest make room: a tally that refused new ones would go wrong slowly and for ever.
func (t *tally) add(a, b string, at int64) (lost int) {
	i, known := t.find(a, b)
	if !known {
		if len(t.counts) >= maxCounts {
			if lost = 1; !t.evict() {
				return lost
			}
			i, _ = t.find(a, b)
		}
		t.counts = slices.Insert(t.counts, i, count{a: a, b: b, created: at})
	}
	t.counts[i].n++
	t.counts[i].used = at
	return lost
}

// pin makes the counter exist, at 0 if it is new. It reports whether there was room.
func (t *tally) pin(a, b string, at int64) bool {
	i, known := t.find(a, b)
	if !known {
		if len(t.counts) >= maxCounts && !t.evict() {
			return false
		}
		i, _ = t.find(a, b)
		t.counts = slices.Insert(t.counts, i, count{a: a, b: b, created: at})
	}
	t.counts[i].pinned = true
	return true
}

// unpin lets every counter go when there is need.
func (t *tally) unpin() {
	for i := range t.counts {
		t.counts[i].pinned = false
	}
}

func (t *tally) find(a, b string) (int, bool) {
	return slices.BinarySearchFunc(t.counts, count{a: a, b: b}, func(x, y count) int {
		return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b))
	})
}

// evict removes the counter that was not used for longest. It reports whether one could go.
func (t *tally) evict() bool {
	oldest := -1
	for i := range t.counts {
		if c := &t.counts[i]; !c.pinned && (oldest < 0 || c.used < t.counts[oldest].used) {
			oldest = i
		}
	}
	if oldest >= 0 {
		t.counts = slices.Delete(t.counts, oldest, oldest+1)
	}
	return oldest >= 0
}
