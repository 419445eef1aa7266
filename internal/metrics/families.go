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

// A family is all series of one name.
type family struct {
	name, help string
	kind       dto.MetricType
	write      func(r *row, p *page) // writes those of one probe
}

// families are those that every probe has, sorted by name.
var families = [...]family{
	{"probe_check_success", "Whether the check passed in the last run; absent if it could not tell.", gauge, func(r *row, p *page) {
		for i := range r.last.checks {
			if c := &r.last.checks[i]; c.verdict != probe.Inconclusive {
				p.put(r, number(c.verdict == probe.Pass), "check", c.check, "target", c.target)
			}
		}
	}},
	{"probe_connections_total", "Connections opened to the target.", counter, func(r *row, p *page) {
		p.count(r, r.connections, r.registered)
	}},
	{"probe_duration_seconds", "How long the target took: the slowest exchange of a run, or the run if it had none. Runs that the prober itself spoiled are left out.", duration, func(r *row, p *page) {
		p.out.Histogram(&r.view.labels, &r.latency, r.registered)
	}},
	{"probe_expected_status_total", "Answers with a status of 400 or more that the probe causes on purpose, for subtraction.", counter, func(r *row, p *page) {
		for i := range r.expected {
			c := &r.expected[i]
			p.count(r, c.n, c.created, "target", c.a, "code", c.b)
		}
	}},
	{"probe_failures_total", "Checks that failed or could not tell, by the reason. The first one makes the series: use probe_runs_total with increase().", counter, func(r *row, p *page) {
		for i := range r.failures {
			c := &r.failures[i]
			p.count(r, c.n, c.created, "check", c.a, "reason", c.b)
		}
	}},
	{"probe_http_duration_seconds", "How long the phases of the slowest exchange of the last run took; absent for those that did not happen.", gauge, func(r *row, p *page) {
		for i, name := range probe.PhaseNames {
			if r.last.happened[i] {
				p.put(r, r.last.phases[i], "phase", name)
			}
		}
	}},
	{"probe_http_status_code", "Status of the last answer for the check in the last run; 0 if no answer came.", gauge, func(r *row, p *page) {
		for i := range r.last.codes {
			c := &r.last.codes[i]
			p.put(r, float64(c.status), "check", c.check, "target", c.target)
		}
	}},
	{"probe_in_maintenance", "Whether a maintenance window of the probe is open: 1 it is, 0 it is not. The generated alerts stay quiet while it is.", gauge, func(r *row, p *page) {
		_, _, open := probe.Job{Maintenance: r.view.maintenance}.Maintained(p.now)
		p.put(r, number(open))
	}},
	{"probe_info", "What the probe serves, always 1.", gauge, func(r *row, p *page) {
		p.put(r, 1, "runbook", r.view.runbook, "severity", r.view.severity, "runbook_url", r.view.url)
	}},
	{"probe_interval_seconds", "How often the probe runs.", gauge, func(r *row, p *page) {
		p.put(r, r.view.interval)
	}},
	{"probe_last_pass_timestamp_seconds", "When the last run that passed ended; 0 before the first.", gauge, func(r *row, p *page) {
		p.put(r, r.lastPass)
	}},
	{"probe_last_run_timestamp_seconds", "When the last run ended; 0 before the first.", gauge, func(r *row, p *page) {
		p.put(r, r.last.ended)
	}},
	{"probe_registered_timestamp_seconds", "When the probe became known to this process.", gauge, func(r *row, p *page) {
		p.put(r, float64(r.registered)/1e3)
	}},
	{"probe_runs_total", "Runs that ended, by the verdict.", counter, func(r *row, p *page) {
		for _, v := range probe.Verdicts {
			p.count(r, r.runs[v], r.registered, "verdict", v.String())
		}
	}},
	{"probe_success", "Whether the last run passed: 1 for the verdict pass, 0 for any other and before the first run.", gauge, func(r *row, p *page) {
		p.put(r, number(r.last.verdict == probe.Pass))
	}},
	{"probe_target_version_info", "Versions of its software that the target gave in the last run, always 1.", gauge, func(r *row, p *page) {
		for _, v := range r.last.versions {
			p.put(r, 1, "target", v.target, "version", v.version)
		}
	}},
	{"probe_tls_earliest_cert_expiry_timestamp_seconds", "When the first certificate of the chains seen in the last run expires; absent without TLS.", gauge, func(r *row, p *page) {
		if r.last.expiry > 0 {
			p.put(r, r.last.expiry)
		}
	}},
	{"probe_verdict", "The verdict of the last run, 1 for exactly one of the three; inconclusive before the first.", gauge, func(r *row, p *page) {
		for _, v := range probe.Verdicts {
			p.put(r, number(r.last.verdict == v), "verdict", v.String())
		}
	}},
}

// signalHelp is the help of every signal: the probes of one family may be several, and its help must be one.
const signalHelp = "Follows a check of a probe, as configured: 1 it passed, 0 it failed, absent while nobody can tell."

// measureName reports whether a measure may have that name: it begins with probe_ and is none of the families' own.
func measureName(name string) bool {
	if !strings.HasPrefix(name, "probe_") || !metricName(name) {
		return false
	}
	for i := range families {
		f := &families[i]
		if rest, ok := strings.CutPrefix(name, f.name); ok && (rest == "" || f.kind == duration && rest[0] == '_') {
			return false
		}
	}
	return true
}
