package redis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/breach"
)

// TestQuestions: the user of each org is asked about its own key and the keys of the others, and where their prefix is known about
// one that nobody has thought of.
func TestQuestions(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"":    "[a a:1 own a b:1 b a:1 b b:1 own]",
		"org": "[a a:1 own a b:1 a orgb:* b a:1 b orga:* b b:1 own]",
	} {
		p := &Probe{Orgs: map[string]Org{}}
		for _, name := range []string{"a", "b"} {
			o := Org{User: "user-" + name, Key: name + ":1"}
			if prefix != "" {
				o.Prefix = prefix + name + ":"
			}
			p.Orgs[name] = o
		}
		var got []string
		commands := map[string][]string{}
		for _, q := range p.questions() {
			if q.of == "" {
				continue
			}
			key := q.args[4]
			if o := p.Orgs[q.of]; key != o.Key && o.Prefix != "" && strings.HasPrefix(key, o.Prefix) {
				key = o.Prefix + "*"
			}
			line := q.org + " " + key
			if q.own {
				line += " own"
			}
			if q.args[2] != "user-"+q.org {
				t.Errorf("%s is asked as %s", line, q.args[2])
			}
			if !slices.Contains(got, line) {
				got = append(got, line)
			}
			commands[line] = append(commands[line], q.command)
		}
		if text := fmt.Sprint(got); text != want {
			t.Errorf("prefix %q: got %s, want %s", prefix, text, want)
		}
		for line, all := range commands {
			if len(all) != len(keyCommands) {
				t.Errorf("%s: asked about %v", line, all)
			}
		}
	}
}

// keepApart has a server's users do everything with the keys of their org and nothing else.
func keepApart(f *fake) {
	f.say("ACL DRYRUN", bulk("User x has no permissions to run the 'flushall' command"))
	for _, c := range keyCommands {
		for _, user := range []string{"a", "b"} {
			for _, of := range []string{"a", "b"} {
				answer := "+OK\r\n"
				if user != of {
					answer = bulk("User x has no permissions to access the 'x' key")
				}
				f.say("ACL DRYRUN app-"+user+" "+c[0]+" org:"+of+":", answer)
			}
		}
	}
}

// TestACL_lastProven: the time of the last proof is that of a run in which every server kept the orgs apart, and no other's.
func TestACL_lastProven(t *testing.T) {
	t.Parallel()
	orgs := map[string]Org{"a": {User: "app-a", Key: "org:a:1", Prefix: "org:a:"}, "b": {User: "app-b", Key: "org:b:1", Prefix: "org:b:"}}
	for name, c := range map[string]struct {
		orgs     map[string]Org
		primary  string // what it says to a question about another org's key
		replica  string
		command  string // that it is said to, in place of that question
		verdict  probe.Verdict
		proven   bool
		breaches float64
	}{
		"both keep them apart":      {orgs, "", "", "", probe.Pass, true, 0},
		"the replica opens a key":   {orgs, "", "+OK\r\n", "", probe.Fail, false, 1},
		"the primary opens a key":   {orgs, "+OK\r\n", "", "", probe.Fail, false, 1},
		"the replica has no user":   {orgs, "", "-ERR User 'app-a' not found\r\n", "", probe.Inconclusive, false, 0},
		"the primary has no user":   {orgs, "-ERR User 'app-a' not found\r\n", "", "", probe.Inconclusive, false, 0},
		"the replica has no module": {orgs, "", "-ERR Command 'module|load' not found\r\n", "module", probe.Pass, true, 0},
		"the replica has no get":    {orgs, "", "-ERR Command 'get' not found\r\n", "", probe.Inconclusive, false, 0},
		"there is nothing to keep":  {nil, "", "", "", probe.Pass, false, 0},
	} {
		f, primary := serve(t, map[string]string{"INFO": info("primary-1", "slave0:ip=127.0.0.1,port=1,state=online,offset=100,lag=0")})
		g, second := serve(t, map[string]string{"ROLE": list("slave"), "INFO": info("replica-1", "role:slave", "master_link_status:up", "master_replid:history-1", "slave_repl_offset:100")})
		for server, answer := range map[*fake]string{f: c.primary, g: c.replica} {
			if keepApart(server); answer != "" {
				server.say("ACL DRYRUN app-a "+cmp.Or(c.command, "get org:b:"), answer)
			}
		}
		p := New()
		p.Address, p.Replicas, p.Orgs = primary, []string{second}, c.orgs
		r := do(t, p, 5*time.Second)
		proven := tellsProof(r)
		breaches := 0.0
		for _, s := range r.Samples {
			if s.Measure == breach.Total {
				breaches += s.Value
			}
		}
		if r.Verdict() != c.verdict || proven != c.proven || breaches != c.breaches {
			t.Errorf("%s: got %s (%s), proven: %t, breaches: %g", name, r.Verdict(), notPassed(r, map[string]string{primary: "1", second: "2"}), proven, breaches)
		}
	}
}

