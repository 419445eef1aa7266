// Package isolation asks whether one tenant is kept from the data of another.
package isolation

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/budget"
	"prober/probes/internal/expect"
)

// Probe asks whether one tenant is kept from what is another's. It plants a canary with each of two or more test
// orgs and asks for it as every other org: by reading, listing, searching, exporting, counting, changing and deleting,
// with the org context right, missing and forged, as nobody, out of caches and on shared connections. A denial counts
// only where the owner sees its own canary before and after, unchanged.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	Base                    string                             `yaml:"base" required:"true" doc:"scheme, host and path that the URLs of the requests are below"`
	Address                 string                             `yaml:"address" doc:"dial this IP:port, one replica, instead of what the host of base resolves to"`
	Orgs                    map[string]*Org                    `yaml:"orgs" required:"true" doc:"by name, two to five test orgs"`
	UnauthorizedCredentials map[string]*UnauthorizedCredential `yaml:"strangers" doc:"by name, credentials that must be accepted nowhere, such as an expired token"`
	Identity                Identity                           `yaml:"whoami" required:"true" doc:"the request that identifies the owner of a credential"`
	Resources               map[string]*Resource               `yaml:"resources" required:"true" doc:"by name, the kinds of objects that orgs have"`
	Denied                  httpx.Statuses                     `yaml:"denied" doc:"statuses that deny another org's object"`
	Rejected                httpx.Statuses                     `yaml:"rejected" doc:"statuses that reject a missing or wrong org"`
	Unauthenticated         httpx.Statuses                     `yaml:"unauthenticated" doc:"statuses that reject an unauthenticated request"`
	Mismatch                string                             `yaml:"mismatch" doc:"deny: a missing or wrong org must be rejected; ignore: the response may be for the credential's own org"`
	Overrides               Overrides                          `yaml:"overrides" doc:"undocumented ways to name an org that the API might accept"`
	Interleave              Interleaving                       `yaml:"interleave" doc:"reads of the orgs in turn on shared connections"`
	Concurrency             int                                `yaml:"concurrency" doc:"number of concurrent requests"`
	VisibilityDelay         probe.Duration                     `yaml:"settle" doc:"how long after its creation an owner may not see an object yet"`
	MaxRequests             int                                `yaml:"max_requests" doc:"maximum number of requests in a run, clean-up aside; what is not tried is not proven"`
	Replica                 string                             `yaml:"replica" doc:"this prober's name in the canaries; default: the host's name"`

	baseURL      *url.URL             // base
	orgHeaders   map[string]string    // headers that hold {org}
	anonymous    *httpx.Client        // its connections are everybody's; it sends no credential
	tenants      []*tenant            // by name
	unauthorized []unauthorizedCaller // nobody, then who makes one up, then those of the settings by name
	orphans      orphanStore
}

// Bounds of the settings.
const (
	maxOrgs          = 5
	maxInterleaved   = 1000
	maxRequestsBound = 5000
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:     func() probe.Probe { return New() },
		Summary: "whether one tenant can reach another tenant's data, with test orgs and a canary in each",
		Measures: []*probe.Measure{
			breaches, lastProven, cleanUpFailures, orphanedCanaries, matrixRows, requestCount, leakRateBound, oracleDifference,
		},
		Reasons: []probe.Reason{
			leakBody, leakHeader, leakList, foreignWrite, foreignDelete, crossTalk, mismatchNotRejected, misleadingSuccess, existenceOracle,
		},
		Traits: probe.Traits{ProvesDenial: true, WritesToTarget: true},
	}
}

var (
	_ probe.Closer         = (*Probe)(nil)
	_ probe.StatusProvoker = (*Probe)(nil)
	_ probe.Initializer    = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	p := &Probe{
		Denied: httpx.Codes(403, 404), Rejected: httpx.Codes(400, 401, 403, 404), Unauthenticated: httpx.Codes(401), Mismatch: "deny",
		Overrides:   Overrides{Headers: []string{"X-Org-Id", "X-Tenant-Id"}, Query: []string{"org_id"}, Body: []string{"org_id"}},
		Interleave:  Interleaving{Requests: 150, CancelPercent: 20},
		Concurrency: 4, VisibilityDelay: probe.Duration(5 * time.Second), MaxRequests: 1000,
	}
	p.Connection = "reuse"
	return p
}

// Validate reports what is wrong with the settings. What could not prove isolation is refused: one org under two
// names, a resource whose owner cannot see its own objects, writing to orgs that nothing marks as test orgs.
func (p *Probe) Validate() error {
	var wrong []error
	p.Base = strings.TrimSuffix(p.Base, "/")
	at, err := url.Parse(p.Base)
	if err != nil || at.Host == "" || at.RawQuery != "" || at.Fragment != "" {
		return probe.Settingf("base", "expected scheme, host and optionally a path, such as https://api.example/v1")
	}
	p.baseURL = at
	wrong = append(wrong, p.validateNumbers(), p.validateStatuses(), p.buildClients())
	if p.Connection != "reuse" {
		wrong = append(wrong, probe.Settingf("connection", "expected reuse: connections that the orgs share are what is tested"))
	}
	for _, key := range p.Credentials() {
		wrong = append(wrong, probe.Settingf(key, "belongs to the orgs, one each"))
	}
	if p.TLS != nil && p.TLS.CertFile != "" {
		wrong = append(wrong, probe.Settingf("tls.cert_file", "a client certificate belongs to a connection, and connections are shared between the orgs"))
	}
	if p.Mismatch != "deny" && p.Mismatch != "ignore" {
		wrong = append(wrong, probe.Settingf("mismatch", "expected deny or ignore"))
	}
	if p.Replica == "" {
		p.Replica, _ = os.Hostname()
	}
	p.Replica = canary.Replica(p.Replica)
	wrong = append(wrong, p.validateResources(), p.validateWhoami())
	return errors.Join(wrong...)
}

