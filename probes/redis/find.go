package redis

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/resp"
)

// find returns the servers to ask, what identifies the parts that they have of the keys, and whether that is all of the keys.
func (p *Probe) find(ctx context.Context, r *probe.Result) (members []member, layout string, whole bool) {
	ctx, cancel := context.WithTimeout(ctx, partOf(ctx))
	defer cancel()
	switch {
	case p.Sentinel != nil:
		return p.askSentinels(ctx, r), "", true
	case len(p.Cluster) > 0:
		return p.askCluster(ctx, r)
	}
	members = []member{{target: p.Address, server: resp.At(p.Address), primary: true}}
	for _, a := range p.Replicas {
		members = append(members, member{target: a, server: resp.At(a)})
	}
	return members, "", true
}

// partOf is how long it may take to find the servers: one that says nothing leaves time to ask those that others name.
func partOf(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return 5 * time.Second
	}
	return time.Until(end) / 3
}

// askSentinels asks every sentinel for the primary. More than half of them must name the same one, as a failover needs, and
// none may name another: its clients would write there.
func (p *Probe) askSentinels(ctx context.Context, r *probe.Result) []member {
	s := p.Sentinel
	named := make([]resp.Server, len(s.Addresses))
	known := make([]bool, len(s.Addresses))
	r.Each(s.Addresses, func(i int, r *probe.Result) {
		conn, err := p.sentinels.Connect(ctx, r, checkSentinel, resp.At(s.Addresses[i]))
		if err != nil {
			r.Note(checkSentinel, resp.Explain(err))
			return
		}
		defer conn.Close()
		server, ok, err := conn.PrimaryOf(s.Name)
		switch {
		case err != nil:
			r.Note(checkSentinel, resp.Explain(err))
			return
		case !ok:
			r.Report(checkSentinel, probe.Schema, "the sentinel watches no primary of the configured name")
			return
		}
		named[i], known[i] = server, true
		if _, err := conn.Do("SENTINEL", "CKQUORUM", s.Name); err != nil {
			if resp.Code(err) == "NOQUORUM" {
				r.Report(checkSentinel, reasonNoQuorum, "expected enough sentinels for a failover, but this one cannot reach them: if the primary fails, nothing takes its place")
				return
			}
			r.Note(checkSentinel, resp.Explain(err))
			return
		}
		r.Pass(checkSentinel, "it names a primary, and enough sentinels can be reached for a failover")
	})
	votes, best := map[string]int{}, -1
	for i, ok := range known {
		if !ok {
			continue
		}
		votes[named[i].Address()]++
		if best < 0 || votes[named[i].Address()] > votes[named[best].Address()] {
			best = i
		}
	}
	switch {
	case len(votes) > 1:
		r.Report(checkSentinel, reasonDisagree, "expected one primary, but the sentinels name %d: clients write to different servers", len(votes))
		return nil
	case best < 0 || 2*votes[named[best].Address()] <= len(s.Addresses):
		n := 0
		if best >= 0 {
			n = votes[named[best].Address()]
		}
		r.Report(checkSentinel, probe.ControlFailed, "expected more than half of the %d sentinels to name the primary, got %d", len(s.Addresses), n)
		return nil
	}
	return []member{{target: "primary", server: named[best], primary: true}}
}

// askCluster asks the configured servers of a cluster who has which keys, and returns all primaries. They are the whole cluster
// if every slot has one, and all servers agree.
func (p *Probe) askCluster(ctx context.Context, r *probe.Result) (members []member, layout string, whole bool) {
	var mu sync.Mutex
	var hashes []string
	var found resp.Layout
	r.Each(p.Cluster, func(i int, r *probe.Result) {
		conn, err := p.client.Connect(ctx, r, checkCluster, resp.At(p.Cluster[i]))
		if err != nil {
			r.Note(checkCluster, resp.Explain(err))
			return
		}
		defer conn.Close()
		l, err := conn.Layout()
		if err != nil {
			r.Note(checkCluster, resp.Explain(err))
			return
		}
		state, err := conn.Do("CLUSTER", "INFO")
		switch {
		case err != nil:
			r.Note(checkCluster, resp.Explain(err))
		case l.Missing > 0:
			r.Report(checkCluster, resp.ClusterDown, "expected a primary for each of 16384 slots, but %d have none: their keys are not served", l.Missing)
		case fields(state.Text)["cluster_state"] != "ok":
			r.Report(checkCluster, resp.ClusterDown, "the server says that the cluster is down")
		default:
			r.Pass(checkCluster, "%d primaries have all slots", len(l.Shards))
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(hashes, l.Hash) {
			hashes = append(hashes, l.Hash)
		}
		if len(l.Shards) > len(found.Shards) {
			found = l
		}
	})
	if len(hashes) > 1 {
		r.Report(checkCluster, reasonDisagree, "expected the servers to agree on who has which slots, but there are %d answers", len(hashes))
	}
	for i := range found.Shards {
		s := &found.Shards[i]
		members = append(members, member{target: shardName(i), server: s.Primary, primary: true, shard: s})
	}
	return members, found.Hash, len(hashes) == 1 && found.Missing == 0
}

// fields reads the lines of an answer of INFO. Of its texts nothing may be shown.
func fields(info string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			all[name] = value
		}
	}
	return all
}
