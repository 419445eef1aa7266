// Package deploys asks a hosting platform what was deployed, and the service what answers.
package deploys

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"prober/internal/httpx"
	"prober/internal/kubernetes"
	"prober/internal/probe"
)

// Probe asks a platform about the deploys of one service. The platform is a witness: whatever is wrong with its API says
// nothing of the service, so that no such answer is a pass or a failure.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	Render     *Render        `yaml:"render" doc:"a service of Render"`
	GitHub     *GitHub        `yaml:"github" doc:"the deployments of a repository of GitHub"`
	Kubernetes *Kubernetes    `yaml:"kubernetes" doc:"the rollouts of a Deployment of Kubernetes"`
	Stuck      probe.Duration `yaml:"stuck" default:"15m" doc:"how long a deploy may be in progress"`
	Runs       *Runs          `yaml:"runs" doc:"where the service states what version it runs"`
	Freeze     *Freeze        `yaml:"freeze" doc:"when nothing may be deployed"`

	platform platform
	client   *httpx.Client
	limit    rateLimit
	live     liveSince
	recent   recent
}

// A platform knows the deploys of one service.
type platform interface {
	// url is where its API is.
	url() string
	// setting is the path of its settings.
	setting() string
	validate() error
	// deploys lists the newest deploys, the newest first, and further ones until one of them is live, within bounds.
	deploys(ctx context.Context, a *api) ([]deploy, probe.Outcome)
}

// A suspender is a platform that can suspend a service.
type suspender interface {
	suspended(ctx context.Context, a *api) probe.Outcome
}

// A connector is a platform with a client of its own.
type connector interface {
	connect(s httpx.Settings) error
	close()
}

// A deploy is one rollout, with what the platform calls its version and its state.
type deploy struct {
	probe.Deploy
	created time.Time // zero if unknown
	names   []string  // of its version, in all forms that a service may report
	whole   string    // what two deploys of one version have in common; empty if that is unknown
	reused  bool      // it goes back to what was deployed before, by itself
	word    string    // of the platform, for the state
}

// Checks of a run.
const (
	checkLatest    = "latest"
	checkStuck     = "stuck"
	checkSuspended = "suspended"
	checkFreeze    = "freeze"
	checkReplicas  = "replicas"
	checkRunning   = "running"
)

// Reasons of the deploys kind.
var (
	reasonFailed = probe.Reason{Word: "deploy_failed", Verdict: probe.Fail, Text: "the latest deploy failed",
		Action: "Read the log of the deploy on the platform; the version before is still live unless another check fails too."}
	reasonStuck = probe.Reason{Word: "deploy_stuck", Verdict: probe.Fail, Text: "a deploy does not end",
		Action: "Look at the deploy on the platform: a build that hangs, a health check that never passes, or no capacity; cancel it or roll back."}
	reasonSuspended = probe.Reason{Word: "service_suspended", Verdict: probe.Fail, Text: "the platform has suspended the service",
		Action: "Resume the service on the platform, and find out who suspended it: billing, a person, or a limit."}
	reasonCrashLoop = probe.Reason{Word: "crash_loop", Verdict: probe.Fail, Text: "the service crashes whenever it is started",
		Action: "Read the log of the last crash (kubectl logs --previous); roll back if it began with a deploy."}
	reasonNotRunning = probe.Reason{Word: "not_running", Verdict: probe.Fail, Text: "what answers is not what was deployed",
		Action: "Find the replica that the detail names: it was not restarted, or the deploy went elsewhere; deploy again or roll back."}
	reasonFreeze = probe.Reason{Word: "deploy_in_freeze", Verdict: probe.Fail, Text: "a deploy while deploys are frozen",
		Action: "Ask who deployed and why; roll back, or list the version under freeze.allow."}
	reasonNone = probe.Reason{Word: "no_deploys", Verdict: probe.Inconclusive, Text: "no deploys are reported",
		Action: "Check the id of the service and the rights of the credential: an empty list proves nothing."}
	reasonNotLive = probe.Reason{Word: "no_live_deploy", Verdict: probe.Inconclusive, Text: "no deploy is known to be live",
		Action: "Look at the platform: none of the deploys that it reports is live."}
	reasonState = probe.Reason{Word: "unknown_state", Verdict: probe.Inconclusive, Text: "a state that the prober does not know, or none",
		Action: "Look at the deploy on the platform; report the state as missing in the prober."}
	reasonNoTime = probe.Reason{Word: "no_time", Verdict: probe.Inconclusive, Text: "the platform does not report when",
		Action: "Look at the platform when the deploy began; the prober does not know for how long it has lasted."}
)

