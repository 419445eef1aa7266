// Package http asks one URL and compares the answer with what it must be.
package http

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"prober/internal/dial"
	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// Probe asks one URL and compares the answer with what is expected of it: status, headers, body, JSON values, latency
// and certificate expiry. It makes one measured request; the catch-all check and the control are further requests,
// made only if they are configured.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	URL           string                   `yaml:"url" required:"true" doc:"the URL to request; http or https, without credentials"`
	Address       string                   `yaml:"address" doc:"dial this IP:port instead of what the URL's host resolves to; Host and SNI stay"`
	Proxy         *httpx.Proxy             `yaml:"proxy" doc:"the HTTP proxy to ask through: a URL, or a mapping"`
	Unix          string                   `yaml:"unix" doc:"the path of a Unix socket to dial instead of the URL's host"`
	IPVersion     dial.IPVersion           `yaml:"ip_version" default:"prefer-6" doc:"which addresses of the host to dial: 4 or 6 only, or prefer-4 or prefer-6 first"`
	Method        string                   `yaml:"method" default:"GET" doc:"the HTTP method"`
	Follow        *Follow                  `yaml:"follow" doc:"how many redirects of the same origin to follow, 1 to 10, or a mapping"`
	Body          httpx.Value              `yaml:"body" mask:"true" doc:"what to send: a text, {file: PATH} or {env: NAME}"`
	Compression   string                   `yaml:"compression" doc:"the content coding to ask for and to expect: gzip, identity, br or deflate; default: gzip is asked for and not expected"`
	Expect        expect.Expect            `yaml:"expect" doc:"what the response must be"`
	AllowCached   bool                     `yaml:"allow_cached" doc:"accept a response from a cache, which proves nothing about the origin"`
	CatchAllCheck bool                     `yaml:"catch_all_check" renamed:"decoy" doc:"also request a path that does not exist; it must not meet the expectation"`
	Gauges        map[string]jsonpath.Path `yaml:"gauges" doc:"by name, numbers to export from the JSON response"`
	Control       *Control                 `yaml:"control" doc:"the positive control: the same request with these changes must succeed"`

	client  *httpx.Client
	control *Probe
}

// Control is how the positive control of a negative expectation differs from the request that it controls. Settings
// that it leaves out stay the same; a credential given here replaces the request's.
type Control struct {
	httpx.Settings `yaml:",inline"`

	URL    string        `yaml:"url" doc:"the URL to request instead"`
	Method string        `yaml:"method" doc:"the method to use instead"`
	Body   httpx.Value   `yaml:"body" mask:"true" doc:"the body to send instead"`
	Expect expect.Expect `yaml:"expect" doc:"what the control's response must be"`
}

// valueGauge is exported for each entry of gauges.
var valueGauge = &probe.Measure{
	Name:   "probe_http_value",
	Help:   "Number from the JSON response of the last run, by its configured name.",
	Labels: []string{"name"},
}

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:           func() probe.Probe { return New() },
		Summary:       "one URL: status, headers, body, JSON values, latency, certificate, gauges; denials with their control",
		Measures:      []*probe.Measure{valueGauge, expect.CertificateExpiring},
		Reasons:       append(httpx.ProxyReasons(), tooMany, otherOrigin, expect.OtherHTTPVersion, otherCoding),
		Traits:        probe.Traits{HTTPLatency: true},
		RenamedChecks: map[string]string{"decoy": "catch_all", "wrong_path": "catch_all"},
	}
}

var (
	_ probe.CertificateWarner = (*Probe)(nil)
	_ probe.Closer            = (*Probe)(nil)
	_ probe.StatusProvoker    = (*Probe)(nil)
	_ probe.TimeoutChecker    = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{Method: "GET"} }

// Validate reports what is wrong with the settings. An expectation that a target that is down or wrong would also meet,
// such as a 401, is refused unless a control is named.
func (p *Probe) Validate() error {
	var wrong []error
	p.Confidential = !p.Body.Secret.IsZero() // it is a login
	p.Settings.Compression = p.Compression
	p.Route = httpx.Route{IPVersion: p.IPVersion, Proxy: p.Proxy, Unix: p.Unix}
	client, err := p.Settings.Client(p.URL)
	wrong = append(wrong, err)
	p.client = client
	if p.URL == "" {
		wrong = append(wrong, probe.Settingf("url", "is missing"))
	}
	wrong = append(wrong, p.validateRoute()...)
	wrong = append(wrong, probe.InSetting("method", httpx.ValidateMethod(cmp.Or(p.Method, "GET"))))
	if p.Expect.Status.IsZero() {
		p.Expect.Status = httpx.Success
	}
	wrong = append(wrong, probe.InSetting("expect", p.Expect.Validate(!strings.HasPrefix(strings.ToLower(p.URL), "http://"))))
	for name, path := range p.Gauges {
		if path.IsZero() || name == "" {
			wrong = append(wrong, probe.Settingf("gauges."+name, "expected a name and a JSON path"))
		}
	}
	wrong = append(wrong, p.validateFollow()...)
	wrong = append(wrong, p.validateCompression()...)
	if v := p.Expect.HTTPVersion; len(v) == 1 && v[0] == expect.HTTP2 && !p.HTTP2 {
		wrong = append(wrong, probe.Settingf("expect.http_version", "expected http2: true beside it: HTTP/2 is not offered without"))
	}
	wrong = append(wrong, p.validateBody())
	if p.Expect.Certificate != nil && p.Connection == "reuse" {
		wrong = append(wrong, probe.Settingf("expect.certificate", "a kept connection has the certificate of the day when it was opened; leave out connection: reuse"))
	}
	if negative := p.Expect.Negative(); negative != "" && p.Control == nil && (strings.HasPrefix(negative, "status") || p.Expect.Content.Validate() == nil) {
		wrong = append(wrong, probe.Settingf("expect", "%s is negative: a target that is down or wrong would meet it too; name the request that must succeed under control", negative))
	}
	if p.Control != nil {
		p.control = p.controlled()
		if p.Control.VersionGrace != 0 {
			wrong = append(wrong, probe.Settingf("control.version_grace", "has no effect: that of the probe counts"))
		}
		if idle := p.idleControl(); idle != "" {
			wrong = append(wrong, probe.Settingf("control", "%s", idle))
		}
		if negative := p.control.Expect.Negative(); negative != "" && p.control.Expect.Content.Validate() == nil {
			wrong = append(wrong, probe.Settingf("control.expect", "%s is negative and controls nothing", negative))
		}
		own := probe.SettingErrors(errors.Join(wrong...))
		for _, e := range probe.SettingErrors(p.control.Validate()) {
			if !slices.Contains(own, e) && e.Path != "expect" { // otherwise it is reported already, for the request itself or above
				wrong = append(wrong, probe.InSetting("control", e))
			}
		}
	}
	return errors.Join(wrong...)
}

