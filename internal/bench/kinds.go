package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"prober/config"
	"prober/internal/sandbox"
)

// A kindCase is a probe of which copies are measured: one of the demo, or one of its own.
type kindCase struct {
	kind    string
	probe   string        // the name in the demo, or the probe itself
	asks    string        // what a run does, for the report
	client  string        // the bare client beside it
	without string        // settings that the copies do not have
	every   time.Duration // the interval; 2 s if zero
	max     int           // how many copies may run beside each other; any number if zero
	rate    float64       // exchanges per second that all make together; 400 if zero
}

// kindCases are in the order of the report.
func kindCases() []kindCase {
	return []kindCase{
		{kind: "http", probe: "auth", asks: "status and two values of JSON", client: "net/http"},
		{kind: "http (TLS)", probe: "{type: http, url: 'https://TLS/', tls: {ca_file: CA}}", asks: "status", client: "net/http, TLS", rate: 100},
		{kind: "health", probe: "proxy", asks: "3 replicas live and ready, a dependency", client: "net/http"},
		{kind: "jwks", probe: "signing-keys", asks: "4 key sets compared, a new token verified", client: "net/http"},
		{kind: "protected", probe: "protected-route", asks: "6 callers and forged tokens at 3 replicas", client: "net/http", every: 4 * time.Second},
		{kind: "token", probe: "issuance", asks: "discovery, two tokens verified, one revoked", client: "net/http", every: 4 * time.Second, max: 40},
		{kind: "clock", probe: "clock", asks: "a time in JSON, the iat of a token", client: "net/http", every: 10 * time.Second,
			without: "ntp quorum ntp_within services.proxy"}, // a Date is asked for until a second turns, as often as that takes
		{kind: "clock (NTP)", probe: "clock", asks: "4 NTP servers", client: "beevik/ntp", every: 64 * time.Second, without: "services within"},
		{kind: "tcp", probe: "mail", asks: "greeting and EHLO of SMTP", client: "net.Conn", without: "starttls tls"},
		{kind: "tls", probe: "{type: tls, address: TLS, tls: {ca_file: CA}}", asks: "certificate", client: "crypto/tls", rate: 100},
		{kind: "dns", probe: "name-servers", asks: "2 name servers, serial and answer", client: "x/net/dnsmessage"},
		{kind: "grpc", probe: "ledger", asks: "2 services and one that does not exist", client: "net/http, h2"},
		{kind: "websocket", probe: "live", asks: "handshake, a message, a ping", client: "net.Conn"},
		{kind: "redis", probe: "redis", asks: "2 servers, a key written", client: "net.Conn", every: 4 * time.Second},
		{kind: "sql", probe: "dead-webhooks", asks: "a query and its control", client: "net.Conn"},
		{kind: "rls", probe: "rls", asks: "4 tables of two orgs, through a pool", client: "net.Conn", max: 4},
		{kind: "promql", probe: "cross-tenant", asks: "a value, its control and its age", client: "net/http"},
		{kind: "pods", probe: "proxy-pods", asks: "a Deployment and its pods", client: "net/http"},
		{kind: "deploys", probe: "deploys", asks: "deploys and the running version", client: "net/http"},
		{kind: "guard", probe: "analytics-guard", asks: "138 queries of a corpus", client: "net/http", every: 4 * time.Second, max: 4},
		{kind: "isolation", probe: "tenants", asks: "8 operations on two resources of two orgs", client: "net/http", every: 4 * time.Second, max: 1},
	}
}

// kindWindow is for how long a case is measured, after its first runs.
const kindWindow = 8 * time.Second

// kinds measures what a run of each kind costs, beside a bare client of its protocol that makes the same exchanges.
func (b *bench) kinds(ctx context.Context) ([]row, error) {
	t, err := newKindTargets()
	if err != nil {
		return nil, err
	}
	defer t.close()
	var seen []kindRow
	defer func() {
		var out strings.Builder
		writeKinds(&out, seen)
		b.tables = append(b.tables, out.String())
	}()
	var wrong []error // what one kind lacks does not cost the others their figures
	for _, c := range kindCases() {
		if len(b.kindsOnly) > 0 && !slices.ContainsFunc(b.kindsOnly, c.isOf) {
			continue
		}
		r, err := b.kind(ctx, t, c)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", c.kind, err))
			continue
		}
		seen = append(seen, r)
	}
	return nil, errors.Join(wrong...)
}

