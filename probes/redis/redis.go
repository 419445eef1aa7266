// Package redis asks Redis whether it answers, follows and accepts writes, and whether its keys and users keep orgs apart.
package redis

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"prober/internal/probe"
	"prober/internal/resp"
	"prober/probes/internal/breach"
)

// Probe asks a Redis server, those of a replication, or each primary of a cluster. That it answers PING says little: a server
// whose memory is full, that has become a replica or lost its primary answers too. So its role is asked, how far its replicas
// are, and one write with a time to live. The names of all keys are looked at, a part in each run, for those that belong to no
// org; and the server is asked what the user of each org may do with the keys of the others.
type Probe struct {
	resp.Settings `yaml:",inline"`

	Address  string    `yaml:"address" doc:"host:port of the primary, or of a server without replicas"`
	Replicas []string  `yaml:"replicas" doc:"host:port of each replica, which is asked too"`
	Cluster  []string  `yaml:"cluster" doc:"host:port of some servers of a cluster, of which each primary is asked; in place of address"`
	Sentinel *Sentinel `yaml:"sentinel" doc:"the sentinels that say which server is the primary; in place of address"`

	Lag         probe.Duration `yaml:"lag" doc:"how much later than the primary a replica may have what was written"`
	MinReplicas int            `yaml:"min_replicas" doc:"how many replicas must follow each primary; default: as many as replicas lists"`

	Writes *Writes        `yaml:"writes" doc:"a key that is written to each primary, read back, and left to expire"`
	Keys   *Keys          `yaml:"keys" doc:"how the names of all keys must look; a part of them is looked at in each run"`
	Orgs   map[string]Org `yaml:"orgs" doc:"by name, two to five test orgs whose users must not have rights on each other's keys"`

	client    *resp.Client
	sentinels *resp.Client
	audit     audit
}

// Sentinel says which sentinels to ask for the primary.
type Sentinel struct {
	resp.Settings `yaml:",inline"`

	Addresses []string `yaml:"addresses" required:"true" doc:"host:port of every sentinel"`
	Name      string   `yaml:"name" required:"true" doc:"the name under which they watch the primary"`
}

// Writes says what is written.
type Writes struct {
	Key string         `yaml:"key" required:"true" doc:"the key, with {canary} for what is new in each run"`
	TTL probe.Duration `yaml:"ttl" default:"1m" doc:"after how long it expires, whole seconds"`
}

// Keys says how the names of keys must look.
type Keys struct {
	Allowed   []string       `yaml:"allowed" required:"true" doc:"RE2 patterns for the beginnings of names; each name must match one"`
	Planted   []string       `yaml:"planted" empty:"true" doc:"keys that are there all the time; a pass that does not meet them has seen nothing"`
	Words     []string       `yaml:"words" doc:"words that messages and labels may show of a name; all else is N, HEX, UUID or *"`
	HoldData  []string       `yaml:"hold_data" doc:"RE2 patterns for the beginnings of names that may look like data, such as celery@host"`
	Databases []int          `yaml:"databases" doc:"the numbers of the databases that are looked at; default: 0"`
	Count     int            `yaml:"count" default:"500" doc:"how many keys the server looks at in one step, during which nobody else is served"`
	PerRun    int            `yaml:"per_run" default:"20000" doc:"how many keys a run looks at"`
	Within    probe.Duration `yaml:"within" default:"1h" doc:"how long a pass over all keys may take, and how old the last one may be"`
}

// An Org is a test org.
type Org struct {
	User   string `yaml:"user" required:"true" doc:"the ACL user that the application uses for the org"`
	Key    string `yaml:"key" required:"true" doc:"a key of the org"`
	Prefix string `yaml:"prefix" doc:"what the names of all keys of the org begin with"`
	Marker string `yaml:"marker" doc:"a part of the names of the keys that the application keeps for the org's test user, key among them; behind another prefix it is in the wrong org"`
}

