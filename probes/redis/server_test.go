package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/breach"
	"prober/probes/internal/probetest"
)

// A fault of a real server, and what it turns.
type fault struct {
	name   string
	inject func(t *testing.T)
	fix    func(t *testing.T)
	want   string // what did not pass
	says   string // part of a text
	within time.Duration
}

// A primary and its replica are broken in one way after the other, and fixed. Everything passes in between.
func TestServers(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	primary := testenv.StartRedis(t, "repl-ping-replica-period 1", "busy-reply-threshold 100", "repl-timeout 5", "enable-protected-configs yes")
	replica := primary.StartReplica(t, "repl-ping-replica-period 1")
	prepare(t, primary, replica)
	primary.Do(t, "mset", "org:a:planted", "1", "org:b:planted", "1")
	p := whole(t, primary, replica)
	names := map[string]string{primary.Address(): "primary", replica.Address(): "replica"}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	sound := func(t *testing.T) {
		t.Helper()
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			if got := again(t, p, 5*time.Second); got.Verdict() != probe.Pass {
				return fmt.Errorf("not passed: %s", notPassed(got, names))
			}
			return nil
		})
	}
	admin := func(s testenv.Redis, commands ...string) func(*testing.T) {
		return func(t *testing.T) {
			for _, c := range commands {
				s.Do(t, strings.Fields(c)...)
			}
		}
	}
	signal := func(s testenv.Redis, sig syscall.Signal) func(*testing.T) {
		return func(t *testing.T) {
			if err := s.Signal(sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	config := func(s testenv.Redis, set, back string) (inject, fix func(*testing.T)) {
		return admin(s, "config set "+set), admin(s, "config set "+back)
	}
	faults := []fault{
		{name: "frozen primary", inject: signal(primary, syscall.SIGSTOP), fix: signal(primary, syscall.SIGCONT), within: 2 * time.Second,
			want: "ping@primary timeout, replication@replica control_failed, keys control_failed, names control_failed", says: "it is frozen"},
		{name: "frozen replica", inject: func(t *testing.T) {
			signal(replica, syscall.SIGSTOP)(t)
			testenv.Eventually(t, time.Minute, func(context.Context) error {
				if lag := primary.Do(t, "info", "replication"); !strings.Contains(lag, "lag=4") {
					return errors.New(lag)
				}
				return nil
			})
		}, fix: signal(replica, syscall.SIGCONT), within: 2 * time.Second, want: "replication@primary replicas, ping@replica timeout"},
		{name: "wrong password", inject: admin(primary, "acl setuser prober resetpass >other"), fix: admin(primary, "acl setuser prober resetpass >"+password),
			want: "ping@primary credential, replication@replica control_failed, keys control_failed, names control_failed", says: "the server rejects the user or its password"},
		{name: "user off", inject: admin(primary, "acl setuser prober off"), fix: admin(primary, "acl setuser prober on"),
			want: "ping@primary credential, replication@replica control_failed, keys control_failed, names control_failed"},
		{name: "no right to write", inject: admin(primary, "acl setuser prober -set"), fix: admin(primary, "acl setuser prober +set"), want: "writes@primary credential"},
		{name: "no right to read back", inject: admin(primary, "acl setuser prober -get"), fix: admin(primary, "acl setuser prober +get"), want: "writes@primary credential"},
		{name: "no right to scan", inject: admin(primary, "acl setuser prober -scan"), fix: admin(primary, "acl setuser prober +scan"), want: "keys credential, names credential"},
		{name: "no right to info", inject: admin(primary, "acl setuser prober -info"), fix: admin(primary, "acl setuser prober +info"),
			want: "replication@primary credential, replication@replica control_failed, keys credential, names credential"},
		{name: "no right to role", inject: admin(primary, "acl setuser prober -role"), fix: admin(primary, "acl setuser prober +role"), want: "role@primary credential"},
		{name: "no right to dryrun", inject: admin(primary, "acl setuser prober -acl|dryrun"), fix: admin(primary, "acl setuser prober +acl|dryrun"), want: "acl@primary credential"},
		{name: "no right to dbsize", inject: admin(primary, "acl setuser prober -dbsize"), fix: admin(primary, "acl setuser prober +dbsize"), want: "keys credential, names credential"},
		{name: "no right to ping", inject: admin(primary, "acl setuser prober -ping"), fix: admin(primary, "acl setuser prober +ping"), want: "ping@primary credential"},
		{name: "no password asked", inject: admin(primary, "acl setuser default nopass"), fix: admin(primary, "acl setuser default resetpass >administrator-of-a-test"), want: "auth@primary no_password"},
		{name: "no password asked at the replica", inject: admin(replica, "acl setuser default nopass"), fix: admin(replica, "acl setuser default resetpass >administrator-of-a-test"), want: "auth@replica no_password"},
		{name: "no password asked of whoever reads", inject: admin(primary, "acl setuser default nopass -dbsize"), fix: admin(primary, "acl setuser default +dbsize resetpass >administrator-of-a-test"), want: "auth@primary no_password"},
		{name: "stale replica", inject: func(t *testing.T) {
			admin(replica, "config set replica-serve-stale-data no")(t)
			admin(replica, "replicaof 127.0.0.1 1")(t)
		}, fix: func(t *testing.T) {
			admin(replica, "config set replica-serve-stale-data yes", fmt.Sprintf("replicaof 127.0.0.1 %d", primary.Port()))(t)
		}, want: "replication@primary replicas, ping@replica primary_down, replication@replica link_down", says: "the link is down"},
		{name: "cut off replica", inject: admin(replica, "replicaof 127.0.0.1 1"), fix: admin(replica, fmt.Sprintf("replicaof 127.0.0.1 %d", primary.Port())),
			want: "replication@primary replicas, replication@replica link_down"},
		{name: "promoted replica", inject: admin(replica, "replicaof no one"), fix: admin(replica, fmt.Sprintf("replicaof 127.0.0.1 %d", primary.Port())),
			want: "replication@primary replicas, role@replica not_replica, replication@replica not_replica", says: "it accepts writes that the other primary never sees"},
		{name: "demoted primary", inject: func(t *testing.T) {
			admin(replica, "replicaof no one")(t)
			admin(primary, fmt.Sprintf("replicaof 127.0.0.1 %d", replica.Port()))(t)
			testenv.Eventually(t, time.Minute, func(context.Context) error {
				if info := primary.Do(t, "info", "replication"); !strings.Contains(info, "master_link_status:up") {
					return errors.New(info)
				}
				return nil
			})
		}, fix: func(t *testing.T) {
			admin(primary, "replicaof no one")(t)
			admin(replica, fmt.Sprintf("replicaof 127.0.0.1 %d", primary.Port()))(t)
		}, want: "role@primary not_primary, writes@primary read_only, role@replica not_replica, replication@replica not_replica, replication@primary control_failed"},
		{name: "an org's user may do all", inject: admin(primary, "acl setuser org-a allkeys"), fix: admin(primary, "acl setuser org-a resetkeys ~org:a:*"), want: "acl@primary acl_open", says: "org-a may run"},
		{name: "an org's user may do all at the replica", inject: admin(replica, "acl setuser org-b ~org:a:*"), fix: admin(replica, "acl setuser org-b resetkeys ~org:b:*"), want: "acl@replica acl_open"},
		{name: "an org's user may delete all", inject: admin(primary, "acl setuser org-a +flushall"), fix: admin(primary, "acl setuser org-a -flushall"), want: "acl@primary acl_commands", says: "org-a may run FLUSHALL"},
		{name: "an org's user may read, by another selector", inject: admin(primary, "acl setuser org-a (+get ~org:b:*)"), fix: admin(primary, "acl setuser org-a clearselectors"), want: "acl@primary acl_open"},
		{name: "an org's user has no right", inject: admin(primary, "acl setuser org-a -@all"), fix: admin(primary, "acl setuser org-a +@read +@write -@dangerous -flushall -flushdb -swapdb"), want: "acl@primary control_failed"},
		{name: "an org's user is gone", inject: admin(primary, "acl deluser org-b"), fix: func(t *testing.T) { prepare(t, primary) }, want: "acl@primary control_failed"},
		{name: "an unprefixed key", inject: admin(primary, "set user:"+marker+" 1"), fix: admin(primary, "del user:"+marker), want: "keys unprefixed", says: "1 user:*"},
		{name: "a name with data", inject: admin(primary, "set org:a:"+marker+"@shop.example 1"), fix: admin(primary, "del org:a:"+marker+"@shop.example"), want: "names name_holds_data"},
		{name: "no planted key", inject: admin(primary, "del org:a:planted"), fix: admin(primary, "set org:a:planted 1"), want: "planted control_failed, keys control_failed, names control_failed"},
		{name: "keys in another database", inject: admin(primary, "-n 3 set a 1"), fix: admin(primary, "-n 3 del a"), want: "keys not_covered, names not_covered"},
		{name: "busy", inject: func(t *testing.T) {
			testenv.StartCmd(t, primary.Command(t, "eval", "while true do end", "0"))
			testenv.Eventually(t, time.Minute, func(context.Context) error {
				if out := primary.Do(t, "ping"); !strings.Contains(out, "BUSY") {
					return errors.New(out)
				}
				return nil
			})
		}, fix: admin(primary, "script kill"), want: "ping@primary busy, role@primary busy, replication@primary busy, writes@primary busy, acl@primary busy, keys busy, names busy, replication@replica control_failed", says: "SCRIPT KILL"},
	}
	set, back := config(primary, "maxmemory 1", "maxmemory 0")
	faults = append(faults, fault{name: "out of memory", inject: set, fix: back, want: "writes@primary oom"})
	set, back = config(primary, "min-replicas-to-write 3", "min-replicas-to-write 0")
	faults = append(faults, fault{name: "too few replicas to write", inject: set, fix: back, want: "writes@primary few_replicas"})
	gone := filepath.Join(t.TempDir(), "gone")
	faults = append(faults, fault{name: "cannot save", inject: func(t *testing.T) {
		if err := os.Mkdir(gone, 0o700); err != nil {
			t.Fatal(err)
		}
		admin(primary, "config set dir "+gone)(t)
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		primary.Do(t, "config", "set", "save", "900 1")
		primary.Do(t, "bgsave")
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			if info := primary.Do(t, "info", "persistence"); !strings.Contains(info, "rdb_last_bgsave_status:err") {
				return errors.New(info)
			}
			return nil
		})
	}, fix: func(t *testing.T) {
		primary.Do(t, "config", "set", "dir", t.TempDir())
		primary.Do(t, "config", "set", "save", "")
	}, want: "ping@primary misconf, writes@primary misconf"})
	faults = append(faults, fault{name: "killed", inject: signal(primary, syscall.SIGKILL), want: "ping@primary refused, replication@replica link_down, keys control_failed, names control_failed"})
	sound(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			f.inject(t)
			if f.name == "killed" {
				<-primary.Ended()
				testenv.Eventually(t, time.Minute, func(context.Context) error {
					if info := replica.Do(t, "info", "replication"); !strings.Contains(info, "master_link_status:down") {
						return errors.New(info)
					}
					return nil
				})
			}
			within := f.within
			if within == 0 {
				within = 5 * time.Second
			}
			r := again(t, p, within)
			if got := notPassed(r, names); got != f.want {
				t.Errorf("\n got  %s\n want %s", got, f.want)
			}
			if !strings.Contains(fmt.Sprintf("%+v", r.Checks), f.says) {
				t.Errorf("expected %q in %+v", f.says, r.NotPassed())
			}
			if f.fix != nil {
				f.fix(t)
				sound(t)
			}
		})
	}
}