// kindTargets are the servers that the cases ask.
type kindTargets struct {
	recorder  *recorder
	sample    *sandbox.Sandbox
	tls       string // address of a server with TLS
	authority []byte // that signed for it
	doors     map[string]*door
	text      []byte // the configuration of the demo, for these servers
	ends      []func()
}

func newKindTargets() (_ *kindTargets, err error) {
	t := &kindTargets{recorder: &recorder{}, doors: map[string]*door{}}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.sample, err = sandbox.Start(sandbox.Options{Ephemeral: true, Wrap: t.recorder.wrap}); err != nil {
		return nil, err
	}
	t.ends = append(t.ends, t.sample.Close)
	var end func()
	if t.tls, t.authority, end, err = newTLSTarget(t.recorder.wrap); err != nil {
		return nil, err
	}
	t.ends = append(t.ends, end)
	t.text = t.sample.RewriteAddresses(config.Demo)
	// What is asked over UDP is asked through a door that counts it.
	for _, address := range datagramAddresses {
		d, err := newDoor(string(t.sample.RewriteAddresses([]byte(address))))
		if err != nil {
			return nil, err
		}
		t.doors[d.address()] = d
		t.ends = append(t.ends, d.close)
		t.text = bytes.ReplaceAll(t.text, []byte(d.to), []byte(d.address()))
	}
	return t, nil
}

// datagramAddresses are those of the demo that are asked over UDP alone: its NTP servers and two name servers.
var datagramAddresses = []string{
	"127.0.0.1:19123", "127.0.0.1:19124", "127.0.0.1:19125", "127.0.0.1:19126", "127.0.0.1:19531", "127.0.0.1:19532",
}

func (t *kindTargets) close() {
	for _, end := range slices.Backward(t.ends) {
		end()
	}
}

// take returns how many connections and exchanges all servers saw since the last call, and what was asked over UDP.
func (t *kindTargets) take() (conns, exchanges int, asked []call) {
	conns, exchanges = t.recorder.take()
	for address, d := range t.doors {
		datagrams, answered := d.take()
		exchanges += answered
		for _, packet := range datagrams {
			asked = append(asked, call{Address: address, Tape: tape{{Asked: packet}}})
		}
	}
	return conns, exchanges, asked
}

// config returns a configuration with copies of the probe.
func (t *kindTargets) config(c kindCase, copies int, authority string) ([]byte, error) {
	probe := map[string]any{}
	if strings.HasPrefix(c.probe, "{") {
		text := strings.NewReplacer("TLS", t.tls, "CA", authority).Replace(c.probe)
		if err := yaml.Unmarshal([]byte(text), &probe); err != nil {
			return nil, err
		}
	} else {
		var demo struct{ Probes []map[string]any }
		if err := yaml.Unmarshal(t.text, &demo); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(demo.Probes, func(p map[string]any) bool { return p["name"] == c.probe })
		if i < 0 {
			return nil, fmt.Errorf("the demo has no probe %q", c.probe)
		}
		probe = demo.Probes[i]
		for _, key := range []string{"runbook", "depends_on", "signals", "interval", "timeout"} {
			delete(probe, key)
		}
	}
	for _, path := range strings.Fields(c.without) {
		in, key, nested := strings.Cut(path, ".")
		if !nested {
			delete(probe, path)
		} else if m, ok := probe[in].(map[string]any); ok {
			delete(m, key)
		}
	}
	w := work{Interval: c.interval(), Client: c.client}
	file := map[string]any{"system": "bench", "interval": w.Interval.String(), "timeout": w.timeout().String()}
	var all []map[string]any
	for i := range copies {
		one := map[string]any{}
		for key, value := range probe {
			one[key] = value
		}
		one["name"] = fmt.Sprintf("p%d", i)
		one["labels"] = map[string]any{"copy": fmt.Sprint(i)} // two probes that ask the same are refused otherwise
		all = append(all, one)
	}
	file["probes"] = all
	return yaml.Marshal(file)
}

// isOf says whether the case belongs to a kind.
func (c kindCase) isOf(kind string) bool { return strings.Fields(c.kind)[0] == kind }

