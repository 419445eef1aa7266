package redis

import (
	"testing"
	"time"

	"prober/internal/resp"
)

// A write that is accepted and not there afterwards is lost, and so is one that another value has replaced.
func TestWrites_lost(t *testing.T) {
	t.Parallel()
	for answer, reason := range map[string]string{"$-1\r\n": "lost_write", "$5\r\nother\r\n": "lost_write", ":7\r\n": "lost_write"} {
		_, address := serve(t, map[string]string{"GET": answer})
		p := New()
		p.Address, p.Writes = address, &Writes{Key: "prober:{canary}"}
		if got, want := notPassed(do(t, p, 5*time.Second), map[string]string{address: "1"}), "writes@1 "+reason; got != want {
			t.Errorf("%q:\n got  %s\n want %s", answer, got, want)
		}
	}
}

// A replica whose link is up and that has another history follows another primary, however far it is.
func TestReplication_otherPrimary(t *testing.T) {
	t.Parallel()
	_, primary := serve(t, map[string]string{"INFO": info("primary-1", "slave0:ip=127.0.0.1,port=1,state=online,offset=100,lag=0")})
	replica := map[string]string{"ROLE": list("slave"), "INFO": info("replica-1", "role:slave", "master_link_status:up", "master_replid:history-1", "slave_repl_offset:100")}
	f, second := serve(t, replica)
	p := New()
	p.Address, p.Replicas = primary, []string{second}
	if got := notPassed(do(t, p, 5*time.Second), nil); got != "" {
		t.Fatalf("a sound replica: %s", got)
	}
	f.say("INFO", info("replica-1", "role:slave", "master_link_status:up", "master_replid:history-2", "slave_repl_offset:1000"))
	if got := notPassed(again(t, p, 5*time.Second), map[string]string{second: "2"}); got != "replication@2 other_primary" {
		t.Errorf("got %s", got)
	}
}

// The configured number of replicas counts, also where it is below those that are listed: some may follow another replica.
func TestReplication_chained(t *testing.T) {
	t.Parallel()
	p := New()
	p.Replicas = []string{"a", "b"}
	if p.minReplicas() != 2 {
		t.Errorf("the default is %d", p.minReplicas())
	}
	if p.MinReplicas = 1; p.minReplicas() != 1 {
		t.Errorf("1 is taken as %d", p.minReplicas())
	}
}

// Sentinels that name two primaries disagree, whatever the majority says, and no primary is asked.
func TestSentinels_disagree(t *testing.T) {
	t.Parallel()
	f, primary := serve(t, map[string]string{})
	sentinel := func(port string) string {
		_, address := serve(t, map[string]string{"SENTINEL GET": list("127.0.0.1", port), "SENTINEL CKQUORUM": "+OK\r\n"})
		return address
	}
	port := primary[len("127.0.0.1:"):]
	p := New()
	p.Sentinel = &Sentinel{Addresses: []string{sentinel(port), sentinel(port)}, Name: "main"}
	if got := notPassed(do(t, p, 5*time.Second), nil); got != "" {
		t.Fatalf("in agreement: %s", got)
	}
	f.mu.Lock()
	before := len(f.sent)
	f.mu.Unlock()
	p.Sentinel.Addresses = append(p.Sentinel.Addresses, sentinel("1"))
	if got := notPassed(do(t, p, 5*time.Second), nil); got != "sentinel disagree" {
		t.Errorf("got %s", got)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if before == 0 || len(f.sent) != before {
		t.Errorf("%d questions, %d before", len(f.sent), before)
	}
}

// A primary of a cluster that can have no key of the configured name was not written to.
func TestNewKey_otherSlot(t *testing.T) {
	t.Parallel()
	v := &visit{probe: &Probe{Writes: &Writes{Key: "{prober}:{canary}"}}}
	if _, _, ok := v.newKey(member{shard: &resp.Shard{}}); ok {
		t.Error("a server without slots has the slot of a key")
	}
	if _, _, ok := v.newKey(member{}); !ok {
		t.Error("a server outside of a cluster has not the slot of a key")
	}
}
