package redis

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// Bounds of what is configured.
const (
	maxServers   = 16
	maxPatterns  = 50
	maxKeyLength = 512
	maxDatabase  = 1 << 14
	maxPerRun    = 1_000_000
	maxCount     = 5000
	maxTTL       = 10 * time.Minute
)

// canaryMark stands in a key for what is new in each run.
const canaryMark = "{canary}"

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	wrong := []error{p.validateServers(), p.validateReplication(), p.validateWrites(), p.validateKeys(), p.validateOrgs()}
	return errors.Join(append(wrong, p.validateOwnKeys())...)
}

func (p *Probe) validateServers() error {
	var wrong []error
	ways := 0
	for _, given := range []bool{p.Address != "", len(p.Cluster) > 0, p.Sentinel != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		wrong = append(wrong, probe.Settingf("", "expected one of address, cluster and sentinel"))
	}
	if len(p.Replicas) > 0 && p.Address == "" {
		wrong = append(wrong, probe.Settingf("replicas", "expected an address beside them; min_replicas says how many must follow where the primary is looked for"))
	}
	for path, list := range map[string][]string{"replicas": p.Replicas, "cluster": p.Cluster} {
		if len(list) > maxServers {
			wrong = append(wrong, probe.Settingf(path, "expected at most %d, got %d", maxServers, len(list)))
		}
	}
	addresses := map[string]string{"address": p.Address}
	add := func(path string, list []string) {
		for i, a := range list {
			at := fmt.Sprintf("%s[%d]", path, i)
			addresses[at] = a
			if a == "" {
				wrong = append(wrong, probe.Settingf(at, "expected host:port"))
			}
			if slices.Index(list, a) < i || a == p.Address {
				wrong = append(wrong, probe.Settingf(at, "is listed twice"))
			}
		}
	}
	add("replicas", p.Replicas)
	add("cluster", p.Cluster)
	client, err := p.Client(addresses)
	p.client = client
	return errors.Join(append(wrong, err, p.validateSentinel())...)
}

func (p *Probe) validateSentinel() error {
	s := p.Sentinel
	if s == nil {
		return nil
	}
	var wrong []error
	if n := len(s.Addresses); n == 0 || n > maxServers {
		wrong = append(wrong, probe.Settingf("sentinel.addresses", "expected 1 to %d, got %d", maxServers, n))
	}
	if s.Name == "" || len(s.Name) > maxKeyLength {
		wrong = append(wrong, probe.Settingf("sentinel.name", "expected the name under which the sentinels watch the primary"))
	}
	addresses := map[string]string{}
	for i, a := range s.Addresses {
		addresses[fmt.Sprintf("addresses[%d]", i)] = a
		if slices.Index(s.Addresses, a) < i {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("sentinel.addresses[%d]", i), "is listed twice"))
		}
	}
	client, err := s.Client(addresses)
	p.sentinels = client
	return errors.Join(append(wrong, probe.InSetting("sentinel", err))...)
}

func (p *Probe) validateReplication() error {
	var wrong []error
	if p.Lag <= 0 {
		wrong = append(wrong, probe.Settingf("lag", "must be above zero"))
	}
	if p.MinReplicas < 0 || p.MinReplicas > maxServers {
		wrong = append(wrong, probe.Settingf("min_replicas", "expected 0 to %d, got %d", maxServers, p.MinReplicas))
	}
	return errors.Join(wrong...)
}

// CheckTimeout refuses a lag that no run lasts long enough to see.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	if p.replicates() && p.Lag.D() > timeout/2 {
		return probe.Settingf("lag", "expected at most half of the timeout, which is %s", probe.Duration(timeout))
	}
	return nil
}

func (p *Probe) validateWrites() error {
	w := p.Writes
	if w == nil {
		return nil
	}
	var wrong []error
	if !strings.Contains(w.Key, canaryMark) || len(w.Key) > maxKeyLength {
		wrong = append(wrong, probe.Settingf("writes.key", "expected a key with {canary}: without it, two probers would overwrite each other's"))
	}
	if ttl := w.TTL.D(); ttl != 0 && (ttl < time.Second || ttl > maxTTL || ttl%time.Second != 0) {
		wrong = append(wrong, probe.Settingf("writes.ttl", "expected whole seconds, 1s to %s", probe.Duration(maxTTL)))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateKeys() error {
	k := p.Keys
	if k == nil {
		return nil
	}
	var wrong []error
	var err error
	if len(k.Allowed) == 0 {
		wrong = append(wrong, probe.Settingf("keys.allowed", "expected at least one pattern"))
	}
	if p.audit.allowed, err = beginnings("keys.allowed", k.Allowed); err != nil {
		wrong = append(wrong, err)
	}
	if p.audit.holdData, err = beginnings("keys.hold_data", k.HoldData); err != nil {
		wrong = append(wrong, err)
	}
	if len(p.planted()) == 0 {
		wrong = append(wrong, probe.Settingf("keys.planted", "expected a key that is there all the time: a scan that sees nothing finds nothing wrong"))
	}
	if len(k.Words) > maxPatterns || slices.ContainsFunc(k.Words, func(w string) bool { return !word.MatchString(w) }) {
		wrong = append(wrong, probe.Settingf("keys.words", "expected at most %d words of letters, digits and _", maxPatterns))
	}
	for i, db := range k.Databases {
		if db < 0 || db > maxDatabase || slices.Index(k.Databases, db) < i {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("keys.databases[%d]", i), "expected the number of a database, once"))
		}
	}
	if len(p.Cluster) > 0 && len(k.Databases) > 0 {
		wrong = append(wrong, probe.Settingf("keys.databases", "has no effect in a cluster, which has one"))
	}
	if k.Count < 0 || k.Count > maxCount {
		wrong = append(wrong, probe.Settingf("keys.count", "expected 1 to %d, got %d", maxCount, k.Count))
	}
	if k.PerRun < 0 || k.PerRun > maxPerRun {
		wrong = append(wrong, probe.Settingf("keys.per_run", "expected 1 to %d, got %d", maxPerRun, k.PerRun))
	}
	if k.Within < 0 {
		wrong = append(wrong, probe.Settingf("keys.within", "must be above zero"))
	}
	return errors.Join(wrong...)
}

