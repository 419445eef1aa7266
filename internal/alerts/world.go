package alerts

import (
	"maps"
	"strings"
	"time"

	"prober/internal/probe"
)

// A proof is how a unit test makes an alert fire.
type proof struct {
	turn        func(w *world)    // what changes in a world where all is well; nil: no single change makes it fire
	after       time.Duration     // from the change to the first evaluation at which the alert fires
	least       time.Duration     // when it must not fire yet; by default two evaluations before that
	labels      map[string]string // those that come from its series
	amongOthers bool              // what makes it fire makes others fire as well
	probers     []prober          // who probes meanwhile; nil: one alone
}

// step is the time between two samples of the made-up series, and between two evaluations.
const step = usualTick

// steps is how many steps a time takes.
func steps(d time.Duration) int { return int(d / step) }

// A world is what Prometheus would have scraped: series, and the step at which something changes.
type world struct {
	series []*series
	event  int
	last   int
}

// A prober is one process that is scraped.
type prober struct{ instance, region string }

const (
	firstInstance = "prober-0:9798"
	serviceJob    = "service"
)

var (
	alone   = []prober{{instance: firstInstance}}
	several = []prober{{firstInstance, "a"}, {"prober-1:9798", "b"}}
)

// newWorld makes a world in which every probe of the systems passes. The change comes at the event.
func newWorld(job string, probers []prober, all []*system, event, last int) *world {
	w := &world{event: event, last: last}
	for _, p := range probers {
		target := map[string]string{"job": job, "instance": p.instance}
		w.add("up", constant(1), target)
		w.add("process_start_time_seconds", constant(0), target)
		w.add("prober_config_last_reload_successful", constant(1), target)
		w.add("prober_panics_total", constant(0), target)
		w.add("prober_self_check", constant(1), target, map[string]string{"check": "clock"})
		for _, le := range []string{"1", "5", "+Inf"} {
			w.add("prober_schedule_lag_seconds_bucket", count(1), target, map[string]string{"le": le})
		}
		if p.region != "" {
			target[region] = p.region
		}
		for _, s := range all {
			for _, j := range s.jobs {
				w.probe(s, j, target)
			}
			if s.options.Counters[s.name] != "" && p == probers[0] {
				w.service(s, target)
			}
		}
	}
	return w
}

// service adds the counter of a system that serves hardly anybody but the probers: most of its answers are refusals and
// routes that are not built yet, all of them wanted.
func (w *world) service(s *system, target map[string]string) {
	for code, rate := range map[string]float64{"200": 0.1, "401": 3, "501": 3, "503": 0} {
		w.add(s.options.Counters[s.name], count(rate), map[string]string{"job": serviceJob, "code": code})
		if rate > 1 {
			w.add("probe_expected_status_total", count(rate), target, s.labels(s.jobs[0]), map[string]string{"type": s.jobs[0].Type, "code": code})
		}
	}
}

// serve makes the system answer so to others than the probers as well.
func (w *world) serve(counter, code string) {
	w.turn(w.find(counter, map[string]string{"code": code}), func(old func(int) float64, since int) float64 {
		return old(w.event+since) + 30*float64(since)
	})
}

// probe adds the series of one probe.
func (w *world) probe(s *system, j probe.Job, target map[string]string) {
	id := with(with(target, s.labels(j)), map[string]string{"type": j.Type})
	for _, v := range probe.Verdicts {
		verdict := map[string]string{"verdict": v.String()}
		rate := 0.0
		if v == probe.Pass {
			rate = step.Seconds() / j.Interval.Seconds()
		}
		w.add("probe_verdict", constant(truth(v == probe.Pass)), id, verdict)
		w.add("probe_runs_total", count(rate), id, verdict)
	}
	w.add("probe_success", constant(1), id)
	w.add("probe_interval_seconds", constant(j.Interval.Seconds()), id)
	w.add("probe_registered_timestamp_seconds", constant(0), id)
	w.add("probe_last_run_timestamp_seconds", count(step.Seconds()), id)
	w.add("probe_last_pass_timestamp_seconds", count(step.Seconds()), id)
	perStep := step.Seconds() / j.Interval.Seconds()
	for _, le := range []string{"2", "2.5", "+Inf"} {
		w.add("probe_duration_seconds_bucket", count(perStep), id, map[string]string{"le": le})
	}
	w.add("probe_duration_seconds_count", count(perStep), id)
	for _, check := range j.Probe.Checks() {
		w.add("probe_check_success", constant(1), id, map[string]string{"check": check})
	}
	w.measures(j, id)
	for check := range j.Signals {
		signal := j.Signals[check]
		w.add(signal.Name, constant(1), target, signal.Labels)
	}
}

// madeUpSurface is where a breach of a made-up probe of tenants is found.
const madeUpSurface = "memories/read"

// madeUpFixture is a token that a made-up probe keeps for one of its callers.
const madeUpFixture = "valid"

// measures adds what the rules read of one kind.
func (w *world) measures(j probe.Job, id map[string]string) {
	set := func(name, label, well string, others ...string) {
		for _, v := range append([]string{well}, others...) {
			w.add(name, constant(truth(v == well)), id, map[string]string{label: v})
		}
	}
	switch {
	case j.Type == kindHealth:
		set("probe_health_state", "state", "serving", troubles...)
	case j.Type == kindIsolation:
		w.add("probe_isolation_breach_total", constant(0), id, map[string]string{"surface": madeUpSurface})
		w.add("probe_isolation_last_proven_timestamp_seconds", count(step.Seconds()), id, map[string]string{"surface": madeUpSurface})
	case j.Type == kindProtected:
		set("probe_protected_outcome", "outcome", "auth_passed", "auth_bypass", "valid_rejected")
		set("probe_auth_case", "outcome", "as_expected", "accepted")
		w.add(fixture, constant((30 * 24 * time.Hour).Seconds()), id, map[string]string{"fixture": madeUpFixture})
		w.add(fixture, constant(0), id, map[string]string{"fixture": "expired"})
	case denies(j):
		w.add("probe_http_status_code", constant(401), id, map[string]string{"check": "status"})
	}
}

