package main

import (
	"slices"

	"prober/internal/probe"
	"prober/internal/report"
)

// expectVersion has the jobs expect the version of --expect-version.
func expectVersion(jobs []probe.Job, version string) {
	for i := range jobs {
		jobs[i].ExpectVersion = version
	}
}

// requireVersion keeps a report from passing if --expect-version was given and no probe read a version.
func (o onceOptions) requireVersion(rep *report.Report) {
	if o.expectVersion == "" || rep.Reason != "" {
		return
	}
	compared := func(r probe.Result) bool {
		return slices.ContainsFunc(r.Checks, func(c probe.Check) bool { return c.Name == probe.CheckExpectedVersion })
	}
	if !slices.ContainsFunc(rep.Results, compared) {
		rep.Reason = "no probe reads the version of what answers (version: in its settings)"
	}
}
