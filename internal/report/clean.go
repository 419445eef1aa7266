package report

import (
	"net/url"
	"strings"
	"time"

	"prober/internal/probe"
)

// line makes a text one line without control characters, without those that turn the direction of writing, and
// without those that XML cannot hold. Results are clean already; names and reasons come from elsewhere.
func line(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c < ' ', 0x7f <= c && c < 0xa0, c == '\u2028', c == '\u2029', '\u200e' <= c && c <= '\u200f',
			'\u202a' <= c && c <= '\u202e', '\u2066' <= c && c <= '\u2069', c == '\ufffe', c == '\uffff':
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// link is an address without user name, password and query: these may be secret. A fragment is kept, for it names
// the section of a runbook. What is no address is nothing.
func link(address string) string {
	u, err := url.Parse(line(address))
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.ForceQuery = nil, "", false
	u.Fragment, _, _ = strings.Cut(u.Fragment, "?") // where pages drawn by script keep their query
	u.RawFragment = ""
	return u.String()
}

func cleanID(id probe.ID) probe.ID {
	return probe.ID{
		System: line(id.System), Name: line(id.Name), Type: line(id.Type), Runbook: line(id.Runbook), Severity: line(id.Severity),
	}
}

func cleanExchange(x *probe.Exchange) {
	for _, text := range []*string{&x.Check, &x.Target, &x.Method, &x.Addr, &x.Proto, &x.TraceID, &x.TargetTraceID, &x.Version, &x.Denied} {
		*text = line(*text)
	}
	x.URL, _, _ = strings.Cut(link(x.URL), "#")
	x.Reason.Word = line(x.Reason.Word)
}

// short writes a time as a person would say it: two or three digits and a unit.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return decimal(d, time.Millisecond) + " ms"
	case d < time.Second:
		return whole(d, time.Millisecond) + " ms"
	case d < time.Minute:
		return decimal(d, time.Second) + " s"
	}
	return d.Round(time.Second).String()
}
