package http

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/text"
)

// Follow says how far redirects are followed. Only those to the same origin are: the credential goes to nobody else.
type Follow struct {
	Max    int  `yaml:"max" required:"true" short:"true" doc:"how many redirects to follow, one request each, 1 to 10"`
	Resend bool `yaml:"resend" doc:"send method and body again where a redirect asks for it, other than GET, HEAD and OPTIONS"`
}

// maxFollow is the largest value of follow.
const maxFollow = 10

// Reasons of redirects that are not followed.
var (
	tooMany = probe.Reason{Word: "too_many_redirects", Verdict: probe.Fail, Text: "redirects without end",
		Action: "Look for two rules that contradict each other, such as one that adds a slash and one that takes it away, or for a page that requires a cookie."}
	otherOrigin = probe.Reason{Word: "other_origin", Verdict: probe.Fail, Text: "redirected to another origin",
		Action: "Ask the URL with curl -i and see where it leads: a login page, another host, or http in place of https. If that is right, probe the final URL."}
)

// redirects are the statuses that say where to ask instead.
var redirects = httpx.Codes(301, 302, 303, 307, 308)

// maxLocation bounds what is read of a Location, in bytes.
const maxLocation = 8 << 10

// next returns the request that a redirect asks for. The outcome says why that is not made; then there is none.
func (p *Probe) next(answer *httpx.Answer, q httpx.Request) (httpx.Request, *url.URL, *probe.Outcome) {
	refuse := func(why probe.Reason, format string, args ...any) (httpx.Request, *url.URL, *probe.Outcome) {
		o := probe.Outcomef(why, "got "+strconv.Itoa(answer.Status)+format, args...)
		return q, nil, &o
	}
	from, err := url.Parse(q.URL)
	if err != nil {
		return refuse(probe.Protocol, " for a URL that cannot be read")
	}
	values := slices.Compact(slices.Clone(answer.Header.Values("Location")))
	switch {
	case len(values) == 0:
		return refuse(probe.Protocol, " without a Location")
	case len(values) > 1:
		return refuse(probe.Protocol, " with several Locations")
	case values[0] == "":
		return refuse(probe.Protocol, " with an empty Location")
	}
	to, err := from.Parse(values[0])
	if err != nil || len(values[0]) > maxLocation || to.User != nil {
		return refuse(probe.Protocol, " with a Location that is not valid")
	}
	if where := p.elsewhere(from, to); where != "" {
		return refuse(otherOrigin, " %s, which is not followed", where)
	}
	to.Host, to.Fragment, to.RawFragment = from.Host, "", ""
	if to.Path == "" {
		to.Path = "/"
	}
	q.URL = to.String()
	if secret.Redact(q.URL) != q.URL {
		return refuse(probe.Redirect, " with a credential in its Location, which is not followed")
	}
	if answer.Status == 303 && q.Method != http.MethodHead || answer.Status < 303 && q.Method == http.MethodPost {
		q.Method, q.Body = http.MethodGet, nil
	}
	if !safe(q.Method) && !p.Follow.Resend {
		return refuse(probe.Redirect, " to %s, which would send %s again: that needs follow.resend", shownPath(to), q.Method)
	}
	q.Show = from.Scheme + "://" + from.Host + shownPath(to)
	return q, to, nil
}

// elsewhere says in which respect a redirect leads to another origin (RFC 6454); empty if it does not. The host may also be the
// one that the request has in its header Host.
func (p *Probe) elsewhere(from, to *url.URL) string {
	host := p.hostHeader()
	switch {
	case to.Scheme != "http" && to.Scheme != "https":
		return "to a URL that is not http"
	case from.Scheme == "https" && to.Scheme == "http":
		return "from https to http"
	case from.Scheme != to.Scheme:
		return "from http to https"
	case httpx.SameOrigin(from, to) || host != "" && strings.EqualFold(to.Host, host):
		return ""
	case dial.HostName(to.Hostname()) == dial.HostName(from.Hostname()):
		return "to another port"
	}
	return "to another host"
}

