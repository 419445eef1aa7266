// Package targets reads lists of targets, from which other probes are made.
package targets

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
	"time"

	"prober/internal/discovery"
	"prober/internal/httpx"
	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/text"
)

// Probe reads a list of targets. Whatever keeps it from reading the list says nothing of the targets: it is inconclusive, and the
// probes of the last list go on.
type Probe struct {
	File       []string    `yaml:"file" doc:"files in the format of Prometheus' file_sd: *.json, *.yml or *.yaml, with wildcards in the last part of the path"`
	HTTP       *HTTP       `yaml:"http" doc:"in their place, a URL in the format of Prometheus' http_sd"`
	DNS        *DNS        `yaml:"dns" doc:"in their place, a name in DNS"`
	Kubernetes *Kubernetes `yaml:"kubernetes" doc:"in their place, the endpoints of a Service"`

	Want   int      `yaml:"want" required:"true" doc:"how many targets there must be at least"`
	Within []string `yaml:"within" doc:"names of which targets must be hosts, as shop.example, and networks, as 10.0.0.0/8: others are refused; default: any"`

	Transient bool `yaml:"transient" doc:"targets leave the list in most reads, as short-lived jobs do, and that is right"`

	recent recent
	client *httpx.Client
	kube   *kubernetes.Client
	nets   []netip.Prefix
	zones  []string
}

// HTTP is a URL that answers with a list.
type HTTP struct {
	URL            string `yaml:"url" required:"true" doc:"where the list is"`
	httpx.Settings `yaml:",inline"`
}

// DNS is a name whose records are the targets.
type DNS struct {
	Name     string `yaml:"name" required:"true" doc:"the name to look up; for SRV _service._proto.name"`
	Type     string `yaml:"record_type" default:"SRV" doc:"A, AAAA or SRV"`
	Port     int    `yaml:"port" doc:"the port of the targets; needed for A and AAAA, while SRV has its own"`
	Resolver string `yaml:"resolver" doc:"host:port of a name server; default: the system's"`
}

// Kubernetes is a Service whose endpoints are the targets.
type Kubernetes struct {
	kubernetes.Settings `yaml:",inline"`
	Service             string `yaml:"service" required:"true" doc:"the Service"`
	Port                string `yaml:"port" doc:"the name or the number of its port; needed if it has several"`
	NotReady            bool   `yaml:"not_ready" doc:"list endpoints that are not ready, too"`
}

// Reasons of this kind, beside those of packages probe and kubernetes.
var (
	reasonFew = probe.Reason{Word: "too_few_targets", Verdict: probe.Fail, Text: "fewer targets than expected",
		Action: "Find out which targets left the list and whether they should have: nobody probes them any more."}
	reasonEmpty = probe.Reason{Word: "empty_list", Verdict: probe.Inconclusive, Text: "a list without targets",
		Action: "Look at whoever writes the list: an empty one is taken for a mistake, and the probes of the last one go on."}
	reasonUnsteady = probe.Reason{Word: "unsteady_list", Verdict: probe.Inconclusive, Text: "a list whose targets come and go",
		Action: "Look at whoever writes the list: its targets leave so often that no alert on them can last, and their series change each time. If that is right, set transient: true."}
)

// Measures of this kind.
var (
	targetsGauge = &probe.Measure{
		Name:   "probe_targets",
		Help:   "Targets of the list in the last run: listed, outside of within, or (of Kubernetes) not ready and left out.",
		Labels: []string{"state"},
	}
	readGauge = &probe.Measure{
		Name: "probe_targets_last_read_timestamp_seconds",
		Help: "When the list was read last.",
		Kept: true,
	}
	changesCounter = &probe.Measure{
		Name:    "probe_targets_changes_total",
		Help:    "Targets that were added to the list, or removed, from one read of it to the next.",
		Labels:  []string{"change"},
		Counter: true,
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return &Probe{} },
		Summary:  "a list of targets, in a file, over HTTP, in DNS or of Kubernetes, from which other probes are made",
		Measures: []*probe.Measure{targetsGauge, readGauge, changesCounter},
		Reasons:  append([]probe.Reason{reasonFew, reasonEmpty, reasonUnsteady, probe.TargetRefused, probe.NoTargets}, kubernetes.Reasons()...),
	}
}

var (
	_ probe.TargetLister  = (*Probe)(nil)
	_ probe.TargetLimiter = (*Probe)(nil)
	_ probe.Addresser     = (*Probe)(nil)
	_ probe.Closer        = (*Probe)(nil)
	_ probe.Initializer   = (*Probe)(nil)
)

// Close closes the connections to the source.
func (p *Probe) Close() {
	if p.client != nil {
		p.client.Close()
	}
	if p.kube != nil {
		p.kube.Close()
	}
}

