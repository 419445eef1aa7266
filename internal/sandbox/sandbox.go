// Package sandbox is a sample system on loopback, for `prober demo` and for tests: a miniature of the systems in the
// runbooks, with fault injection for every fault that a probe must detect.
//
// The services know nothing of the faults. A fault is one entry of the table in faults.go. While it is active, its
// effects intercept the requests to a route, or close the service's port.
package sandbox

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The services.
const (
	auth      = "auth"
	proxy1    = "proxy-1"
	proxy2    = "proxy-2"
	proxy3    = "proxy-3"
	memories  = "memories"
	analytics = "analytics"
	onepass   = "onepass"
	render    = "render"
	github    = "github"
	postgres1 = "postgres-1"
	postgres2 = "postgres-2"
	pgbouncer = "pgbouncer"
	redis1    = "redis-1"
	redis2    = "redis-2"
	mail      = "mail"
	web       = "web"
	live      = "live"
	ledger    = "ledger"
	promHost  = "prometheus"
	kubeAPI   = "kubernetes"
	ingress   = "ingress"
	ntp1      = "ntp-1"
	ntp2      = "ntp-2"
	ntp3      = "ntp-3"
	ntp4      = "ntp-4"
	ns1       = "ns-1"
	ns2       = "ns-2"
	resolver  = "resolver"
)

// defaults are the addresses that the services listen on if they are free. The demo's configuration names them.
//
//go:noinline
func defaults() map[string]string {
	return map[string]string{
		auth:      "127.0.0.1:19081",
		proxy1:    "127.0.0.1:19181",
		proxy2:    "127.0.0.1:19182",
		proxy3:    "127.0.0.1:19183",
		memories:  "127.0.0.1:19281",
		analytics: "127.0.0.1:19282",
		onepass:   "127.0.0.1:19381",
		render:    "127.0.0.1:19481",
		github:    "127.0.0.1:19482",
		postgres1: "127.0.0.1:19541",
		postgres2: "127.0.0.1:19542",
		pgbouncer: "127.0.0.1:19543",
		redis1:    "127.0.0.1:19641",
		redis2:    "127.0.0.1:19642",
		mail:      "127.0.0.1:19725",
		web:       "127.0.0.1:19444",
		live:      "127.0.0.1:19780",
		ledger:    "127.0.0.1:19851",
		promHost:  "127.0.0.1:19090",
		kubeAPI:   "127.0.0.1:19643",
		ingress:   "127.0.0.1:19799",
		ntp1:      "127.0.0.1:19123", // UDP, as are the next
		ntp2:      "127.0.0.1:19124",
		ntp3:      "127.0.0.1:19125",
		ntp4:      "127.0.0.1:19126",
		ns1:       "127.0.0.1:19531", // UDP and TCP, as are the next
		ns2:       "127.0.0.1:19532",
		resolver:  "127.0.0.1:19533",
	}
}

// anyPort is the address of a free port.
const anyPort = "127.0.0.1:0"

// release is the version that every service says it runs.
const release = "1.4.2"

// Options say how a sandbox runs. The zero value is that of `prober demo`.
type Options struct {
	Ephemeral       bool          // listen on free ports only, as tests do
	Delay           time.Duration // how long a slow answer takes; 2.5 s if zero
	VisibilityDelay time.Duration // how long tenant-eventual hides what was created; 2 s if zero
	SwapOneIn       int           // tenant-one-in-fifty swaps the answer of one read in so many; 50 if zero
	SwapAtRandom    bool          // swap each read with a chance of one in SwapOneIn, in place of every SwapOneIn-th

	DependencyTimeout time.Duration // how long the proxy waits for auth when it is asked whether it is ready; 1 s if zero

	Wrap func(net.Listener) net.Listener // what the TCP services accept from, so that a benchmark sees the exchanges; as it is if nil
}

// A Sandbox is a running sample system. Its methods may be called from several goroutines.
type Sandbox struct {
	delay             time.Duration
	visibilityDelay   time.Duration
	dependencyTimeout time.Duration
	wrap              func(net.Listener) net.Listener // nil: none
	swaps             swapFrequency
	faults            []Fault
	hosts             []*host
	ntpServers        []*ntpServer
	nameServers       []*nameServer
	credentials       credentials
	keyring           keyring
	storedTokens      map[string]string // tokens and keys, by the name that Env gives them
	tenants           *tenants
	authority         *authority
	reports           reporter // of the job
	dispatcher        *dispatcher
	ingress           atomic.Pointer[string] // where it forwards to; nil until that is known

	mu     sync.Mutex // held while faults are injected or cleared, so that ports and active agree
	closed bool
	active atomic.Pointer[[]Fault] // in the order of the table; replaced as a whole, since every request reads it
}

// credentials are generated for each sandbox. They are purely random: a readable prefix would be redacted wherever it
// occurs.
type credentials struct {
	orgA, orgB, orgAExpired, admin, clientSecret, renderKey, githubToken, redis, kubeToken, job, hook string
}

// clientID names the one OAuth client, whose secret is PROBER_DEMO_CLIENT_SECRET.
const clientID = "prober-demo"