func tellsProof(r probe.Result) bool {
	return slices.ContainsFunc(r.Samples, func(s probe.Sample) bool { return s.Measure == breach.LastProven })
}

// TestACL_partOfACluster: of a cluster whose slots are not all served not every server was asked, and nothing is proven.
func TestACL_partOfACluster(t *testing.T) {
	t.Parallel()
	for last, proven := range map[int]bool{16000: false, 16383: true} {
		f, primary := inCluster(t, last)
		keepApart(f)
		p := New()
		p.Cluster, p.Orgs = []string{primary}, map[string]Org{"a": {User: "app-a", Key: "org:a:1"}, "b": {User: "app-b", Key: "org:b:1"}}
		if r := do(t, p, 5*time.Second); tellsProof(r) != proven || (r.Verdict() == probe.Pass) != proven {
			t.Errorf("slots up to %d: proven: %t, %s", last, tellsProof(r), notPassed(r, nil))
		}
	}
}

// TestInitialSamples: what rises with an event is there before it.
func TestInitialSamples(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]*Probe{
		"[]": {}, "[probe_redis_keys_scanned_total probe_redis_full_pass_timestamp_seconds]": {Keys: &Keys{}},
		fmt.Sprint([]string{breach.Total.Name, breach.LastProven.Name}): {Orgs: map[string]Org{"a": {}}},
	} {
		var got []string
		for _, s := range p.InitialSamples() {
			got = append(got, s.Name)
		}
		if text := fmt.Sprint(got); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
}

// TestWrites_unclear: a server that neither accepts nor refuses a write has proven nothing.
func TestWrites_unclear(t *testing.T) {
	t.Parallel()
	_, address := serve(t, map[string]string{"SET": "+QUEUED\r\n"})
	p := New()
	p.Address, p.Writes = address, &Writes{Key: "prober:{canary}"}
	if got, want := notPassed(do(t, p, 5*time.Second), map[string]string{address: "1"}), "writes@1 schema"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestReplication_linkDown: a replica without its link is told, and for how long, if it says so.
func TestReplication_linkDown(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"master_link_down_since_seconds:90": "expected the replica to be connected to its primary, but the link is down since 1m30s",
		"master_link_down_since_seconds:-1": "expected the replica to be connected to its primary, but the link is down",
		"master_sync_in_progress:1":         "expected the replica to be connected to its primary, but the link is down; a first copy of the data is under way",
	} {
		_, primary := serve(t, map[string]string{"INFO": info("primary-1", "slave0:ip=127.0.0.1,port=1,state=online,offset=100,lag=0")})
		_, second := serve(t, map[string]string{"ROLE": list("slave"), "INFO": info("replica-1", "role:slave", "master_link_status:down", line)})
		p := New()
		p.Address, p.Replicas = primary, []string{second}
		r := do(t, p, 5*time.Second)
		i := slices.IndexFunc(r.Checks, func(c probe.Check) bool { return c.Name == checkReplication && c.Target == second })
		if i < 0 || r.Checks[i].Verdict != probe.Fail || r.Checks[i].Detail != want {
			t.Errorf("%s: got %s, %+v", line, notPassed(r, nil), r.Checks)
		}
	}
}