// Addresses says where the list is.
func (p *Probe) Addresses() []string {
	switch {
	case p.HTTP != nil:
		return []string{p.HTTP.URL, p.HTTP.AuthURL()}
	case p.DNS != nil:
		return []string{p.DNS.Name}
	case p.Kubernetes != nil:
		return p.Kubernetes.Addresses()
	}
	return p.File
}

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	names := []string{"list"}
	if len(p.Within) > 0 {
		names = append(names, "within")
	}
	if !p.Transient {
		names = append(names, checkSteady)
	}
	return append(names, "want", probe.CheckProbes)
}

// A found is what a source has.
type found struct {
	list    []probe.Target
	unready int // endpoints that were left out
}

// Local reads the list from files.
func (p *Probe) Local() (list []probe.Target, o probe.Outcome, asks bool) {
	if p.HTTP != nil || p.DNS != nil || p.Kubernetes != nil {
		return nil, o, true
	}
	f, o := p.readFiles()
	if o = p.refuseEmpty(f, o); !o.Passed() {
		return nil, o, false
	}
	list, _ = p.inside(discovery.Normal(f.list))
	return list, o, false
}

// Ask reads the list and notes its targets.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	var f found
	var o probe.Outcome
	switch {
	case p.HTTP != nil:
		f, o = p.askHTTP(ctx, r)
	case p.DNS != nil:
		f, o = p.askDNS(ctx)
	case p.Kubernetes != nil:
		f, o = p.askKubernetes(ctx, r)
	default:
		f, o = p.readFiles()
	}
	if o = p.refuseEmpty(f, o); !o.Passed() {
		r.Inconclusive("list", o.Reason, "%s; the last list stays", o.Detail)
		return
	}
	f.list = discovery.Normal(f.list)
	if len(f.list) > discovery.MaxTargets {
		r.Inconclusive("list", probe.TooLarge, "%s; the last list stays", discovery.ErrTooMany)
		return
	}
	list, outside := p.inside(f.list)
	r.Measure(targetsGauge, float64(len(list)), "listed")
	r.Measure(targetsGauge, float64(outside), "outside")
	r.Measure(targetsGauge, float64(f.unready), "not_ready")
	r.Measure(readGauge, float64(time.Now().Unix()))
	if more := f.unready; more > 0 {
		r.Pass("list", "%s, and %d that are not ready", text.Count(len(f.list), "target"), more)
	} else {
		r.Pass("list", "%s", text.Count(len(f.list), "target"))
	}
	if outside > 0 {
		r.Inconclusive("within", probe.TargetRefused, "%s outside of within, and not probed (%d in all)", text.Plural(outside, "target is", "targets are"), len(f.list))
	} else if len(p.Within) > 0 {
		r.Pass("within", "all targets are hosts of within")
	}
	p.judgeChanges(r, list)
	if len(list) < p.Want {
		r.Fail("want", reasonFew, "expected %s, got %d", text.Count(p.Want, "target"), len(list))
	} else {
		r.Pass("want", "expected %s, got %d", text.Count(p.Want, "target"), len(list))
	}
	if len(list) > 0 {
		r.Listed(list)
	}
}

// refuseEmpty makes an empty list a reason of its own.
func (p *Probe) refuseEmpty(f found, o probe.Outcome) probe.Outcome {
	switch {
	case !o.Passed():
		return o
	case len(f.list) == 0 && f.unready > 0:
		return probe.Outcomef(reasonEmpty, "expected targets that are ready, got %d that are not, and no other", f.unready)
	case len(f.list) == 0:
		return probe.Outcomef(reasonEmpty, "expected targets, got an empty list")
	}
	return o
}

// inside returns the targets whose hosts are within what the settings allow, and how many are not. What is not an address is left to
// whoever makes a probe of it.
func (p *Probe) inside(all []probe.Target) (list []probe.Target, outside int) {
	for _, t := range all {
		if host, _, ok := t.Split(); ok && !p.Allows(host) {
			outside++
			continue
		}
		list = append(list, t)
	}
	return list, outside
}

// Allows reports whether a host is within what the settings allow.
func (p *Probe) Allows(host string) bool {
	if len(p.Within) == 0 {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		for _, net := range p.nets {
			if net.Contains(ip.Unmap()) {
				return true
			}
		}
		return false
	}
	host = "." + strings.ToLower(strings.TrimSuffix(host, "."))
	for _, zone := range p.zones {
		if strings.HasSuffix(host, zone) {
			return true
		}
	}
	return false
}

func (p *Probe) recordType() string { return cmp.Or(p.DNS.Type, "SRV") }
