package token

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/budget"
	"prober/probes/internal/issuance"
)

// A runState is one run of a Token probe.
type runState struct {
	*Probe
	r     *probe.Result
	clock probe.ClockWatch
	timed []timedStep
	named map[string]string // how endpoints that discovery names are shown, by URL
}

// A timedStep is a step that got a complete answer, and how long that took.
type timedStep struct {
	name     string
	took     time.Duration
	ownDelay bool // the prober itself was late, so it may have kept the limit
}

// endpoints are the endpoints of an issuer; empty where nothing says them.
type endpoints struct{ token, jwks, revocation string }

// discover returns the endpoints: those of the settings and, where those are silent, those that the issuer names. The
// finding is that of the discovery document.
func (run *runState) discover(ctx context.Context) (endpoints, probe.Outcome) {
	known := endpoints{token: run.TokenURL, jwks: run.JWKSURI}
	if run.Revocation != nil {
		known.revocation = run.Revocation.URL
	}
	if !run.Discovery {
		return known, probe.Outcome{}
	}
	if run.TokenURL != "" { // then issuing is asked even while discovery hangs
		half, done := budget.Share(ctx, 0.5)
		defer done()
		ctx = half
	}
	answer := run.get(ctx, run.r, "discovery", run.discoveryURL())
	doc, f := issuance.ReadAnswer(answer)
	if !f.Passed() {
		return known, f
	}
	run.step("discovery", answer)
	if doc.Text("issuer") != run.Issuer {
		return known, probe.Outcomef(reasonIssuer, "expected the issuer to name itself exactly %s, got another name", run.Issuer)
	}
	found := known
	for _, want := range []struct {
		name   string
		into   *string
		wanted bool
		secret bool
	}{
		{"token_endpoint", &found.token, true, true},
		{"jwks_uri", &found.jwks, !run.Opaque, false},
		{"revocation_endpoint", &found.revocation, run.Revocation != nil, true},
	} {
		if *want.into != "" || !want.wanted {
			continue
		}
		named := doc.Text(want.name)
		if why, wrong := run.checkEndpoint(named, want.secret); wrong != "" {
			return known, probe.Outcomef(why, "%s %s", want.name, wrong) // a document that is wrong in one part is not trusted in the others
		}
		*want.into = named
		run.show(named, want.name)
	}
	return found, probe.Outcomef(probe.OK, "the issuer names itself and its endpoints")
}

// show has an endpoint shown by its host, which is trusted, and by what it is: its path is the target's own text.
func (run *runState) show(raw, name string) {
	if run.named == nil {
		run.named = map[string]string{}
	}
	if u, err := url.Parse(raw); err == nil {
		run.named[raw] = u.Scheme + "://" + u.Host + "/{" + name + "}"
	}
}

// checkEndpoint says why an endpoint that discovery names is not asked; empty if it may be. The document is the target's: a
// hostile one must not have the client's secret sent anywhere, nor the prober ask what it can reach and others cannot.
func (p *Probe) checkEndpoint(raw string, credential bool) (why probe.Reason, wrong string) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return probe.Schema, "is missing"
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http"):
		return probe.Schema, "is not a URL that can be requested"
	case u.Scheme != "https" && u.Scheme != p.base.Scheme:
		return reasonForeignEndpoint, "is not https, so it is not requested"
	case origin(u) != origin(p.base) && !p.allows(u):
		return reasonForeignEndpoint, "is on another host than the issuer, so it is not requested; if that is intended, list the host under allow_hosts"
	case p.checkURL("", raw, credential) != nil:
		return reasonForeignEndpoint, "must not be requested" // in clear on another machine, or at an address never dialled
	}
	return probe.Reason{}, ""
}

// allows reports whether a URL is on one of the hosts that the settings add to the issuer's.
func (p *Probe) allows(u *url.URL) bool {
	return slices.ContainsFunc(p.AllowHosts, func(host string) bool {
		return origin(&url.URL{Scheme: u.Scheme, Host: host}) == origin(u)
	})
}

// origin is scheme, host and port: what may be trusted with the same secret.
func origin(u *url.URL) string {
	ports := map[string]string{"http": "80", "https": "443"}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), cmp.Or(u.Port(), ports[u.Scheme]))
}

// client returns the client for a URL: headers of the settings go to the issuer's own origin only.
func (p *Probe) client(raw string) *httpx.Client {
	if u, err := url.Parse(raw); err == nil && origin(u) == origin(p.base) {
		return p.own
	}
	return p.other
}

func (run *runState) get(ctx context.Context, r *probe.Result, check, url string) *httpx.Answer {
	return run.client(url).Do(ctx, r, httpx.Request{Check: check, URL: url, Show: run.named[url], Header: http.Header{"Accept": {"application/json"}}, Want: httpx.Codes(200)})
}

// step keeps how long a step took.
func (run *runState) step(name string, answer *httpx.Answer) {
	run.timed = append(run.timed, timedStep{name, answer.Took, run.Latency != nil && answer.OwnDelay(run.Latency.D())})
}

// measure notes how long each step took: of several requests the slowest.
func (run *runState) measure() {
	slowest := map[string]time.Duration{}
	for _, s := range run.timed {
		slowest[s.name] = max(slowest[s.name], s.took)
	}
	for _, name := range sorted.Keys(slowest) {
		run.r.Measure(stepGauge, slowest[name].Seconds(), name)
	}
}

// cutOff reports whether a request ended because the run's time was up that others had used: it says nothing of who was
// asked.
func (run *runState) cutOff(ctx context.Context, a *httpx.Answer) bool {
	end, limited := ctx.Deadline()
	return limited && a.Reason == probe.Timeout && a.Took < end.Sub(run.clock.Began())/2
}

// inTime says why nothing is requested any more: who is asked in the last of a run has too little time to answer.
func (run *runState) inTime(ctx context.Context) probe.Outcome {
	if end, limited := ctx.Deadline(); limited && time.Until(end) < end.Sub(run.clock.Began())/20 {
		return probe.Outcome{Reason: probe.ControlFailed, Detail: "not requested: other steps had used up the run's time"}
	}
	return probe.Outcome{Reason: probe.OK}
}

// checkLatency notes whether the steps of issuing were within the limit. A wrong secret is often refused slowly on purpose,
// and using a token is another service's work: they do not count.
func (run *runState) checkLatency() {
	counted := drop.If(slices.Clone(run.timed), func(s timedStep) bool {
		return !slices.Contains([]string{"discovery", "token", "jwks"}, s.name)
	})
	if run.Latency == nil || len(counted) == 0 {
		return
	}
	slowest := slices.MaxFunc(counted, func(a, b timedStep) int { return cmp.Compare(a.took, b.took) })
	took := slowest.took.Round(time.Millisecond)
	if slowest.ownDelay {
		run.r.Inconclusive("latency", probe.SelfDelay, "expected each step within %s, but %s took %s and the prober itself was late", run.Latency, slowest.name, took)
		return
	}
	if slowest.took > run.Latency.D() {
		run.r.Fail("latency", probe.Slow, "expected each step within %s, but %s took %s", run.Latency, slowest.name, took)
		return
	}
	run.r.Pass("latency", "the slowest step, %s, took %s", slowest.name, took)
}
