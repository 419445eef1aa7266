// Package protected asks whether a protected route lets in the valid token and nothing else.
package protected

import (
	"context"
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/text"
	"prober/probes/internal/expect"
	"prober/probes/internal/replicas"
)

// Probe sends requests of several callers to one protected route, in order: anonymous, invalid, the valid one, the valid one
// at a nonexistent path, and then those who must be rejected, each for a reason of its own. «Protected route
// smoke test returns expected 501 (auth passed)» says something only if the others are rejected at the same replica in
// the same run. With forgeries it also presents tokens that look like the valid one's and are forged.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	URL       string            `yaml:"url" required:"true" doc:"the protected route"`
	Method    string            `yaml:"method" default:"GET" doc:"use one that the ingress lets through"`
	Body      httpx.Value       `yaml:"body" mask:"true" doc:"what every caller sends: a text, {file: PATH} or {env: NAME}"`
	Replicas  replicas.Replicas `yaml:"replicas" doc:"where the replicas are and how many there must be; each has keys and a cache of its own"`
	Code      *httpx.Source     `yaml:"code" doc:"where the response states its machine-readable code"`
	Marker    *httpx.Source     `yaml:"marker" doc:"a header or JSON value that only the service's own responses have, not an ingress's"`
	Denied    expect.Denials    `yaml:"denied" doc:"how others than the valid caller are rejected: statuses or, where the status says nothing, what the body says or lacks; callers and forgeries may say otherwise"`
	Callers   map[string]Caller `yaml:"callers" required:"true" doc:"the callers by name; valid is required, anonymous and invalid are always called"`
	Forgeries *Forgeries        `yaml:"forgeries" doc:"true, or keys: also present forged tokens, each of which must be rejected"`

	order         []*caller // as they are asked; the nonexistent path is asked for after the valid one
	valid         *caller
	forgeryCaller *caller       // presents forged tokens, and otherwise all that the valid caller sends
	keysClient    *httpx.Client // of the published keys, which may be on another host
	forgeries     forgeryCache
	turns         turnKeeper
}

// A Caller is one caller of the route, and the expected answer.
type Caller struct {
	Status  httpx.Statuses         `yaml:"status" doc:"expected statuses: exactly one for valid; default for the others: 401"`
	Denied  expect.Denials         `yaml:"denied" doc:"in place of status: how this caller is rejected"`
	Code    string                 `yaml:"code" doc:"the machine-readable code of the response"`
	Bearer  secret.Secret          `yaml:"bearer" doc:"the caller's token"`
	Basic   *httpx.Basic           `yaml:"basic" doc:"the caller's user and password"`
	OAuth2  *httpx.OAuth2          `yaml:"oauth2" doc:"where the caller's token is fetched, by a grant of OAuth 2.0"`
	Login   *httpx.Login           `yaml:"login" doc:"a request whose response has the caller's token"`
	Headers map[string]httpx.Value `yaml:"headers" empty:"true" mask:"true" doc:"headers of this caller, added to those of all"`
}

// The callers that have a meaning of their own, and the checks that are no caller's.
const (
	callerAnonymous   = "anonymous"
	callerInvalid     = "invalid"
	callerValid       = "valid"
	checkCatchAll     = "catch_all"
	checkForgeries    = "forgeries"
	checkStoredTokens = "stored_tokens"
	checkReplicas     = "replicas"
)

// maxCallers bounds what one run sends.
const maxCallers = 20

// forgedPrefix begins the names of forged cases in probe_auth_case.
const forgedPrefix = "forged_"

// A caller is a Caller with a name and a way to ask.
type caller struct {
	name   string
	client *httpx.Client
	denied expect.Denials // how the caller is rejected; of no meaning for the valid one
	Caller
}

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "one route that requires tokens, at each replica: the valid one is accepted; missing, expired, revoked, suspended and forged ones are rejected",
		Measures: []*probe.Measure{outcomeGauge, caseGauge, storedTokenExpiryGauge},
		Reasons: []probe.Reason{
			reasonMissing, reasonImplemented, reasonCatchAll, reasonUpstream, reasonWrongCode,
		},
		Traits: probe.Traits{HTTPLatency: true, ProvesDenial: true},
		RenamedChecks: map[string]string{
			"nobody": callerAnonymous, "garbage": callerInvalid, "decoy": checkCatchAll, "wrong_path": checkCatchAll, "fixtures": checkStoredTokens,
		},
	}
}

var (
	_ probe.Closer         = (*Probe)(nil)
	_ probe.StatusProvoker = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{Method: "GET"} }

