package expect

import (
	"net/http"
	"slices"
	"strings"
)

// lists are the response headers whose value is a list. It may be on one line or on several, and means the same (RFC 9110,
// section 5.3). Of any other header that occurs twice, clients may use either.
var lists = headers(
	"Accept-CH", "Cache-Tag", "Feature-Policy", "NEL", "No-Vary-Search", "Origin-Trial", "Referrer-Policy", "Report-To", "Reporting-Endpoints",
	"Speculation-Rules", "X-Cache", "Accept-Patch", "Accept-Post", "Accept-Ranges", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
	"Access-Control-Expose-Headers", "Allow", "Alt-Svc", "Cache-Control", "Cache-Status", "CDN-Cache-Control", "Clear-Site-Data",
	"Connection", "Content-Digest", "Content-Encoding", "Content-Language", "Content-Security-Policy",
	"Content-Security-Policy-Report-Only", "Critical-CH", "Digest", "Link", "Permissions-Policy", "Pragma", "Preference-Applied",
	"Proxy-Authenticate", "Proxy-Status", "Repr-Digest", "Sec-WebSocket-Extensions", "Server-Timing", "Signature",
	"Signature-Input", "Surrogate-Control", "Surrogate-Key", "Timing-Allow-Origin", "Trailer", "Transfer-Encoding", "Upgrade",
	"Vary", "Via", "WWW-Authenticate", "Warning", "X-Forwarded-For", "X-Robots-Tag",
)

func headers(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[http.CanonicalHeaderKey(name)] = true
	}
	return set
}

// headerValues returns the values of a header: of a list the one value that it would have on one line.
func headerValues(name string, h http.Header) []string {
	values := h.Values(name)
	if len(values) > 1 && lists[http.CanonicalHeaderKey(name)] {
		return []string{strings.Join(values, ", ")}
	}
	return values
}

// matchHeader reports whether a header with these values matches; it is absent if there are none. Set-Cookie has a value for
// each cookie: one of them must be what is expected, and none what is excluded. Otherwise each value must match.
func (m Match) matchHeader(name string, values []string) bool {
	if len(values) == 0 {
		return m.MatchText("", false)
	}
	matches := func(v string) bool { return m.MatchText(v, true) }
	if http.CanonicalHeaderKey(name) == "Set-Cookie" && !m.Absent {
		excludes := func(v string) bool {
			return !Match{NotContains: m.NotContains, NotMatch: m.NotMatch}.MatchText(v, true)
		}
		return slices.ContainsFunc(values, matches) && !slices.ContainsFunc(values, excludes)
	}
	return !slices.ContainsFunc(values, func(v string) bool { return !matches(v) })
}
