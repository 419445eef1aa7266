package pods

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/text"
)

//go:noinline
func itoa(n int) string { return strconv.Itoa(n) }

// ready judges how many pods are ready. The workload says how many it wants, and the pods themselves whether they are.
func (p *Probe) ready(s *snapshot, h *history) probe.Outcome {
	w := s.workload
	if !w.Observed() {
		return probe.Outcomef(probe.StaleOrCached, "the status is of generation %d, and the %s of generation %d: its controller has not looked at it since it was changed", w.Status.ObservedGeneration, w.Kind, w.Metadata.Generation)
	}
	wanted, ready := w.Wanted(), s.ready()
	missing := h.missingFor(s, wanted)
	if w.Status.NumberMisscheduled > 0 {
		ready = min(ready, w.ReadyCount()) // the others are on nodes that should have none
	}
	switch {
	case w.Metadata.DeletionTimestamp != nil:
		return probe.Outcomef(probe.Replicas, "expected a %s that stays, got one that is being deleted", w.Kind)
	case wanted <= 0 && w.Kind == kubernetes.KindDaemonSet:
		return probe.Outcomef(probe.Replicas, "expected pods, but no node is to run the DaemonSet")
	case wanted <= 0:
		return probe.Outcomef(probe.Replicas, "expected replicas, but the %s asks for none: it is scaled to zero", w.Kind)
	case wanted < p.Replicas.Want:
		return probe.Outcomef(probe.Replicas, "expected %s, but the %s asks for %d", text.Count(p.Replicas.Want, "replica"), w.Kind, wanted)
	case len(s.pods) == 0 && w.Existing() > 0:
		return probe.Outcomef(reasonNoPods, "expected the pods of the %s, of which its status counts %d: its selector matches %s, and none is its own", w.Kind, w.Existing(), countPods(s.strange))
	case ready >= wanted && w.ReadyCount() < wanted:
		return probe.Outcomef(probe.StaleOrCached, "%s are ready, and the status of the %s counts %d: one of them is out of date", countPods(ready), w.Kind, w.ReadyCount())
	case ready >= wanted && s.unexplained() > 0:
		return p.beside(s, wanted, ready)
	case ready >= wanted:
		return probe.Outcomef(probe.OK, "%d of %s are ready", ready, countPods(wanted))
	}
	return p.short(s, wanted, ready, missing)
}

// unexplained counts the pods that are not ready, and of which no other check says why.
func (s *snapshot) unexplained() int {
	n := 0
	for i := range s.pods {
		if state := s.state(&s.pods[i]); state == stateNotReady || state == stateUnscheduled {
			n++
		}
	}
	return n
}

// beside judges a workload with enough pods that are ready, and others that are not: a rollout that may not get on.
func (p *Probe) beside(s *snapshot, wanted, ready int) probe.Outcome {
	var longest time.Duration
	for i := range s.pods {
		if pod := &s.pods[i]; alive(pod) && !pod.Ready() {
			longest = max(longest, s.now.Sub(notReadySince(pod)))
		}
	}
	detail := itoa(ready) + " of " + countPods(wanted) + " are ready, and " + countPods(s.unexplained()) + " beside them "
	if longest-s.skew < p.UnreadyGrace.D() {
		return probe.Outcomef(probe.OK, "%smay become so", detail)
	}
	return probe.Outcomef(probe.Replicas, "%sis not, for %s", detail, text.Roughly(longest))
}

// short judges a workload with too few pods that are ready. While others are, one that is new may take its time.
func (p *Probe) short(s *snapshot, wanted, ready int, missing time.Duration) probe.Outcome {
	why := probe.Replicas
	longest, waiting, unplaced, ending := missing, 0, 0, 0
	for i := range s.pods {
		pod := &s.pods[i]
		if pod.Metadata.DeletionTimestamp != nil {
			ending++
		}
		if !alive(pod) || pod.Ready() {
			continue
		}
		waiting++
		longest = max(longest, s.now.Sub(notReadySince(pod))-s.skew)
		if unscheduled(pod) {
			unplaced++
		}
	}
	detail := "expected " + itoa(wanted) + " ready, got " + itoa(ready) + ": " + countPods(waiting) + " not ready"
	gone := max(0, wanted-ready-waiting)
	if ending = min(ending, gone); ending > 0 {
		detail += ", " + itoa(ending) + " terminating"
	}
	if gone > ending {
		detail += ", " + itoa(gone-ending) + " not created"
	}
	if n := s.workload.Status.NumberMisscheduled; n > 0 {
		detail += ", " + itoa(n) + " on a node that should have none"
	}
	if unplaced > 0 {
		why = reasonUnscheduled
		detail += ", " + itoa(unplaced) + s.unplaced()
	}
	if ready > 0 && longest < p.UnreadyGrace.D() {
		return probe.Outcomef(probe.Settling, "%s, for %s so far", detail, text.Roughly(longest))
	}
	return probe.Outcomef(why, "%s, for %s", detail, text.Roughly(longest))
}