// Checks names what a run notes: for each replica the callers in their order and the forgeries, for all the fixtures
// and the replicas.
func (p *Probe) Checks() []string {
	var names []string
	for _, c := range p.order {
		names = append(names, c.name)
		if c.name == callerValid {
			names = append(names, checkCatchAll)
		}
	}
	if p.Forgeries != nil {
		names = append(names, checkForgeries)
	}
	if len(p.withTokens()) > 0 {
		names = append(names, checkStoredTokens)
	}
	if !p.Replicas.None() {
		names = append(names, checkReplicas)
	}
	return names
}

// ExpectedStatuses lists the errors that the probe provokes on purpose, by target: «spike in 401 responses» and every
// ratio of 5xx would otherwise count the prober's own questions.
func (p *Probe) ExpectedStatuses() map[string][]int {
	codes := []int{404}
	for _, c := range p.order {
		codes = append(codes, c.expected().Codes()...)
	}
	if p.Forgeries != nil {
		codes = append(codes, p.forgeryDenials().Statuses().Codes()...)
	}
	slices.Sort(codes)
	codes = drop.If(slices.Compact(codes), func(code int) bool { return code < 400 })
	all := map[string][]int{}
	for _, address := range p.Replicas.Static {
		all[address] = codes
	}
	if p.Replicas.None() {
		all[""] = codes
	}
	return all
}

// Ask asks every replica at the same time, each caller after the other, and then judges what all of them were
// answered. What is worst is noted first: that somebody was accepted who must not be.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	patience := time.Duration(0)
	if end, limited := ctx.Deadline(); limited {
		patience = time.Until(end) / 4
	}
	targets, ok := p.Replicas.Find(ctx, r, p.valid.client.Resolver())
	if !ok {
		return
	}
	tokens := p.readTokens()
	forged := p.forge(ctx, r, tokens)
	seen := make([]*replicaRun, len(targets))
	p.turns.begin(targets)
	for i, target := range targets {
		seen[i] = &replicaRun{probe: p, target: target, tokens: tokens, forged: forged, patience: patience}
		if forged != nil {
			seen[i].chosen = p.choose(target, forged.all)
		}
	}
	r.Each(targets, func(i int, r *probe.Result) { seen[i].askCallers(ctx, r) })
	for _, v := range seen {
		v.judge()
	}
	for urgency := range lowestPriority + 1 {
		r.Each(targets, func(i int, r *probe.Result) { seen[i].note(r, urgency) })
	}
	r.Each(targets, func(i int, r *probe.Result) { seen[i].exportOutcome(r) })
	p.exportCases(r, seen)
	p.exportTokens(r, tokens)
	if !p.Replicas.None() {
		if len(targets) < p.Replicas.Want {
			r.Fail(checkReplicas, probe.Replicas, "expected %s, found %d", text.Count(p.Replicas.Want, "replica"), len(targets))
		} else {
			r.Pass(checkReplicas, "asked %s", text.Count(len(targets), "replica"))
		}
	}
}

// choose returns the forgeries to present at a target.
func (p *Probe) choose(target string, all []forgery) []*forgery {
	if !p.Forgeries.AllUnknownKids {
		return p.turns.choose(target, all)
	}
	chosen := make([]*forgery, len(all))
	for i := range all {
		chosen[i] = &all[i]
	}
	return chosen
}

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (p *Probe) Close() {
	for _, c := range p.order {
		c.client.Close()
	}
	if p.forgeryCaller != nil {
		p.forgeryCaller.client.Close()
	}
	if p.keysClient != nil {
		p.keysClient.Close()
	}
}

// expected lists the statuses that the caller may be answered.
func (c *caller) expected() httpx.Statuses {
	if c.name == callerValid {
		return c.Status
	}
	return c.denied.Statuses()
}

// hasCredential reports whether the caller sends anything that others do not.
func (c *caller) hasCredential() bool {
	return !c.Bearer.IsZero() || c.Basic != nil || c.OAuth2 != nil || c.Login != nil || len(c.Headers) > 0
}

// denies reports whether a status refuses somebody for who they are.
func denies(status int) bool { return status == 401 || status == 403 }

// describe is what a caller is called in a sentence.
func (c *caller) describe() string {
	switch c.name {
	case callerAnonymous:
		return "a caller without a token"
	case callerInvalid:
		if !c.hasCredential() {
			return "a caller with a random token"
		}
	}
	return "the caller " + c.name
}
