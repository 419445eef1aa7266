package deploys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"prober/internal/probe"
)

// A Freeze says when nothing may be deployed.
type Freeze struct {
	Windows  []FreezeWindow `yaml:"windows" doc:"when: from one time to another, or weekly"`
	Incident string         `yaml:"incident" doc:"a severity such as P1: while a probe of the system fails that has this severity, or a more urgent one; rollbacks are allowed"`
	Allow    []string       `yaml:"allow" empty:"true" doc:"versions that may be deployed all the same, such as a fix"`

	windows []probe.Window
}

// A FreezeWindow is a time in which nothing may be deployed.
type FreezeWindow struct {
	probe.WindowTimes `yaml:",inline"`

	Why string `yaml:"why" doc:"why, for people"`
}

func (f *Freeze) validate() error {
	var wrong []error
	f.windows = nil
	for i, w := range f.Windows {
		before := len(wrong)
		parsed := w.Parse(func(key, format string, args ...any) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("windows[%d].%s", i, key), format, args...))
		})
		if parsed.Why = w.Why; len(wrong) == before {
			f.windows = append(f.windows, parsed)
		}
	}
	if len(f.Windows) == 0 && f.Incident == "" {
		wrong = append(wrong, probe.Settingf("", "expected windows, incident or both: when nothing may be deployed"))
	}
	if _, known := probe.SeverityLevel(f.Incident); !known && f.Incident != "" {
		wrong = append(wrong, probe.Settingf("incident", "expected a severity, such as P1, sev1 or critical"))
	}
	for i, version := range f.Allow {
		if !word.MatchString(version) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("allow[%d]", i), "expected a version, such as a commit or 1.4.2"))
		}
	}
	return errors.Join(wrong...)
}

// A frozen time is one in which nothing may be deployed, with words for it.
type frozen struct {
	during   func(time.Time) bool
	words    string
	incident bool
}

// now returns the freezes that are on.
func (f *Freeze) now(now time.Time, incident probe.Incident) (on []frozen) {
	if f.concerns(incident) {
		words := "the incident since " + clock(incident.Onset)
		on = append(on, frozen{during: func(at time.Time) bool { return at.After(incident.Onset) }, words: words, incident: true})
	}
	for _, w := range f.windows {
		until, open := w.Until(now)
		if !open {
			continue
		}
		words := "the freeze until " + clock(until)
		if w.Why != "" {
			words += " (" + w.Why + ")"
		}
		on = append(on, frozen{words: words, during: func(at time.Time) bool {
			same, open := w.Until(at)
			return open && same.Equal(until)
		}})
	}
	return on
}

// judge judges whether a deploy started in a freeze that is still on.
func (f *Freeze) judge(all []deploy, on []frozen) probe.Outcome {
	if len(on) == 0 {
		return probe.Outcomef(probe.OK, "deploys are not frozen now")
	}
	unknown, older := "", false
	for i, d := range all {
		if d.State == probe.DeployWaiting || d.State == probe.DeployCanceled || f.allows(d) {
			continue
		}
		if d.Started.IsZero() {
			if !older {
				unknown = d.Deploy.String()
			}
			continue
		}
		at := slices.IndexFunc(on, func(f frozen) bool { return f.during(d.Started) && !(f.incident && rollback(d, all[i+1:])) })
		if at >= 0 {
			return probe.Outcomef(reasonFreeze, "expected no deploy in %s, got %s, started at %s", on[at].words, d, clock(d.Started))
		}
		older = true // as are all after it
	}
	if unknown != "" {
		return probe.Outcomef(reasonNoTime, "%s may have been made in %s: when it started is unknown", unknown, on[0].words)
	}
	return probe.Outcomef(probe.OK, "no deploy in %s", on[0].words)
}

// allows reports whether the version of a deploy may be deployed all the same.
func (f *Freeze) allows(d deploy) bool {
	return slices.ContainsFunc(f.Allow, func(version string) bool { return d.is(version) })
}

// is reports whether a deploy is of a version, in any of its names.
//
//go:noinline
func (d deploy) is(version string) bool {
	return slices.ContainsFunc(d.names, func(name string) bool { return probe.SameVersion(name, version) })
}

// concerns reports whether an incident is open that freezes deploys.
func (f *Freeze) concerns(incident probe.Incident) bool {
	least, set := probe.SeverityLevel(f.Incident)
	level, known := probe.SeverityLevel(incident.Severity)
	return set && incident.Open && known && level <= least
}

// rollback reports whether a deploy goes back to a version that was live before. That it shares a name with one is not enough:
// branches and tags move, and a sidecar has one too.
func rollback(d deploy, earlier []deploy) bool {
	return d.reused || d.whole != "" && slices.ContainsFunc(earlier, func(e deploy) bool {
		return (e.State == probe.DeploySuperseded || e.State == probe.DeployLive) && e.whole == d.whole
	})
}
