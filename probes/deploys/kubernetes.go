package deploys

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// Kubernetes are the rollouts of a Deployment.
type Kubernetes struct {
	Deployment string `yaml:"deployment" required:"true" doc:"the name of the Deployment"`
	Namespace  string `yaml:"namespace" doc:"its namespace; default: the prober's own"`
	API        string `yaml:"api" doc:"URL of the API server; default: that of the cluster that the prober runs in, with the token of its service account"`

	settings kubernetes.Settings
	client   *kubernetes.Client
	seen     revisions
}

func (p *Kubernetes) url() string     { return p.settings.Addresses()[0] }
func (p *Kubernetes) setting() string { return "kubernetes" }
func (p *Kubernetes) validate() error {
	return probe.InSetting("deployment", kubernetes.ValidateName(p.Deployment))
}

// connect makes the client, by the settings for requests.
func (p *Kubernetes) connect(s httpx.Settings) (err error) {
	p.settings = kubernetes.Settings{Settings: s, API: p.API, Namespace: p.Namespace}
	p.client, err = p.settings.Client()
	return err
}

func (p *Kubernetes) close() { p.client.Close() }

// suspended fails for a Deployment that is scaled to 0.
func (p *Kubernetes) suspended(ctx context.Context, a *api) probe.Outcome {
	d, o := p.get(ctx, a)
	switch {
	case !o.Passed():
		return o
	case d.Spec.Replicas == nil:
		return probe.Outcomef(probe.Schema, "expected the number of replicas, which the API server always fills in, got none")
	case *d.Spec.Replicas == 0:
		return probe.Outcomef(reasonSuspended, "expected a Deployment with replicas, got one that is scaled to 0")
	}
	return probe.Outcomef(probe.OK, "the Deployment is scaled to %s", strconv.Itoa(*d.Spec.Replicas))
}

func (p *Kubernetes) get(ctx context.Context, a *api) (*kubernetes.Deployment, probe.Outcome) {
	namespace, o := p.client.Namespace()
	if !o.Passed() {
		return nil, o
	}
	return p.client.Deployment(ctx, a.r, a.check, namespace, p.Deployment)
}

// deploys asks for the Deployment and its ReplicaSets: each is a version.
func (p *Kubernetes) deploys(ctx context.Context, a *api) ([]deploy, probe.Outcome) {
	d, o := p.get(ctx, a)
	if !o.Passed() {
		return nil, o
	}
	sets, o := p.client.ReplicaSets(ctx, a.r, a.check, d.Metadata.Namespace, d.Spec.Selector)
	if !o.Passed() {
		return nil, o
	}
	sets = drop.If(sets, func(s kubernetes.ReplicaSet) bool { return s.Metadata.Controller().UID != d.Metadata.UID })
	sorted.By(sets, func(a, b kubernetes.ReplicaSet) int { return cmp.Compare(revision(&b.Metadata), revision(&a.Metadata)) })
	if len(sets) > 0 && (revision(&sets[0].Metadata) == 0 || !d.Observed()) {
		return nil, probe.Outcomef(probe.Settling, "the controller has not looked at the Deployment since it was changed")
	}
	if at := revision(&d.Metadata); len(sets) > 0 && at != 0 && at != revision(&sets[0].Metadata) {
		return nil, probe.Outcomef(probe.Settling, "the Deployment and its ReplicaSets are not of one moment: it changes now")
	}
	var all []deploy
	for i := range sets[:min(len(sets), githubPage)] {
		all = append(all, p.rollout(d, sets, i))
	}
	if len(all) == 0 {
		return nil, probe.Outcomef(reasonNone, "expected the ReplicaSets of the Deployment, got none")
	}
	tellApart(all)
	return named(all), o
}

// tellApart puts those names of versions first that fewer rollouts have: a sidecar may be the same in all of them.
func tellApart(all []deploy) {
	rollouts := map[string]int{}
	for _, d := range all {
		for _, n := range d.names {
			rollouts[n]++
		}
	}
	for _, d := range all {
		sorted.By(d.names, func(a, b string) int { return cmp.Compare(rollouts[a], rollouts[b]) })
	}
}

