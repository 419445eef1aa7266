package deploys

import (
	"cmp"
	"slices"
	"time"

	"prober/internal/probe"
)

// live returns the newest deploy that is live; nil without one.
func live(all []deploy) *deploy {
	for i := range all {
		if all[i].State == probe.DeployLive {
			return &all[i]
		}
	}
	return nil
}

// newer returns the deploys that are newer than the live one; all of them if none is live.
func newer(all []deploy) []deploy {
	if at := slices.IndexFunc(all, func(d deploy) bool { return d.State == probe.DeployLive }); at >= 0 {
		return all[:at]
	}
	return all
}

// latest returns the newest deploy that came to anything: one that a person holds, or that somebody canceled, leaves what is
// there as it is. It is nil without one.
func latest(all []deploy) *deploy {
	for i := range all {
		if s := all[i].State; s != probe.DeployWaiting && s != probe.DeployPaused && s != probe.DeployCanceled {
			return &all[i]
		}
	}
	return nil
}

// state words the state of a deploy.
func (d deploy) state() string {
	if d.State == probe.DeployUnknown {
		return "in an unknown state"
	}
	return cmp.Or(d.word, string(d.State))
}

func (d deploy) String() string { return d.Deploy.String() + ", " + d.state() }

// judgeLatest judges the state of the latest deploy.
func judgeLatest(all []deploy) probe.Outcome {
	d, serving := latest(all), live(all)
	switch {
	case d == nil:
		return probe.Outcomef(reasonNotLive, "expected a deploy that is live, got %s that are waiting for an approval or were canceled", itoa(len(all)))
	case d.State == probe.DeployUnknown:
		return probe.Outcomef(reasonState, "expected a state that the prober knows, got %s with another, or with none", d.Deploy)
	case d.State == probe.DeployFailed && serving != nil:
		return probe.Outcomef(reasonFailed, "expected the latest deploy to be live, got %s; live is %s", d, serving.Deploy)
	case d.State == probe.DeployFailed:
		return probe.Outcomef(reasonFailed, "expected the latest deploy to be live, got %s", d)
	case d.UnderWay(), d.State == probe.DeployLive:
		return probe.Outcomef(probe.OK, "%s", d)
	case serving == nil:
		return probe.Outcomef(reasonNotLive, "expected a deploy that is live, got none: the latest is %s", d)
	}
	return probe.Outcomef(probe.OK, "live is %s, which replaced %s", serving.Deploy, d.Deploy)
}

// judgeStuck judges how long the latest deploy has been in progress.
func judgeStuck(all []deploy, now time.Time, limit time.Duration) probe.Outcome {
	d := latest(all)
	switch {
	case d == nil:
		return probe.Outcomef(probe.OK, "no deploy is in progress")
	case d.State == probe.DeployUnknown:
		return probe.Outcomef(reasonState, "%s may be in progress: its state is unknown", d.Deploy)
	case !d.UnderWay():
		return probe.Outcomef(probe.OK, "no deploy is in progress")
	case d.Started.IsZero():
		return probe.Outcomef(reasonNoTime, "%s is in progress, and since when is unknown", d.Deploy)
	}
	age := now.Sub(d.Started)
	if age > limit {
		return probe.Outcomef(reasonStuck, "expected a deploy to end within %s, got %s, started %s", probe.Duration(limit), d, ago(age))
	}
	return probe.Outcomef(probe.OK, "%s, started %s", d, ago(max(age, 0)))
}