// Start starts the sample system without faults. Each service listens on its default address, or on a free port if that
// is taken or another sandbox runs. RewriteAddresses adapts a configuration to it.
func Start(o Options) (*Sandbox, error) {
	s := &Sandbox{
		delay:             cmp.Or(o.Delay, 2500*time.Millisecond),
		visibilityDelay:   cmp.Or(o.VisibilityDelay, 2*time.Second),
		swaps:             swapFrequency{oneIn: cmp.Or(o.SwapOneIn, 50), byChance: o.SwapAtRandom},
		dependencyTimeout: cmp.Or(o.DependencyTimeout, defaultDependencyTimeout),
		wrap:              o.Wrap,
		faults:            faults(),
		credentials: credentials{
			orgA: rand.Text(), orgB: rand.Text(), orgAExpired: rand.Text(),
			admin: rand.Text(), clientSecret: rand.Text(), renderKey: rand.Text(), githubToken: rand.Text(), redis: rand.Text(), kubeToken: rand.Text(), job: rand.Text(), hook: rand.Text(),
		},
	}
	s.tenants = newTenants(s.credentials.orgA, s.credentials.orgB)
	s.active.Store(&[]Fault{})
	if err := s.start(o.Ephemeral); err != nil {
		s.Close()
		return nil, fmt.Errorf("the sample system does not start: %w", err)
	}
	return s, nil
}

func (s *Sandbox) start(ephemeral bool) error {
	for _, name := range []string{ntp1, ntp2, ntp3, ntp4} {
		k, err := newNTPServer(s, name, ephemeral)
		if err != nil {
			return err
		}
		s.ntpServers = append(s.ntpServers, k)
		// The sandbox that has the default port of the first NTP server gets the other default ports too. A second one
		// must not take ports that are free only because a fault of the first has closed them.
		ephemeral = s.ntpServers[0].address() != defaults()[ntp1]
	}
	for _, name := range []string{ns1, ns2, resolver} {
		d, err := newNameServer(s, name, ephemeral)
		if err != nil {
			return err
		}
		s.nameServers = append(s.nameServers, d)
	}
	for _, name := range []string{auth, proxy1, proxy2, proxy3, memories, analytics, onepass, render, github, postgres1, postgres2, pgbouncer, redis1, redis2, mail, web, live, ledger, promHost, kubeAPI, ingress} {
		h, err := newHost(s, name, ephemeral)
		if err != nil {
			return err
		}
		s.hosts = append(s.hosts, h)
	}
	if err := s.addRoutes(); err != nil {
		return err
	}
	for _, h := range s.hosts {
		if err := h.open(); err != nil {
			return err
		}
	}
	return nil
}

// addRoutes gives every host its routes.
func (s *Sandbox) addRoutes() error {
	ring, err := newKeyring()
	if err != nil {
		return err
	}
	s.keyring = ring
	ibex := newIssuer(s.host(auth).url(), activeOrg, s.credentials.clientSecret, ring.ibex...)
	logi := newIssuer(s.host(onepass).url(), "", s.credentials.clientSecret, ring.logi...)
	if s.storedTokens, err = newStoredTokens(ibex); err != nil {
		return err
	}
	serveAuth(s.host(auth), ibex)
	for _, name := range []string{proxy1, proxy2, proxy3} {
		v := ibex.verifier()
		v.opaque = func(token string) bool { return s.tenants.org(token) != "" }
		v.suspended = func(org string) bool { return org == suspendedOrg }
		serveProxy(s.host(name), s.host(auth).url(), s.dependencyTimeout, ibex, v)
	}
	for _, name := range []string{auth, proxy1, proxy2, proxy3} {
		serveTime(s.host(name))
	}
	serveMemories(s.host(memories), s.tenants)
	serveMetrics(s.host(memories), tenantFamilies())
	serveAnalytics(s.host(analytics), s.tenants)
	if s.dispatcher, err = newDispatcher(s, s.host(ingress).url()+"/"+s.credentials.hook); err != nil {
		return err
	}
	serveOnepass(s.host(onepass), logi, s.credentials.admin, s.dispatcher)
	serveIngress(s.host(ingress))
	serveRender(s.host(render), s.credentials.renderKey)
	serveGitHub(s.host(github), s.credentials.githubToken)
	for _, name := range []string{postgres1, postgres2, pgbouncer} {
		servePostgres(s.host(name))
	}
	store := &redisStore{written: map[string]redisValue{}, offset: firstOffset}
	for _, name := range []string{redis1, redis2} {
		serveRedis(s.host(name), store, s.credentials.redis)
	}
	if s.authority, err = newAuthority(); err != nil {
		return err
	}
	serveMail(s.host(mail), s.authority)
	serveWeb(s.host(web), s.authority)
	serveLive(s.host(live))
	serveLedger(s.host(ledger))
	servePrometheus(s.host(promHost))
	serveKubernetes(s.host(kubeAPI), s.credentials.kubeToken)
	return nil
}