func (w *world) add(name string, value func(int) float64, labels ...map[string]string) {
	s := &series{name: name, value: value, shown: func(int) string { return "" }, labels: map[string]string{}}
	for _, l := range labels {
		maps.Copy(s.labels, l)
	}
	w.series = append(w.series, s)
}

// find returns the series of a name that have all the labels. No name means any.
func (w *world) find(name string, labels ...map[string]string) (found []*series) {
	for _, s := range w.series {
		fits := name == "" || s.name == name
		for _, l := range labels {
			for k, v := range l {
				fits = fits && s.labels[k] == v
			}
		}
		if fits {
			found = append(found, s)
		}
	}
	return found
}

// turn gives series another value from the event on; it is told the step since then.
func (w *world) turn(found []*series, next func(old func(int) float64, since int) float64) {
	for _, s := range found {
		old := s.value
		s.value = func(step int) float64 {
			if step < w.event {
				return old(step)
			}
			return next(old, step-w.event)
		}
	}
}

func (w *world) set(name string, v float64, labels ...map[string]string) {
	w.turn(w.find(name, labels...), func(func(int) float64, int) float64 { return v })
}

func (w *world) change(name string, f func(since int) float64) {
	w.turn(w.find(name), func(_ func(int) float64, since int) float64 { return f(since) })
}

// halt makes counters and times stay what they are.
func (w *world) halt(name string, labels ...map[string]string) {
	w.turn(w.find(name, labels...), func(old func(int) float64, _ int) float64 { return old(w.event) })
}

// restart makes times the time of the event.
func (w *world) restart(name string, labels map[string]string) {
	w.set(name, float64(w.event)*step.Seconds(), labels)
}

// end makes series go, as those of a removed target do.
func (w *world) end(name string, labels ...map[string]string) {
	for _, s := range w.find(name, labels...) {
		w.stop(s)
	}
}

func (w *world) stop(s *series) {
	w.show(s, func(since int) string {
		if since == 0 {
			return "stale"
		}
		return "_"
	})
}

func (w *world) show(s *series, shown func(since int) string) {
	s.shown = func(step int) string {
		if step < w.event {
			return ""
		}
		return shown(step - w.event)
	}
}

// lose makes one scrape of everything fail, a while after the event.
func (w *world) lose(since int) {
	for _, s := range w.series {
		if s.name == "up" {
			old := s.value
			s.value = func(step int) float64 {
				if step == w.event+since {
					return 0
				}
				return old(step)
			}
			continue
		}
		w.show(s, func(at int) string {
			if at == since {
				return "stale"
			}
			return ""
		})
	}
}

// die ends the probers, or those at one place, and what they cause at the services; Prometheus keeps trying.
func (w *world) die(at ...map[string]string) {
	for _, s := range w.find("", at...) {
		if s.name == "up" {
			w.turn([]*series{s}, func(func(int) float64, int) float64 { return 0 })
			continue
		}
		if s.labels["job"] != serviceJob {
			w.stop(s)
			continue
		}
		if code := s.labels["code"]; code == "401" || code == "501" {
			w.turn([]*series{s}, func(old func(int) float64, _ int) float64 { return old(w.event) })
		}
	}
}

// reset starts the probers anew: counters at 0, nothing run yet at the event, all as before afterwards.
func (w *world) reset() {
	for _, s := range w.series {
		if strings.HasSuffix(s.name, "_total") || strings.HasSuffix(s.name, "_count") || strings.HasSuffix(s.name, "_bucket") {
			w.turn([]*series{s}, func(old func(int) float64, since int) float64 { return old(w.event+since) - old(w.event) })
		}
	}
	first := func(name string, v float64, labels ...map[string]string) {
		w.turn(w.find(name, labels...), func(old func(int) float64, since int) float64 {
			if since == 0 {
				return v
			}
			return old(w.event + since)
		})
	}
	w.restart("probe_registered_timestamp_seconds", nil)
	w.restart("process_start_time_seconds", nil)
	first("probe_last_run_timestamp_seconds", 0)
	first("probe_last_pass_timestamp_seconds", 0)
	first("probe_success", 0)
	first("probe_verdict", 0)
	first("probe_verdict", 1, map[string]string{"verdict": "inconclusive"})
}

// verdict makes every run of a probe end so, from the event on, wherever it is asked from.
func (w *world) verdict(j probe.Job, verdict string, at ...map[string]string) {
	id := append([]map[string]string{{"system": j.System, "probe": j.Name}}, at...)
	rate := step.Seconds() / j.Interval.Seconds()
	w.set("probe_verdict", 0, id...)
	w.halt("probe_runs_total", id...)
	id = append(id, map[string]string{"verdict": verdict})
	w.set("probe_verdict", 1, id...)
	w.turn(w.find("probe_runs_total", id...), func(old func(int) float64, since int) float64 { return old(w.event) + rate*float64(since) })
}

// fail makes a probe fail.
func (w *world) fail(j probe.Job, at ...map[string]string) { w.verdict(j, "fail", at...) }