func (c kindCase) interval() time.Duration {
	if c.every > 0 {
		return c.every
	}
	return 2 * time.Second
}

// kind measures one case.
func (b *bench) kind(ctx context.Context, t *kindTargets, c kindCase) (r kindRow, err error) {
	b.progress("%s: %s", c.kind, c.asks)
	dir, err := os.MkdirTemp("", "prober-bench")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	authority := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(authority, t.authority, 0o600); err != nil {
		return r, err
	}
	one, err := t.config(c, 1, authority)
	if err != nil {
		return r, err
	}
	calls, exchanges, end, err := b.callsOf(ctx, t, c, filepath.Join(dir, "config"), one)
	if err != nil {
		return r, err
	}
	defer end()

	perSecond := cmp.Or(c.rate, 400) / float64(exchanges)
	copies := max(1, int(perSecond*c.interval().Seconds()))
	if c.max > 0 {
		copies = min(copies, c.max)
	}
	w := work{Interval: c.interval(), Env: t.sample.Env(), Probes: copies, Client: c.client, Calls: calls, CA: t.authority}
	if w.Config, err = t.config(c, copies, authority); err != nil {
		return r, err
	}
	r = kindRow{kindCase: c, exchanges: exchanges}
	for _, starter := range b.subjects {
		if w.Listen, err = freeAddress(); err != nil {
			return r, err
		}
		s, err := starter.start(w)
		if err != nil {
			return r, err
		}
		var cost runCost
		if _, err = s.waitUntilUp(ctx, "/-/healthy"); err == nil {
			cost, err = costOfRuns(ctx, s, t, w)
		}
		if _, e := s.stop(); err == nil {
			err = e
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", starter.name, err)
		}
		r.costs = append(r.costs, cost)
	}
	return r, r.check()
}

// callsOf runs the probe once and returns what it did, for the bare client to do again. Where answers depend on what was there
// before, the calls go to servers that repeat the recorded ones.
func (b *bench) callsOf(ctx context.Context, t *kindTargets, c kindCase, dir string, configuration []byte) (calls []call, exchanges int, end func(), err error) {
	end = func() {}
	w := work{Interval: c.interval(), Config: configuration, Env: t.sample.Env()}
	if err := configure(dir, w); err != nil {
		return nil, 0, end, err
	}
	t.take()
	t.recorder.record()
	cmd := exec.CommandContext(ctx, b.binary, "--once", "--config.file="+dir, "--log.level=error")
	cmd.Env = w.environ()
	text, err := cmd.CombinedOutput()
	tapes := t.recorder.stop()
	conns, exchanges, asked := t.take()
	if err != nil {
		return nil, 0, end, fmt.Errorf("the run to record did not pass: %w\n%s", err, text)
	}
	if conns+exchanges == 0 {
		return nil, 0, end, errors.New("the run that was recorded asked nothing")
	}
	switch c.client {
	case "x/net/dnsmessage", "beevik/ntp":
		calls = asked
	case "crypto/tls", "net/http, TLS":
		exchanges = conns
		calls = slices.Repeat([]call{{Address: t.tls}}, conns)
	case "net/http, h2":
		exchanges = 0
		for _, recorded := range tapes {
			n := headersFrames(recorded)
			exchanges += n
			calls = append(calls, call{Address: string(t.sample.RewriteAddresses([]byte("127.0.0.1:19851"))), Times: n})
		}
	default:
		addresses, stop, err := replay(tapes, c.client == "net/http", t.recorder.wrap)
		if err != nil {
			return nil, 0, end, err
		}
		end = stop
		for i, address := range addresses {
			calls = append(calls, call{Address: address, Tape: tapes[i]})
		}
	}
	return calls, exchanges, end, nil
}

// headersFrames counts the requests that a client of HTTP/2 began.
func headersFrames(t tape) (n int) {
	var sent []byte
	for _, turn := range t {
		sent = append(sent, turn.Asked...)
	}
	const preface, header, headers = 24, 9, 1
	for i := preface; i+header <= len(sent); {
		if sent[i+3] == headers {
			n++
		}
		i += header + int(sent[i])<<16 + int(sent[i+1])<<8 + int(sent[i+2])
	}
	return n
}

