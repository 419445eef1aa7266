package redis

import (
	"context"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/resp"
)

// Defaults of the audit.
const (
	defaultCount  = 500
	defaultPerRun = 20_000
	defaultWithin = time.Hour
)

func (k *Keys) count() int {
	if k.Count == 0 {
		return defaultCount
	}
	return k.Count
}

func (k *Keys) perRun() int {
	if k.PerRun == 0 {
		return defaultPerRun
	}
	return k.PerRun
}

func (k *Keys) within() time.Duration {
	if k.Within == 0 {
		return defaultWithin
	}
	return k.Within.D()
}

func (k *Keys) databases() []int {
	if len(k.Databases) == 0 {
		return []int{0}
	}
	return k.Databases
}

// scan looks at the next part of a primary's keys.
func (v *visit) scan(ctx context.Context, conn *resp.Conn, r *probe.Result, m member, said map[string]string, err error) {
	p := v.probe
	server := said["run_id"]
	switch {
	case err != nil:
		v.notScanned(resp.Explain(err))
		return
	case server == "":
		v.notScanned(probe.Outcomef(probe.Schema, "the server does not say which run of it answers"))
		return
	}
	if v.hasMore(conn, said, m) {
		v.mu.Lock()
		v.elsewhere = true
		v.mu.Unlock()
	}
	w := p.audit.enter(m.target, server, v.layout, time.Now())
	before := w.met
	err = v.walk(ctx, conn, &w)
	p.audit.leave(m.target, w)
	r.Measure(scannedTotal, float64(w.met-before))
	if err != nil {
		v.notScanned(resp.Explain(err))
		return
	}
	v.unasked.Add(-1)
}

// notScanned notes why a primary was not looked at.
func (v *visit) notScanned(o probe.Outcome) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failure == nil {
		v.failure = &o
	}
}

// hasMore reports whether the server has keys that the audit does not look at: in other databases, or at other servers of its
// cluster.
func (v *visit) hasMore(conn *resp.Conn, said map[string]string, m member) bool {
	if m.shard == nil && (conn.InCluster() || said["redis_mode"] == "cluster" || said["cluster_enabled"] == "1") {
		return true
	}
	looked := map[string]bool{}
	for _, db := range v.probe.Keys.databases() {
		looked["db"+strconv.Itoa(db)] = true
	}
	for name, value := range said {
		if n, ok := strings.CutPrefix(name, "db"); ok && number(n) >= 0 && strings.HasPrefix(value, "keys=") && !looked[name] {
			return true
		}
	}
	return false
}

// walk looks at keys until the part of this run is done, or most of its time is over. It does not wait between two steps: each
// is short, and the server serves others in between.
func (v *visit) walk(ctx context.Context, conn *resp.Conn, w *walk) (err error) {
	p := v.probe
	databases, step := p.Keys.databases(), p.Keys.count()
	planted := p.planted()
	end := time.Now().Add(time.Hour)
	if d, ok := ctx.Deadline(); ok {
		end = time.Now().Add(time.Until(d) / 2)
	}
	selected := 0 // where a connection begins
	for left := max(p.Keys.perRun()/v.primaries, step); left > 0 && !w.done && time.Now().Before(end); left -= step {
		if db := databases[w.db]; db != selected {
			if _, err := conn.Do("SELECT", strconv.Itoa(db)); err != nil {
				return err
			}
			selected = db
		}
		if w.cursor == "" {
			if w.begun, err = size(conn); err != nil {
				return err
			}
			w.size += w.begun
			w.cursor = "0"
		}
		names, err := next(conn, w, step)
		if err != nil {
			return err
		}
		for _, name := range names {
			p.look(&w.totals, name.Text, planted)
		}
		if w.cursor == "0" {
			n, err := size(conn)
			if err != nil {
				return err
			}
			w.endDatabase(n)
			w.done = w.db == len(databases)
		}
	}
	return nil
}

// size returns how many keys the selected database has.
func size(conn *resp.Conn) (int64, error) {
	answer, err := conn.Do("DBSIZE")
	if err != nil {
		return 0, err
	}
	n, ok := answer.Int()
	if !ok || n < 0 {
		return 0, &resp.Error{Outcome: probe.Outcomef(probe.Schema, "the answer to DBSIZE is not one")}
	}
	return n, nil
}

// next looks at the next names. A page without any is usual.
func next(conn *resp.Conn, w *walk, step int) ([]resp.Value, error) {
	answer, err := conn.Do("SCAN", w.cursor, "COUNT", strconv.Itoa(step))
	if err != nil {
		return nil, err
	}
	if len(answer.Items) != 2 || answer.Items[1].Kind != resp.List {
		return nil, errNoPage
	}
	cursor := answer.Items[0].Text
	if _, err := strconv.ParseUint(cursor, 10, 64); err != nil {
		return nil, errNoPage
	}
	w.cursor = cursor
	return answer.Items[1].Items, nil
}

// errNoPage is the error of an answer to SCAN that is not one.
var errNoPage = &resp.Error{Outcome: probe.Outcomef(probe.Schema, "the answer to SCAN is not one")}