// unplaced says why pods have no node.
func (s *snapshot) unplaced() string {
	for i := range s.pods {
		if kubernetes.FindCondition(s.pods[i].Status.Conditions, "PodScheduled").Reason == "SchedulingGated" {
			return " without a node" // somebody holds it back
		}
	}
	return " without a node that has room for it"
}

// notReadySince is when a pod ceased to be ready, or when it was made.
func notReadySince(p *kubernetes.Pod) time.Time {
	if c := kubernetes.FindCondition(p.Status.Conditions, "Ready"); !c.LastTransitionTime.IsZero() {
		return c.LastTransitionTime
	}
	return p.Metadata.CreationTimestamp
}

// addressLag is how long a name server may answer with the addresses of before.
const addressLag = time.Minute

// compareAddresses compares the addresses at which replicas are found with those of the pods.
func (p *Probe) compareAddresses(ctx context.Context, r *probe.Result, s *snapshot) {
	found, ok := p.Replicas.Find(ctx, r, p.client.Resolver())
	if !ok {
		return
	}
	if len(s.pods) == 0 {
		r.Report("replicas", reasonNoPods, "expected pods to compare %s with, got none", text.Plural(len(found), "address", "addresses"))
		return
	}
	r.Note("replicas", p.judgeAddresses(s, found, &p.history))
}

func (p *Probe) judgeAddresses(s *snapshot, found []string, h *history) probe.Outcome {
	known := map[netip.Addr]bool{}
	for _, address := range found {
		if host, _, err := net.SplitHostPort(address); err == nil {
			if ip, err := netip.ParseAddr(host); err == nil {
				known[ip.Unmap()] = true
			}
		}
	}
	left, lately, ready := 0, 0, 0
	nobodys := maps.Clone(known)
	for i := range s.pods {
		pod := &s.pods[i]
		at := isAt(pod, known, nobodys)
		if !alive(pod) || !pod.Ready() {
			continue
		}
		ready++
		if at {
			continue
		}
		if since := kubernetes.FindCondition(pod.Status.Conditions, "Ready").LastTransitionTime; s.within(since, addressLag) {
			lately++
		} else {
			left++
		}
	}
	strange := len(nobodys)
	lasting := h.strangeFor(s.now, strange > 0)
	detail := "expected the addresses of " + text.Count(ready, "ready pod") + ", got " + text.Plural(len(found), "address", "addresses") + ": " +
		itoa(left+lately) + " missing, and " + itoa(strange) + " that no pod of the " + s.workload.Kind + " has"
	switch {
	case left > 0, strange > 0 && lasting >= addressLag:
		return probe.Outcomef(reasonAddresses, "%s", detail)
	case lately > 0, strange > 0:
		return probe.Outcomef(probe.Settling, "%s, for less than %s", detail, probe.Duration(addressLag))
	case ready == 0:
		return probe.Outcomef(probe.Replicas, "expected ready pods to compare the addresses with, got none")
	}
	return probe.Outcomef(probe.OK, "the addresses of all ready pods are found (%d), and no others than those of pods", ready)
}

// isAt reports whether one of a pod's addresses is known, and removes all of them from those that are nobody's. Pods of one node may
// share its address.
func isAt(p *kubernetes.Pod, known, nobodys map[netip.Addr]bool) (found bool) {
	for _, a := range p.Status.PodIPs {
		ip, err := netip.ParseAddr(a.IP)
		if err != nil {
			continue
		}
		found = found || known[ip.Unmap()]
		delete(nobodys, ip.Unmap())
	}
	return found
}
