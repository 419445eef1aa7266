package clock

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/resp"
	"prober/internal/timesync"
)

// Service is where the time of a service is read: from the Date of its answers, from a time in its JSON, or from the iat of a
// token that it issues. A credential given here goes to this service alone.
type Service struct {
	httpx.Settings `yaml:",inline"`

	URL      string          `yaml:"url,omitempty" short:"true" doc:"the URL to request; the response must be a 2xx of the service itself"`
	JSON     jsonpath.Path   `yaml:"json,omitempty" doc:"RFC 9535 path to the time in the JSON response; default: the Date header is read"`
	Format   string          `yaml:"format,omitempty" default:"rfc3339" doc:"format of the JSON value: rfc3339, unix or unix_ms"`
	DateAge  *probe.Duration `yaml:"date_age,omitempty" default:"1s" doc:"how old the Date of a new response may be, because some servers renew it once a second"`
	Postgres *Database       `yaml:"postgres,omitempty" doc:"a PostgreSQL server: its clock is read"`
	Redis    *Redis          `yaml:"redis,omitempty" doc:"a Redis server: its clock is read"`
	IAT      *httpx.OAuth2   `yaml:"iat,omitempty" doc:"a token endpoint: tokens are requested with client credentials and their iat is read"`
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
	database    *postgres.Client // nil unless the time is that of a database
	redis       *resp.Client     // nil unless it is that of a Redis server
	resolution  time.Duration    // how old the time that it gives may be
	maxReadings int              // maximum requests in one run
}

// Bounds of a run.
const (
	maxReadings = 8
	maxTokens   = 4 // each is a live credential
	maxDateAge  = time.Minute
)

func newSource(name string, s Service, resolver string) (*source, error) {
	var wrong []error
	out := &source{Service: s, name: name, maxReadings: maxReadings}
	if out.Resolver == "" {
		out.Resolver = resolver
	}
	switch {
	case s.Redis != nil:
		wrong = append(wrong, out.validateRedis(s))
	case s.Postgres != nil:
		wrong = append(wrong, out.validatePostgres(s))
	case s.IAT == nil && s.URL == "":
		wrong = append(wrong, probe.Settingf("url", "is missing"))
	case s.IAT != nil && (s.URL != "" || !s.JSON.IsZero() || s.HasCredential()):
		wrong = append(wrong, probe.Settingf("iat", "leaves no room for a url, json or another credential"))
	}
	if s.IAT != nil {
		out.OAuth2, out.maxReadings = s.IAT, maxTokens // validated as an oauth2 is
		out.URL = s.IAT.TokenURL
	}
	if s.Format != "" && (s.JSON.IsZero() || !slices.Contains([]string{rfc3339, unix, unixMS}, s.Format)) {
		wrong = append(wrong, probe.Settingf("format", "expected rfc3339, unix or unix_ms, beside a json path"))
	}
	if s.DateAge != nil && (!out.usesDate() || *s.DateAge < 0 || s.DateAge.D() > maxDateAge) {
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

// validatePostgres refuses what a database has no use for, and makes the client that asks it.
func (s *source) validatePostgres(given Service) error {
	if given.URL != "" || given.IAT != nil || !given.JSON.IsZero() || given.HasCredential() {
		return probe.Settingf("postgres", "leaves no room for a url, json, iat or another credential")
	}
	if given.Postgres.Resolver == "" {
		given.Postgres.Resolver = s.Resolver
	}
	client, err := given.Postgres.Client(map[string]string{"address": given.Postgres.Address})
	s.database = client
	return probe.InSetting("postgres", err)
}

// readErrorf is why a time could not be read. It says nothing about the clock.
//
//go:noinline
func readErrorf(why probe.Reason, format string, args ...any) *probe.Outcome {
	o := probe.Outcomef(why, format, args...)
	return &o
}

// A reading is what a service said once.
type reading struct {
	timesync.Sample
	before time.Duration // from the start of the exchange until the request was sent
	from   string        // the address that answered
}

// usesDate reports whether the time is read from the Date header.
func (s *source) usesDate() bool {
	return s.IAT == nil && s.JSON.IsZero() && s.Postgres == nil && s.Redis == nil
}

// read asks the service once.
func (s *source) read(ctx context.Context, r *probe.Result) (said reading, t *probe.Outcome) {
	if s.database != nil {
		return s.readPostgres(ctx, r)
	}
	if s.redis != nil {
		return s.readRedis(ctx, r)
	}
	request := httpx.Request{Check: "source", URL: s.URL, Header: http.Header{"Cache-Control": {"no-cache"}}, Want: httpx.Success}
	if s.IAT != nil {
		var err error
		if request, err = s.tokenRequest(); err != nil {
			return reading{}, readErrorf(probe.Credential, "iat: %s", err)
		}
	}
	answer := s.client.Do(ctx, r, request)
	if t := s.notUsable(answer); t != nil {
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

// notUsable says why an answer proves nothing about the service's clock; nil if it may.
func (s *source) notUsable(a *httpx.Answer) *probe.Outcome {
	credential := s.IAT != nil || s.Authenticates()
	if c := a.Classify(httpx.ClassifyOptions{Want: httpx.Success, AnyDate: true, Credential: credential, Public: !credential}); c.Class != httpx.ClassExpected {
		return &c.Outcome
	}
	for _, name := range between {
		if len(a.Header[name]) > 0 {
			return readErrorf(probe.StaleOrCached, "the answer has a header %s: a cache or proxy may have stored it or written its time; use the service's own address", name)
		}
	}
	return nil
}

// between lists headers that caches and CDNs add.
var between = []string{
	"Age", "Via", "X-Cache", "X-Cache-Hits", "X-Cache-Status", "Cache-Status", "Cf-Ray", "Cf-Cache-Status", "X-Amz-Cf-Id",
	"X-Amz-Cf-Pop", "X-Served-By", "X-Varnish", "X-Akamai-Transformed", "X-Azure-Ref", "Cdn-Cache", "X-Vercel-Cache",
}

// readDate reads the Date, which was the time when the answer was written, less a fraction of a second (RFC 9110, section
// 6.6.1) and less what the server kept it for.
func (s *source) readDate(a *httpx.Answer) (timesync.Sample, *probe.Outcome) {
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
		return timesync.Sample{}, readErrorf(probe.Header, "the Date of the answer cannot be parsed")
	}
	return timesync.Sample{Earliest: date, Latest: date.Add(time.Second + s.resolution)}, nil
}

// readJSON reads the time in a JSON answer, which may be truncated or rounded.
func (s *source) readJSON(a *httpx.Answer) (timesync.Sample, *probe.Outcome) {
	doc, err := a.JSON()
	if err != nil {
		o := httpx.NotJSON(err)
		return timesync.Sample{}, &o
	}
	found := s.JSON.Find(doc)
	if len(found) != 1 {
		return timesync.Sample{}, readErrorf(probe.Schema, "%s: expected one time, got %d", s.JSON, len(found))
	}
	at, unit, ok := parseTime(found[0].Text(), s.Format)
	if kind := found[0].Kind(); !ok || kind != "string" && kind != "number" {
		return timesync.Sample{}, readErrorf(probe.Schema, "%s: expected a time (%s), got another value", s.JSON, formatName(s.Format))
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

// digits returns the unit of the last digit after the decimal point.
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
