package clock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/timesync"
)

// Service is where a service tells the time: by the Date of its answers, by a time in its JSON, or by the iat of a
// token that it issues. A credential given here goes to this service alone.
type Service struct {
	httpx.Settings `yaml:",inline"`

	URL     string          `yaml:"url,omitempty" short:"true" doc:"the URL to request; the response must be a 2xx of the service itself"`
	JSON    jsonpath.Path   `yaml:"json,omitempty" doc:"RFC 9535 path to the time in the JSON response; default: the Date header is read"`
	Format  string          `yaml:"format,omitempty" default:"rfc3339" doc:"format of the JSON value: rfc3339, unix or unix_ms"`
	DateAge *probe.Duration `yaml:"date_age,omitempty" default:"1s" doc:"how old the Date of a new response may be, because some servers renew it once a second"`
	IAT     *httpx.OAuth2   `yaml:"iat,omitempty" doc:"a token endpoint: tokens are requested with client credentials and their iat is read"`
}

// How the time is written in JSON.
const (
	rfc3339 = "rfc3339"
	unix    = "unix"
	unixMS  = "unix_ms"
)

// A source is a service that is asked for the time.
type source struct {
	Service
	name        string
	client      *httpx.Client
	resolution  time.Duration // how old what it shows may be
	maxReadings int           // how often it is asked in one run
}

// Bounds of a run.
const (
	maxReadings = 8
	maxTokens   = 4 // each is a credential that somebody has to keep track of
	maxDateAge  = time.Minute
)

func newSource(name string, s Service, resolver string) (*source, error) {
	var wrong []error
	out := &source{Service: s, name: name, maxReadings: maxReadings}
	if out.Resolver == "" {
		out.Resolver = resolver
	}
	switch {
	case s.IAT == nil && s.URL == "":
		wrong = append(wrong, probe.Settingf("url", "is missing"))
	case s.IAT != nil && (s.URL != "" || !s.JSON.IsZero() || s.HasCredential()):
		wrong = append(wrong, probe.Settingf("iat", "leaves no room for a url, json or another credential"))
	}
	if s.IAT != nil {
		out.OAuth2, out.maxReadings = s.IAT, maxTokens // so that it is checked as an oauth2 is
		out.URL = s.IAT.TokenURL
	}
	if s.Format != "" && (s.JSON.IsZero() || !slices.Contains([]string{rfc3339, unix, unixMS}, s.Format)) {
		wrong = append(wrong, probe.Settingf("format", "expected rfc3339, unix or unix_ms, beside a json path"))
	}
	if s.DateAge != nil && (s.IAT != nil || !s.JSON.IsZero() || *s.DateAge < 0 || s.DateAge.D() > maxDateAge) {
		wrong = append(wrong, probe.Settingf("date_age", "expected 0s to 1m, of a Date"))
	}
	if out.usesDate() {
		out.resolution = time.Second
		if s.DateAge != nil {
			out.resolution = s.DateAge.D()
		}
	}
	client, err := out.Client(s.URL) // the URL of a token endpoint is checked with the rest of iat
	out.client = client
	if s.IAT != nil {
		err = probe.MoveSetting("oauth2", "iat", err)
	}
	return out, errors.Join(append(wrong, err)...)
}

// A readError is why a service's time could not be read. It says nothing of its clock.
type readError struct {
	reason probe.Reason
	detail string
}

func readErrorf(why probe.Reason, format string, args ...any) *readError {
	return &readError{why, fmt.Sprintf(format, args...)}
}

// A reading is what a service said once.
type reading struct {
	timesync.Sample
	before time.Duration // how long the question was under way before it was sent
	from   string        // the address that answered
}

// usesDate reports whether the service tells the time by its Date alone.
func (s *source) usesDate() bool { return s.IAT == nil && s.JSON.IsZero() }

// read asks the service once.
func (s *source) read(ctx context.Context, r *probe.Result) (said reading, t *readError) {
	request := httpx.Request{Check: "source", URL: s.URL, Header: http.Header{"Cache-Control": {"no-cache"}}, Want: httpx.Success}
	if s.IAT != nil {
		var err error
		if request, err = s.tokenRequest(); err != nil {
			return reading{}, readErrorf(probe.Credential, "iat: %s", err)
		}
	}
	answer := s.client.Do(ctx, r, request)
	if t := notUsable(answer); t != nil {
		return reading{}, t
	}
	switch {
	case s.IAT != nil:
		said.Sample, t = s.readIAT(answer)
	case s.usesDate():
		said.Sample, t = s.readDate(answer)
	default:
		said.Sample, t = s.readJSON(answer)
	}
	for _, phase := range answer.Phases {
		if phase.Name == "resolve" || phase.Name == "connect" || phase.Name == "tls" {
			said.before += phase.Took
		}
	}
	said.Sent, said.Received = answer.Started.Add(said.before), answer.Started.Add(answer.Took)
	said.from = answer.Addr
	return said, t
}

