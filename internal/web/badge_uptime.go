package web

import (
	"slices"

	"prober/internal/probe"
)

// uptimeWords are the values of the query uptime of a badge, the spans of probe.Past.Uptimes.
var uptimeWords = [...]string{"24h", "7d", "30d", "90d"}

// uptimeBadge is the badge of the uptime in a span of that word; false if there is no such span, or nothing is remembered.
func (s *server) uptimeBadge(row ProbeStatus, span string) (svg string, ok bool) {
	i := slices.Index(uptimeWords[:], span)
	if i < 0 || s.Past == nil {
		return "", false
	}
	past, err := s.Past(row.ID)
	if err != nil {
		return "", false
	}
	u := past.Uptimes[i]
	return badgeSVG(row.Name+" "+span, formatUptime(u), uptimeVerdict(u)), true
}

// uptimeVerdict is the verdict in whose color an uptime is shown. Where less than half is known, and from 99 % to 100 %, it is
// neither good nor bad.
func uptimeVerdict(u probe.Uptime) probe.Verdict {
	switch {
	case u.Known <= u.Span/2 || u.Span <= 0:
		return probe.Inconclusive
	case u.Passed == u.Known:
		return probe.Pass
	case u.Passed >= u.Known/100*99:
		return probe.Inconclusive
	}
	return probe.Fail
}
