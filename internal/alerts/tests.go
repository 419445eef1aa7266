package alerts

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"prober/internal/probe"
)

// The unit tests of promtool.
type (
	testFile struct {
		RuleFiles []string   `yaml:"rule_files"`
		Every     string     `yaml:"evaluation_interval"`
		Tests     []testCase `yaml:"tests"`
	}
	testCase struct {
		Name   string      `yaml:"name"`
		Every  string      `yaml:"interval"`
		Series []input     `yaml:"input_series"`
		Wants  []assertion `yaml:"promql_expr_test"`
	}
	input struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	assertion struct {
		Expr    string   `yaml:"expr"`
		At      string   `yaml:"eval_time"`
		Samples []sample `yaml:"exp_samples"`
	}
	sample struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
)

const testsHead = `Made by "prober rules --test". Run it beside the rules:  promtool test rules FILE`

// mostAlone is up to how many probes each alert has a case of its own. A case holds the series of all probes, so that
// the file grows with the square of their number: of 300 it would be 260 MB.
const mostAlone = 60

// event is when something changes in a test: after a while in which all is well.
const event = 4

// WriteTests writes unit tests for promtool: that each alert fires on time and no other does, that none fires while all
// is well, over a lost scrape and when the prober starts anew, that a prober that is gone is noticed, and that one
// location has no majority. The tests look for the rules in rulesFile. The error is the writer's.
func (f *File) WriteTests(w io.Writer, rulesFile string) error {
	tests := testFile{RuleFiles: []string{rulesFile}, Every: promTime(step)}
	tests.Tests = append(tests.Tests, f.quiet()...)
	patient := map[string][]Rule{}
	many := 0
	for _, s := range f.systems {
		many += len(s.jobs)
	}
	for _, r := range f.alerts() {
		switch {
		case r.proof.turn == nil:
		case r.proof.probers == nil && (r.proof.after > 2*time.Minute || many > mostAlone) || r.proof.amongOthers:
			patient[r.Alert] = append(patient[r.Alert], r)
		default:
			tests.Tests = append(tests.Tests, f.fires(r))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(patient)) {
		tests.Tests = append(tests.Tests, f.fireTogether(patient[name]))
	}
	for _, s := range f.systems {
		tests.Tests = append(tests.Tests, f.robust(s)...)
	}
	return writeYAML(w, testsHead, tests)
}

// world makes one with room for a time after the event.
func (f *File) world(after time.Duration) *world { return f.worldOf(alone, after) }

// worldOf is a world with several probers.
func (f *File) worldOf(probers []prober, after time.Duration) *world {
	return newWorld(f.options.job(), probers, f.systems, event, event+steps(after)+2)
}

// smallWorld is one with those probes alone that the labels name, for tests of hours, which a whole one makes slow. As
// others miss the rest, only the alerts of one name can be looked at. It is whole where a label is about more than one.
func (f *File) smallWorld(probers []prober, after time.Duration, about ...map[string]string) *world {
	var small []*system
	for _, s := range f.systems {
		part := *s
		part.jobs = slices.DeleteFunc(slices.Clone(s.jobs), func(j probe.Job) bool {
			return !slices.ContainsFunc(about, func(l map[string]string) bool { return l["system"] == s.name && l["probe"] == j.Name })
		})
		if len(part.jobs) > 0 {
			small = append(small, &part)
		}
	}
	if slices.ContainsFunc(about, func(l map[string]string) bool { return l["probe"] == "" }) {
		small = f.systems
	}
	return newWorld(f.options.job(), probers, small, event, event+steps(after)+2)
}

// named are the alerts of one name that fire.
func named(alert string) string {
	return fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing"}`, alert)
}

// at is the time of a step that many after the event.
func at(since time.Duration) time.Duration { return event*step + since }

const firing = `ALERTS{alertstate="firing"}`

// none wants silence at these times after the event.
func none(expr string, times ...time.Duration) (all []assertion) {
	for _, t := range times {
		all = append(all, assertion{Expr: expr, At: promTime(at(t)), Samples: []sample{}})
	}
	return all
}

// only wants these alerts at a time after the event, and no others.
func only(expr string, t time.Duration, rules ...Rule) assertion {
	a := assertion{Expr: expr, At: promTime(at(t))}
	for _, r := range rules {
		labels := with(with(r.proof.labels, r.Labels), map[string]string{"alertname": r.Alert, "alertstate": "firing"})
		for name, value := range labels {
			labels[name] = expanded(value)
		}
		a.Samples = append(a.Samples, sample{metric("ALERTS", labels), 1})
	}
	return a
}

func (w *world) test(name string, wants ...assertion) testCase {
	c := testCase{Name: name, Every: promTime(step), Wants: wants}
	for _, s := range w.series {
		c.Series = append(c.Series, input{s.String(), s.values(w.last)})
	}
	return c
}

// quiet are the cases in which nothing may fire.
func (f *File) quiet() []testCase {
	const long = 12 * time.Minute
	well := f.world(long)
	lost := f.world(long)
	lost.lose(0)
	anew := f.world(long)
	anew.reset()
	gone := f.world(long)
	gone.die()
	absent := f.alerts()[slices.IndexFunc(f.alerts(), func(r Rule) bool { return r.Alert == "ProberAbsent" })]
	return []testCase{
		well.test("all is well", none(firing, 0, 5*time.Minute, long)...),
		lost.test("one scrape is lost", none(firing, 0, time.Minute, 5*time.Minute, long)...),
		anew.test("the prober starts anew, and its counters with it", none(firing, 0, time.Minute, 5*time.Minute, long)...),
		gone.test("the prober is gone: one alert says so, for all", append(none(firing, 0, 2*time.Minute-2*step),
			only(firing, 2*time.Minute, absent), only(firing, long, absent))...),
	}
}

// fires is the case of one alert: silent before its time, then firing with its labels, and alone.
func (f *File) fires(r Rule) testCase {
	w := f.world(r.proof.after)
	if r.proof.probers != nil {
		w = f.worldOf(r.proof.probers, r.proof.after)
	}
	r.proof.turn(w)
	name := r.Alert
	for _, label := range []string{"system", "probe"} {
		if value := with(r.proof.labels, r.Labels)[label]; value != "" {
			name += " " + value
		}
	}
	return w.test(name+" fires after "+promTime(r.proof.after)+", alone", append(none(firing, r.least()), only(firing, r.proof.after, r))...)
}

// fireTogether is the case of all alerts of one name that take their time, so that the tests do not.
func (f *File) fireTogether(rules []Rule) testCase {
	r := slices.MaxFunc(rules, func(a, b Rule) int { return cmp.Compare(a.proof.after, b.proof.after) })
	first := slices.MinFunc(rules, func(a, b Rule) int { return cmp.Compare(a.least(), b.least()) })
	var about []map[string]string
	for _, r := range rules {
		about = append(about, r.proof.labels)
	}
	w := f.smallWorld(alone, r.proof.after, about...)
	for _, r := range rules {
		r.proof.turn(w)
	}
	expr := named(r.Alert)
	return w.test(r.Alert+" fires after "+promTime(r.proof.after), append(none(expr, first.least()), only(expr, r.proof.after, rules...))...)
}

// least is when the alert must not fire yet. Two evaluations before its time are left open: versions of Prometheus
// differ in whether a range includes its beginning.
func (r Rule) least() time.Duration {
	return cmp.Or(r.proof.least, max(r.proof.after-2*step, -step))
}

// robust are cases of how the alerts of a system bear what is not quite as in a book. They are tried on the first probe
// that has the plain alert.
func (f *File) robust(s *system) (all []testCase) {
	for _, j := range s.jobs {
		all = append(all, f.explained(s, j)...)
		if j.Type == kindIsolation {
			all = append(all, f.seenOnce(s, j), f.provenElsewhere(s, j))
		}
	}
	i := slices.IndexFunc(s.jobs, func(j probe.Job) bool { return len(s.failing(j)) == 1 && j.DependsOn == nil })
	if i < 0 {
		return all
	}
	j := s.jobs[i]
	rule := s.failing(j)[0].rule()
	wait := rule.proof.after
	named := s.name + "/" + j.Name

	lost := f.world(wait)
	lost.fail(j)
	lost.lose(2)
	all = append(all, lost.test(named+" fails, a scrape is lost meanwhile, and it fires on time", append(none(firing, wait-2*step), only(firing, wait, rule))...))

	flap := f.world(4 * wait)
	every := max(3, 2*steps(j.Interval+step))
	for verdict, on := range map[string]bool{"fail": true, "pass": false} {
		flap.turn(flap.find("probe_verdict", map[string]string{"system": s.name, "probe": j.Name, "verdict": verdict}),
			func(_ func(int) float64, since int) float64 { return truth((since%every == 0) == on) })
	}
	all = append(all, flap.test(named+" fails now and then: nobody is paged", none(firing, wait, 2*wait, 4*wait)...))

	mended := f.world(wait + time.Minute)
	mended.fail(j)
	for verdict, v := range map[string]float64{"fail": 0, "pass": 1} {
		mended.turn(mended.find("probe_verdict", map[string]string{"system": s.name, "probe": j.Name, "verdict": verdict}),
			func(old func(int) float64, since int) float64 {
				if since > steps(wait) {
					return v
				}
				return old(event + since)
			})
	}
	all = append(all, mended.test(named+" is mended: the first pass ends the alert", append([]assertion{only(firing, wait, rule)}, none(firing, wait+step)...)...))

	window := f.world(12 * time.Minute)
	window.fail(j)
	window.add("probe_in_maintenance", constant(1), map[string]string{"job": f.options.job(), "instance": firstInstance}, s.labels(j), map[string]string{"type": j.Type})
	all = append(all, window.test(named+" fails under maintenance: silent", none(firing, wait, 12*time.Minute)...))
	return append(all, f.quorum(s, j, rule)...)
}

// explained is the case of a probe that fails together with what it depends on: that alone has an alert.
func (f *File) explained(s *system, j probe.Job) (all []testCase) {
	for _, needed := range s.jobs {
		if !slices.Contains(j.DependsOn, needed.Name) || len(s.failing(needed)) != 1 || needed.DependsOn != nil {
			continue
		}
		rule := s.failing(needed)[0].rule()
		wait := max(rule.proof.after, failWait(j))
		w := f.world(wait)
		w.fail(j)
		w.fail(needed)
		all = append(all, w.test(fmt.Sprintf("%s/%s fails because %s does", s.name, j.Name, needed.Name), only(firing, wait, rule)))
	}
	return all
}

// seenOnce is the case of a breach in one run of many: it is in force for an hour, and then no longer.
func (f *File) seenOnce(s *system, j probe.Job) testCase {
	all := s.isolation(j)
	rule := all[slices.IndexFunc(all, func(n news) bool { return n.name == "ProbeBreach" })].rule()
	w := f.smallWorld(alone, breachHeld, s.labels(j))
	w.set("probe_isolation_breach_total", 1, s.labels(j))
	expr := named(rule.Alert)
	return w.test(s.name+"/"+j.Name+" finds a breach once: for an hour", append([]assertion{only(expr, 0, rule), only(expr, breachHeld-2*step, rule)},
		none(expr, breachHeld+2*step)...)...)
}

// provenElsewhere is the case of one location that proves nothing any more while another does: silent.
func (f *File) provenElsewhere(s *system, j probe.Job) testCase {
	long := max(provenWithin, upTo(3*j.Interval, time.Minute)) + 2*time.Minute
	w := f.smallWorld(several, long, s.labels(j))
	w.halt("probe_isolation_last_proven_timestamp_seconds", s.labels(j), map[string]string{region: several[0].region})
	return w.test("one of two locations cannot prove "+s.name+"/"+j.Name+": silent", none(named("ProbeIsolationUnproven"), long-2*time.Minute, long)...)
}

// quorum are the cases of three locations.
func (f *File) quorum(s *system, j probe.Job, rule Rule) (all []testCase) {
	// Three probers in one location have one vote.
	places := []prober{{firstInstance, "a"}, {"prober-1:9798", "a"}, {"prober-2:9798", "a"}, {"prober-3:9798", "b"}, {"prober-4:9798", "c"}}
	world := func(after time.Duration, cut ...string) *world {
		w := f.worldOf(places, after)
		for _, place := range cut {
			w.fail(j, map[string]string{region: place})
		}
		return w
	}
	path := s.disagree().rule()
	path.proof.labels = with(s.labels(j), map[string]string{region: "a"})
	// A whole location that is cut off says of everything that it fails.
	cut := f.worldOf(places, 5*time.Minute)
	for _, other := range s.jobs {
		cut.fail(other, map[string]string{region: "a"})
	}
	pages := `ALERTS{alertstate="firing",severity!="info"}`
	return []testCase{
		world(10*time.Minute, "a").test("one of three locations says that "+s.name+"/"+j.Name+" fails: a ticket",
			append(none(firing, rule.proof.after, 5*time.Minute), only(firing, 10*time.Minute, path))...),
		world(rule.proof.after, "b", "c").test("two of three locations say that "+s.name+"/"+j.Name+" fails: a page",
			append(none(firing, rule.proof.after-2*step), only(firing, rule.proof.after, rule))...),
		cut.test("one of three locations is cut off from "+s.name+": nobody is paged", none(pages, time.Minute, 5*time.Minute)...),
	}
}