// notUsable says why an answer tells nothing of the service's clock; nil if it may.
func notUsable(a *httpx.Answer) *readError {
	switch {
	case a.Reason != probe.OK:
		return readErrorf(a.Reason, "%s", a.Detail)
	case a.Status == 429:
		return readErrorf(probe.RateLimited, "wanted 2xx, got 429: it limits the rate of the prober's requests")
	case a.Status == 401 || a.Status == 403:
		return readErrorf(probe.Credential, "wanted 2xx, got %d: it does not let the prober in", a.Status)
	case a.Status == 304 || a.Cached != "":
		return readErrorf(probe.StaleOrCached, "the answer may come out of a cache (%s), and so may its time", a.Cached)
	case a.Redirected():
		return readErrorf(probe.Redirect, "wanted 2xx, got %d, which sends elsewhere; redirects are never followed", a.Status)
	case !httpx.Success.Contains(a.Status):
		return readErrorf(probe.Status, "wanted 2xx, got %d, which may come from what stands before it", a.Status)
	}
	for _, name := range between {
		if len(a.Header[name]) > 0 {
			return readErrorf(probe.StaleOrCached, "the answer has a header %s: something on the way may have kept it or written its time; ask the service itself", name)
		}
	}
	return nil
}

// between are the headers of caches and CDNs.
var between = []string{
	"Age", "Via", "X-Cache", "X-Cache-Hits", "X-Cache-Status", "Cache-Status", "Cf-Ray", "Cf-Cache-Status", "X-Amz-Cf-Id",
	"X-Amz-Cf-Pop", "X-Served-By", "X-Varnish", "X-Akamai-Transformed", "X-Azure-Ref", "Cdn-Cache", "X-Vercel-Cache",
}

// readDate reads the Date, which was the time when the answer was written, less a fraction of a second (RFC 9110, section
// 6.6.1) and less what the server kept it for.
func (s *source) readDate(a *httpx.Answer) (timesync.Sample, *readError) {
	values := a.Header["Date"]
	switch len(values) {
	case 0:
		return timesync.Sample{}, readErrorf(probe.Header, "the answer has no Date")
	case 1:
	default:
		return timesync.Sample{}, readErrorf(probe.Header, "the answer has more than one Date")
	}
	date, err := http.ParseTime(values[0])
	if err != nil {
		return timesync.Sample{}, readErrorf(probe.Header, "the answer has a Date that is none")
	}
	return timesync.Sample{Earliest: date, Latest: date.Add(time.Second + s.resolution)}, nil
}

// readJSON reads the time in a JSON answer. It may have been cut off or rounded.
func (s *source) readJSON(a *httpx.Answer) (timesync.Sample, *readError) {
	doc, err := a.JSON()
	if err != nil {
		return timesync.Sample{}, readErrorf(probe.Schema, "the answer is not JSON: %s", err)
	}
	found := s.JSON.Find(doc)
	if len(found) != 1 {
		return timesync.Sample{}, readErrorf(probe.Schema, "%s: wanted one time, got %d", s.JSON, len(found))
	}
	at, unit, ok := parseTime(found[0].Text(), s.Format)
	if kind := found[0].Kind(); !ok || kind != "string" && kind != "number" {
		return timesync.Sample{}, readErrorf(probe.Schema, "%s: wanted a time (%s), got what is none", s.JSON, formatName(s.Format))
	}
	return timesync.Sample{Earliest: at.Add(-unit / 2), Latest: at.Add(unit)}, nil
}

func formatName(format string) string {
	if format == "" {
		return rfc3339
	}
	return format
}

// parseTime reads a time and the unit of its last digit.
func parseTime(text, format string) (at time.Time, unit time.Duration, ok bool) {
	base := time.Second
	if format == unixMS {
		base = time.Millisecond
	}
	if format == unix || format == unixMS {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || strings.ContainsAny(text, "eExX_") || !(math.Abs(n) < float64(1<<62/base)) {
			return time.Time{}, 0, false
		}
		whole, fraction := math.Modf(n)
		at = time.Unix(0, 0).Add(time.Duration(whole) * base).Add(time.Duration(fraction * float64(base)))
	} else {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return time.Time{}, 0, false
		}
	}
	return at, digits(text, base), true
}

// digits is the unit of the last digit behind a point.
func digits(text string, unit time.Duration) time.Duration {
	_, fraction, _ := strings.Cut(text, ".")
	for _, c := range fraction {
		if c < '0' || c > '9' || unit < 10*time.Microsecond {
			break
		}
		unit /= 10
	}
	return unit
}
