package icmp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// inNamespace is the variable by which a test knows that it runs in a network of its own. It says how sockets may be opened.
const inNamespace = "PROBER_TEST_ICMP"

// TestNamespaces runs TestInNamespace in a network of its own, over ping sockets and over raw ones.
func TestNamespaces(t *testing.T) {
	unshare := testenv.Need(t, "unshare")
	testenv.Need(t, "ip")
	if os.Getuid() != 0 {
		t.Skip("only root makes network namespaces")
	}
	t.Parallel()
	for _, socket := range []string{"ping", "raw"} {
		t.Run(socket, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(unshare, "--net", os.Args[0], "-test.run=^TestInNamespace$", "-test.v")
			cmd.Env = append(os.Environ(), inNamespace+"="+socket)
			out, err := testenv.Run(t, cmd)
			if err != nil || !strings.Contains(string(out), "--- PASS: TestInNamespace ") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestInNamespace asks hosts behind a router. The router and the hosts are namespaces too, which end with the processes that hold
// them:
//
//	us 10.9.0.1 -- 10.9.0.2 router 10.9.1.1 -- 10.9.1.2 host
//
// and the same in fd09:0::/64 and fd09:1::/64. The link to the host takes packets of 1400 bytes.
func TestInNamespace(t *testing.T) {
	socket := os.Getenv(inNamespace)
	if socket == "" {
		t.Skip("TestNamespaces runs it")
	}
	groups := map[string]string{"ping": "0 2147483647", "raw": "1 0"}[socket]
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte(groups), 0o644); err != nil {
		t.Fatal(err)
	}
	router, host := hold(t), hold(t)
	run := func(in string, lines string) {
		t.Helper()
		for line := range strings.Lines(lines) {
			args := strings.Fields(line)
			if len(args) == 0 {
				continue
			}
			if in != "" {
				args = append([]string{"nsenter", "--net", "--target", in}, args...)
			}
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", strings.TrimSpace(line), err, out)
			}
		}
	}
	for _, in := range []string{"", router, host} { // addresses are used at once
		run(in, "sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
	}
	run("", `
		ip link set lo up
		ip link add near type veth peer name to-near
		ip link set to-near netns `+router+`
		ip addr add 10.9.0.1/24 dev near
		ip addr add fd09::1/64 dev near nodad
		ip link set near up
		ip route add default via 10.9.0.2
		ip -6 route add default via fd09::2
		ip route add prohibit 10.9.200.0/24
		ip route add unreachable 10.9.201.0/24
		ip route add blackhole 10.9.202.0/24`)
	run(router, `
		sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		sysctl -q -w net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
		ip link set lo up
		ip link add far type veth peer name to-far
		ip link set to-far netns `+host+`
		ip addr add 10.9.0.2/24 dev to-near
		ip addr add fd09::2/64 dev to-near nodad
		ip addr add 10.9.1.1/24 dev far
		ip addr add fd09:0:0:1::1/64 dev far nodad
		ip link set to-near up
		ip link set far mtu 1400 up
		ip route add unreachable 10.9.2.0/24
		ip route add prohibit 10.9.3.0/24
		ip route add blackhole 10.9.4.0/24
		ip -6 route add unreachable fd09:0:0:2::/64
		ip -6 route add prohibit fd09:0:0:3::/64
		ip -6 route add blackhole fd09:0:0:4::/64`)
	run(host, `
		ip addr add 10.9.1.2/24 dev to-far
		ip addr add fd09:0:0:1::2/64 dev to-far nodad
		ip link set to-far mtu 1400 up
		ip route add default via 10.9.1.1
		ip -6 route add default via fd09:0:0:1::1`)

	for _, there := range []string{"10.9.1.2", "fd09:0:0:1::2"} {
		testenv.Eventually(t, 30*time.Second, func(context.Context) error {
			p := New()
			p.Host = there
			if got := asked(t, p); !strings.HasPrefix(got, "pass ") {
				return errors.New(got)
			}
			return nil
		})
	}
	count := func(n int) func(*Probe) { return func(p *Probe) { p.Count = n } }
	const sent = 3
	for _, c := range []struct {
		name, host string
		change     func(*Probe)
		want       string
	}{
		{"this machine", "127.0.0.1", count(sent), "pass 3 of 3 replies from 127.0.0.1"},
		{"this machine, 6", "::1", count(sent), "pass 3 of 3 replies from ::1"},
		{"the router", "10.9.0.2", count(sent), "pass 3 of 3 replies from 10.9.0.2"},
		{"the host", "10.9.1.2", count(sent), "pass 3 of 3 replies from 10.9.1.2"},
		{"the host, 6", "fd09:0:0:1::2", count(sent), "pass 3 of 3 replies from fd09:0:0:1::2"},
		{"in fragments", "10.9.1.2", func(p *Probe) { p.PayloadSize = 3000 }, "pass 1 of 1 reply"},
		{"just fits", "10.9.1.2", func(p *Probe) { p.PayloadSize, p.DontFragment = 1372, true }, "pass 1 of 1 reply"},
		{"too big for the second link", "10.9.1.2", func(p *Probe) { p.PayloadSize, p.DontFragment = 1373, true },
			"fail packet_too_big expected 1 reply from 10.9.1.2, got 0: 10.9.0.2 says that the packet is too big, the MTU is 1400"},
		{"as this machine knows by now", "10.9.1.2", func(p *Probe) { p.PayloadSize, p.DontFragment = 1373, true },
			"fail packet_too_big expected 1 reply from 10.9.1.2, got 0: this machine says that the packet is too big, the MTU is 1400"},
		{"too big for the first link", "10.9.0.2", func(p *Probe) { p.PayloadSize, p.DontFragment = 1473, true },
			"fail packet_too_big expected 1 reply from 10.9.0.2, got 0: this machine says that the packet is too big, the MTU is 1500"},
		{"too big for the second link, 6", "fd09:0:0:1::2", func(p *Probe) { p.PayloadSize, p.DontFragment = 1353, true },
			"fail packet_too_big expected 1 reply from fd09:0:0:1::2, got 0: fd09::2 says that the packet is too big, the MTU is 1400"},
		{"TTL", "10.9.1.2", func(p *Probe) { p.TTL = 1; p.Count = sent }, "fail time_exceeded expected 3 replies from 10.9.1.2, got 0: 10.9.0.2 says that the TTL has run out"},
		{"TTL, just enough", "10.9.1.2", func(p *Probe) { p.TTL = 2 }, "pass 1 of 1 reply"},
		{"hop limit", "fd09:0:0:1::2", func(p *Probe) { p.TTL = 1; p.Count = sent }, "fail time_exceeded expected 3 replies from fd09:0:0:1::2, got 0: fd09::2 says that the TTL has run out"},
		{"unreachable", "10.9.2.1", nil, "fail unreachable expected 1 reply from 10.9.2.1, got 0: 10.9.0.2 says that the host does not respond there"},
		{"prohibited", "10.9.3.1", nil, "fail prohibited expected 1 reply from 10.9.3.1, got 0: 10.9.0.2 says that it is prohibited"},
		{"blackhole", "10.9.4.1", func(p *Probe) { p.Count = sent }, "fail timeout expected 3 replies from 10.9.4.1, got 0"},
		{"unreachable, 6", "fd09:0:0:2::1", nil, "fail unreachable expected 1 reply from fd09:0:0:2::1, got 0: fd09::2 says that there is no way to the network"},
		{"prohibited, 6", "fd09:0:0:3::1", nil, "fail prohibited expected 1 reply from fd09:0:0:3::1, got 0: fd09::2 says that it is prohibited"},
		{"blackhole, 6", "fd09:0:0:4::1", nil, "fail timeout expected 1 reply from fd09:0:0:4::1, got 0"},
		{"prohibited by this machine", "10.9.200.1", nil, "inconclusive self_network this machine's own firewall blocks the connection"},
		{"unreachable from this machine", "10.9.201.1", nil, "fail unreachable no route to 10.9.201.1"},
		{"a blackhole of this machine", "10.9.202.1", nil, `fail unreachable no connection to 10.9.202.1: this machine's kernel answers "invalid argument"`},
	} {
		p := New()
		p.Host = c.host
		if c.change != nil {
			c.change(p)
		}
		if got := asked(t, p); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s over a %s socket:\n got  %s\n want %s", c.name, socket, got, c.want)
		}
	}
}

// asked runs a probe and returns what it says of the replies.
func asked(t *testing.T, p *Probe) string {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 2 * time.Second}
	r := job.Do(t.Context())
	got := r.Verdict().String()
	for _, check := range r.Checks {
		if check.Name == checkReply && check.Verdict != probe.Pass {
			got += " " + check.Reason.Word
		}
		if check.Name == checkReply {
			got += " " + check.Detail
		}
	}
	return got
}

// hold starts a process in a network namespace of its own, and returns its id.
func hold(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("unshare", "--net", "sleep", "300")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	id := strconv.Itoa(cmd.Process.Pid)
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, func(context.Context) error { // until unshare has done its work
		theirs, err := os.Readlink("/proc/" + id + "/ns/net")
		if err == nil && theirs == ours {
			err = fmt.Errorf("%s is in our namespace still", id)
		}
		return err
	})
	return id
}
