package redis

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"prober/internal/probe"
	"prober/internal/resp"
)

// A visit is one run: what the servers that are asked at the same time know of each other.
type visit struct {
	probe     *Probe
	layout    string // of a cluster
	partial   bool   // of a cluster: there may be keys that no primary has
	primaries int

	once   sync.Once
	offset chan struct{} // closed once wrote and history are known, or will not be
	wrote  int64         // how far the primary had written at that time
	read   time.Time     // before it was asked for that
	replID string        // of the history that its replicas follow; empty if not known

	kept atomic.Int32 // servers whose ACL keeps the orgs apart
	open atomic.Bool  // one does not

	unasked   atomic.Int32 // primaries that were not scanned
	mu        sync.Mutex
	failure   *probe.Outcome // why one was not
	elsewhere bool           // there are keys where nobody looks
}

// ask asks one server everything.
func (v *visit) ask(ctx context.Context, r *probe.Result, m member) {
	p := v.probe
	if m.primary {
		defer v.know("", 0, time.Time{}) // whatever happens, nobody waits for it any more
	}
	conn, err := p.client.Connect(ctx, r, checkPing, m.server)
	if err != nil {
		r.Note(checkPing, resp.Explain(err))
		return
	}
	defer conn.Close()
	if v.ping(conn, r); conn.Broken() {
		return
	}
	p.judgeAuth(conn, r)
	v.role(conn, r, m)
	asked := time.Now()
	info, err := conn.Do("INFO")
	said := fields(info.Text)
	if m.primary && err == nil {
		v.know(said["master_replid"], number(said["master_repl_offset"]), asked)
	}
	if p.replicates() {
		v.replication(ctx, conn, r, m, reading{said, asked}, err)
	}
	switch {
	case !m.primary && v.primaries > 0:
		r.Omit(checkWrites) // a primary is asked for it
	case m.primary && p.Writes != nil:
		v.write(conn, r, m)
	}
	if len(p.Orgs) > 0 {
		v.acl(conn, r)
	}
	if p.Keys != nil && m.primary {
		v.scan(ctx, conn, r, m, said, err)
	}
}

// know tells the replicas how far the primary is. Only the first time counts.
func (v *visit) know(replID string, wrote int64, asked time.Time) {
	v.once.Do(func() {
		v.replID, v.wrote, v.read = replID, wrote, asked
		close(v.offset)
	})
}

func (v *visit) ping(conn *resp.Conn, r *probe.Result) {
	began := time.Now()
	pong, err := conn.Do("PING")
	took := time.Since(began)
	switch {
	case err != nil:
		r.Note(checkPing, resp.Explain(err))
	case pong.Text != "PONG":
		r.Report(checkPing, probe.Schema, "expected PONG, got another answer")
	default:
		r.Measure(pingGauge, took.Seconds(), r.Target())
		r.Pass(checkPing, "%s answered PING", conn.Peer())
	}
}

// judgeAuth judges what the server said to somebody without a password, and to the prober with its own.
func (p *Probe) judgeAuth(conn *resp.Conn, r *probe.Result) {
	if p.Password.IsZero() {
		return
	}
	switch conn.Opened() {
	case resp.Open:
		r.Report(checkAuth, reasonNoPassword, "expected the server to refuse whoever has not logged in, but it answers: requirepass is not set, or the default user has rights and no password")
	case resp.Locked:
		r.Pass(checkAuth, "it refuses whoever has not logged in, and accepts the prober")
	default:
		r.Report(checkAuth, probe.ControlFailed, "the server neither answered nor refused a question before the login")
	}
}

func (v *visit) role(conn *resp.Conn, r *probe.Result, m member) {
	answer, err := conn.Do("ROLE")
	if err != nil {
		r.Note(checkRole, resp.Explain(err))
		return
	}
	role := ""
	if len(answer.Items) > 0 {
		role = answer.Items[0].Text
	}
	switch {
	case role == "master" && m.primary:
		r.Pass(checkRole, "it is a primary")
	case role == "slave" && !m.primary:
		r.Pass(checkRole, "it is a replica")
	case role == "slave":
		r.Report(checkRole, reasonNotPrimary, "expected a primary, got a replica: it refuses writes; there was a failover, or the address is wrong")
	case role == "master":
		r.Report(checkRole, reasonNotReplica, "expected a replica, got a primary: it accepts writes that the other primary never sees")
	case role == "sentinel":
		r.Report(checkRole, reasonNotPrimary, "expected a server with data, got a sentinel")
	default:
		r.Report(checkRole, probe.Schema, "the answer to ROLE is not one")
	}
}

// write writes a key that nobody else has, and reads it back. It is left to expire.
func (v *visit) write(conn *resp.Conn, r *probe.Result, m member) {
	key, canary, ok := v.newKey(m)
	if !ok {
		r.Report(checkWrites, probe.ControlFailed, "found no key of the configured name in the slots of this server: braces other than those of {canary} keep all keys in one slot")
		return
	}
	answer, err := conn.Do("SET", key, canary, "EX", strconv.FormatInt(int64(v.probe.ttl()/time.Second), 10))
	if err != nil {
		r.Note(checkWrites, resp.Explain(err))
		return
	}
	if answer.Text != "OK" {
		r.Report(checkWrites, probe.Schema, "expected OK for a write, got another answer")
		return
	}
	got, err := conn.Do("GET", key)
	switch {
	case err != nil:
		r.Note(checkWrites, resp.Explain(err))
	case got.Kind == resp.Null:
		r.Report(checkWrites, reasonLostWrite, "expected what was just written, got nothing: it was evicted at once, or another server answered")
	case got.Text != canary:
		r.Report(checkWrites, reasonLostWrite, "expected what was just written, got another value")
	default:
		r.Pass(checkWrites, "a write was accepted and read back; it expires in %s", probe.Duration(v.probe.ttl()))
	}
}

// newKey returns a key that the server has, and its value. A primary of a cluster has a part of all keys.
func (v *visit) newKey(m member) (key, canary string, ok bool) {
	const tries = 1 << 16 // enough for a server with a single slot
	for range tries {
		canary = newCanary()
		key = strings.ReplaceAll(v.probe.Writes.Key, canaryMark, canary)
		if m.shard == nil || m.shard.Has(key) {
			return key, canary, true
		}
	}
	return "", "", false
}

// defaultTTL is after how long a key that was written expires.
const defaultTTL = time.Minute

func (p *Probe) ttl() time.Duration {
	if p.Writes.TTL == 0 {
		return defaultTTL
	}
	return p.Writes.TTL.D()
}

// number reads a number of INFO; what is not one is -1.
//
//go:noinline
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1
	}
	return n
}