// What passes says what was seen.
func TestServers_pass(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	primary := testenv.StartRedis(t)
	replica := primary.StartReplica(t)
	prepare(t, primary, replica)
	primary.Do(t, "mset", "org:a:planted", "1", "org:b:planted", "1")
	p := whole(t, primary, replica)
	var r probe.Result
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		if r = do(t, p, 5*time.Second); r.Verdict() != probe.Pass {
			return errors.New(probetest.NotPassed(r))
		}
		return nil
	})
	probetest.WantLines(t, r, "pass",
		"ping@"+p.Address+" pass(ok): "+p.Address+" answered PING",
		"auth@"+p.Address+" pass(ok): it refuses whoever has not logged in, and accepts the prober",
		"role@"+p.Address+" pass(ok): it is a primary",
		"replication@"+p.Address+" pass(ok): 1 replica follows",
		"writes@"+p.Address+" pass(ok): a write was accepted and read back; it expires in 1m",
		"acl@"+p.Address+" pass(ok): 32 refusals are proven, each beside the same command that is allowed",
		"ping@"+p.Replicas[0]+" pass(ok): *",
		"auth@"+p.Replicas[0]+" pass(ok): *",
		"role@"+p.Replicas[0]+" pass(ok): it is a replica",
		"replication@"+p.Replicas[0]+" pass(ok): within *",
		"acl@"+p.Replicas[0]+" pass(ok): *",
		"planted pass(ok): 1 planted key was met",
		"keys pass(ok): a pass over about *",
		"names pass(ok): a pass over about *")
	for _, m := range []struct {
		measure *probe.Measure
		labels  []string
		min     float64
	}{
		{pingGauge, []string{p.Address}, 1e-6}, {lagGauge, []string{p.Replicas[0]}, 1e-6}, {replicasGauge, []string{p.Address}, 1}, {scannedTotal, nil, 3},
		{unprefixedGauge, []string{"other"}, 0}, {passGauge, nil, 1e9}, {breach.LastProven, []string{surface}, 1e9},
	} {
		if v, ok := sample(r, m.measure, m.labels...); !ok || v < m.min || m.measure == lagGauge && v > 2 {
			t.Errorf("%s is %g, %t", m.measure.Name, v, ok)
		}
	}
	// The key was left to expire, and soon.
	keys := strings.Fields(primary.Do(t, "--scan", "--pattern", "prober:*"))
	if len(keys) == 0 {
		t.Fatal("no key was written")
	}
	for _, k := range keys {
		if ttl := number(primary.Do(t, "ttl", k)); ttl < 1 || ttl > 60 {
			t.Errorf("a key expires in %d s", ttl)
		}
	}
	// All questions are ones that the server understands: a user who may do all is granted all of them.
	primary.Do(t, "acl", "setuser", "org-a", "allkeys", "+@all")
	for _, q := range p.questions() {
		if answer := primary.Do(t, q.args...); q.org == "org-a" && answer != "OK" {
			t.Errorf("%q: %s", q.args, answer)
		}
	}
}

