package timesync

import (
	"cmp"
	"slices"

	"prober/internal/sorted"
)

// An edge is where an interval begins or ends.
type edge struct {
	Interval
	begins bool
}

// Intersect returns where the true offset lies if at least quorum of the intervals contain it, after Marzullo and RFC 5905,
// section 11.2.1: the smallest interval around every offset that a quorum shares. It is never narrower than that, however
// many agree, because it must hold whichever of them are right. The intervals at the indexes that are set in falsetickers
// contain none of these offsets: they are wrong if the quorum is right. It returns ok false if no quorum agrees.
func Intersect(all []Interval, quorum int) (agreed Interval, falsetickers []bool, ok bool) {
	shared := overlaps(all, max(quorum, 1))
	falsetickers = make([]bool, len(all))
	for i, one := range all {
		falsetickers[i] = !slices.ContainsFunc(shared, one.Meets)
	}
	if len(shared) == 0 {
		return Interval{}, falsetickers, false
	}
	return Interval{shared[0].Lo, shared[len(shared)-1].Hi}, falsetickers, true
}

// overlaps lists where at least quorum of the intervals overlap, in order.
func overlaps(all []Interval, quorum int) []Interval {
	var edges []edge
	for _, one := range all {
		if !one.Empty() {
			edges = append(edges, edge{one, true}, edge{one, false})
		}
	}
	sorted.By(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.at(), b.at()), order(a)-order(b))
	})
	var shared []Interval
	depth := 0
	for _, e := range edges {
		if e.begins {
			if depth++; depth == quorum {
				shared = append(shared, Interval{Lo: e.Lo})
			}
			continue
		}
		if depth == quorum {
			shared[len(shared)-1].Hi = e.Hi
		}
		depth--
	}
	return shared
}

func (e edge) at() int64 {
	if e.begins {
		return int64(e.Lo)
	}
	return int64(e.Hi)
}

// order makes intervals that only touch overlap: beginnings sort before ends.
func order(e edge) int {
	if e.begins {
		return 0
	}
	return 1
}
