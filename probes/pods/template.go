package pods

import (
	"context"
	"slices"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

const defaultMaxRestarts = 3

// restarts judges how many containers were restarted lately. While an incident is open, each restart since its onset counts; a
// service need not restart because another one is down. A container that has run for long enough is well again, so that an
// incident can end.
func (p *Probe) restarts(ctx context.Context, s *snapshot, m memories) probe.Outcome {
	recent := s.lately(m.restarts)
	accepted := defaultMaxRestarts
	if p.MaxRestarts != nil {
		accepted = *p.MaxRestarts
	}
	incident := probe.IncidentOf(ctx)
	if !incident.Start.IsZero() && incident.End.IsZero() {
		since, all := 0, s.now.Sub(incident.Start)
		for _, at := range m.restarts {
			if !at.Before(incident.Start) {
				since++
			}
		}
		switch {
		case since > 0 && recent > 0:
			return probe.Outcomef(reasonRestarted, "expected no restart since the onset of the incident %s ago, got at least %d", text.Roughly(all), since)
		case since > 0:
			return probe.Outcomef(probe.OK, "at least %s since the onset of the incident %s ago, none in the last %s", text.Count(since, "restart"), text.Roughly(all), probe.Duration(calm))
		}
		return probe.Outcomef(probe.OK, "no restart since the onset of the incident %s ago", text.Roughly(all))
	}
	if recent > accepted {
		return probe.Outcomef(reasonRestarted, "expected at most %s in the last %s, got at least %d", text.Count(accepted, "restart"), probe.Duration(calm), recent)
	}
	if unseen := s.lately(m.unseen); recent+unseen > accepted {
		return probe.Outcomef(probe.Settling, "expected at most %s in the last %s, got at least %d, and when %s more were made is unknown: the prober did not look yet",
			text.Count(accepted, "restart"), probe.Duration(calm), recent, text.Count(unseen, "restart"))
	}
	return probe.Outcomef(probe.OK, "%s in the last %s", text.Count(recent, "restart"), probe.Duration(calm))
}

// liveness judges the health checks that the pod template gives to its containers.
func (p *Probe) liveness(s *snapshot) probe.Outcome {
	mistakes := s.workload.Spec.Template.Spec.HealthMistakes(p.Ready)
	for _, kind := range []kubernetes.MistakeKind{kubernetes.NoContainers, kubernetes.LivenessIsReadiness, kubernetes.NoReadiness} {
		for _, m := range mistakes {
			if m.Kind != kind {
				continue
			}
			more := ""
			if len(mistakes) > 1 {
				more = ", and " + text.Count(len(mistakes)-1, "other mistake")
			}
			switch kind {
			case kubernetes.NoContainers:
				return probe.Outcomef(probe.ControlFailed, "the pod template: %s", m.Text)
			case kubernetes.NoReadiness:
				return probe.Outcomef(reasonNoReadiness, "%s: %s%s", m.Path, m.Text, more)
			}
			return probe.Outcomef(reasonLiveness, "%s: %s%s", m.Path, m.Text, more)
		}
	}
	return probe.Outcomef(probe.OK, "no container of the pod template is restarted for want of readiness")
}

// environment judges whether the containers of the pod template have the variables that they must have.
func (p *Probe) environment(s *snapshot) probe.Outcome {
	unknown := 0
	for _, name := range sorted.Keys(p.Env) {
		spec := s.workload.Spec.Template.Spec
		all := slices.Concat(spec.InitContainers, spec.Containers)
		i := slices.IndexFunc(all, func(c kubernetes.Container) bool { return c.Name == name })
		if i < 0 {
			return probe.Outcomef(reasonConfigError, "expected a container %s in the pod template, got none", name)
		}
		for _, want := range p.Env[name] {
			switch have(&all[i], want) {
			case absent:
				return probe.Outcomef(reasonConfigError, "expected the variable %s of the container %s, but the pod template does not set it", want, name)
			case uncertain:
				unknown++
			}
		}
	}
	if unknown > 0 {
		return probe.Outcomef(probe.ControlFailed, "%s may be set or not: by envFrom, or from an optional key, which the prober does not read", text.Count(unknown, "variable"))
	}
	return probe.Outcomef(probe.OK, "the pod template sets every variable of %s", text.Count(len(p.Env), "container"))
}

// A presence says whether a variable is set.
type presence int

const (
	absent presence = iota
	uncertain
	present
)

// have reports whether a container has a variable that is not empty. Of several with one name the last counts.
func have(c *kubernetes.Container, name string) presence {
	for i := len(c.Env) - 1; i >= 0; i-- {
		v := c.Env[i]
		if v.Name != name {
			continue
		}
		switch {
		case v.ValueFrom == nil && v.Value == "":
			return absent
		case v.ValueFrom != nil && (optional(v.ValueFrom.SecretKeyRef) || optional(v.ValueFrom.ConfigMapKeyRef)):
			return uncertain
		}
		return present
	}
	if len(c.EnvFrom) > 0 {
		return uncertain
	}
	return absent
}

func optional(ref *kubernetes.KeyRef) bool { return ref != nil && ref.Optional }
