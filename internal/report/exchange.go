package report

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// indentation is that of lines that belong to the line above.
const indentation = "  "

// maxTraces bounds the trace ids, and the versions, that are listed in one place.
const maxTraces = 3

// said is what the lines above those of an exchange say already, so that these need not.
type said struct {
	addresses []string
	reason    string
	target    string // may be the URL
	inURL     bool   // the URL says the address, if that is its host
}

// exchangeLines describes exchanges, those with the same outcome as one: the request, the addresses and the reason unless
// they were said, and the trace ids to look for.
func exchangeLines(exchanges []probe.Exchange, already said) []string {
	var order []string
	same := map[string][]probe.Exchange{}
	for _, x := range exchanges {
		key := request(x) + outcome(x, "", "")
		if same[key] == nil {
			order = append(order, key)
		}
		same[key] = append(same[key], x)
	}
	var lines []string
	for _, key := range order {
		lines = append(lines, exchangeGroup(same[key], already)...)
	}
	return lines
}

// exchangeGroup describes exchanges with the same outcome. Of several it gives the time of the slowest.
func exchangeGroup(same []probe.Exchange, already said) []string {
	out := request(same[0])
	if already.target != "" && same[0].URL == already.target && same[0].Method != "" {
		out = same[0].Method
	}
	where := distinct(same, func(x probe.Exchange) string { return x.Addr })
	if len(where) > 0 && !slices.Equal(where, already.addresses) && !(already.inURL && isHost(where, same[0].URL)) {
		out += " at " + text.List(where, maxNames)
	}
	var slowest time.Duration
	for _, x := range same {
		slowest = max(slowest, x.Took)
	}
	took := text.Duration(slowest)
	if len(same) > 1 {
		took = "up to " + took
	}
	lines := []string{out + outcome(same[0], took, already.reason)}
	if traces := traces(same); traces != "" {
		lines = append(lines, traces)
	}
	return lines
}

// isHost reports whether the only address is the host of a URL.
func isHost(addresses []string, raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && len(addresses) == 1 && u.Host == addresses[0]
}

func request(x probe.Exchange) string { return strings.Join(nonEmpty(x.Method, x.URL), " ") }

// outcome is how an exchange ended, unless that was said, and how long it took.
func outcome(x probe.Exchange, took, said string) string {
	switch {
	case x.Denied != "":
		return ": not dialled, a " + strings.ReplaceAll(x.Denied, "_", "-") + " address"
	case x.Reason != probe.OK && x.Status == 0 && x.Reason.Word == said:
		return ": no response after " + took
	case x.Reason != probe.OK && x.Status == 0:
		return fmt.Sprintf(": no response (%s) after %s", cmp.Or(x.Reason.Word, "unknown"), took)
	case x.Reason != probe.OK:
		return fmt.Sprintf(": %s, not completely (%s), in %s", x.Answered(), x.Reason, took)
	}
	return fmt.Sprintf(": %s in %s", x.Answered(), took)
}

// traces lists the trace ids that were sent, and those that were returned if they differ.
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
		return word + text.List(sent, maxTraces)
	case len(sent) == 0:
		return word + text.List(returned, maxTraces) + " returned"
	}
	return word + text.List(sent, maxTraces) + " sent, " + text.List(returned, maxTraces) + " returned"
}

// distinct lists the different values of exchanges, without empty ones.
//
//go:noinline
func distinct(of []probe.Exchange, value func(probe.Exchange) string) []string {
	var seen []string
	for _, x := range of {
		if v := value(x); v != "" && !slices.Contains(seen, v) {
			seen = append(seen, v)
		}
	}
	return seen
}
