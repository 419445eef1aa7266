package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// deployMemory is for how long what a probe said of deploys counts when it says nothing any more: the platform may be down with
// what runs on it. It is the range of the queries in deploysAnnotation.
const deployMemory = 5 * time.Minute

// A deploySample is what a probe said of deploys.
type deploySample struct {
	probe.Sample
	gone time.Time // of the first run that did not say it any more; zero if the last one did
}

// deploysAfter is what is known of deploys after a run.
func deploysAfter(known []deploySample, r *probe.Result) (next []deploySample) {
	for _, s := range r.Samples {
		if (s.Name == deployNearOnset || s.Name == lastKnownGood) && len(next) < maxChecks {
			next = append(next, deploySample{Sample: s})
		}
	}
	for _, old := range known {
		if old.gone.IsZero() {
			old.gone = r.Started
		}
		if r.Started.Sub(old.gone) < deployMemory && len(next) < maxChecks && !slices.ContainsFunc(next, func(n deploySample) bool {
			return n.Name == old.Name && slices.Equal(n.Values, old.Values)
		}) {
			next = append(next, old)
		}
	}
	return next
}

// deploysText is the text that deploysAnnotation has Prometheus write; empty if no probe of the system reports deploys.
func (e *evaluated) deploysText(at *moment) string {
	reporters := e.deployReporters()
	if len(reporters) == 0 {
		return ""
	}
	sorted.By(reporters, func(a, b *probe.Job) int { return strings.Compare(a.Name, b.Name) })
	near, good := "", ""
	for _, j := range reporters {
		which := ""
		if len(reporters) > 1 {
			which = " (" + j.Name + ")"
		}
		onset := map[string]bool{} // versions
		said := drop.If(slices.Clone(at.view(j).state.deploys), func(s deploySample) bool {
			return !s.gone.IsZero() && at.now.Sub(s.gone) >= deployMemory
		})
		for _, s := range said {
			if labels := labelsOf(s.Sample); s.Name == deployNearOnset {
				version := labels["version"]
				onset[version] = true
				if version == "" {
					version = "unknown"
				}
				near += fmt.Sprintf("Deploy %s of version %s%s started %s before the first failure. ", labels["deploy"], version, which, humanizeDuration(s.Value))
			}
		}
		for _, s := range said {
			// What was good before it was deployed near the onset is not what to go back to.
			if version := labelsOf(s.Sample)["version"]; s.Name == lastKnownGood && !onset[version] {
				good += fmt.Sprintf("Last known good: version %s%s. ", version, which)
			}
		}
	}
	if near == "" {
		near = "No deploy is known to be near the onset. "
	}
	if good == "" {
		good = "No version is known to be good. "
	}
	return near + good
}