// rollout is a ReplicaSet as a deploy. The newest one is what the Deployment's status is about; of the others, the newest that
// still has pods available is what serves until the newest does.
func (p *Kubernetes) rollout(d *kubernetes.Deployment, sets []kubernetes.ReplicaSet, i int) deploy {
	s := &sets[i]
	out := deploy{names: versionsOf(&s.Spec.Template)}
	out.whole = wholeOf(&s.Spec.Template)
	out.ID, out.State = "revision-"+strconv.FormatInt(revision(&s.Metadata), 10), probe.DeploySuperseded
	out.Started = moment(s.Metadata.CreationTimestamp.Format(time.RFC3339))
	progress := kubernetes.FindCondition(d.Status.Conditions, "Progressing")
	if i == 0 {
		out.State, out.word = stateOf(d, progress)
		// A rollback reuses an old ReplicaSet, which looks old.
		if s.Metadata.Annotations[kubernetes.RevisionHistory] != "" {
			out.reused = !p.seen.failedOnly(s.Metadata.UID)
			out.Started = p.seen.since(revision(&s.Metadata), progress.LastUpdateTime)
		}
		if out.State == probe.DeployLive {
			out.Ended = moment(progress.LastUpdateTime.Format(time.RFC3339))
		}
		p.seen.note(s, out.State, time.Now())
		return out
	}
	newest, _ := stateOf(d, progress)
	serving := slices.IndexFunc(sets[1:], func(s kubernetes.ReplicaSet) bool { return s.Status.AvailableReplicas > 0 }) + 1
	if newest != probe.DeployLive && serving == i {
		out.State = probe.DeployLive
	}
	return out
}

func revision(m *kubernetes.Metadata) int64 {
	n, err := strconv.ParseInt(m.Annotations[kubernetes.Revision], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// stateOf is the state of the newest rollout. A rollout that was complete stays so when a pod of it is lost later. It is asked
// only of a Deployment that was observed: before that, the conditions are of the rollout before.
func stateOf(d *kubernetes.Deployment, progress kubernetes.Condition) (state probe.DeployState, word string) {
	s := d.Status
	updated := d.Spec.Replicas != nil && s.UpdatedReplicas == *d.Spec.Replicas && s.Replicas == s.UpdatedReplicas
	available := s.AvailableReplicas == s.UpdatedReplicas || progress.Reason == "NewReplicaSetAvailable"
	switch {
	case d.Spec.Replicas == nil:
		return probe.DeployUnknown, ""
	case updated && available:
		return probe.DeployLive, "complete"
	case progress.Status == "False" && progress.Reason == "ProgressDeadlineExceeded":
		return probe.DeployFailed, "progress deadline exceeded"
	case d.Spec.Paused && s.UpdatedReplicas > 0:
		return probe.DeployPaused, "paused"
	case d.Spec.Paused:
		return probe.DeployWaiting, "paused"
	}
	return probe.DeployInProgress, "in progress"
}

// versionsOf are the names of the version of a pod template: digests first, since tags move.
func versionsOf(t *kubernetes.PodTemplate) []string {
	var digests, tags []string
	for _, c := range t.Spec.Containers {
		if _, digest, ok := strings.Cut(c.Image, "@"); ok {
			digests = append(digests, digest)
		}
		tags = append(tags, tag(c.Image))
	}
	return words(append(append(digests, tags...), numbered(t.Metadata.Labels["app.kubernetes.io/version"]))...)
}

// wholeOf is all images of a pod template; empty if one of them names no version.
func wholeOf(t *kubernetes.PodTemplate) string {
	var images []string
	for _, c := range t.Spec.Containers {
		if tag(c.Image) == "" && !strings.Contains(c.Image, "@") {
			return ""
		}
		images = append(images, c.Image)
	}
	return strings.Join(images, " ")
}

// revisions remembers when the newest revision was first seen, and what became of each ReplicaSet: the API forgets both.
type revisions struct {
	mu    sync.Mutex
	last  int64
	at    time.Time // zero if it was there from the start
	fates []fate    // the oldest first
}

// A fate is what was seen of a ReplicaSet while it was the newest.
type fate struct {
	uid          string
	live, failed bool
}

// maxFates is more than a Deployment keeps of its ReplicaSets.
const maxFates = 50

func (r *revisions) note(s *kubernetes.ReplicaSet, state probe.DeployState, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := revision(&s.Metadata)
	if r.last != 0 && r.last != n {
		r.at = now
	}
	r.last = n
	at := slices.IndexFunc(r.fates, func(f fate) bool { return f.uid == s.Metadata.UID })
	if at < 0 {
		r.fates = append(r.fates, fate{uid: s.Metadata.UID})
		r.fates = slices.Delete(r.fates, 0, max(0, len(r.fates)-maxFates))
		at = len(r.fates) - 1
	}
	r.fates[at].live = r.fates[at].live || state == probe.DeployLive
	r.fates[at].failed = r.fates[at].failed || state == probe.DeployFailed
}

// failedOnly reports whether a ReplicaSet was seen to fail, and never to be live.
func (r *revisions) failedOnly(uid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.fates, fate{uid: uid, failed: true})
}

// since is when a revision began that reuses a ReplicaSet: when it was first seen or, without that, no later than its last
// progress.
func (r *revisions) since(n int64, progress time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.last == n && !r.at.IsZero():
		return r.at
	case r.last != 0 && r.last != n:
		return time.Now()
	}
	return moment(progress.Format(time.RFC3339))
}
