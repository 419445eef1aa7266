package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

// One answer of a sound server that is another than it should be, and what it turns.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const refused = "-NOPERM this user has no permissions\r\n"
	keys := func(p *Probe) { p.Keys = scanned("").Keys }
	for name, c := range map[string]struct {
		command, answer string
		settings        func(*Probe)
		want            string
	}{
		"a ping that is refused":     {"PING", "-LOADING Redis is loading the dataset in memory\r\n", nil, "ping@1 loading"},
		"a ping that is echoed":      {"PING", "+PING\r\n", nil, "ping@1 schema"},
		"a sentinel":                 {"ROLE", list("sentinel"), nil, "role@1 not_primary"},
		"a role that does not exist": {"ROLE", list("leader"), nil, "role@1 schema"},
		"no role":                    {"ROLE", "*0\r\n", nil, "role@1 schema"},
		"a role that is not told":    {"ROLE", refused, nil, "role@1 credential"},
		"too few replicas":           {"INFO", info("primary-1"), func(p *Probe) { p.MinReplicas = 1 }, "replication@1 replicas"},
		"a page of three parts":      {"SCAN", "*3\r\n" + bulk("0") + list() + list(), keys, "planted schema, keys schema, names schema"},
		"a page without a list":      {"SCAN", "*2\r\n" + bulk("0") + bulk("org:a:planted"), keys, "planted schema, keys schema, names schema"},
		"a cursor that is no number": {"SCAN", page("x", "org:a:planted"), keys, "planted schema, keys schema, names schema"},
		"keys in another database":   {"INFO", info("primary-1", "db1:keys=1"), keys, "keys not_covered, names not_covered"},
		"no keys in another one":     {"INFO", info("primary-1", "db1:none", "dbx:keys=1", "db-1:keys=1"), keys, ""},
		"keys in the first database": {"SELECT", "+OK\r\n", func(p *Probe) { keys(p); p.Keys.Databases = []int{1} }, "keys not_covered, names not_covered"},
		"a cluster by its mode":      {"INFO", info("primary-1", "redis_mode:cluster"), keys, "keys not_covered, names not_covered"},
		"no planted key":             {"SCAN", page("0", "org:a:1"), keys, "planted control_failed, keys control_failed, names control_failed"},
		"a server of a cluster":      {"INFO", info("primary-1", "cluster_enabled:1"), keys, "keys not_covered, names not_covered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := serve(t, map[string]string{c.command: c.answer})
			p := New()
			p.Address = address
			if c.settings != nil {
				c.settings(p)
			}
			if got := notPassed(do(t, p, 5*time.Second), map[string]string{address: "1"}); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestReplicas: a replica follows if the primary has heard from it lately. The primary counts whole seconds.
func TestReplicas(t *testing.T) {
	t.Parallel()
	for slave, want := range map[string]string{
		"state=online,lag=0": "pass", "state=online,lag=2": "pass", "state=online,lag=3": "fail", "state=online,lag=-1": "fail", "state=online": "fail",
		"state=wait_bgsave,lag=0": "fail", "lag=0": "fail",
	} {
		p := New()
		p.Lag, p.MinReplicas = probe.Duration(1900*time.Millisecond), 1
		r := probe.NewResult(probe.ID{})
		(&visit{probe: p}).judgeReplicas(r, map[string]string{"role": "master", "slave0": "ip=127.0.0.1,port=1,offset=100," + slave})
		if got := r.Verdict().String(); got != want {
			t.Errorf("%s: got %s, want %s", slave, got, want)
		}
	}
}

// TestReplica_answers: what a replica says of itself that is wrong, or that says nothing.
func TestReplica_answers(t *testing.T) {
	t.Parallel()
	const up, offset = "master_link_status:up", "slave_repl_offset:100"
	for name, c := range map[string]struct {
		said []string
		next string // the answer if it is asked again
		want string
	}{
		"it follows":            {[]string{"role:slave", up, offset}, "", ""},
		"it follows nobody":     {[]string{"role:master"}, "", "replication@2 not_replica"},
		"no history":            {[]string{"role:slave", up, offset, "master_replid:"}, "", "replication@2 schema"},
		"no offset":             {[]string{"role:slave", up}, "", "replication@2 schema"},
		"an offset of words":    {[]string{"role:slave", up, "slave_repl_offset:all"}, "", "replication@2 schema"},
		"it no longer says it":  {[]string{"role:slave", up, "slave_repl_offset:0"}, info("replica-1", "role:slave", up), "replication@2 schema"},
		"another history then":  {[]string{"role:slave", up, "slave_repl_offset:0"}, info("replica-1", "role:slave", up, offset, "master_replid:history-2"), "replication@2 other_primary"},
		"it is behind, and mum": {[]string{"role:slave", up, "slave_repl_offset:0"}, "-NOPERM this user has no permissions\r\n", "replication@2 credential"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, primary := serve(t, map[string]string{"INFO": info("primary-1", "slave0:ip=127.0.0.1,port=1,state=online,offset=100,lag=0")})
			answers := map[string]string{"ROLE": list("slave"), "INFO": info("replica-1", c.said...)}
			if c.next != "" {
				answers["INFO replication"] = c.next
			}
			_, second := serve(t, answers)
			p := New()
			p.Address, p.Replicas = primary, []string{second}
			r := do(t, p, 5*time.Second)
			if got := notPassed(r, map[string]string{second: "2"}); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if _, told := sample(r, lagGauge, second); told != (c.want == "") {
				t.Errorf("a lag is told: %t", told)
			}
		})
	}
}

// TestFind_answers: what sentinels and the servers of a cluster say when not all is well.
func TestFind_answers(t *testing.T) {
	t.Parallel()
	_, primary := serve(t, map[string]string{})
	names := list("127.0.0.1", primary[len("127.0.0.1:"):])
	for name, c := range map[string]struct{ primary, quorum, want string }{
		"all is well":           {names, "+OK\r\n", ""},
		"no failover":           {names, "-NOQUORUM 1 usable Sentinels\r\n", "sentinel@1 no_quorum"},
		"a quorum that is mute": {names, "-NOPERM no\r\n", "sentinel@1 credential"},
		"another name":          {"*-1\r\n", "+OK\r\n", "sentinel@1 schema, sentinel control_failed"},
	} {
		_, address := serve(t, map[string]string{"SENTINEL GET": c.primary, "SENTINEL CKQUORUM": c.quorum})
		p := New()
		p.Sentinel = &Sentinel{Addresses: []string{address}, Name: "main"}
		r := do(t, p, 5*time.Second)
		if got := notPassed(r, map[string]string{address: "1"}); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		for _, check := range r.NotPassed() {
			if check.Reason == probe.ControlFailed && !strings.HasSuffix(check.Detail, "of the 1 sentinels to name the primary, got 0") {
				t.Errorf("%s: %s", name, check.Detail)
			}
		}
	}
	f, address := inCluster(t, 16383)
	f.say("CLUSTER INFO", bulk("cluster_state:fail\r\n"))
	p := New()
	p.Cluster = []string{address}
	if got := notPassed(do(t, p, 5*time.Second), map[string]string{address: "1"}); got != "cluster@1 cluster_down" {
		t.Errorf("got %s", got)
	}
}

// Half of the sentinels are not enough for a failover, nor for the prober.
func TestSentinels_half(t *testing.T) {
	t.Parallel()
	_, primary := serve(t, map[string]string{})
	_, first := serve(t, map[string]string{"SENTINEL GET": list("127.0.0.1", primary[len("127.0.0.1:"):]), "SENTINEL CKQUORUM": "+OK\r\n"})
	_, second := serve(t, map[string]string{"SENTINEL GET": "*-1\r\n"})
	p := New()
	p.Sentinel = &Sentinel{Addresses: []string{first, second}, Name: "main"}
	r := do(t, p, 5*time.Second)
	if got := notPassed(r, map[string]string{second: "2"}); got != "sentinel@2 schema, sentinel control_failed" {
		t.Errorf("got %s", got)
	}
	const want = "expected more than half of the 2 sentinels to name the primary, got 1"
	if !slices.ContainsFunc(r.Checks, func(c probe.Check) bool { return c.Detail == want }) {
		t.Errorf("nothing says %q", want)
	}
}

// Each run writes a key of its own, which nobody can have written before, and lets it expire.
func TestWrites_own(t *testing.T) {
	t.Parallel()
	f, address := serve(t, map[string]string{})
	p := New()
	p.Address, p.Writes = address, &Writes{Key: "prober:{canary}:x", TTL: probe.Duration(90 * time.Second)}
	for range 2 {
		if got := notPassed(do(t, p, 5*time.Second), nil); got != "" {
			t.Error(got)
		}
	}
	for key, value := range f.values {
		if len(value) < 20 || key != "prober:"+value+":x" || !slices.Contains(f.sent, "SET "+key+" "+value+" EX 90") {
			t.Errorf("%s is %s", key, value)
		}
	}
	if len(f.values) != 2 {
		t.Errorf("%d keys", len(f.values))
	}
}

// What a run may look at is divided among the primaries of a cluster.
func TestWalk_cluster(t *testing.T) {
	t.Parallel()
	var slots strings.Builder
	slots.WriteString("*2\r\n")
	var servers []*fake
	p := scanned("")
	p.Keys.Count, p.Keys.PerRun = 10, 100
	for i := range 2 {
		f, address := serve(t, map[string]string{"CLUSTER INFO": bulk("cluster_state:ok\r\n"), "SCAN": page("7", "org:a:planted"), "INFO": info(fmt.Sprint("primary-", i))})
		servers, p.Cluster = append(servers, f), append(p.Cluster, address)
		fmt.Fprintf(&slots, "*3\r\n:%d\r\n:%d\r\n*2\r\n%s:%s\r\n", i*8192, i*8192+8191, bulk("127.0.0.1"), address[len("127.0.0.1:"):])
	}
	for _, f := range servers {
		f.say("CLUSTER SLOTS", slots.String())
	}
	p.Address = ""
	do(t, p, 5*time.Second)
	for _, f := range servers {
		if n := strings.Count(strings.Join(f.sent, "\n"), "SCAN"); n != 5 {
			t.Errorf("%d pages of 10 keys are read of one of two primaries, expected 5", n)
		}
	}
}

// A replica waits for the primary's answer no longer than the run lasts.
func TestAwait(t *testing.T) {
	for lag, want := range map[time.Duration]time.Duration{10 * time.Second: 3 * time.Second, time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
			defer cancel()
			began := time.Now()
			v := &visit{probe: &Probe{Lag: probe.Duration(lag)}, offset: make(chan struct{})}
			if o := v.await(ctx); o.Reason != probe.ControlFailed || time.Since(began) != want {
				t.Errorf("%s after %s", o.Reason, time.Since(began))
			}
		})
	}
	for _, c := range []struct {
		history string
		wrote   int64
		want    probe.Reason
	}{{"a", 0, probe.OK}, {"a", -1, probe.ControlFailed}, {"", 1, probe.ControlFailed}} {
		v := &visit{probe: New(), offset: make(chan struct{})}
		v.know(c.history, c.wrote, time.Time{})
		if o := v.await(t.Context()); o.Reason != c.want {
			t.Errorf("%+v: got %s", c, o.Reason)
		}
	}
}

