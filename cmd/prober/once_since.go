package main

import (
	"errors"
	"time"

	"prober/internal/incident"
	"prober/internal/probe"
)

// parseSince reads --since: how long ago an incident began, or when.
func parseSince(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		ago, err := probe.ParseDuration(text)
		if err != nil {
			return time.Time{}, errors.New("--since: expected a duration such as 40m, or a time such as 2026-11-28T14:00:00Z")
		}
		at = now.Add(-ago.D())
	}
	if !at.Before(now) {
		return time.Time{}, errors.New("--since: expected a time in the past")
	}
	return at, nil
}

// incidents returns the incident of each system, as of --since or, without it, as the prober that serves has stored it. What
// the rounds of --once see is no onset: the incident may have begun long before the first of them.
func (o onceOptions) incidents(stored *incident.Tracker, jobs []probe.Job) func(system string) probe.Incident {
	if o.since != "" {
		start, _ := parseSince(o.since, time.Now()) // validated
		return func(system string) probe.Incident {
			known := stored.Incident(system)
			return probe.Incident{Start: start, Onset: start, Open: true, Severity: known.Severity, LastGood: known.LastGood}
		}
	}
	known := map[string]probe.Incident{}
	for _, j := range jobs {
		known[j.System] = stored.Incident(j.System)
	}
	return func(system string) probe.Incident { return known[system] }
}
