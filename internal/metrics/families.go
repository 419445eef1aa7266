package metrics

import (
	"strings"

	"prober/internal/probe"

	dto "github.com/prometheus/client_model/go"
)

const (
	gauge    = dto.MetricType_GAUGE
	counter  = dto.MetricType_COUNTER
	duration = dto.MetricType_HISTOGRAM
)

// A fixedFamily is a family that every probe has.
type fixedFamily struct {
	name, help string
	kind       dto.MetricType
	write      func(r *jobSnapshot, p *scrape) // writes the series of one probe
}

// fixedFamilies are sorted by name.
var fixedFamilies = [...]fixedFamily{
	{"probe_check_success", "Whether the check passed in the last run; absent if it was inconclusive.", gauge, func(r *jobSnapshot, p *scrape) {
		for i := range r.last.checks {
			if c := &r.last.checks[i]; c.verdict != probe.Inconclusive {
				p.gauge(r, boolFloat(c.verdict == probe.Pass), "check", c.check, "target", c.target)
			}
		}
	}},
	{"probe_connections_total", "Connections opened to the target.", counter, func(r *jobSnapshot, p *scrape) {
		p.counter(r, r.connections, r.registered)
	}},
	{"probe_expected_status_total", "Responses with a status of 400 or more that the probe causes on purpose, for subtraction.", counter, func(r *jobSnapshot, p *scrape) {
		for i := range r.expected {
			c := &r.expected[i]
			p.counter(r, c.n, c.created, "target", c.a, "code", c.b)
		}
	}},
	{"probe_failures_total", "Checks that did not pass, by reason. A series is created by its first occurrence: use probe_runs_total with increase().", counter, func(r *jobSnapshot, p *scrape) {
		for i := range r.failures {
			c := &r.failures[i]
			p.counter(r, c.n, c.created, "check", c.a, "reason", c.b)
		}
	}},
	{"probe_http_duration_seconds", "Duration of each phase of the slowest exchange of the last run; absent for phases that did not happen.", gauge, func(r *jobSnapshot, p *scrape) {
		for i, name := range probe.PhaseNames {
			if r.last.happened[i] {
				p.gauge(r, r.last.phases[i], "phase", name)
			}
		}
	}},
	{"probe_http_status_code", "Status of the last response for the check in the last run; 0 without a response.", gauge, func(r *jobSnapshot, p *scrape) {
		for i := range r.last.codes {
			c := &r.last.codes[i]
			p.gauge(r, float64(c.status), "check", c.check, "target", c.target)
		}
	}},
	{"probe_in_maintenance", "Whether a maintenance window of the probe is open. The generated alerts do not fire while it is 1.", gauge, func(r *jobSnapshot, p *scrape) {
		_, _, open := probe.Job{Maintenance: r.view.maintenance}.Maintained(p.now)
		p.gauge(r, boolFloat(open))
	}},
	{"probe_info", "Runbook and severity of the probe, always 1.", gauge, func(r *jobSnapshot, p *scrape) {
		p.gauge(r, 1, "runbook", r.view.runbook, "severity", r.view.severity, "runbook_url", r.view.url)
	}},
	{"probe_interval_seconds", "Interval between runs.", gauge, func(r *jobSnapshot, p *scrape) {
		p.gauge(r, r.view.interval)
	}},
	{"probe_last_pass_timestamp_seconds", "Time when the last run that passed ended; 0 before the first.", gauge, func(r *jobSnapshot, p *scrape) {
		p.gauge(r, r.lastPass)
	}},
	{"probe_last_run_timestamp_seconds", "Time when the last run ended; 0 before the first.", gauge, func(r *jobSnapshot, p *scrape) {
		p.gauge(r, r.last.ended)
	}},
	{"probe_rate_limited_until_timestamp_seconds", "Time before which the probe does not run, because its target asked for fewer requests; 0 if it did not.", gauge, func(r *jobSnapshot, p *scrape) {
		p.gauge(r, r.limited)
	}},
	{"probe_registered_timestamp_seconds", "Time when this process first loaded the probe.", gauge, func(r *jobSnapshot, p *scrape) {
		p.gauge(r, float64(r.registered)/1e3)
	}},
	{"probe_run_duration_seconds", "Duration of the slowest exchange of a run, or of the run if it had none. Runs that the prober itself disturbed are left out.", duration, func(r *jobSnapshot, p *scrape) {
		p.out.Histogram(&r.view.labels, &r.latency, r.registered)
	}},
	{"probe_runs_total", "Runs that ended, by verdict.", counter, func(r *jobSnapshot, p *scrape) {
		for _, v := range probe.Verdicts {
			p.counter(r, r.runs[v], r.registered, "verdict", v.String())
		}
	}},
	{"probe_secret_reflected", "Whether a response of the last run repeated the credential that was sent; absent if none was sent that could be recognized.", gauge, func(r *jobSnapshot, p *scrape) {
		if r.last.reflected.known {
			p.gauge(r, boolFloat(r.last.reflected.value))
		}
	}},
	{"probe_success", "Whether the last run passed: 1 for the verdict pass, 0 for any other and before the first run.", gauge, func(r *jobSnapshot, p *scrape) {
		p.gauge(r, boolFloat(r.last.verdict == probe.Pass))
	}},
	{"probe_target_version_info", "Software versions that the target reported in the last run, always 1.", gauge, func(r *jobSnapshot, p *scrape) {
		for _, v := range r.last.versions {
			p.gauge(r, 1, "target", v.target, "version", v.version)
		}
	}},
	{"probe_target_versions", "Different versions that one URL reported in the last run, at the URL with the most; absent if none reported any.", gauge, func(r *jobSnapshot, p *scrape) {
		if r.last.maxVersions > 0 {
			p.gauge(r, r.last.maxVersions)
		}
	}},
	{"probe_tls_earliest_cert_expiry_timestamp_seconds", "Expiry of the certificate that expires first in all chains seen in the last run; absent without TLS.", gauge, func(r *jobSnapshot, p *scrape) {
		if r.last.expiry > 0 {
			p.gauge(r, r.last.expiry)
		}
	}},
	{"probe_trace_propagated", "Whether all responses of the last run that state a trace id state the one that was sent; absent if none states any.", gauge, func(r *jobSnapshot, p *scrape) {
		if r.last.propagated.known {
			p.gauge(r, boolFloat(r.last.propagated.value))
		}
	}},
	{"probe_verdict", "The verdict of the last run, 1 for exactly one of the three; inconclusive before the first.", gauge, func(r *jobSnapshot, p *scrape) {
		for _, v := range probe.Verdicts {
			p.gauge(r, boolFloat(r.last.verdict == v), "verdict", v.String())
		}
	}},
}

// signalHelp is the help of every signal: several probes may share a family, which has only one help.
const signalHelp = "Follows a check of a probe, as configured: 1 if it passed, 0 if it failed, absent if it was inconclusive."

// measureName reports whether a measure may have that name: it begins with probe_ and no fixed family has it.
func measureName(name string) bool {
	if !strings.HasPrefix(name, "probe_") || !metricName(name) {
		return false
	}
	for i := range fixedFamilies {
		f := &fixedFamilies[i]
		if rest, ok := strings.CutPrefix(name, f.name); ok && (rest == "" || f.kind == duration && rest[0] == '_') {
			return false
		}
	}
	return true
}