// hostHeader returns the header Host that the settings replace that of the URL by; empty if they do not.
func (p *Probe) hostHeader() string {
	for name, v := range p.Headers {
		if strings.EqualFold(name, "Host") {
			return v.Text
		}
	}
	return ""
}

// safe reports whether a method may be sent again without changing anything (RFC 9110, section 9.2.1).
func safe(method string) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, method)
}

// shownPath returns the path of a Location for people. The target chose it, so that what may be a token, or is no plain word, is
// left out, and the query always is.
func shownPath(u *url.URL) string {
	const maxWord, maxWithDigits = 24, 8
	parts := strings.Split(u.EscapedPath(), "/")
	for i, part := range parts {
		plain := strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-") == ""
		if !plain || len(part) > maxWord || len(part) > maxWithDigits && strings.ContainsAny(part, "0123456789") {
			parts[i] = "..."
		}
	}
	const maxParts = 10
	if len(parts) > maxParts {
		parts = append(parts[:maxParts], "...")
	}
	shown := strings.Join(parts, "/")
	if u.RawQuery != "" {
		shown += "?..."
	}
	return shown
}

// validateFollow reports what is wrong with following redirects.
func (p *Probe) validateFollow() (wrong []error) {
	if p.Follow == nil {
		return nil
	}
	if p.Follow.Max < 1 || p.Follow.Max > maxFollow {
		wrong = append(wrong, probe.Settingf("follow.max", "expected 1 to %d, got %d", maxFollow, p.Follow.Max))
	}
	for _, code := range redirects {
		if p.Expect.Status.Contains(code) {
			wrong = append(wrong, probe.Settingf("follow", "would follow the status %d, which is expected", code))
			break
		}
	}
	if p.Follow.Resend && safe(cmp.Or(p.Method, http.MethodGet)) {
		wrong = append(wrong, probe.Settingf("follow.resend", "has no effect with GET, HEAD and OPTIONS"))
	}
	return wrong
}

// A reply is the answer to a request, at the end of the redirects that were followed.
type reply struct {
	*httpx.Answer
	by      string         // the redirects, for a sentence; empty without any
	refused *probe.Outcome // why the redirect that the answer is was not followed
}

// follow sends a request, and the one that each redirect asks for.
func (p *Probe) follow(ask func(httpx.Request) *httpx.Answer, q httpx.Request) reply {
	asked := map[string]bool{}
	var hops []string
	var took, late time.Duration
	end := func(answer *httpx.Answer, refused *probe.Outcome) reply {
		answer.Took, answer.Late = took, late // a customer waits for all of them
		found := reply{Answer: answer, refused: refused}
		if len(hops) > 0 {
			found.by = " (after " + strings.Join(hops, ", ") + ")"
		}
		return found
	}
	want := q.Want
	for left := p.Follow.Max; ; left-- {
		asked[q.Method+" "+q.URL] = true
		q.Want = append(slices.Clone(want), redirects...)
		answer := ask(q)
		took, late = took+answer.Took, late+answer.Late
		if answer.Reason != probe.OK || !redirects.Contains(answer.Status) {
			return end(answer, nil)
		}
		next, to, refused := p.next(answer, q)
		switch {
		case refused != nil:
		case asked[next.Method+" "+next.URL]:
			refused = new(probe.Outcomef(tooMany, "got %d to %s, which was asked before; no cookies are kept", answer.Status, shownPath(to)))
		case left == 0:
			refused = new(probe.Outcomef(tooMany, "got more than %s, the last to %s", text.Count(p.Follow.Max, "redirect"), shownPath(to)))
		}
		if refused != nil {
			return end(answer, refused)
		}
		hops = append(hops, strconv.Itoa(answer.Status)+" to "+shownPath(to))
		q = next
	}
}
