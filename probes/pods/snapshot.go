package pods

import (
	"slices"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/text"
)

// The states of pods, the worst first. A pod has one.
const (
	stateImagePull   = "image_pull"
	stateConfigError = "config_error"
	stateCrashLoop   = "crash_loop"
	stateOOMKilled   = "oom_killed"
	stateUnscheduled = "unscheduled"
	stateNotReady    = "not_ready"
	stateReady       = "ready"
	stateTerminating = "terminating"
	stateEnded       = "ended" // failed, such as evicted, or succeeded
)

var allStates = []string{
	stateImagePull, stateConfigError, stateCrashLoop, stateOOMKilled, stateUnscheduled, stateNotReady, stateReady, stateTerminating, stateEnded,
}

// Times by which the past is judged.
const (
	calm      = 10 * time.Minute // for how long a container runs before the kubelet takes it for well again
	oomRecent = 15 * time.Minute // how long it counts that a container ran out of memory
)

// A snapshot is a workload and its own pods at a moment.
type snapshot struct {
	workload *kubernetes.Workload
	pods     []kubernetes.Pod
	strange  int // pods that the selector matches and that are not the workload's
	now      time.Time
	skew     time.Duration // by which the clocks of the API server and of the prober differ, if it is more than that of sound ones
}

// maxSkew is by how much sound clocks may differ, with the time of an answer.
const maxSkew = time.Minute

// skewOf compares the clocks.
func skewOf(m *kubernetes.Metadata, now time.Time) time.Duration {
	if skew := now.Sub(m.Read).Abs(); !m.Read.IsZero() && skew > maxSkew {
		return skew
	}
	return 0
}

func newSnapshot(w *kubernetes.Workload, all []kubernetes.Pod, now time.Time) *snapshot {
	s := &snapshot{workload: w, now: now, skew: skewOf(&w.Metadata, now)}
	for i := range all {
		if w.Owns(&all[i]) {
			s.pods = append(s.pods, all[i])
		} else {
			s.strange++
		}
	}
	return s
}

// known counts the pods that live and of whose containers the kubelet says something.
func (s *snapshot) known() int {
	return s.having(func(*kubernetes.ContainerStatus) bool { return true })
}

// begun counts the pods that live and of which every container has been started: the others have not shown yet whether they can be.
func (s *snapshot) begun() int {
	n := 0
	for i := range s.pods {
		all := containers(&s.pods[i])
		if alive(&s.pods[i]) && len(all) > 0 && !slices.ContainsFunc(all, func(c *kubernetes.ContainerStatus) bool { return !started(c) }) {
			n++
		}
	}
	return n
}

// started reports whether a container has ever run. One without a state waits.
func started(c *kubernetes.ContainerStatus) bool {
	return c.State.Running != nil || c.State.Terminated != nil || c.LastState.Terminated != nil
}

// seen is known in words.
func (s *snapshot) seen() string { return countPods(s.known()) }

//go:noinline
func countPods(n int) string { return text.Count(n, "pod") }

// alive reports whether a pod counts as one of the workload's replicas, ready or not.
func alive(p *kubernetes.Pod) bool {
	return p.Metadata.DeletionTimestamp == nil && p.Status.Phase != "Failed" && p.Status.Phase != "Succeeded"
}

// containers lists the containers of a pod that may not end: init containers that are done are left out.
func containers(p *kubernetes.Pod) []*kubernetes.ContainerStatus {
	var all []*kubernetes.ContainerStatus
	for i := range p.Status.InitContainerStatuses {
		if c := &p.Status.InitContainerStatuses[i]; c.State.Terminated == nil || c.State.Terminated.ExitCode != 0 {
			all = append(all, c)
		}
	}
	for i := range p.Status.ContainerStatuses {
		all = append(all, &p.Status.ContainerStatuses[i])
	}
	return all
}

// waits returns why a container waits, if it does.
func waits(c *kubernetes.ContainerStatus) string {
	if c.State.Waiting == nil {
		return ""
	}
	return c.State.Waiting.Reason
}

// having counts the pods that live and have a container of which something holds.
func (s *snapshot) having(holds func(*kubernetes.ContainerStatus) bool) int {
	n := 0
	for i := range s.pods {
		if alive(&s.pods[i]) && hasContainer(&s.pods[i], holds) {
			n++
		}
	}
	return n
}

func hasContainer(p *kubernetes.Pod, holds func(*kubernetes.ContainerStatus) bool) bool {
	for _, c := range containers(p) {
		if holds(c) {
			return true
		}
	}
	return false
}

// state is the worst that is known of a pod.
func (s *snapshot) state(p *kubernetes.Pod) string {
	has := func(holds func(*kubernetes.ContainerStatus) bool) bool { return hasContainer(p, holds) }
	switch {
	case p.Metadata.DeletionTimestamp != nil:
		return stateTerminating
	case !alive(p):
		return stateEnded
	case has(lacksImage):
		return stateImagePull
	case has(lacksConfig):
		return stateConfigError
	case has(s.loops):
		return stateCrashLoop
	case !s.podRanOut(p).IsZero():
		return stateOOMKilled
	case p.Ready():
		return stateReady
	case unscheduled(p):
		return stateUnscheduled
	}
	return stateNotReady
}

// podRanOut returns when a container of a pod ran out of memory lately, one that is done included; the zero time if none did.
func (s *snapshot) podRanOut(p *kubernetes.Pod) (last time.Time) {
	for _, all := range [][]kubernetes.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range all {
			if at := s.ranOut(&all[i]); at.After(last) {
				last = at
			}
		}
	}
	return last
}

func unscheduled(p *kubernetes.Pod) bool {
	return kubernetes.FindCondition(p.Status.Conditions, "PodScheduled").Status == "False"
}

// ready counts the pods that are ready.
func (s *snapshot) ready() int {
	n := 0
	for i := range s.pods {
		if alive(&s.pods[i]) && s.pods[i].Ready() {
			n++
		}
	}
	return n
}

// measure notes how many pods are in which state.
func (s *snapshot) measure(r *probe.Result) {
	in := map[string]int{}
	for i := range s.pods {
		in[s.state(&s.pods[i])]++
	}
	for _, state := range allStates {
		r.Measure(podsGauge, float64(in[state]), state)
	}
	if s.workload.Observed() || s.workload.Kind != kubernetes.KindDaemonSet {
		r.Measure(wantedGauge, float64(s.workload.Wanted()))
	}
	r.Measure(readyGauge, float64(s.ready()))
}