// Each primary of a cluster is asked and written to, and its keys are looked at.
func TestCluster(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	servers := testenv.StartRedisCluster(t, 3)
	prepare(t, servers...)
	for i := range 30 {
		servers[0].Do(t, "-c", "set", fmt.Sprintf("org:a:%d", i), "1")
	}
	servers[0].Do(t, "-c", "set", "org:a:planted", "1")
	p := whole(t, servers[0])
	p.Address, p.Cluster = "", []string{servers[0].Address(), servers[1].Address()}
	r := do(t, p, 5*time.Second)
	if r.Verdict() != probe.Pass {
		t.Error(probetest.NotPassed(r))
	}
	for i := range 3 {
		if v, ok := sample(r, pingGauge, shardName(i)); !ok || v == 0 {
			t.Errorf("%s was not asked", shardName(i))
		}
	}
	looked := 0.0
	for _, s := range r.Samples {
		if s.Measure == scannedTotal {
			looked += s.Value
		}
	}
	if looked != 34 { // those of three writes among them
		t.Errorf("%g keys were looked at", looked)
	}
	written := 0
	for _, s := range servers {
		if strings.Contains(s.Do(t, "--scan", "--pattern", "prober:*"), "prober:") {
			written++
		}
	}
	if written != 3 {
		t.Errorf("%d servers were written to", written)
	}
	// A key that only the third server has.
	servers[0].Do(t, "-c", "set", "user:{c}:"+marker, "1")
	if got := notPassed(again(t, p, 5*time.Second), nil); got != "keys unprefixed" {
		t.Errorf("got %s", got)
	}
	servers[0].Do(t, "-c", "del", "user:{c}:"+marker)
	if r := again(t, p, 5*time.Second); r.Verdict() != probe.Pass {
		t.Error(probetest.NotPassed(r))
	}
	// One server of a cluster has a part of the keys.
	single := whole(t, servers[0])
	single.Keys.Planted = []string{"prober:none"}
	single.Writes = nil
	if got := notPassed(do(t, single, 5*time.Second), nil); !strings.Contains(got, "keys not_covered") {
		t.Errorf("got %s", got)
	}
	// A write is followed to the server that has its key.
	single.Writes, single.Keys = &Writes{Key: "prober:{canary}"}, nil
	for range 5 {
		if r := do(t, single, 5*time.Second); r.Verdict() != probe.Pass {
			t.Error(probetest.NotPassed(r))
		}
	}
	// A primary is gone, and its slots with it.
	if err := servers[2].Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-servers[2].Ended()
	if got := notPassed(again(t, p, 5*time.Second), nil); !strings.Contains(got, " refused") || !strings.Contains(got, "keys control_failed") {
		t.Errorf("got %s", got)
	}
	servers[0].Do(t, "cluster", "delslots", "0")
	if got := notPassed(again(t, p, 5*time.Second), nil); !strings.Contains(got, "cluster_down") || !strings.Contains(got, "cluster disagree") {
		t.Errorf("got %s", got)
	}
}

