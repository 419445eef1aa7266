// Package isolation tests with test orgs whether one tenant can see, change or delete another tenant's data.
package isolation

import (
	"context"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/breach"
	"prober/probes/internal/budget"
	"prober/probes/internal/expect"
)

// A Probe tests whether one tenant can reach another's data. It creates a canary in each of two or more test orgs and
// tries as every other org to read, list, search, export, count, change and delete it: with the right org, a missing one
// and a forged one, without a credential, through caches and on shared connections. A denial counts only if the owner
// sees its own canary before and after, unchanged.
type Probe struct {
	httpx.Settings `yaml:",inline"`
	Refusals       `yaml:",inline"`

	Base                    string                             `yaml:"base" required:"true" doc:"scheme, host and path that the URLs of the requests are below"`
	Address                 string                             `yaml:"address" doc:"dial this IP:port, one replica, instead of what the host of base resolves to"`
	Orgs                    map[string]*Org                    `yaml:"orgs" required:"true" doc:"by name, two to five test orgs"`
	UnauthorizedCredentials map[string]*UnauthorizedCredential `yaml:"unauthorized_credentials" renamed:"strangers" doc:"by name, credentials that must be accepted nowhere, such as an expired token"`
	Identity                *Identity                          `yaml:"identity" renamed:"whoami" doc:"the request that identifies the owner of a credential, or a test org"`
	Resources               map[string]*Resource               `yaml:"resources" required:"true" doc:"by name, the kinds of objects that orgs have"`
	Mismatch                string                             `yaml:"mismatch" doc:"deny: a missing or wrong org must be rejected; ignore: the response may be for the credential's own org; trust: whoever names an org acts as it"`
	Overrides               Overrides                          `yaml:"overrides" doc:"undocumented ways to name an org that the API might accept"`
	Interleave              Interleaving                       `yaml:"interleave" doc:"reads of the orgs in turn on shared connections"`
	Concurrency             int                                `yaml:"concurrency" doc:"number of concurrent requests"`
	VisibilityDelay         probe.Duration                     `yaml:"visibility_delay" renamed:"settle" doc:"how long after its creation an owner may not see an object yet"`
	MaxRequests             int                                `yaml:"max_requests" doc:"maximum number of requests in a run, clean-up aside; what is not tried is not proven"`
	Replica                 string                             `yaml:"replica" doc:"this prober's name in the canaries; default: the host's name"`

	baseURL      *url.URL             // Base, parsed
	orgHeaders   map[string]string    // headers that contain {org}
	anonymous    *httpx.Client        // sends no credential; all other clients share its connections
	tenants      []*tenant            // by name
	unauthorized []unauthorizedCaller // no credential, a made-up one, then those of the settings by name
	orphans      orphanStore
	left         leftStore
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
		Traits:        probe.Traits{ProvesDenial: true, WritesToTarget: true},
		RenamedChecks: map[string]string{"whoami": "identity"},
	}
}

var (
	_ probe.Repeater       = (*Probe)(nil)
	_ probe.StatusProvoker = (*Probe)(nil)
	_ probe.Initializer    = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	p := &Probe{
		Refusals:    Refusals{Denied: expect.DeniedBy(403, 404), Rejected: expect.DeniedBy(400, 401, 403, 404), Unauthenticated: expect.DeniedBy(401)},
		Mismatch:    "deny",
		Overrides:   Overrides{Headers: []string{"X-Org-Id", "X-Tenant-Id"}, Query: []string{"org_id"}, Body: []string{"org_id"}},
		Interleave:  Interleaving{Requests: 100, CancelPercent: 20},
		Concurrency: 4, VisibilityDelay: probe.Duration(5 * time.Second), MaxRequests: 1000,
	}
	p.Connection = "reuse"
	return p
}

// Validate reports what is wrong with the settings. It rejects whatever could not prove isolation: one org under two
// names, a resource whose owner cannot see its own objects, writing to orgs that nothing marks as test orgs.
func (p *Probe) Validate() error {
	p.Base = strings.TrimSuffix(p.Base, "/")
	base, err := url.Parse(p.Base)
	if err != nil || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return probe.Settingf("base", "expected a scheme, a host and perhaps a path, such as https://api.example/v1")
	}
	p.baseURL = base
	wrong := []error{p.validateNumbers(), p.Refusals.validate(), p.buildClients()}
	if p.Connection != "reuse" {
		wrong = append(wrong, probe.Settingf("connection", "expected reuse: what the orgs share is what is tested"))
	}
	for _, key := range p.Credentials() {
		wrong = append(wrong, probe.Settingf(key, "belongs to the orgs, one each"))
	}
	if p.TLS != nil && p.TLS.CertFile != "" {
		wrong = append(wrong, probe.Settingf("tls.cert_file", "a client certificate belongs to a connection, and connections are shared between the orgs"))
	}
	if !slices.Contains([]string{"deny", "ignore", "trust"}, p.Mismatch) {
		wrong = append(wrong, probe.Settingf("mismatch", "expected deny, ignore or trust"))
	}
	if p.Replica == "" {
		p.Replica, _ = os.Hostname()
	}
	p.Replica = canary.Replica(p.Replica)
	return errors.Join(append(wrong, p.validateResources(), p.validateIdentity())...)
}

