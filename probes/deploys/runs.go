package deploys

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/replicas"
)

// Runs says where the service states its version: what was deployed is not yet what answers.
type Runs struct {
	httpx.Settings `yaml:",inline"`

	URL      string            `yaml:"url" required:"true" doc:"where the service states its version; version says where in the answer"`
	Replicas replicas.Replicas `yaml:"replicas" doc:"where its replicas are and how many there must be; each is asked"`

	client *httpx.Client
}

func (s *Runs) validate() error {
	client, err := s.Settings.Client(s.URL)
	s.client = client
	wrong := []error{err, probe.InSetting("replicas", s.Replicas.Validate())}
	if s.URL == "" {
		wrong = append(wrong, probe.Settingf("url", "is missing"))
	}
	if s.Version == nil {
		wrong = append(wrong, probe.Settingf("version", "is missing: where the answer states the version, as {header: NAME} or {json: PATH}"))
	}
	return errors.Join(wrong...)
}

// ask asks each replica for its version and judges it. It reports whether all of them answered with what was deployed.
func (s *Runs) ask(ctx context.Context, r *probe.Result, judge func(version string) probe.Outcome) (all bool) {
	found, ok := s.Replicas.Find(ctx, r, s.client.Resolver())
	if !ok {
		return false
	}
	passed := make([]bool, len(found))
	if s.Replicas.None() {
		passed[0] = s.askOne(ctx, r, "", judge)
		return passed[0]
	}
	if len(found) < s.Replicas.Want {
		r.Fail(checkReplicas, probe.Replicas, "expected %s, got %d", text.Count(s.Replicas.Want, "replica"), len(found))
	} else {
		r.Pass(checkReplicas, "found %s", text.Count(len(found), "replica"))
		all = true
	}
	r.Each(found, func(i int, r *probe.Result) { passed[i] = s.askOne(ctx, r, found[i], judge) })
	for _, p := range passed {
		all = all && p
	}
	return all
}

func (s *Runs) askOne(ctx context.Context, r *probe.Result, address string, judge func(version string) probe.Outcome) bool {
	want := httpx.Codes(http.StatusOK)
	a := s.client.Do(ctx, r, httpx.Request{Check: checkRunning, URL: s.URL, Addr: address, Want: want})
	c := a.Classify(httpx.ClassifyOptions{Want: want, Credential: s.Authenticates(), Public: !s.Authenticates()})
	o := c.Outcome
	switch {
	case !c.Passed():
	case a.Version == "":
		o = probe.Outcomef(probe.NoVersion, "expected the version of what answers, got none, or one in another form")
	default:
		o = judge(a.Version)
	}
	r.Note(checkRunning, o)
	return o.Passed()
}

// A liveSince remembers when deploys were first seen to be live, for platforms that do not report it.
type liveSince struct {
	mu   sync.Mutex
	id   string
	seen time.Time
}

// of returns since when a deploy has been live at least.
func (l *liveSince) of(d *deploy, now time.Time, stuck time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id != d.ID {
		l.id, l.seen = d.ID, now
	}
	since := d.Ended
	if since.IsZero() {
		since = l.seen
		if latest := d.Started.Add(stuck); !d.Started.IsZero() && latest.Before(since) {
			since = latest // it took no longer than that
		}
	}
	return since
}

// judgeRunning returns what to say of a version that answers. The deploys may be unknown: then why says so.
func (p *Probe) judgeRunning(all []deploy, why probe.Outcome, now time.Time) func(version string) probe.Outcome {
	if !why.Passed() {
		return func(version string) probe.Outcome {
			return probe.Outcomef(probe.ControlFailed, "got version %s; what was deployed is unknown (%s)", probe.ShortVersion(version), why.Reason)
		}
	}
	serving := live(all)
	var recent bool
	if serving != nil {
		recent = now.Sub(p.live.of(serving, now, p.stuck())) < p.Runs.MixedVersionsGrace()
	}
	return func(version string) probe.Outcome {
		got := "version " + probe.ShortVersion(version)
		if d := of(version, all); d != nil {
			got = d.Deploy.String() + " (" + d.state() + ")"
		}
		switch {
		case serving != nil && serving.is(version):
			return probe.Outcomef(probe.OK, "got version %s, as deployed", probe.ShortVersion(version))
		case slices.ContainsFunc(newer(all), func(d deploy) bool { return d.UnderWay() && d.is(version) }):
			return probe.Outcomef(probe.OK, "got version %s, of a deploy in progress", probe.ShortVersion(version))
		case serving == nil:
			return probe.Outcomef(reasonNotLive, "got %s; no deploy is known to be live", got)
		case len(serving.names) == 0:
			return probe.Outcomef(probe.ControlFailed, "got %s; the platform does not report the version of %s, which is live", got, serving.ID)
		case recent:
			return probe.Outcomef(probe.Settling, "expected %s, got %s; that is a failure if it lasts for %s (version_grace)", serving.Deploy, got, probe.Duration(p.Runs.MixedVersionsGrace()))
		}
		return probe.Outcomef(reasonNotRunning, "expected %s, which is live, got %s", serving.Deploy, got)
	}
}

// of returns the newest deploy of a version; nil without one.
func of(version string, all []deploy) *deploy {
	for i := range all {
		if all[i].is(version) {
			return &all[i]
		}
	}
	return nil
}

// MixedVersionsGrace is how long replicas may answer with different versions.
func (p *Probe) MixedVersionsGrace() time.Duration {
	if p.Runs == nil {
		return p.Settings.MixedVersionsGrace()
	}
	return p.Runs.MixedVersionsGrace()
}
