package redis

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// silent is the address of a server that accepts connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// slotsOf is an answer to CLUSTER SLOTS, in which the first server has some slots from 0 on.
func slotsOf(address string, last int) string {
	port := address[strings.LastIndexByte(address, ':')+1:]
	return "*1\r\n*3\r\n:0\r\n:" + strconv.Itoa(last) + "\r\n*2\r\n" + bulk("127.0.0.1") + ":" + port + "\r\n"
}

// inCluster makes a fake the only primary of a cluster, with some slots from 0 on.
func inCluster(t *testing.T, last int) (*fake, string) {
	t.Helper()
	f, address := serve(t, map[string]string{"CLUSTER INFO": bulk("cluster_state:ok\r\n")})
	f.say("CLUSTER SLOTS", slotsOf(address, last))
	return f, address
}

// A sentinel or a server of a cluster that says nothing takes a part of the run only: the primary is asked in time.
func TestFind_silent(t *testing.T) {
	t.Parallel()
	const timeout = 1500 * time.Millisecond
	ask := func(t *testing.T, p *Probe, failed string) {
		t.Helper()
		r := do(t, p, timeout)
		if got := notPassed(r, nil); got != failed {
			t.Errorf("got %s", got)
		}
		i := slices.IndexFunc(r.Exchanges, func(x probe.Exchange) bool { return x.Check == checkPing })
		if i < 0 || r.Exchanges[i].Started.Sub(r.Started) > timeout/2 {
			t.Errorf("the primary was asked too late: %+v", r.Exchanges)
		}
	}
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		_, primary := serve(t, map[string]string{})
		dead := silent(t)
		p := New()
		p.Sentinel = &Sentinel{Addresses: []string{dead}, Name: "main"}
		for range 2 {
			_, address := serve(t, map[string]string{"SENTINEL GET": list("127.0.0.1", primary[len("127.0.0.1:"):]), "SENTINEL CKQUORUM": "+OK\r\n"})
			p.Sentinel.Addresses = append(p.Sentinel.Addresses, address)
		}
		ask(t, p, "sentinel@"+dead+" timeout")
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		_, primary := inCluster(t, 16383)
		dead := silent(t)
		p := New()
		p.Cluster = []string{dead, primary}
		ask(t, p, "cluster@"+dead+" timeout")
	})
}

// Slots without a primary may have keys that nobody looks at, and users that nobody asks about.
func TestCluster_partial(t *testing.T) {
	t.Parallel()
	_, primary := inCluster(t, 16000)
	p := New()
	p.Cluster, p.Keys = []string{primary}, &Keys{Allowed: []string{"org:"}, Planted: []string{"org:a:planted"}}
	r := do(t, p, 5*time.Second)
	if got, want := notPassed(r, map[string]string{primary: "1"}), "cluster@1 cluster_down, keys control_failed, names control_failed"; got != want {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
	_, other := inCluster(t, 16383)
	p = New()
	_, whole := inCluster(t, 16383)
	p.Cluster, p.Keys = []string{whole, other}, &Keys{Allowed: []string{"org:"}, Planted: []string{"org:a:planted"}}
	if got, want := notPassed(do(t, p, 5*time.Second), nil), "cluster disagree, keys control_failed, names control_failed"; got != want {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
}

// That a replica lags is proven only by what it says later than it may lag: it may have been asked before the primary answered.
func TestReplica_early(t *testing.T) {
	t.Parallel()
	f, primary := serve(t, map[string]string{"INFO": info("primary-1", "slave0:ip=127.0.0.1,port=1,state=online,offset=100,lag=0")})
	f.delay("INFO", 1600*time.Millisecond)
	replica := map[string]string{"ROLE": list("slave"), "INFO": info("replica-1", "role:slave", "master_link_status:up", "master_replid:history-1", "slave_repl_offset:50")}
	g, second := serve(t, replica)
	g.delay("PING", 800*time.Millisecond)
	g.say("INFO replication", info("replica-1", "role:slave", "master_link_status:up", "master_replid:history-1", "slave_repl_offset:100"))
	p := New()
	p.Address, p.Replicas, p.Lag = primary, []string{second}, probe.Duration(1200*time.Millisecond)
	// Just after the primary answers, its answer is older than the lag; what the replica said is older still.
	if got := notPassed(do(t, p, 5*time.Second), map[string]string{second: "2"}); strings.Contains(got, "lagging") {
		t.Errorf("got %s", got)
	}
	g.say("INFO replication", replica["INFO"])
	f.delay("INFO", 0)
	if got := notPassed(again(t, p, 5*time.Second), map[string]string{second: "2"}); got != "replication@2 lagging" {
		t.Errorf("got %s", got)
	}
}

// The name of a server is what another one says. It is dialled, and stands nowhere; its address does.
func TestFound_unnamed(t *testing.T) {
	t.Parallel()
	f, address := serve(t, map[string]string{"CLUSTER INFO": bulk("cluster_state:ok\r\n")})
	f.say("CLUSTER SLOTS", "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n"+bulk(marker+".localhost")+":6379\r\n")
	p := New()
	p.Cluster, p.Resolver = []string{address}, "127.0.0.1:1" // nobody answers there
	r := do(t, p, 5*time.Second)
	if got := notPassed(r, nil); !strings.HasPrefix(got, "ping@shard-1 dns_") {
		t.Errorf("got %s", got)
	}
	var urls []string
	for _, x := range r.Exchanges {
		urls = append(urls, x.URL)
	}
	if want := []string{"redis://" + address, "redis://named-by-another-server:6379"}; !slices.Equal(urls, want) {
		t.Errorf("got %q", urls)
	}
}