func (p *Probe) validateNumbers() error {
	var wrong []error
	within := func(path string, n, lowest, highest int) {
		if n < lowest || n > highest {
			wrong = append(wrong, probe.Settingf(path, "expected %d to %d, got %d", lowest, highest, n))
		}
	}
	within("concurrency", p.Concurrency, 1, 16)
	within("max_requests", p.MaxRequests, 50, maxRequestsBound)
	within("interleave.requests", p.Interleave.Requests, 0, maxInterleaved)
	within("interleave.cancel_percent", p.Interleave.CancelPercent, 0, 90)
	for _, name := range p.Overrides.Body {
		if slices.Contains(strings.Split(name, "."), "") {
			wrong = append(wrong, probe.Settingf("overrides.body", "expected names of members, with a dot between two"))
			break
		}
	}
	if p.VisibilityDelay < 0 || p.VisibilityDelay.D() > time.Minute {
		wrong = append(wrong, probe.Settingf("visibility_delay", "expected 0s to 1m"))
	}
	return errors.Join(wrong...)
}

// validateIdentity reports what is wrong with the identity, and whether anything is to be written to an org that is not
// marked as a test org.
func (p *Probe) validateIdentity() error {
	var wrong []error
	if id := p.Identity; id != nil {
		if id.Org.IsZero() && len(id.TestOrg) == 0 {
			wrong = append(wrong, probe.Settingf("identity", "expected org or test_org: the response must say something about the org"))
		}
		if id.URL == "" {
			wrong = append(wrong, probe.Settingf("identity.url", "is missing"))
		}
		tmpl := id.template()
		wrong = append(wrong, probe.InSetting("identity", tmpl.validate(p, checkIdentity)))
		id.Request = tmpl.Request
		marker := expect.Content{JSON: id.TestOrg}
		wrong = append(wrong, probe.InSetting("identity.test_org", expect.ValidateJSON(id.TestOrg)))
		if negative := marker.Negative(); negative != "" {
			wrong = append(wrong, probe.Settingf("identity.test_org", "%s is negative: any org would count as a test org", negative))
		}
	}
	if p.writes() && (p.Identity == nil || len(p.Identity.TestOrg) == 0) {
		for _, t := range p.tenants {
			if !p.Orgs[t.name].TestOrg {
				wrong = append(wrong, probe.Settingf("orgs."+t.name, "is not marked as a test org, and nothing is written to another: expected identity.test_org, or test_org: true here if no request can show it"))
			}
		}
	}
	return errors.Join(wrong...)
}

// knowsOrgs reports whether the target says which org a credential belongs to.
func (p *Probe) knowsOrgs() bool { return p.Identity != nil && !p.Identity.Org.IsZero() }

func (p *Probe) validateResources() error {
	var wrong []error
	for _, name := range sorted.Keys(p.Resources) {
		r, path := p.Resources[name], "resources."+name
		if r == nil || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" || len(name) > 40 {
			wrong = append(wrong, probe.Settingf(path, "expected operations, and a name of lower case letters, digits, _ and -"))
			continue
		}
		wrong = append(wrong, probe.InSetting(path, r.validate(p)))
	}
	if len(p.Resources) == 0 {
		wrong = append(wrong, probe.Settingf("resources", "expected at least one"))
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

// Checks lists the names of the checks of a run.
func (p *Probe) Checks() []string {
	var names []string
	if p.Identity != nil {
		names = append(names, checkIdentity)
	}
	for _, c := range checkNames {
		if slices.ContainsFunc(newPlan(p).assertions, func(a *assertion) bool { return a.check == c }) {
			names = append(names, c)
		}
	}
	return names
}

// ExpectedStatuses lists the denials that the probe provokes on purpose, by surface.
func (p *Probe) ExpectedStatuses() map[string][]int {
	expected := p.provokedStatuses()
	codes := map[string][]int{}
	for _, surface := range newPlan(p).surfaces() {
		codes[surface] = expected
	}
	return codes
}

// InitialSamples lists the counters, at 0, and the time of the last proof of each surface.
func (p *Probe) InitialSamples() []probe.Sample {
	all := []probe.Sample{{Measure: cleanUpFailures}}
	surfaces := newPlan(p).surfaces()
	if p.Identity != nil {
		surfaces = append(surfaces, checkIdentity)
	}
	for _, surface := range surfaces {
		all = append(all, breach.Initial(surface)...)
	}
	return all
}

// cleanUpShare is the part of a run's time that is kept for cleaning up.
const cleanUpShare = 0.15

// Ask runs the matrix. It removes whatever it created, also when its time is up or the prober stops.
func (p *Probe) Ask(ctx context.Context, result *probe.Result) {
	defer p.anonymous.Close()
	work, cancel := budget.Share(ctx, 1-cleanUpShare)
	defer cancel()
	r := newRun(p, work, result)
	defer r.report()
	if !r.identify() {
		return
	}
	defer r.cleanUp(ctx)
	r.cleanOrphans()
	for _, rr := range r.plan.resources {
		r.testResource(rr)
	}
	if !r.ended() {
		r.identifyAgain()
	}
}