// Measures of the deploys kind.
var (
	infoGauge = &probe.Measure{
		Name:   "probe_deploy_info",
		Help:   "The newest deploys that the platform reported in the last run, at most 5, always 1. Ids and versions come from the platform.",
		Labels: []string{"deploy", "version", "state"},
	}
	startedGauge = &probe.Measure{
		Name:   "probe_deploy_started_timestamp_seconds",
		Help:   "When these deploys started; absent if the platform does not report it.",
		Labels: []string{"deploy"},
	}
	nearGauge = &probe.Measure{
		Name:   "probe_deploy_near_onset_seconds",
		Help:   "Deploys near the onset of an open incident of the system: how long before the first failure they started.",
		Labels: []string{"deploy", "version"},
	}
	goodGauge = &probe.Measure{
		Name:   "probe_last_known_good_info",
		Help:   "The newest version under which every other probe of the system passed for half an hour, beside those that were deployed near the onset of an open incident, always 1.",
		Labels: []string{"version"},
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return &Probe{} },
		Summary:  "the deploys of a service at Render, GitHub or Kubernetes: whether the latest one failed or is stuck, is what answers, or was made in a freeze",
		Measures: []*probe.Measure{infoGauge, startedGauge, nearGauge, goodGauge},
		Reasons: append([]probe.Reason{
			reasonFailed, reasonStuck, reasonSuspended, reasonCrashLoop, reasonNotRunning, reasonFreeze,
			reasonNone, reasonNotLive, reasonState, reasonNoTime,
		}, kubernetes.Reasons()...),
	}
}

var (
	_ probe.Addresser       = (*Probe)(nil)
	_ probe.Closer          = (*Probe)(nil)
	_ probe.VersionReporter = (*Probe)(nil)
	_ probe.DeployReporter  = (*Probe)(nil)
)

// Addresses lists the platform's API, and where the service states its version.
func (p *Probe) Addresses() []string {
	all := []string{p.platform.url(), p.AuthURL()}
	if p.Runs != nil {
		all = append(append(all, p.Runs.URL, p.Runs.AuthURL()), p.Runs.Replicas.Addresses()...)
	}
	return all
}

// ReportsDeploys makes the probe a probe.DeployReporter.
func (p *Probe) ReportsDeploys() {}

// Close closes the connections.
func (p *Probe) Close() {
	p.client.Close()
	if c, ok := p.platform.(connector); ok {
		c.close()
	}
	if p.Runs != nil {
		p.Runs.client.Close()
	}
}

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	names := []string{checkLatest, checkStuck}
	if _, ok := p.platform.(suspender); ok {
		names = append(names, checkSuspended)
	}
	if p.Freeze != nil {
		names = append(names, checkFreeze)
	}
	if p.Runs != nil {
		if !p.Runs.Replicas.None() {
			names = append(names, checkReplicas)
		}
		names = append(names, checkRunning)
	}
	return names
}

// Ask asks the platform for the deploys and judges them.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	if s, ok := p.platform.(suspender); ok {
		note(r, checkSuspended, s.suspended(ctx, p.api(r, checkSuspended)))
	}
	all, o := p.platform.deploys(ctx, p.api(r, checkLatest))
	incident := probe.IncidentOf(ctx)
	p.judge(r, all, o, incident, time.Now())
	runs := true
	if p.Runs != nil {
		runs = p.Runs.ask(ctx, r, p.judgeRunning(all, o, time.Now()))
	}
	if o.Passed() {
		r.Deployed(reported(all), running(all, runs))
	}
	p.relate(r, all, incident)
}

// judge judges the deploys, unless the outcome says why there are none to judge.
func (p *Probe) judge(r *probe.Result, all []deploy, o probe.Outcome, incident probe.Incident, now time.Time) {
	if !o.Passed() {
		note(r, checkLatest, o)
		return
	}
	measure(r, all)
	note(r, checkLatest, judgeLatest(all))
	note(r, checkStuck, judgeStuck(all, now, p.stuck()))
	if p.Freeze != nil {
		note(r, checkFreeze, p.Freeze.judge(all, p.Freeze.now(now, incident)))
	}
}

func (p *Probe) api(r *probe.Result, check string) *api {
	return &api{client: p.client, limit: &p.limit, base: p.platform.url(), credential: p.Authenticates(), r: r, check: check}
}

// note writes the outcome of a check. Only what the platform says of the service passes or fails: the platform is not what is
// asked about.
func note(r *probe.Result, check string, o probe.Outcome) {
	switch o.Reason {
	case probe.OK, reasonFailed, reasonStuck, reasonSuspended, reasonCrashLoop, reasonFreeze, kubernetes.NotFound:
		r.Note(check, o)
	default:
		r.Inconclusive(check, o.Reason, "%s", o.Detail)
	}
}

// maxMeasured is how many deploys have series: «last 5 deploys».
const maxMeasured = 5

func measure(r *probe.Result, all []deploy) {
	for _, d := range all[:min(len(all), maxMeasured)] {
		r.Measure(infoGauge, 1, d.ID, d.Version, string(d.State))
		if !d.Started.IsZero() {
			r.Measure(startedGauge, float64(d.Started.UnixMilli())/1000, d.ID)
		}
	}
}

const defaultStuck = 15 * time.Minute

func (p *Probe) stuck() time.Duration { return cmp.Or(p.Stuck.D(), defaultStuck) }

// ago says how long ago a time was.
func ago(d time.Duration) string { return d.Round(time.Second).String() + " ago" }

//go:noinline
func itoa(n int) string { return strconv.Itoa(n) }