// Messages name the worst only, and the first pass says how far it is.
func TestMessages(t *testing.T) {
	t.Parallel()
	wrong := newTotals()
	for i := range 5 {
		wrong.unprefixed[fmt.Sprintf("shape-%d", i)] = 9 - i
	}
	if got := judgeTotals(wrong, probe.Outcome{}).Detail; !strings.HasSuffix(got, "by shape, 9 shape-0, 8 shape-1, 7 shape-2 and 2 more") {
		t.Error(got)
	}
	p := &Probe{Orgs: map[string]Org{"a": {User: "a", Key: "a:1"}, "b": {User: "b", Key: "b:1"}}}
	questions := p.questions()
	rulings := make([]ruling, len(questions))
	for i, q := range questions {
		switch {
		case q.of == "" && q.org == "a" || q.own:
			rulings[i] = granted
		case q.of == "":
			rulings[i] = noCommand
		default:
			rulings[i] = noKey
		}
	}
	if got := judgeACL(questions, rulings).Detail; !strings.HasSuffix(got, "but a may run FLUSHALL, a may run FLUSHDB, a may run SWAPDB, a may run MONITOR and 11 more") {
		t.Error(got)
	}
	var commands []string
	for _, q := range questions {
		if q.of == "" && q.org == "b" {
			commands = append(commands, q.command)
		}
	}
	if got := strings.Join(commands, " "); !strings.Contains(got, "PSYNC CONFIG GET CONFIG SET ACL SETUSER REPLICAOF FAILOVER SHUTDOWN DEBUG MODULE LOAD BGSAVE") {
		t.Error(got)
	}
	_, address := serve(t, map[string]string{"SCAN": page("7", "org:a:planted"), "DBSIZE": ":1000\r\n"})
	q := scanned(address)
	q.Keys.Count, q.Keys.PerRun = 1, 1
	for _, c := range do(t, q, 5*time.Second).NotPassed() {
		if c.Detail != "the first pass over all keys has met about 1 of 1000, and nothing wrong" {
			t.Error(c.Detail)
		}
	}
}