func (p *Probe) validateNumbers() error {
	var wrong []error
	within := func(path string, n, least, most int) {
		if n < least || n > most {
			wrong = append(wrong, probe.Settingf(path, "expected %d to %d, got %d", least, most, n))
		}
	}
	within("concurrency", p.Concurrency, 1, 16)
	within("max_requests", p.MaxRequests, 50, maxRequestsBound)
	within("interleave.requests", p.Interleave.Requests, 0, maxInterleaved)
	within("interleave.cancel", p.Interleave.CancelPercent, 0, 90)
	if p.VisibilityDelay < 0 || p.VisibilityDelay.D() > time.Minute {
		wrong = append(wrong, probe.Settingf("settle", "expected at most 1m"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateStatuses() error {
	var wrong []error
	for key, s := range map[string]httpx.Statuses{"denied": p.Denied, "rejected": p.Rejected, "unauthenticated": p.Unauthenticated} {
		if !s.Denial() || s.Contains(429) {
			wrong = append(wrong, probe.Settingf(key, "expected statuses from 400 to 499 that deny; 429 says not now"))
		}
	}
	if p.Denied.Contains(401) {
		wrong = append(wrong, probe.Settingf("denied", "401 says that the credential is not accepted, which proves nothing"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateWhoami() error {
	var wrong []error
	if p.Identity.Org.IsZero() {
		wrong = append(wrong, probe.Settingf("whoami.org", "is missing: nothing else shows that the credentials belong to different orgs"))
	}
	if p.Identity.URL == "" {
		wrong = append(wrong, probe.Settingf("whoami.url", "is missing"))
	}
	marks := expect.Expect{JSON: p.Identity.TestOrg}
	wrong = append(wrong, probe.InSetting("whoami", (&Template{URL: p.Identity.URL}).validate(p, "whoami")),
		probe.InSetting("whoami.test_org", expect.ValidateJSON(p.Identity.TestOrg)))
	if negative := marks.Negative(); negative != "" {
		wrong = append(wrong, probe.Settingf("whoami.test_org", "%s is negative: any org would be taken for a test org", negative))
	}
	if p.writes() && len(p.Identity.TestOrg) == 0 {
		wrong = append(wrong, probe.Settingf("whoami.test_org", "is missing: nothing is written to an org that does not say that it is a test org"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateResources() error {
	var wrong []error
	reads, lists := false, false
	for _, name := range slices.Sorted(maps.Keys(p.Resources)) {
		r := p.Resources[name]
		if r == nil || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" || len(name) > 40 {
			wrong = append(wrong, probe.Settingf("resources."+name, "expected operations, and a name of lower-case letters, digits, _ and -"))
			continue
		}
		wrong = append(wrong, probe.InSetting("resources."+name, r.validate(p)))
		reads = reads || r.Read != nil
		lists = lists || r.List != nil || r.Search != nil || r.Export != nil
	}
	if !reads || !lists {
		wrong = append(wrong, probe.Settingf("resources", "expected a read, and a list, search or export: less proves nothing"))
	}
	return errors.Join(wrong...)
}

// writes reports whether a run writes anything.
func (p *Probe) writes() bool {
	for _, r := range p.Resources {
		if r != nil && r.Create != nil {
			return true
		}
	}
	return false
}

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	names := []string{"whoami"}
	for _, c := range checkNames {
		if slices.ContainsFunc(newPlan(p).assertions, func(a *assertion) bool { return a.check == c }) {
			names = append(names, c)
		}
	}
	return names
}

// ExpectedStatuses lists the denials that the probe provokes on purpose, by surface.
func (p *Probe) ExpectedStatuses() map[string][]int {
	expected := union(union(p.Denied, p.Rejected), p.Unauthenticated)
	for _, who := range p.unauthorized {
		expected = union(expected, who.refused)
	}
	codes := map[string][]int{}
	for _, surface := range newPlan(p).surfaces() {
		codes[surface] = expected.Codes()
	}
	return codes
}

// InitialSamples lists what is counted from the start, breaches at 0.
func (p *Probe) InitialSamples() []probe.Sample {
	all := []probe.Sample{{Measure: cleanUpFailures}}
	for _, surface := range newPlan(p).surfaces() {
		all = append(all, probe.Sample{Measure: breaches, Values: []string{surface}},
			probe.Sample{Measure: lastProven, Values: []string{surface}})
	}
	return all
}

// Close ends the connections that are kept. The probe may still be asked.
func (p *Probe) Close() { p.anonymous.Close() }

// Ask runs the matrix. Whatever it planted it removes, also when time is up or the prober stops.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	defer p.anonymous.Close()
	work, done := reserve(ctx)
	defer done()
	x := newRun(p, work, r)
	defer x.report()
	if !x.identify() {
		return
	}
	defer x.cleanUp(ctx)
	x.cleanOrphans()
	for _, rr := range x.plan.resources {
		x.testResource(rr)
	}
}

// reserve returns a context that leaves a part of the time for cleaning up.
func reserve(ctx context.Context) (context.Context, context.CancelFunc) {
	return budget.Share(ctx, 0.85)
}

// orphanStore are the canaries that a run could not delete, for the next one to try.
type orphanStore struct {
	mu      sync.Mutex
	objects []seededObject
}