// Reasons of this kind, beside those of package resp.
var (
	reasonNoPassword = probe.Reason{Word: "no_password", Verdict: probe.Fail, Text: "server answers without a password",
		Action: "Set a password (requirepass, or ACL for the default user): anybody who reaches the port can read everything."}
	reasonNotPrimary = probe.Reason{Word: "not_primary", Verdict: probe.Fail, Text: "not a primary",
		Action: "Find out whether a failover moved the primary, and point clients and probe at the new one."}
	reasonNotReplica = probe.Reason{Word: "not_replica", Verdict: probe.Fail, Text: "a primary in place of a replica",
		Action: "A replica became a primary: look for a failover, and for two primaries that both take writes."}
	reasonLinkDown = probe.Reason{Word: "link_down", Verdict: probe.Fail, Text: "replica receives nothing",
		Action: "Bring the link to the primary back (network, password, output buffer); the replica serves old data meanwhile."}
	reasonLagging = probe.Reason{Word: "lagging", Verdict: probe.Fail, Text: "the replica is too far behind",
		Action: "Look at the load and the network between primary and replica, and at replication slots; do not fail over to it now."}
	reasonOtherData = probe.Reason{Word: "other_primary", Verdict: probe.Fail, Text: "replica follows another primary",
		Action: "Point the replica at the right primary (REPLICAOF): it follows another one, with other data."}
	reasonLostWrite = probe.Reason{Word: "lost_write", Verdict: probe.Fail, Text: "a write that was accepted is not there",
		Action: "Stop writes that matter and look for a failover: a write that the server accepted is gone."}
	reasonDisagree = probe.Reason{Word: "disagree", Verdict: probe.Fail, Seen: true, Text: "servers disagree on who is the primary",
		Action: "Look at the sentinels or cluster nodes that the detail names: after a partition some still follow the old primary."}
	reasonNoQuorum = probe.Reason{Word: "no_quorum", Verdict: probe.Fail, Text: "too few sentinels for a failover",
		Action: "Bring sentinels back: with so few there is no failover if the primary fails."}
	reasonUnprefixed = probe.Reason{Word: "unprefixed", Verdict: probe.Fail, Text: "keys that belong to no org",
		Action: "Find the code that writes keys of this shape without an org: tenants share them."}
	reasonWrongOrg = probe.Reason{Word: "wrong_org", Verdict: probe.Fail, Text: "keys of one org under the prefix of another",
		Action: "Treat it as a leak: find the code that writes one org's keys under another's prefix."}
	reasonHoldsData = probe.Reason{Word: "name_holds_data", Verdict: probe.Fail, Text: "names of keys hold data",
		Action: "Find the code that puts e-mail addresses or other data into names of keys: they show up in logs and monitoring."}
	reasonUnfinished = probe.Reason{Word: "pass_unfinished", Verdict: probe.Inconclusive, Text: "not all keys looked at yet",
		Action: "Wait: the keys are looked at over many runs, and the first pass is not over."}
	reasonLate = probe.Reason{Word: "pass_late", Verdict: probe.Inconclusive, Text: "the last pass over all keys is too long ago",
		Action: "Raise the number of keys per run: a pass over all of them takes too long."}
	reasonNotCovered = probe.Reason{Word: "not_covered", Verdict: probe.Inconclusive, Text: "keys where nobody looks",
		Action: "Name the shape of these keys in the probe, or find out who writes them."}
	reasonACLOpen = probe.Reason{Word: "acl_open", Verdict: probe.Fail, Text: "an org's user has a right on another's key", Breach: true,
		Action: "Treat it as a security incident: restrict the user of the org to its own keys (ACL SETUSER)."}
	reasonACLCommands = probe.Reason{Word: "acl_commands", Verdict: probe.Fail, Text: "an org's user may run a command that concerns all orgs",
		Action: "Take the command away from the user of the org (ACL SETUSER): it concerns all orgs."}
)

// surface is the part of a system that acl proves.
const surface = "redis"

// Measures of this kind.
var (
	pingGauge = &probe.Measure{
		Name:   "probe_redis_ping_seconds",
		Help:   "How long the server took to answer PING.",
		Labels: []string{"target"},
	}
	lagGauge = &probe.Measure{
		Name:   "probe_redis_replication_lag_seconds",
		Help:   "How long after the primary the replica had what was written, at most.",
		Labels: []string{"target"},
	}
	replicasGauge = &probe.Measure{
		Name:   "probe_redis_connected_replicas",
		Help:   "Replicas that the primary has heard from lately.",
		Labels: []string{"target"},
	}
	scannedTotal = &probe.Measure{
		Name:    "probe_redis_keys_scanned_total",
		Help:    "Names of keys looked at, those that were met twice included.",
		Counter: true,
	}
	unprefixedGauge = &probe.Measure{
		Name:   "probe_redis_unprefixed_keys",
		Help:   "About how many keys belong to no org, by the shape of their names: of the ten shapes that were met first, and all others.",
		Labels: []string{"shape"},
	}
	passGauge = &probe.Measure{
		Name: "probe_redis_full_pass_timestamp_seconds",
		Help: "When the last pass over all keys ended; 0 before the first.",
		Kept: true,
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "Redis: role, replication, a write, the names of all keys, and what the ACL users of orgs may do",
		Measures: []*probe.Measure{pingGauge, lagGauge, replicasGauge, scannedTotal, unprefixedGauge, passGauge, breach.Total, breach.LastProven},
		Reasons: append([]probe.Reason{
			reasonNoPassword, reasonNotPrimary, reasonNotReplica, reasonLinkDown, reasonLagging, reasonOtherData, reasonLostWrite, reasonDisagree,
			reasonNoQuorum, reasonUnprefixed, reasonWrongOrg, reasonHoldsData, reasonUnfinished, reasonLate, reasonNotCovered, reasonACLOpen, reasonACLCommands,
		}, resp.Reasons()...),
		Traits: probe.Traits{WritesToTarget: true},
	}
}

