package redis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/resp"
	"prober/internal/text"
)

// A reading is what a server says of itself, and when it was asked.
type reading struct {
	said  map[string]string
	asked time.Time
}

// replication judges whether the replicas follow, by what a primary says of them and by what they say themselves.
func (v *visit) replication(ctx context.Context, conn *resp.Conn, r *probe.Result, m member, now reading, err error) {
	switch {
	case err != nil:
		r.Note(checkReplication, resp.Explain(err))
	case m.primary:
		v.judgeReplicas(r, now.said)
	default:
		v.judgeReplica(ctx, conn, r, now)
	}
}

// judgeReplicas counts the replicas that the primary has heard from lately. A replica tells it every second how far it is.
func (v *visit) judgeReplicas(r *probe.Result, said map[string]string) {
	if said["role"] != "master" {
		r.Report(checkReplication, probe.ControlFailed, "only a primary knows its replicas")
		return
	}
	limit := int64(v.probe.Lag.D()/time.Second) + 1 // it counts whole seconds
	following, silent := 0, 0
	for i := range maxReplicas {
		entry, ok := said[fmt.Sprintf("slave%d", i)]
		if !ok {
			continue
		}
		about := map[string]string{}
		for part := range strings.SplitSeq(entry, ",") {
			name, value, _ := strings.Cut(part, "=")
			about[name] = value
		}
		if lag := number(about["lag"]); about["state"] == "online" && lag >= 0 && lag <= limit {
			following++
		} else {
			silent++
		}
	}
	r.Measure(replicasGauge, float64(following), r.Target())
	if want := v.probe.minReplicas(); following < want {
		r.Report(checkReplication, probe.Replicas, "expected %s to follow, got %d, and %d more that are silent or not yet in step", text.Count(want, "replica"), following, silent)
		return
	}
	r.Pass(checkReplication, "%s", text.Plural(following, "replica follows", "replicas follow"))
}

// maxReplicas is how many replicas of a primary are looked at.
const maxReplicas = 64

// judgeReplica compares how far the replica is with how far the primary was, and waits for it as long as it may lag.
func (v *visit) judgeReplica(ctx context.Context, conn *resp.Conn, r *probe.Result, now reading) {
	switch said := now.said; {
	case said["role"] != "slave":
		r.Report(checkReplication, reasonNotReplica, "expected a replica, got a primary: it follows nobody")
		return
	case said["master_link_status"] != "up":
		detail := "expected the replica to be connected to its primary, but the link is down"
		if since := number(said["master_link_down_since_seconds"]); since > 0 {
			detail += " since " + text.Duration(time.Duration(since)*time.Second)
		}
		if said["master_sync_in_progress"] == "1" {
			detail += "; a first copy of the data is under way"
		}
		r.Report(checkReplication, reasonLinkDown, "%s", detail)
		return
	}
	if o := v.await(ctx); !o.Passed() {
		r.Note(checkReplication, o)
		return
	}
	for {
		history, offset := now.said["master_replid"], number(now.said["slave_repl_offset"])
		behind, late := v.wrote-offset, now.asked.Sub(v.read)
		switch {
		case history == "" || offset < 0:
			r.Report(checkReplication, probe.Schema, "the link is up, but the replica does not say how far it is")
			return
		case history != v.replID:
			r.Report(checkReplication, reasonOtherData, "expected the replica to follow the primary that was asked, but it has the history of another one")
			return
		case behind <= 0:
			late = time.Since(v.read)
			r.Measure(lagGauge, late.Seconds(), r.Target())
			r.Pass(checkReplication, "within %s it had all that the primary had written", text.Duration(late))
			return
		case late > v.probe.Lag.D(): // what it said before shows nothing
			r.Measure(lagGauge, late.Seconds(), r.Target())
			r.Report(checkReplication, reasonLagging, "expected the replica to be at most %s behind, but after %s it lacks %d bytes of what the primary had written", v.probe.Lag, text.Duration(late), behind)
			return
		case !sleep(ctx, v.probe.Lag.D()/10):
			r.Report(checkReplication, probe.ControlFailed, "the run ended before the replica had to have what the primary had written")
			return
		}
		now.asked = time.Now()
		info, err := conn.Do("INFO", "replication")
		if err != nil {
			r.Note(checkReplication, resp.Explain(err))
			return
		}
		now.said = fields(info.Text)
	}
}

// await waits until it is known how far the primary is.
func (v *visit) await(ctx context.Context) probe.Outcome {
	wait := v.probe.Lag.D()
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)/3)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-v.offset:
	case <-timer.C:
	}
	select {
	case <-v.offset:
		if v.replID != "" && v.wrote >= 0 {
			return probe.Outcome{Reason: probe.OK}
		}
	default:
	}
	return probe.Outcomef(probe.ControlFailed, "the link is up, but the primary did not say how far it is: whether the replica has that is not known")
}

// sleep waits and reports whether the run goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