// TestSettings: what a setting may be at most and at least, and what follows from the settings.
func TestSettings(t *testing.T) {
	t.Parallel()
	orgs := func(n int) map[string]Org {
		all := map[string]Org{}
		for i := range n {
			name := fmt.Sprint("org-", i)
			all[name] = Org{User: name, Key: name + ":1"}
		}
		return all
	}
	long, mark := strings.Repeat("k", maxKeyLength-1), "org:"+canaryMark
	for name, c := range map[string]struct {
		change func(*Probe)
		want   string
	}{
		"the longest key that is written":  {func(p *Probe) { p.Writes = &Writes{Key: mark + strings.Repeat("k", maxKeyLength-len(mark))} }, ""},
		"a longer one":                     {func(p *Probe) { p.Writes = &Writes{Key: mark + long} }, "writes.key: "},
		"the shortest life":                {func(p *Probe) { p.Writes = &Writes{Key: mark, TTL: probe.Duration(time.Second)} }, ""},
		"a shorter one":                    {func(p *Probe) { p.Writes = &Writes{Key: mark, TTL: 1} }, "writes.ttl: "},
		"the longest life":                 {func(p *Probe) { p.Writes = &Writes{Key: mark, TTL: probe.Duration(maxTTL)} }, ""},
		"a longer life":                    {func(p *Probe) { p.Writes = &Writes{Key: mark, TTL: probe.Duration(maxTTL + time.Second)} }, "writes.ttl: "},
		"as many words as there may be":    {func(p *Probe) { p.Keys.Words = slices.Repeat([]string{"w"}, maxPatterns) }, ""},
		"one more":                         {func(p *Probe) { p.Keys.Words = slices.Repeat([]string{"w"}, maxPatterns+1) }, "keys.words: "},
		"a database in a cluster":          {func(p *Probe) { p.Address, p.Cluster, p.Keys.Databases = "", []string{"127.0.0.1:1"}, []int{1} }, "keys.databases: "},
		"two orgs":                         {func(p *Probe) { p.Orgs = orgs(2) }, ""},
		"five orgs":                        {func(p *Probe) { p.Orgs = orgs(5) }, ""},
		"six orgs":                         {func(p *Probe) { p.Orgs = orgs(6) }, "orgs: expected 2 to 5, got 6"},
		"an org with the longest key":      {func(p *Probe) { p.Orgs = orgs(2); p.Orgs["org-1"] = Org{User: "u", Key: "k" + long} }, ""},
		"an org with a longer key":         {func(p *Probe) { p.Orgs = orgs(2); p.Orgs["org-1"] = Org{User: "u", Key: "kk" + long} }, "orgs.org-1.key: "},
		"the longest key that is planted":  {func(p *Probe) { p.Keys.Planted = []string{"org:" + strings.Repeat("k", maxKeyLength-4)} }, ""},
		"a longer key that is planted":     {func(p *Probe) { p.Keys.Planted = []string{"org:" + long} }, "keys.planted[0]: "},
		"as many replicas as may be asked": {func(p *Probe) { p.MinReplicas = maxServers }, ""},
		"more replicas":                    {func(p *Probe) { p.MinReplicas = maxServers + 1 }, "min_replicas: "},
	} {
		p := scanned("127.0.0.1:1")
		c.change(p)
		if err := p.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	p := &Probe{MinReplicas: 1, Lag: probe.Duration(time.Second)}
	if p.CheckTimeout(2*time.Second) != nil || p.CheckTimeout(2*time.Second-1) == nil || (&Probe{Lag: p.Lag}).CheckTimeout(time.Second) != nil {
		t.Error("a lag of half the timeout is right, a longer one is not, and without replicas none counts")
	}
	for want, p := range map[string]*Probe{
		"[a:1 b:1]": {Address: "a:1", Replicas: []string{"b:1"}}, "[c:1]": {Cluster: []string{"c:1"}}, "[s:1]": {Sentinel: &Sentinel{Addresses: []string{"s:1"}}},
	} {
		if got := fmt.Sprint(p.Addresses()); got != want {
			t.Errorf("asks %s, want %s", got, want)
		}
	}
	p = &Probe{Keys: &Keys{Planted: []string{"a"}}, Orgs: map[string]Org{"1": {Key: "a", Marker: "m"}, "2": {Key: "b", Marker: "m"}, "3": {Key: "c"}}}
	if got := fmt.Sprint(p.planted()); got != "[a b]" {
		t.Errorf("the keys %s are planted", got)
	}
	if !(&Probe{Replicas: []string{"a"}}).replicates() || !(&Probe{MinReplicas: 1}).replicates() || (&Probe{}).replicates() {
		t.Error("one replica is one")
	}
}
