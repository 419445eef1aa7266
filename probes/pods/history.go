package pods

import (
	"slices"
	"sync"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/text"
)

// Bounds of what is remembered.
const (
	maxRemembered = 2000 // restarts
	maxAdded      = 100  // restarts of a container between two runs
	maxContainers = 10_000
)

// history remembers what the API forgets: how often containers had been restarted, and who ran out of memory in a pod that is gone.
// The zero value is ready for use.
type history struct {
	mu       sync.Mutex
	counts   map[string]int // restarts, by the uid of the pod and the name of the container
	restarts []time.Time    // that were seen, in this order
	unseen   []time.Time    // until when containers were restarted more often than is known, before they were seen
	oom      oom            // of the container that ran out of memory last
	missing  time.Time      // since when pods do not exist that are wanted; zero if none is
	strange  time.Time      // since when there are addresses of no pod; zero if there are none
}

// An oom is a moment when a container of a pod ran out of memory.
type oom struct {
	at  time.Time
	pod string // its uid
}

// memories are what is remembered after a run.
type memories struct {
	restarts []time.Time
	unseen   []time.Time
	oom      oom
	added    int // restarts since the run before
}

// update adds what is seen now. Of a container that is seen for the first time only the last restart is known, unless its pod is
// young: then they all were lately.
func (h *history) update(s *snapshot) memories {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts, added := map[string]int{}, 0
	for i := range s.pods {
		pod := &s.pods[i]
		for _, all := range [][]kubernetes.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
			for j := range all {
				c := &all[j]
				if len(counts) == maxContainers {
					break
				}
				key := pod.Metadata.UID + "/" + c.Name
				before, known := h.counts[key]
				counts[key] = c.RestartCount
				more := min(max(c.RestartCount-before, 0), maxAdded)
				at, made := s.restartedAt(c), pod.Metadata.CreationTimestamp
				if known {
					added += more
				} else if !s.within(made, calm) || at.Before(made) {
					if more > 1 && s.mayBeMore(c) {
						remember(&h.unseen, at, more-1)
					}
					more = min(more, 1)
				}
				remember(&h.restarts, at, more)
			}
		}
		if at := s.podRanOut(pod); at.After(h.oom.at) {
			h.oom = oom{at, pod.Metadata.UID}
		}
	}
	h.counts = counts
	return memories{slices.Clone(h.restarts), slices.Clone(h.unseen), h.oom, added}
}

// remember adds restarts, and forgets the oldest ones if there are too many.
func remember(all *[]time.Time, at time.Time, n int) {
	for range n {
		*all = append(*all, at)
	}
	if over := len(*all) - maxRemembered; over > 0 {
		*all = slices.Delete(*all, 0, over)
	}
}

// mayBeMore reports whether a container may have been restarted lately before its last restart: unless the run before began long ago.
func (s *snapshot) mayBeMore(c *kubernetes.ContainerStatus) bool {
	t := c.LastState.Terminated
	return t == nil || t.StartedAt.IsZero() || s.within(t.StartedAt, calm)
}

// lately counts the moments of the last while.
func (s *snapshot) lately(all []time.Time) (n int) {
	for _, at := range all {
		if s.within(at, calm) {
			n++
		}
	}
	return n
}

// restartedAt is when a container was restarted last, as far as that is known.
func (s *snapshot) restartedAt(c *kubernetes.ContainerStatus) time.Time {
	switch {
	case c.State.Running != nil && !c.State.Running.StartedAt.IsZero():
		return s.past(c.State.Running.StartedAt)
	case c.State.Terminated != nil && !c.State.Terminated.StartedAt.IsZero(): // an init container that is done, since long ago
		return s.past(c.State.Terminated.StartedAt)
	case c.LastState.Terminated != nil:
		return s.past(c.LastState.Terminated.FinishedAt)
	}
	return s.now
}

// missingFor returns for how long fewer pods have existed than are wanted.
func (h *history) missingFor(s *snapshot, wanted int) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	exist := -s.workload.Status.NumberMisscheduled
	for i := range s.pods {
		if alive(&s.pods[i]) {
			exist++
		}
	}
	return lasting(&h.missing, s.now, exist < wanted)
}

// strangeFor returns for how long there have been addresses of no pod.
func (h *history) strangeFor(now time.Time, are bool) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return lasting(&h.strange, now, are)
}

// lasting keeps since when something has been the case, and returns for how long.
func lasting(since *time.Time, now time.Time, is bool) time.Duration {
	switch {
	case !is:
		*since = time.Time{}
		return 0
	case since.IsZero():
		*since = now
	}
	return now.Sub(*since)
}

// oomKilled judges whether a container ran out of memory lately, also in a pod that is gone.
func (m memories) oomKilled(s *snapshot) probe.Outcome {
	n, last, there := 0, m.oom.at, false
	for i := range s.pods {
		there = there || s.pods[i].Metadata.UID == m.oom.pod
		if at := s.podRanOut(&s.pods[i]); !at.IsZero() {
			n++
			if at.After(last) {
				last = at
			}
		}
	}
	ago := text.Roughly(max(0, s.now.Sub(last)))
	remembered := !last.IsZero() && s.within(last, oomRecent)
	switch {
	case n > 0:
		return probe.Outcomef(reasonOOMKilled, "%s: a container was killed for want of memory (OOMKilled), the last one %s ago", countPods(n), ago)
	case remembered && there:
		return probe.Outcomef(reasonOOMKilled, "a container was killed for want of memory (OOMKilled), %s ago, and has ended again since", ago)
	case remembered:
		return probe.Outcomef(reasonOOMKilled, "a container of a pod that is gone was killed for want of memory (OOMKilled), %s ago", ago)
	}
	return probe.Outcomef(probe.OK, "no container of %s was killed for want of memory in the last %s", s.seen(), probe.Duration(oomRecent))
}