// validateBody refuses what is expected of the body of an answer that has none, or whose body is not decoded.
func (p *Probe) validateBody() error {
	empty := ""
	switch {
	case p.Method == "HEAD":
		empty = "the answer to HEAD has no body"
	case !p.Expect.Status.HasBody():
		empty = "an answer with status " + p.Expect.Status.String() + " has no body"
	}
	unread := empty
	if empty == "" && p.Compression == httpx.Brotli {
		unread = "a body in " + p.Compression + " is not decoded"
	}
	var wrong []error
	for key, given := range map[string]bool{"expect.body": p.Expect.Body != nil, "expect.json": len(p.Expect.JSON) > 0, "gauges": len(p.Gauges) > 0} {
		if given && unread != "" {
			wrong = append(wrong, probe.Settingf(key, "%s", unread))
		}
	}
	if unread != "" {
		wrong = append(wrong, p.RefuseJSON(unread))
	}
	if p.Compression != "" && empty != "" {
		wrong = append(wrong, probe.Settingf("compression", "%s", empty))
	}
	return errors.Join(wrong...)
}

// CheckTimeout refuses a latency that is never exceeded, since the run ends before.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	err := probe.InSetting("expect", expect.CheckLatency(p.Expect.Latency, timeout))
	if p.control != nil {
		err = errors.Join(err, probe.InSetting("control.expect", expect.CheckLatency(p.control.Expect.Latency, timeout)))
	}
	return err
}

// idleControl says why the control would prove nothing; empty if it would.
func (p *Probe) idleControl() string {
	c := p.Control
	same := c.URL == "" && c.Method == "" && c.Body.IsZero() && len(c.Headers) == 0 && len(c.Credentials()) == 0 && c.TLS == nil
	switch negative, _, _ := strings.Cut(p.Expect.Negative(), " "); {
	case negative == "status" && same:
		return "is the same request, and cannot succeed where that must not; say what it does differently"
	case negative == "header" && len(c.Expect.Headers) == 0,
		negative == "body" && c.Expect.Body == nil,
		negative == "json" && len(c.Expect.JSON) == 0:
		return "must expect something of the same part of the answer, " + negative
	}
	return ""
}

// controlled returns the request of the control, as a probe of its own.
func (p *Probe) controlled() *Probe {
	c := &Probe{
		Settings: p.Settings.Merge(p.Control.Settings),
		URL:      cmp.Or(p.Control.URL, p.URL),
		Address:  p.Address,

		Follow:    p.Follow,
		Proxy:     p.Proxy,
		Unix:      p.Unix,
		IPVersion: p.IPVersion,

		Method: cmp.Or(p.Control.Method, p.Method),

		AllowCached: p.AllowCached,
		Compression: p.Compression,
		Body:        p.Body,
		Expect:      p.Control.Expect,
	}
	if !p.Control.Body.IsZero() {
		c.Body = p.Control.Body
	}
	return c
}

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	names := []string{"status"}
	if p.Compression != "" {
		names = append(names, "compression")
	}
	names = append(names, p.Expect.Checks()...)
	if len(p.Gauges) > 0 {
		names = append(names, "gauges")
	}
	if p.CatchAllCheck {
		names = append(names, "catch_all")
	}
	if p.Control != nil {
		names = append(names, "control")
	}
	return names
}

// ExpectedStatuses lists the client and server errors that the probe provokes on purpose, by target.
func (p *Probe) ExpectedStatuses() map[string][]int {
	codes := drop.If(slices.Clone(p.Expect.Status.Codes()), func(code int) bool { return code < 400 })
	if p.CatchAllCheck {
		codes = append(codes, 404)
	}
	return map[string][]int{"": codes}
}

// CertificateWarning tells whether the probe warns of a certificate that is to be renewed, and how severe that is.
func (p *Probe) CertificateWarning() (severity string, ok bool) {
	c := p.Expect.Certificate
	if c == nil || c.Warn == nil {
		return "", false
	}
	return c.Severity, true
}

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (p *Probe) Close() {
	p.client.Close()
	if p.control != nil {
		p.control.Close()
	}
}
