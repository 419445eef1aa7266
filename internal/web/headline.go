package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// sharedTitle is the title of the system, if all rows are of one that has a title.
func sharedTitle(rows []*ProbeStatus) string {
	for _, row := range rows {
		if row.System != rows[0].System {
			return ""
		}
	}
	if len(rows) == 0 {
		return ""
	}
	return rows[0].About.SystemTitle
}

// headline says how bad it is and since when: the probes that failed by their severities, else those that are inconclusive,
// else that all passed.
func headline(rows []*ProbeStatus, now time.Time) string {
	of := func(v probe.Verdict) []*ProbeStatus {
		return drop.If(slices.Clone(rows), func(row *ProbeStatus) bool { return row.Verdict != v })
	}
	failed, inconclusive, passed := of(probe.Fail), of(probe.Inconclusive), of(probe.Pass)
	switch {
	case len(rows) == 0:
		return "no probes"
	case len(failed) > 0:
		first := slices.MinFunc(failed, compareUrgency)
		return fmt.Sprintf("%s failed %s", bySeverity(failed), first.sinceText(now))
	case len(inconclusive) > 0:
		counts := describeVerdicts(0, len(inconclusive), len(passed))
		ran := drop.If(inconclusive, func(row *ProbeStatus) bool { return row.Since.IsZero() })
		if len(ran) == 0 {
			return counts + " (not all have run yet)"
		}
		return counts + " " + slices.MinFunc(ran, compareUrgency).sinceText(now)
	}
	last := slices.MaxFunc(passed, func(a, b *ProbeStatus) int { return a.Since.Compare(b.Since) })
	return fmt.Sprintf("%d passed %s", len(passed), last.sinceText(now))
}

// sinceText is since when the verdict holds, and for how long.
func (r *ProbeStatus) sinceText(now time.Time) string {
	return fmt.Sprintf("%s%s (%s)", r.sinceWords(), formatTime(r.Since), formatElapsed(now.Sub(r.Since)))
}

// sinceWords says whether the change to the verdict was seen.
func (r *ProbeStatus) sinceWords() string {
	if !r.SinceExact {
		return "at least since "
	}
	return "since "
}

// bySeverity counts rows by their severities, the most urgent first: "1 P1, 3 P2". Rows without one come last.
func bySeverity(rows []*ProbeStatus) string {
	count := map[string]int{}
	for _, row := range rows {
		count[row.Severity]++
	}
	var parts []string
	words := sorted.Keys(count)
	sorted.By(words, func(a, b string) int { return cmp.Compare(urgency(a), urgency(b)) })
	for _, word := range words {
		switch {
		case word != "":
			parts = append(parts, fmt.Sprintf("%d %s", count[word], word))
		case len(parts) == 0:
			parts = append(parts, strconv.Itoa(count[word]))
		default:
			parts = append(parts, fmt.Sprintf("%d without a severity", count[word]))
		}
	}
	return strings.Join(parts, ", ")
}
