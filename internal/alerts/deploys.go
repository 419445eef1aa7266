package alerts

import (
	"prober/internal/probe"
)

// deployReporters are the jobs of the system that report deploys.
func (s *system) deployReporters() (all []*probe.Job) {
	for i := range s.jobs {
		if s.options.exports(s.jobs[i], deployNearOnset) {
			all = append(all, &s.jobs[i])
		}
	}
	return all
}

// deploysAnnotation is a template that says which deploys are near the onset of the incident, and which version is known to be
// good; empty if no probe of the system reports deploys.
func (s *system) deploysAnnotation() string {
	reporters := s.deployReporters()
	if len(reporters) == 0 {
		return ""
	}
	group := runbookGroup{}
	for _, j := range reporters {
		group.jobs = append(group.jobs, *j)
	}
	match := group.match(s)
	// The platform may be down with what runs on it: then what it said before counts.
	lately := func(metric string) string { return "last_over_time(" + selector(metric, match) + "[5m])" }
	// Two probes may have deploys of one name, such as revision-2.
	by, which, order := "deploy, version", "", ""
	if len(reporters) > 1 {
		by, which, order = "probe, "+by, " ({{ .Labels.probe }})", " | sortByLabel `probe`"
	}
	near := "max by (" + by + ") (" + lately(deployNearOnset) + ")"
	// What was good before it was deployed near the onset is not what to go back to.
	good := "max by (probe, version) (" + lately(lastKnownGood) + ") unless on (probe, version) " + lately(deployNearOnset)
	return "{{ range query " + templateString(near) + order + " }}Deploy {{ .Labels.deploy }} of version {{ or .Labels.version `unknown` }}" + which + " started {{ .Value | humanizeDuration }} before the first failure. " +
		"{{ else }}No deploy is known to be near the onset. {{ end }}" +
		"{{ range query " + templateString(good) + order + " }}Last known good: version {{ .Labels.version }}" + which + ". {{ else }}No version is known to be good. {{ end }}"
}
