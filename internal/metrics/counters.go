package metrics

import (
	"cmp"
	"slices"
)

// maxCounters bounds the counters of one map, so that the two of a probe leave half of its series to the last run.
const maxCounters = maxSeries / 4

// A counterMap holds the counters of one family by two labels, sorted. A counter is created by its first increment.
type counterMap struct{ entries []counterEntry }

// A counterEntry is one counter.
type counterEntry struct {
	a, b    string
	n       uint64
	created int64 // Unix milliseconds
	used    int64 // when it was last incremented
	pinned  bool  // never evicted
}

// add increments a counter. It returns 1 if another one was evicted or there was no room, else 0. Where targets come and
// go, as the addresses of pods do, the least recently used counters make room.
func (t *counterMap) add(a, b string, at int64) (lost int) {
	i, known := t.find(a, b)
	if !known {
		if len(t.entries) >= maxCounters {
			if lost = 1; !t.evict() {
				return lost
			}
			i, _ = t.find(a, b)
		}
		t.entries = slices.Insert(t.entries, i, counterEntry{a: a, b: b, created: at})
	}
	t.entries[i].n++
	t.entries[i].used = at
	return lost
}

// pin creates the counter, at 0 if it is new, and keeps it from eviction. It reports whether there was room.
func (t *counterMap) pin(a, b string, at int64) bool {
	i, known := t.find(a, b)
	if !known {
		if len(t.entries) >= maxCounters && !t.evict() {
			return false
		}
		i, _ = t.find(a, b)
		t.entries = slices.Insert(t.entries, i, counterEntry{a: a, b: b, created: at})
	}
	t.entries[i].pinned = true
	return true
}

// unpin makes every counter evictable.
func (t *counterMap) unpin() {
	for i := range t.entries {
		t.entries[i].pinned = false
	}
}

func (t *counterMap) find(a, b string) (int, bool) {
	return slices.BinarySearchFunc(t.entries, counterEntry{a: a, b: b}, func(x, y counterEntry) int {
		return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b))
	})
}

// evict removes the least recently used counter. It reports whether there was one to remove.
func (t *counterMap) evict() bool {
	oldest := -1
	for i := range t.entries {
		if c := &t.entries[i]; !c.pinned && (oldest < 0 || c.used < t.entries[oldest].used) {
			oldest = i
		}
	}
	if oldest >= 0 {
		t.entries = slices.Delete(t.entries, oldest, oldest+1)
	}
	return oldest >= 0
}
