package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// deeper sets what belongs to the line above apart from it.
const deeper = "  "

// mostTraces bounds the trace ids, and the versions, that are told in one place.
const mostTraces = 3

// wires tells exchanges in words, those as one that went alike: the request, where it went unless that was said
// already, and the trace ids to look for.
func wires(exchanges []probe.Exchange, said []string) []string {
	var order []string
	alike := map[string][]probe.Exchange{}
	for _, x := range exchanges {
		key := request(x) + outcome(x, "")
		if alike[key] == nil {
			order = append(order, key)
		}
		alike[key] = append(alike[key], x)
	}
	var lines []string
	for _, key := range order {
		lines = append(lines, wire(alike[key], said)...)
	}
	return lines
}

// wire tells exchanges that went alike. Of several it gives the time of the slowest.
func wire(alike []probe.Exchange, said []string) []string {
	text := deeper + request(alike[0])
	where := distinct(alike, func(x probe.Exchange) string { return x.Addr })
	if len(where) > 0 && !slices.Equal(where, said) {
		text += " at " + list(where, mostNames)
	}
	var slowest time.Duration
	for _, x := range alike {
		slowest = max(slowest, x.Took)
	}
	took := short(slowest)
	if len(alike) > 1 {
		took = "at most " + took
	}
	lines := []string{text + outcome(alike[0], took)}
	if traces := traces(alike); traces != "" {
		lines = append(lines, deeper+traces)
	}
	return lines
}

func request(x probe.Exchange) string { return strings.Join(given(x.Method, x.URL), " ") }

// outcome is how an exchange ended and how long it took.
func outcome(x probe.Exchange, took string) string {
	switch {
	case x.Denied != "":
		return ": not dialled, a " + strings.ReplaceAll(x.Denied, "_", "-") + " address"
	case x.Reason != probe.OK && x.Status == 0:
		return fmt.Sprintf(": no answer (%s) after %s", cmp.Or(x.Reason.Word, "unknown"), took)
	case x.Reason != probe.OK:
		return fmt.Sprintf(": answered %d, not completely (%s), in %s", x.Status, x.Reason, took)
	}
	return fmt.Sprintf(": answered %d in %s", x.Status, took)
}

// traces names the trace ids that were sent, and those that were returned where they are others.
func traces(of []probe.Exchange) string {
	sent := distinct(of, func(x probe.Exchange) string { return x.TraceID })
	returned := distinct(of, func(x probe.Exchange) string {
		if strings.EqualFold(x.TargetTraceID, x.TraceID) {
			return ""
		}
		return x.TargetTraceID
	})
	word := "trace id "
	if max(len(sent), len(returned)) > 1 {
		word = "trace ids "
	}
	switch {
	case len(sent)+len(returned) == 0:
		return ""
	case len(returned) == 0:
		return word + list(sent, mostTraces)
	case len(sent) == 0:
		return word + list(returned, mostTraces) + " returned"
	}
	return word + list(sent, mostTraces) + " sent, " + list(returned, mostTraces) + " returned"
}

// distinct lists the different values of exchanges, without empty ones.
func distinct(of []probe.Exchange, value func(probe.Exchange) string) []string {
	var seen []string
	for _, x := range of {
		if v := value(x); v != "" && !slices.Contains(seen, v) {
			seen = append(seen, v)
		}
	}
	return seen
}
