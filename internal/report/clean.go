package report

import (
	"net/url"
	"strings"
	"time"

	"prober/internal/probe"
)

// oneLine makes a text one line without control characters, those that change the direction of writing, and those
// that XML cannot hold. Results are clean already; names and reasons come from elsewhere.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c < ' ', 0x7f <= c && c < 0xa0, c == '\u2028', c == '\u2029', '\u200e' <= c && c <= '\u200f',
			'\u202a' <= c && c <= '\u202e', '\u2066' <= c && c <= '\u2069', c == '\ufffe', c == '\uffff':
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// publicURL removes user name, password and query from an address: these may be secret. It keeps the fragment, which
// names the section of a runbook. An invalid address becomes empty.
func publicURL(address string) string {
	u, err := url.Parse(oneLine(address))
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.ForceQuery = nil, "", false
	u.Fragment, _, _ = strings.Cut(u.Fragment, "?") // where single-page applications keep their query
	u.RawFragment = ""
	return u.String()
}

func cleanID(id probe.ID) probe.ID {
	return probe.ID{
		System: oneLine(id.System), Name: oneLine(id.Name), Type: oneLine(id.Type), Runbook: oneLine(id.Runbook), Severity: oneLine(id.Severity),
	}
}

func cleanExchange(x *probe.Exchange) {
	for _, text := range []*string{&x.Check, &x.Target, &x.Method, &x.Addr, &x.Proto, &x.TraceID, &x.TargetTraceID, &x.Version, &x.Denied} {
		*text = oneLine(*text)
	}
	x.URL, _, _ = strings.Cut(publicURL(x.URL), "#")
	x.Reason.Word = oneLine(x.Reason.Word)
}

// formatDuration writes a duration with two or three digits and a unit.
func formatDuration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return decimal(d, time.Millisecond) + " ms"
	case d < time.Second:
		return rounded(d, time.Millisecond) + " ms"
	case d < time.Minute:
		return decimal(d, time.Second) + " s"
	}
	return d.Round(time.Second).String()
}