var (
	_ probe.Addresser      = (*Probe)(nil)
	_ probe.Initializer    = (*Probe)(nil)
	_ probe.TimeoutChecker = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{Lag: probe.Duration(2 * time.Second)} }

// Names of the checks.
const (
	checkSentinel    = "sentinel"
	checkCluster     = "cluster"
	checkPing        = "ping"
	checkAuth        = "auth"
	checkRole        = "role"
	checkReplication = "replication"
	checkWrites      = "writes"
	checkACL         = "acl"
	checkKeys        = "keys"
	checkPlanted     = "planted"
	checkNames       = "names"
)

// Checks names the checks of a run.
func (p *Probe) Checks() (names []string) {
	for _, c := range []struct {
		name string
		made bool
	}{
		{checkSentinel, p.Sentinel != nil}, {checkCluster, len(p.Cluster) > 0}, {checkPing, true}, {checkAuth, !p.Password.IsZero()}, {checkRole, true},
		{checkReplication, p.replicates()}, {checkWrites, p.Writes != nil}, {checkACL, len(p.Orgs) > 0},
		{checkKeys, p.Keys != nil}, {checkPlanted, p.Keys != nil}, {checkNames, p.Keys != nil},
	} {
		if c.made {
			names = append(names, c.name)
		}
	}
	return names
}

// Addresses lists the servers that the configuration names.
func (p *Probe) Addresses() []string {
	switch {
	case p.Sentinel != nil:
		return p.Sentinel.Addresses
	case len(p.Cluster) > 0:
		return p.Cluster
	}
	return append([]string{p.Address}, p.Replicas...)
}

// InitialSamples lists the counters, at 0, and the times of the last pass and of the last proof.
func (p *Probe) InitialSamples() (samples []probe.Sample) {
	if p.Keys != nil {
		samples = append(samples, probe.Sample{Measure: scannedTotal}, probe.Sample{Measure: passGauge})
	}
	if len(p.Orgs) > 0 {
		samples = append(samples, breach.Initial(surface)...)
	}
	return samples
}

// replicates reports whether anything is to follow.
func (p *Probe) replicates() bool { return len(p.Replicas) > 0 || p.MinReplicas > 0 }

// minReplicas is how many replicas must follow each primary.
func (p *Probe) minReplicas() int { return cmp.Or(p.MinReplicas, len(p.Replicas)) }

// Ask finds the servers, asks them all at once, and judges the keys.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	members, layout, whole := p.find(ctx, r)
	v := &visit{probe: p, layout: layout, partial: !whole, primaries: len(members) - len(p.Replicas), offset: make(chan struct{})}
	v.unasked.Store(int32(v.primaries))
	targets := make([]string, len(members))
	for i, m := range members {
		targets[i] = m.target
	}
	r.Each(targets, func(i int, r *probe.Result) { v.ask(ctx, r, members[i]) })
	if len(p.Orgs) > 0 && len(members) > 0 && whole && int(v.kept.Load()) == len(members) {
		r.Measure(breach.LastProven, float64(time.Now().Unix()), surface)
	}
	if v.open.Load() {
		r.Measure(breach.Total, 1, surface)
	}
	if p.Keys != nil {
		p.judgeKeys(r, v)
	}
}

// A member is a server that is asked.
type member struct {
	target  string
	server  resp.Server
	primary bool
	shard   *resp.Shard // of a cluster; nil: it has all keys
}

// shardName is the target of a primary of a cluster: its addresses come from the cluster, and so become no labels.
func shardName(i int) string { return fmt.Sprintf("shard-%d", i+1) }
