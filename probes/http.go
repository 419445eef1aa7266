package probes

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
)

// HTTP asks one URL and compares the answer with what is expected of it: status, headers, body, JSON values, latency
// and the days left of the certificate. It makes one measured request; a decoy and a control are further requests,
// made only where the configuration asks for them.
type HTTP struct {
	httpx.Settings `yaml:",inline"`

	URL         string                   `yaml:"url" required:"true" doc:"what to ask; http or https, without credentials"`
	Address     string                   `yaml:"address" doc:"dial this IP:port instead of what the URL's host resolves to; Host and SNI stay"`
	Method      string                   `yaml:"method" doc:"GET unless said otherwise"`
	Body        httpx.Value              `yaml:"body" mask:"true" doc:"what to send: a text, {file: PATH} or {env: NAME}"`
	Expect      Expect                   `yaml:"expect" doc:"what the answer must be; any 2xx unless said otherwise"`
	AllowCached bool                     `yaml:"allow_cached" doc:"accept an answer out of a cache, which proves nothing of the origin"`
	Decoy       bool                     `yaml:"decoy" doc:"also ask a path that nobody serves; it must not meet the expectation"`
	Gauges      map[string]jsonpath.Path `yaml:"gauges" doc:"numbers to export from the JSON answer, by name"`
	Control     *Control                 `yaml:"control" doc:"the positive control: the same request, changed as said, must succeed"`

	client  *httpx.Client
	control *HTTP
}

// Control is how the positive control of a negative expectation differs from the request it controls. What it does
// not say stays the same; a credential given here replaces the request's.
type Control struct {
	httpx.Settings `yaml:",inline"`

	URL    string      `yaml:"url" doc:"what to ask instead"`
	Method string      `yaml:"method" doc:"the method to ask with instead"`
	Body   httpx.Value `yaml:"body" mask:"true" doc:"what to send instead"`
	Expect Expect      `yaml:"expect" doc:"what the control's answer must be; any 2xx unless said otherwise"`
}

// httpValue is exported for each entry of gauges.
var httpValue = &probe.Measure{
	Name:   "probe_http_value",
	Help:   "Number read from the JSON answer of the last run, by the name given in the configuration.",
	Labels: []string{"name"},
}

// NewHTTP returns an HTTP probe with its default settings.
func NewHTTP() *HTTP { return &HTTP{Method: "GET"} }

// Validate reports what is wrong with the settings. An expectation that a dead or a wrong target would meet as well,
// such as a 401, is refused unless a control is named.
func (p *HTTP) Validate() error {
	var wrong []error
	client, err := p.Settings.Client(p.URL)
	wrong = append(wrong, err)
	p.client = client
	if p.URL == "" {
		wrong = append(wrong, errors.New("url is missing"))
	}
	if _, err := netip.ParseAddrPort(p.Address); err != nil && p.Address != "" {
		wrong = append(wrong, errors.New("address: wanted IP:port"))
	}
	if strings.Trim(strings.ToUpper(p.Method), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		wrong = append(wrong, errors.New("method: wanted one word such as GET"))
	}
	if p.Expect.Status.IsZero() {
		p.Expect.Status = httpx.Success
	}
	wrong = append(wrong, p.Expect.validate(strings.HasPrefix(p.URL, "https://")))
	for name, path := range p.Gauges {
		if path.IsZero() || name == "" {
			wrong = append(wrong, fmt.Errorf("gauges: %q needs a JSON path", name))
		}
	}
	if negative := p.Expect.negative(); negative != "" && p.Control == nil {
		wrong = append(wrong, fmt.Errorf("expect: %s is negative: a target that is down or wrong would meet it too; name the request that must succeed under control", negative))
	}
	if p.Control != nil {
		p.control = p.controlled()
		if idle := p.idleControl(); idle != "" {
			wrong = append(wrong, fmt.Errorf("control: %s", idle))
		}
		if negative := p.control.Expect.negative(); negative != "" {
			wrong = append(wrong, fmt.Errorf("control: expect: %s is negative and controls nothing", negative))
		} else if err := p.control.Validate(); err != nil {
			wrong = append(wrong, fmt.Errorf("control: %w", err))
		}
	}
	return errors.Join(wrong...)
}