// beginnings compiles patterns that match at the beginning of a name, and refuses those that match any.
func beginnings(path string, patterns []string) (compiled []*regexp.Regexp, err error) {
	var wrong []error
	if len(patterns) > maxPatterns {
		wrong = append(wrong, probe.Settingf(path, "expected at most %d, got %d", maxPatterns, len(patterns)))
	}
	text := rand.Text() + ":" + rand.Text()
	matchesAny := func(re *regexp.Regexp) bool { // two names that share no beginning
		upper, lower := strings.ToUpper(text), strings.ToLower(text)
		return re.MatchString("Q"+upper) && re.MatchString("Z"+upper) || re.MatchString("q"+lower) && re.MatchString("z"+lower) || re.MatchString("0")
	}
	for i, pattern := range patterns {
		re, err := regexp.Compile("^(?:" + pattern + ")")
		switch at := fmt.Sprintf("%s[%d]", path, i); {
		case err != nil:
			wrong = append(wrong, probe.Settingf(at, "is not a valid RE2 pattern"))
		case matchesAny(re):
			wrong = append(wrong, probe.Settingf(at, "matches any name"))
		default:
			compiled = append(compiled, re)
		}
	}
	return compiled, errors.Join(wrong...)
}

func (p *Probe) validateOrgs() error {
	if p.Orgs == nil {
		return nil
	}
	var wrong []error
	if n := len(p.Orgs); n < 2 || n > 5 {
		wrong = append(wrong, probe.Settingf("orgs", "expected 2 to 5, got %d", n))
	}
	users, keys := map[string]bool{}, map[string]bool{}
	for _, name := range sorted.Keys(p.Orgs) {
		o := p.Orgs[name]
		at := func(setting, text string) {
			wrong = append(wrong, probe.Settingf("orgs."+name+"."+setting, "%s", text))
		}
		if err := probe.ValidateName(name); err != nil {
			wrong = append(wrong, probe.InSetting("orgs."+name, err))
		}
		if o.User == "" || len(o.User) > maxKeyLength || users[o.User] {
			at("user", "expected the ACL user of the org, which no other org has")
		}
		if o.Key == "" || len(o.Key) > maxKeyLength || keys[o.Key] {
			at("key", "expected a key of the org, which no other org has")
		}
		users[o.User], keys[o.Key] = true, true
		if o.Prefix != "" && !strings.HasPrefix(o.Key, o.Prefix) {
			at("prefix", "expected what the key begins with")
		}
		if o.Marker != "" && (o.Prefix == "" || len(o.Marker) < 8 || !strings.Contains(strings.TrimPrefix(o.Key, o.Prefix), o.Marker)) {
			at("marker", "expected at least 8 characters that stand in the key, behind the prefix")
		}
		for other, o2 := range p.Orgs {
			if other != name && o.Prefix != "" && (strings.HasPrefix(o2.Key, o.Prefix) || strings.HasPrefix(o2.Prefix, o.Prefix)) {
				at("prefix", "a key of another org begins with it too")
				break
			}
		}
	}
	return errors.Join(wrong...)
}

// validateOwnKeys refuses keys of the configuration that the audit would find wrong.
func (p *Probe) validateOwnKeys() error {
	if p.Keys == nil || len(p.audit.allowed) != len(p.Keys.Allowed) {
		return nil
	}
	var wrong []error
	if p.Writes != nil && !p.audit.allows(strings.ReplaceAll(p.Writes.Key, canaryMark, newCanary())) {
		wrong = append(wrong, probe.Settingf("writes.key", "is not among keys.allowed: the audit would find it"))
	}
	for i, key := range p.Keys.Planted {
		if !p.audit.allows(key) || len(key) > maxKeyLength {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("keys.planted[%d]", i), "is not among keys.allowed: the audit would find it"))
		}
	}
	return errors.Join(wrong...)
}

// planted are the keys that each pass must meet.
func (p *Probe) planted() []string {
	planted := slices.Clone(p.Keys.Planted)
	for _, name := range sorted.Keys(p.Orgs) {
		if o := p.Orgs[name]; o.Marker != "" && !slices.Contains(planted, o.Key) {
			planted = append(planted, o.Key)
		}
	}
	return planted
}

func newCanary() string { return strings.ToLower(rand.Text()) }