// Close stops everything. It returns when no goroutine, connection or port is left open.
func (s *Sandbox) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.endReports()
	s.dispatcher.close()
	for _, h := range s.hosts {
		h.close()
		h.release()
	}
	for _, k := range s.ntpServers {
		k.close()
	}
	for _, d := range s.nameServers {
		d.close()
	}
	s.authority.close()
}

// Faults lists every fault, active or not, in the order of the table.
func (s *Sandbox) Faults() []Fault { return slices.Clone(s.faults) }

// Active names the active faults, in the order of the table.
func (s *Sandbox) Active() []string {
	names := []string{}
	for _, f := range *s.active.Load() {
		names = append(names, f.Name)
	}
	return names
}

// Inject activates a fault, in addition to those that are active already. When it returns, new requests see the fault.
func (s *Sandbox) Inject(name string) error { return s.set(name, true) }

// Clear deactivates a fault. When it returns, new requests no longer see it, and the seeded memories are restored.
func (s *Sandbox) Clear(name string) error {
	if err := s.set(name, false); err != nil {
		return err
	}
	s.tenants.restoreSeeds()
	return nil
}

// ClearAll deactivates every fault.
func (s *Sandbox) ClearAll() {
	for _, name := range s.Active() {
		// Clear fails only if another program took the port. Then Active still names the fault.
		_ = s.Clear(name)
	}
}

func (s *Sandbox) set(name string, on bool) error {
	if err := s.checkName(name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the sample system is stopped")
	}
	was := *s.active.Load()
	next := []Fault{}
	for _, f := range faults() { // a new table, so that a fault that is injected again starts without state
		at := slices.IndexFunc(was, func(b Fault) bool { return b.Name == f.Name })
		switch {
		case f.Name == name && !on:
		case at >= 0:
			next = append(next, was[at])
		case f.Name == name:
			if err := f.prepare(s); err != nil {
				return err
			}
			next = append(next, f)
		}
	}
	return s.apply(next)
}

// apply makes exactly these faults active.
func (s *Sandbox) apply(next []Fault) error {
	for _, h := range s.hosts {
		if refuses(next, h.name) {
			continue
		}
		if err := h.open(); err != nil {
			s.closeRefusing(*s.active.Load())
			return err
		}
	}
	s.active.Store(&next)
	s.closeRefusing(next)
	return nil
}

func (s *Sandbox) closeRefusing(active []Fault) {
	for _, h := range s.hosts {
		if refuses(active, h.name) {
			h.close()
		}
	}
}

// RewriteAddresses returns a configuration with the default addresses replaced by those that the services listen on, and the
// file of the authority by the one that there is.
func (s *Sandbox) RewriteAddresses(yaml []byte) []byte {
	pairs := []string{authorityFile, s.authority.file()}
	for name, address := range defaults() {
		pairs = append(pairs, address, s.address(name))
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(yaml)))
}

// Env returns the variables that the demo's configuration names as {env: NAME}: credentials, tokens and the texts of
// the seeded memories, which are random and worthless outside this process, and the key ids and public keys of a
// verifier, which are not secret. The values stay the same for the life of the sandbox.
func (s *Sandbox) Env() map[string]string {
	env := map[string]string{
		"PROBER_DEMO_ORG_A":         s.credentials.orgA,
		"PROBER_DEMO_ORG_B":         s.credentials.orgB,
		"PROBER_DEMO_ORG_A_EXPIRED": s.credentials.orgAExpired,
		"PROBER_DEMO_ADMIN":         s.credentials.admin,
		"PROBER_DEMO_CLIENT_SECRET": s.credentials.clientSecret,
		"PROBER_DEMO_RENDER_KEY":    s.credentials.renderKey,
		"PROBER_DEMO_GITHUB_TOKEN":  s.credentials.githubToken,
		"PROBER_DEMO_KUBE_TOKEN":    s.credentials.kubeToken,
		"PROBER_DEMO_REDIS":         s.credentials.redis,
		"PROBER_DEMO_JOB_TOKEN":     s.credentials.job,
		"PROBER_DEMO_HOOK":          s.credentials.hook,
		"PROBER_DEMO_MEMORY_A":      s.tenants.seeds[orgA].id,
		"PROBER_DEMO_MEMORY_B":      s.tenants.seeds[orgB].id,
		"PROBER_DEMO_CANARY_A":      s.tenants.seeds[orgA].text,
		"PROBER_DEMO_CANARY_B":      s.tenants.seeds[orgB].text,
	}
	maps.Copy(env, s.storedTokens)
	return env
}

// Memories returns how many memories each test org has. Each starts with one.
func (s *Sandbox) Memories() map[string]int { return s.tenants.counts() }

//go:noinline
func (s *Sandbox) host(name string) *host {
	return s.hosts[slices.IndexFunc(s.hosts, func(h *host) bool { return h.name == name })]
}

func (s *Sandbox) address(name string) string {
	for _, k := range s.ntpServers {
		if k.name == name {
			return k.address()
		}
	}
	for _, d := range s.nameServers {
		if d.name == name {
			return d.address()
		}
	}
	return s.host(name).address
}