// idleControl says why the control cannot show what it is there to show; empty if it can.
func (p *HTTP) idleControl() string {
	c := p.Control
	same := c.URL == "" && c.Method == "" && c.Body.IsZero() && len(c.Headers) == 0 && c.Bearer.IsZero() && c.Basic == nil && c.OAuth2 == nil
	switch negative, _, _ := strings.Cut(p.Expect.negative(), " "); {
	case negative == "status" && same:
		return "it is the same request, and cannot succeed where that must not; say what it does differently"
	case negative == "header" && len(c.Expect.Headers) == 0,
		negative == "body" && c.Expect.Body == nil,
		negative == "json" && len(c.Expect.JSON) == 0:
		return "expect: it must expect something of the same part of the answer, " + negative
	}
	return ""
}

// controlled returns the request of the control, as a probe of its own.
func (p *HTTP) controlled() *HTTP {
	c := &HTTP{
		Settings: p.Settings.With(p.Control.Settings),
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
func (p *HTTP) Checks() []string {
	names := []string{"status"}
	names = append(names, p.Expect.checks()...)
	if len(p.Gauges) > 0 {
		names = append(names, "gauges")
	}
	if p.Decoy {
		names = append(names, "decoy")
	}
	if p.Control != nil {
		names = append(names, "control")
	}
	return names
}

// ExpectedStatuses lists the client and server errors that the probe provokes on purpose, by target.
func (p *HTTP) ExpectedStatuses() map[string][]int {
	codes := slices.DeleteFunc(slices.Clone(p.Expect.Status.Codes()), func(code int) bool { return code < 400 })
	if p.Decoy {
		codes = append(codes, 404)
	}
	return map[string][]int{"": codes}
}

// Ask makes the control's request, the measured one and, if that was answered as expected, the decoy's. What is as
// expected passes only if the control and the decoy held.
func (p *HTTP) Ask(ctx context.Context, r *probe.Result) {
	var proofs []finding
	if p.Control != nil {
		proofs = append(proofs, p.control.asControl(ctx, r))
	}
	found := p.ask(ctx, r)
	if p.Decoy && !slices.ContainsFunc(found, finding.short) {
		proofs = append(proofs, p.decoy(ctx, r))
	}
	broken := slices.ContainsFunc(proofs, finding.short)
	for _, f := range found {
		if broken && f.why == probe.OK {
			f.why, f.detail = probe.ControlFailed, f.detail+", which proves nothing without its control"
		}
		f.note(r)
	}
	for _, f := range proofs {
		f.note(r)
	}
}

// ask makes the measured request and returns what it found: the status first and, if that is a wanted one, the rest.
func (p *HTTP) ask(ctx context.Context, r *probe.Result) []finding {
	answer, err := p.exchange(ctx, r, "status", p.URL, p.Expect.Status)
	if err != nil {
		return []finding{{"status", probe.Credential, err.Error()}}
	}
	if answer.Reason != probe.OK {
		return []finding{{"status", answer.Reason, answer.Detail}}
	}
	status := p.status(answer)
	if status.short() {
		return []finding{status}
	}
	found := append([]finding{status}, p.Expect.findings(answer, time.Now())...)
	if len(p.Gauges) > 0 {
		found = append(found, p.gauges(r, answer))
	}
	return found
}

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (p *HTTP) Close() {
	p.client.Close()
	if p.control != nil {
		p.control.Close()
	}
}

// exchange sends the probe's request to a URL. It errs only if the probe's own body cannot be read.
func (p *HTTP) exchange(ctx context.Context, r *probe.Result, check, url string, want httpx.Statuses) (*httpx.Answer, error) {
	body, err := p.Body.Reveal()
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return p.client.Do(ctx, r, httpx.Request{Check: check, Method: p.Method, URL: url, Addr: p.Address, Body: []byte(body), Want: want}), nil
}

// status tells whether the status is a wanted one. An answer that says more about the prober than about the target,
// because it limits or refuses the prober's own requests, is no verdict on the target.
func (p *HTTP) status(answer *httpx.Answer) finding {
	want, got := p.Expect.Status, answer.Status
	say := func(why probe.Reason, format string, args ...any) finding {
		return finding{"status", why, fmt.Sprintf(format, args...)}
	}
	switch {
	case want.Contains(got) && answer.Cached != "" && !p.AllowCached:
		return say(probe.StaleOrCached, "the answer may come out of a cache (%s), which proves nothing of the origin", answer.Cached)
	case want.Contains(got):
		return say(probe.OK, "got %d", got)
	case got == 429:
		return say(probe.RateLimited, "wanted %s, got 429: the target limits the rate of the prober's requests", want)
	case got == 401 || got == 403:
		return say(probe.Credential, "wanted %s, got %d: %s", want, got, p.refusal())
	case answer.Redirected():
		return say(probe.Redirect, "wanted %s, got %d, which sends elsewhere; redirects are never followed", want, got)
	}
	return say(probe.Status, "wanted %s, got %d", want, got)
}

func (p *HTTP) refusal() string {
	if p.HasCredential() {
		return "the target does not accept the probe's credential"
	}
	return "the target wants a credential and the probe has none"
}

func (p *HTTP) gauges(r *probe.Result, answer *httpx.Answer) finding {
	doc, err := answer.JSON()
	if err != nil {
		return finding{"gauges", probe.Schema, "the answer is not JSON: " + err.Error()}
	}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(p.Gauges)) {
		found := p.Gauges[name].Find(doc)
		if len(found) == 1 {
			if value, ok := found[0].Float(); ok {
				r.Measure(httpValue, value, name)
				continue
			}
		}
		missing = append(missing, p.Gauges[name].String())
	}
	if missing != nil {
		return finding{"gauges", probe.Schema, fmt.Sprintf("wanted one number at %s, got none", strings.Join(missing, " and at "))}
	}
	return finding{"gauges", probe.OK, "read " + count(len(p.Gauges), "number")}
}

// decoy asks for a path that nobody can serve. Where that looks like the expected answer too, the expectation proves
// nothing.
func (p *HTTP) decoy(ctx context.Context, r *probe.Result) finding {
	say := func(why probe.Reason, format string, args ...any) finding {
		return finding{"decoy", why, fmt.Sprintf(format, args...)}
	}
	answer, err := p.exchange(ctx, r, "decoy", decoyURL(p.URL), httpx.Codes(404))
	switch {
	case err != nil:
		return say(probe.Credential, "%s", err)
	case answer.Reason != probe.OK:
		return say(probe.ControlFailed, "a path that nobody serves could not be asked for: %s", answer.Detail)
	case answer.Status == 429 || answer.Status >= 500:
		return say(probe.ControlFailed, "a path that nobody serves is answered %d, which tells nothing", answer.Status)
	case p.Expect.resembles(answer):
		return say(probe.ControlFailed, "a path that nobody serves is answered as expected too (%d): any page would have passed", answer.Status)
	}
	return say(probe.OK, "a path that nobody serves is told apart (%d)", answer.Status)
}

// decoyURL is a URL beside another that nobody can have foreseen.
func decoyURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "-" + rand.Text()
	u.RawPath = ""
	return u.String()
}

// asControl asks the control's request. Whatever keeps it from succeeding makes the run inconclusive, not failed.
func (p *HTTP) asControl(ctx context.Context, r *probe.Result) finding {
	answer, err := p.exchange(ctx, r, "control", p.URL, p.Expect.Status)
	if err != nil {
		return finding{"control", probe.Credential, err.Error()}
	}
	if short := p.shortfall(answer); short != "" {
		return finding{"control", probe.ControlFailed, "the request that must succeed did not, so nothing is proven: " + short}
	}
	return finding{"control", probe.OK, fmt.Sprintf("the request that must succeed did: got %d", answer.Status)}
}

// shortfall says why an answer is not the expected one; empty if it is.
func (p *HTTP) shortfall(answer *httpx.Answer) string {
	if answer.Reason != probe.OK {
		return answer.Detail
	}
	for _, f := range append([]finding{p.status(answer)}, p.Expect.findings(answer, time.Now())...) {
		if f.short() {
			return f.detail
		}
	}
	return ""
}