// The sentinels name the primary, also after a failover.
func TestSentinel(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	primary := testenv.StartRedis(t)
	replica := primary.StartReplica(t)
	prepare(t, primary, replica)
	primary.Do(t, "mset", "org:a:planted", "1", "org:b:planted", "1")
	first, second := primary.StartSentinel(t, 2), primary.StartSentinel(t, 2)
	p := whole(t, primary)
	p.Address, p.Sentinel, p.MinReplicas = "", &Sentinel{Addresses: []string{first.Address(), second.Address()}, Name: "main"}, 1
	passes := func() {
		t.Helper()
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			if r := do(t, p, 5*time.Second); r.Verdict() != probe.Pass {
				return errors.New(probetest.NotPassed(r))
			}
			return nil
		})
	}
	passes()
	p.Sentinel.Name = "other"
	if got := notPassed(do(t, p, 5*time.Second), map[string]string{first.Address(): "1", second.Address(): "2"}); got != "sentinel@1 schema, sentinel@2 schema, sentinel control_failed, keys control_failed, names control_failed" {
		t.Errorf("got %s", got)
	}
	p.Sentinel.Name = "main"
	if err := primary.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.MinReplicas = 0
	passes() // the replica has been promoted
	if err := second.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-second.Ended()
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		if got := notPassed(do(t, p, 5*time.Second), map[string]string{first.Address(): "1", second.Address(): "2"}); !strings.Contains(got, "sentinel@1 no_quorum, sentinel@2 refused, sentinel control_failed") {
			return errors.New(got)
		}
		return nil
	})
}