// A runCost is what a run of a subject costs, in the mean.
type runCost struct {
	runs         float64 // that were measured
	conns, turns float64 // connections that the servers saw, and questions that they answered, in each run
	cpu          float64 // us
	bytes, count float64 // kB and number of allocations
}

// An observation is what was counted of a subject and at its servers until some moment.
type observation struct {
	exposition
	cpu          time.Duration
	conns, turns int // since the observation before
}

// costOfRuns measures a subject that runs.
func costOfRuns(ctx context.Context, s *subject, t *kindTargets, w work) (c runCost, err error) {
	if err := pause(ctx, min(w.Interval, 4*time.Second)+time.Second); err != nil {
		return c, err
	}
	var before, after observation
	t.take()
	if before.exposition, err = exposed(ctx, s); err != nil {
		return c, err
	}
	if before.cpu, err = s.cpu(); err != nil {
		return c, err
	}
	// Of the slow ones few runs end in that time.
	if err := pause(ctx, min(max(kindWindow, 4*w.Interval), 2*kindWindow)); err != nil {
		return c, err
	}
	if after.cpu, err = s.cpu(); err != nil {
		return c, err
	}
	if after.exposition, err = exposed(ctx, s); err != nil {
		return c, err
	}
	after.conns, after.turns, _ = t.take()
	return costBetween(before, after)
}

// costBetween refuses to divide by nothing, and runs that are not what was to be measured.
func costBetween(before, after observation) (c runCost, err error) {
	c.runs = after.count - before.count
	switch failed, cpu := after.notPassed-before.notPassed, after.cpu-before.cpu; {
	case c.runs < 1:
		return c, errors.New("no run ended while it was measured")
	case failed > 0:
		return c, fmt.Errorf("%g of %g runs did not pass", failed, c.runs)
	case after.conns+after.turns == 0:
		return c, errors.New("the servers saw nothing of the runs")
	case cpu <= 0:
		return c, fmt.Errorf("%g runs took no CPU", c.runs)
	default:
		c.cpu = float64(cpu.Microseconds()) / c.runs
	}
	c.conns, c.turns = float64(after.conns)/c.runs, float64(after.turns)/c.runs
	c.bytes, c.count = (after.allocated-before.allocated)/1000/c.runs, (after.allocations-before.allocations)/c.runs
	return c, nil
}

// A kindRow is one line of the report on kinds: what the bare client and the prober cost.
type kindRow struct {
	kindCase
	exchanges int       // questions and answers in a run, as recorded
	costs     []runCost // of the bare client, and of the prober
}

// check refuses a comparison of unlike work.
func (r kindRow) check() error {
	bare, prober := r.costs[0], r.costs[1]
	mine, theirs, what := prober.turns, bare.turns, "exchanges"
	if strings.Contains(strings.ToLower(r.client), "tls") { // the records of a handshake come in one piece or in several
		mine, theirs, what = prober.conns, bare.conns, "connections"
	}
	if math.Abs(mine/theirs-1) > 0.1 {
		return fmt.Errorf("in a run the prober makes %.1f %s and the bare client %.1f", mine, what, theirs)
	}
	return nil
}

// writeKinds writes the report on kinds.
func writeKinds(w io.Writer, all []kindRow) {
	const form = "| %-12s | %-42s | %-16s | %9s | %5s | %9s | %9s | %5s | %9s | %9s | %7s | %7s |\n"
	fmt.Fprintf(w, form, "kind", "a run asks", "bare client", "exchanges", "runs", "CPU bare", "CPU, us", "ratio", "kB bare", "kB", "allocs", "allocs")
	fmt.Fprintf(w, "|%s|%s|%s|%s:|%s:|%s:|%s:|%s:|%s:|%s:|%s:|%s:|\n", dashes(14), dashes(44), dashes(18), dashes(10), dashes(6), dashes(10), dashes(10), dashes(6), dashes(10), dashes(10), dashes(8), dashes(8))
	for _, r := range all {
		bare, prober := r.costs[0], r.costs[1]
		fmt.Fprintf(w, form, r.kind, r.asks, r.client, strconv.Itoa(r.exchanges), number3(prober.runs), number3(bare.cpu), number3(prober.cpu), number3(prober.cpu/bare.cpu),
			number3(bare.bytes), number3(prober.bytes), number3(bare.count), number3(prober.count))
	}
}
