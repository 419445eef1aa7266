// Package http asks one URL and compares the answer with what it must be.
package http

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/control"
	"prober/probes/internal/expect"
)

// Probe asks one URL and compares the answer with what is expected of it: status, headers, body, JSON values, latency
// and certificate expiry. It makes one measured request; the catch-all check and the control are further requests,
// made only if they are configured.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	URL           string                   `yaml:"url" required:"true" doc:"the URL to request; http or https, without credentials"`
	Address       string                   `yaml:"address" doc:"dial this IP:port instead of what the URL's host resolves to; Host and SNI stay"`
	Method        string                   `yaml:"method" default:"GET" doc:"the HTTP method"`
	Body          httpx.Value              `yaml:"body" mask:"true" doc:"what to send: a text, {file: PATH} or {env: NAME}"`
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
	client, err := p.Settings.Client(p.URL)
	wrong = append(wrong, err)
	p.client = client
	if p.URL == "" {
		wrong = append(wrong, probe.Settingf("url", "is missing"))
	}
	if _, err := netip.ParseAddrPort(p.Address); err != nil && p.Address != "" {
		wrong = append(wrong, probe.Settingf("address", "expected IP:port"))
	}
	wrong = append(wrong, probe.InSetting("method", httpx.ValidateMethod(cmp.Or(p.Method, "GET"))))
	if p.Expect.Status.IsZero() {
		p.Expect.Status = httpx.Success
	}
	wrong = append(wrong, probe.InSetting("expect", p.Expect.Validate(strings.HasPrefix(p.URL, "https://"))))
	for name, path := range p.Gauges {
		if path.IsZero() || name == "" {
			wrong = append(wrong, probe.Settingf("gauges."+name, "expected a name and a JSON path"))
		}
	}
	wrong = append(wrong, p.validateBody())
	if p.Expect.Certificate != nil && p.Connection == "reuse" {
		wrong = append(wrong, probe.Settingf("expect.certificate", "a kept connection has the certificate of the day when it was opened; leave out connection: reuse"))
	}
	if negative := p.Expect.Negative(); negative != "" && p.Control == nil {
		wrong = append(wrong, probe.Settingf("expect", "%s is negative: a target that is down or wrong would meet it too; name the request that must succeed under control", negative))
	}
	if p.Control != nil {
		p.control = p.controlled()
		if idle := p.idleControl(); idle != "" {
			wrong = append(wrong, probe.Settingf("control", "%s", idle))
		}
		if negative := p.control.Expect.Negative(); negative != "" {
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

// validateBody refuses what is expected of the body of an answer that has none.
func (p *Probe) validateBody() error {
	empty := ""
	if p.Method == "HEAD" {
		empty = "the answer to HEAD"
	} else if !p.Expect.Status.HasBody() {
		empty = "an answer with status " + p.Expect.Status.String()
	}
	var wrong []error
	for key, given := range map[string]bool{"expect.body": p.Expect.Body != nil, "expect.json": len(p.Expect.JSON) > 0, "gauges": len(p.Gauges) > 0} {
		if given && empty != "" {
			wrong = append(wrong, probe.Settingf(key, "%s has no body", empty))
		}
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
		Method:   cmp.Or(p.Control.Method, p.Method),

		AllowCached: p.AllowCached,
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
	codes := slices.DeleteFunc(slices.Clone(p.Expect.Status.Codes()), func(code int) bool { return code < 400 })
	if p.CatchAllCheck {
		codes = append(codes, 404)
	}
	return map[string][]int{"": codes}
}

// Ask makes the control's request, the measured one and, if that was answered as expected, the catch-all check's. A check
// passes only if the control and the catch-all check held too.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	var controls []expect.Check
	if p.Control != nil {
		controls = append(controls, expect.Check{Name: "control", Outcome: p.control.askControl(ctx, r)})
	}
	checks := p.ask(ctx, r)
	failed := func(c expect.Check) bool { return !c.Passed() }
	if p.CatchAllCheck && !slices.ContainsFunc(checks, failed) {
		controls = append(controls, expect.Check{Name: "catch_all", Outcome: p.checkCatchAll(ctx, r)})
	}
	broken := slices.ContainsFunc(controls, failed)
	for _, c := range checks {
		if broken && c.Passed() {
			c.Reason, c.Detail = probe.ControlFailed, c.Detail+", which proves nothing without its control"
		}
		r.Note(c.Name, c.Outcome)
	}
	for _, c := range controls {
		r.Note(c.Name, c.Outcome)
	}
}

// ask makes the measured request and returns the checks: the status first and, if that is an expected one, the rest.
func (p *Probe) ask(ctx context.Context, r *probe.Result) []expect.Check {
	answer, err := p.exchange(ctx, r, "status", p.URL, p.Expect.Status)
	if err != nil {
		return []expect.Check{{Name: "status", Outcome: probe.Outcome{Reason: probe.Credential, Detail: err.Error()}}}
	}
	if answer.Reason != probe.OK {
		return []expect.Check{{Name: "status", Outcome: probe.Outcome{Reason: answer.Reason, Detail: answer.Detail}}}
	}
	status := expect.Check{Name: "status", Outcome: p.status(answer)}
	if status.Passed() && p.mayBeMistaken(answer.Status) {
		status.Outcome = probe.Outcomef(probe.ControlFailed, "got %d, which may be about the request: the control sends another one and does not rule that out", answer.Status)
	}
	if !status.Passed() {
		return []expect.Check{status}
	}
	now := time.Now()
	checks := append([]expect.Check{status}, p.Expect.Judge(answer, now)...)
	p.Expect.Certificate.Report(r, answer.CertExpiry, now)
	if len(p.Gauges) > 0 {
		checks = append(checks, expect.Check{Name: "gauges", Outcome: p.gauges(r, answer)})
	}
	return checks
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

// exchange sends the probe's request to a URL. It errs only if the probe's own body cannot be read.
func (p *Probe) exchange(ctx context.Context, r *probe.Result, check, url string, want httpx.Statuses) (*httpx.Answer, error) {
	body, err := p.Body.Reveal()
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return p.client.Do(ctx, r, httpx.Request{Check: check, Method: p.Method, URL: url, Addr: p.Address, Body: []byte(body), Want: want}), nil
}

// status compares the status with the expected ones. An unexpected status is judged whether or not it comes from a
// cache: only a pass has to prove that the origin answered.
func (p *Probe) status(answer *httpx.Answer) probe.Outcome {
	want := p.Expect.Status
	if answer.Reason == probe.OK && answer.Status == 304 && !want.Contains(304) { // the request is unconditional
		return probe.Outcomef(probe.Status, "expected %s, got 304", want)
	}
	return answer.Classify(httpx.ClassifyOptions{
		Want:        want,
		AllowCached: p.AllowCached || !want.Contains(answer.Status),
		Credential:  p.Authenticates(),
		Public:      !p.Authenticates(),
	}).Outcome
}

// mayBeMistaken reports whether a status out of a list of refusals may be the answer to a request that is wrong in itself:
// a path or table that does not exist, a malformed query. Only a control that sends the same request as somebody else
// shows that it is not. A single status is the expected answer, whatever it means.
func (p *Probe) mayBeMistaken(status int) bool {
	want := p.Expect.Status
	if p.control == nil || len(want) == 1 && len(want.Codes()) == 1 || status/100 != 4 {
		return false
	}
	c := p.control
	if c.URL == p.URL && c.Method == p.Method && c.Body == p.Body {
		return false
	}
	switch status {
	case 401, 403, 407, 429, 451: // about who asks
		return false
	case 404, 410: // a list of these alone asks for what does not exist
		return slices.ContainsFunc(want, func(s int) bool { return s != 404 && s != 410 })
	}
	return want.Contains(401) || want.Contains(403)
}

func (p *Probe) gauges(r *probe.Result, answer *httpx.Answer) probe.Outcome {
	doc, err := answer.JSON()
	if err != nil {
		return httpx.NotJSON(err)
	}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(p.Gauges)) {
		found := p.Gauges[name].Find(doc)
		if len(found) == 1 {
			if value, ok := found[0].Number(); ok {
				r.Measure(valueGauge, value, name)
				continue
			}
		}
		missing = append(missing, p.Gauges[name].String())
	}
	if missing != nil {
		return probe.Outcomef(probe.Schema, "expected one number at %s, got none", strings.Join(missing, " and at "))
	}
	return probe.Outcome{Reason: probe.OK, Detail: "read " + text.Count(len(p.Gauges), "number")}
}

// checkCatchAll requests a nonexistent path. If its answer is as expected too, the expectation proves nothing.
func (p *Probe) checkCatchAll(ctx context.Context, r *probe.Result) probe.Outcome {
	answer, err := p.exchange(ctx, r, "catch_all", control.NonexistentURL(p.URL), httpx.Codes(404))
	switch {
	case err != nil:
		return probe.Outcomef(probe.Credential, "%s", err)
	case answer.Reason != probe.OK:
		return probe.Outcomef(probe.ControlFailed, "the request for a nonexistent path failed: %s", answer.Detail)
	case answer.Status == 429 || answer.Status >= 500:
		return probe.Outcomef(probe.ControlFailed, "a nonexistent path is answered %d, which proves nothing", answer.Status)
	case p.Expect.Matches(answer):
		return probe.Outcomef(probe.ControlFailed, "a nonexistent path is answered as expected too (%d): any page would have passed", answer.Status)
	}
	return probe.Outcomef(probe.OK, "a nonexistent path is answered differently (%d)", answer.Status)
}

// askControl makes the control's request. If it does not succeed, the run is inconclusive, not failed.
func (p *Probe) askControl(ctx context.Context, r *probe.Result) probe.Outcome {
	answer, err := p.exchange(ctx, r, "control", p.URL, p.Expect.Status)
	if err != nil {
		return probe.Outcome{Reason: probe.Credential, Detail: err.Error()}
	}
	if short := p.notExpected(answer); short != "" {
		return probe.Outcome{Reason: probe.ControlFailed, Detail: "the request that must succeed did not, so nothing is proven: " + short}
	}
	return probe.Outcomef(probe.OK, "the request that must succeed did: got %d", answer.Status)
}

// notExpected says why an answer is not the expected one; empty if it is.
func (p *Probe) notExpected(answer *httpx.Answer) string {
	if answer.Reason != probe.OK {
		return answer.Detail
	}
	checks := append([]expect.Check{{Name: "status", Outcome: p.status(answer)}}, p.Expect.Judge(answer, time.Now())...)
	for _, c := range checks {
		if !c.Passed() {
			return c.Detail
		}
	}
	return ""
}
