package main

import (
	"time"

	"prober/internal/probe"
	"prober/internal/report"
)

// askedToWait returns the longest time for which a target asked to be left alone (Retry-After), and the probe that met it.
func askedToWait(results []probe.Result) (longest time.Duration, by string) {
	for _, r := range results {
		if wait, limited := r.RateLimited(); limited && wait > longest {
			longest, by = wait, r.Name
		}
	}
	return longest, by
}

// orLonger writes a Retry-After, of which no more is known than that it is as long as the longest that is read.
func orLonger(d time.Duration) string {
	if d >= time.Hour {
		return d.String() + " or longer"
	}
	return d.String()
}

// left is how much of --wait is left.
func (o rounds) left(rep *report.Report) time.Duration {
	return (o.wait - time.Since(rep.Started)).Round(time.Second)
}
