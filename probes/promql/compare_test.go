package promql

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/stats"
	"prober/probes/internal/probetest"
)

// ofErrors compares the share of errors.
func ofErrors(url string) *Probe {
	return &Probe{
		URL: url, Fresh: Fresh{Series: "requests_total"}, Baseline: &Baseline{Offset: probe.Duration(7 * 24 * time.Hour)},
		Compare: map[string]Comparison{"errors": {
			Good: `sum(increase(requests_total{code!~"5.."}[{window}]))`, Total: "sum(increase(requests_total[{window}]))",
		}},
	}
}

// A state is what the counters of a service say within a window: pairs of good and all, by "now RANGE" or "before".
type state map[string][2]float64

// serve answers with a state. The baseline is what is asked as of more than half an hour ago.
func (s state) serve(t *testing.T, good, total string) *server {
	t.Helper()
	return &server{answers: [][2]string{{good, "STATE good"}, {total, "STATE total"}}, state: func(query, which string, ago time.Duration) string {
		at := "before"
		if ago < 30*time.Minute {
			_, rest, _ := strings.Cut(query, "[")
			seconds, _, _ := strings.Cut(rest, "]")
			at = "now " + seconds
		}
		counts, known := s[at]
		if !known {
			return ""
		}
		if which == "good" {
			return scalar(fmt.Sprint(counts[0]))
		}
		return scalar(fmt.Sprint(counts[1]))
	}}
}

// TestCompare_share: a share of bad events against what it was, in windows that widen until one decides.
func TestCompare_share(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		state state
		want  string
	}{
		"as before": {
			state{"before": {19900, 20000}, "now 600s": {3980, 4000}},
			"pass(ok): expected at most 1.5 % (0.5 %, between 0.366 % and 0.665 %, of 20000 7d ago), got 0.5 %, between 0.234 % and 0.923 %, of 4000 within 10m",
		},
		"an outage":               {state{"before": {19900, 20000}, "now 600s": {200, 400}}, "fail(worse): expected at most 1.5 % (0.5 %, *"},
		"one in ten":              {state{"before": {19900, 20000}, "now 600s": {450, 500}}, "fail(worse): *"},
		"none":                    {state{"before": {20000, 20000}, "now 600s": {4000, 4000}}, "pass(ok): expected at most 1 % (0 %, between 0 % and 0.032 %, of 20000 7d ago), got 0 %*"},
		"the widest decides":      {state{"before": {19900, 20000}, "now 600s": {199, 200}, "now 1800s": {598, 600}, "now 3600s": {3980, 4000}}, "pass(ok): * of 4000 within 1h"},
		"too few in all":          {state{"before": {19900, 20000}, "now 600s": {199, 200}, "now 1800s": {398, 400}, "now 3600s": {597, 600}}, "inconclusive(uncertain): *of 600 within 1h; too close, or too few, to decide"},
		"just at the limit":       {state{"before": {19900, 20000}, "now 600s": {985, 1000}, "now 1800s": {2955, 3000}, "now 3600s": {5910, 6000}}, "inconclusive(uncertain): *"},
		"a handful, all bad":      {state{"before": {19900, 20000}, "now 600s": {0, 9}, "now 1800s": {0, 9}, "now 3600s": {0, 9}}, "inconclusive(uncertain): expected at least 50 events, got 9 within 1h"},
		"nobody calls it":         {state{"before": {19900, 20000}, "now 600s": {0, 0}}, "inconclusive(no_traffic): expected at least 50 events, got none within 10m: nobody calls it"},
		"nobody any more":         {state{"before": {19900, 20000}, "now 600s": {0, 0}, "now 1800s": {0, 0}, "now 3600s": {3980, 4000}}, "inconclusive(no_traffic): *"},
		"over just now":           {state{"before": {19900, 20000}, "now 600s": {100, 100}, "now 1800s": {1000, 2000}, "now 3600s": {2000, 4000}}, "inconclusive(uncertain): *"},
		"begins just now":         {state{"before": {19900, 20000}, "now 600s": {40, 45}, "now 1800s": {3995, 4000}, "now 3600s": {7995, 8000}}, "inconclusive(uncertain): *"},
		"nothing to compare":      {state{"now 600s": {3980, 4000}}, "inconclusive(no_baseline): 7d ago: total within 1h: the answer is empty: *"},
		"hardly anything":         {state{"before": {30, 30}, "now 600s": {3980, 4000}}, "inconclusive(no_baseline): expected at least 50 events 7d ago, got 30"},
		"more good than all":      {state{"before": {19900, 20000}, "now 600s": {5000, 4000}}, "inconclusive(schema): within 10m: expected no more good events than events, got 5000 of 4000"},
		"a little more good":      {state{"before": {19900, 20000}, "now 600s": {4000.9, 4000}}, "pass(ok): *, got 0 %*"},
		"one in forty more good":  {state{"before": {19900, 20000}, "now 600s": {4100, 4000}}, "inconclusive(schema): within 10m: expected no more good events than events, got 4100 of 4000"},
		"more good than all then": {state{"before": {20000, 19900}, "now 600s": {3980, 4000}}, "inconclusive(schema): 7d ago: within 1h: expected no more good events than events, got 20000 of 19900"},
		"no series any more":      {state{"before": {19900, 20000}}, "inconclusive(no_data): total within 10m: the answer is empty: *"},
		"all bad and few were":    {state{"before": {60, 60}, "now 600s": {0, 60}}, "fail(worse): *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, ofErrors(test.state.serve(t, `code!~"5.."`, "requests_total[").start(t)))
			got := strings.Split(strings.TrimSpace(probetest.Lines(r)), "\n")
			wantMatch(t, got[len(got)-1], "compare@errors "+test.want)
		})
	}
}

// wantMatch compares a text with one in which * stands for anything.
func wantMatch(t *testing.T, got, want string) {
	t.Helper()
	rest := got
	for i, part := range strings.Split(want, "*") {
		at := strings.Index(rest, part)
		if at < 0 || i == 0 && at > 0 {
			t.Errorf("\n got  %s\n want %s", got, want)
			return
		}
		rest = rest[at+len(part):]
	}
	if rest != "" && !strings.HasSuffix(want, "*") {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
}

// TestCompare_measures: what a dashboard needs is exported, also of a run that could not decide.
func TestCompare_measures(t *testing.T) {
	t.Parallel()
	for name, now := range map[string][2]float64{"decides": {3984, 4000}, "cannot decide": {498, 500}} {
		t.Run(name, func(t *testing.T) {
			s := state{"before": {19980, 20000}, "now 600s": now, "now 1800s": now, "now 3600s": now}
			r := run(t, ofErrors(s.serve(t, `code!~"5.."`, "requests_total[").start(t)))
			if decided := r.Verdict() != probe.Inconclusive; decided != (name == "decides") {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			for m, want := range map[*probe.Measure]float64{valueGauge: 0.004, baselineGauge: 0.001, samplesGauge: now[1]} {
				if got, ok := value(r, m, "errors"); !ok || math.Abs(got-want) > 1e-9 {
					t.Errorf("%s is %v, expected %v", m.Name, got, want)
				}
			}
			if got, ok := value(r, ageGauge); !ok || got < 9.9 || got > 10.1 {
				t.Errorf("the age is %v", got)
			}
		})
	}
}

// TestCompare_own: the prober's own requests are subtracted from what the service counts, with what the moments of the scrapes
// leave open. Without a series for them nothing is subtracted, and nothing is decided.
func TestCompare_own(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bad, total       float64 // of the service
		ownBad, ownTotal string
		want             string
	}{
		"nothing of our own":       {20, 4000, scalar("0"), scalar("0"), "pass(ok): *"},
		"many of our own":          {240 + 20, 240 + 4000, scalar("240"), scalar("240"), "pass(ok): * of 4000 within 10m"},
		"a night without traffic":  {240, 240, scalar("240"), scalar("240"), "inconclusive(no_traffic): *"},
		"scraped at other moments": {240, 244, scalar("236"), scalar("236"), "inconclusive(no_traffic): *"},
		"an outage behind them":    {240 + 400, 240 + 1000, scalar("240"), scalar("240"), "fail(worse): *"},
		"no such series":           {240 + 20, 240 + 4000, "", scalar("240"), "inconclusive(no_data): own.bad within *"},
		"no such series in all":    {240 + 20, 240 + 4000, scalar("240"), "", "inconclusive(no_data): own.total within *"},
		"of another service":       {20, 4000, scalar("0"), scalar("9000"), "inconclusive(schema): *the prober's own requests are more than all: expected at most 4000, got 9000"},
		"negative":                 {20, 4000, scalar("-5"), scalar("0"), "inconclusive(schema): own.bad within *: expected a number of events, got -5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{state: func(_, which string, ago time.Duration) string {
				before := ago > 30*time.Minute
				switch {
				case which == "bad" && before:
					return scalar("340")
				case which == "total" && before:
					return scalar("20240")
				case before:
					return scalar("240")
				case which == "bad":
					return scalar(fmt.Sprint(test.bad))
				case which == "total":
					return scalar(fmt.Sprint(test.total))
				case which == "own bad":
					return test.ownBad
				}
				return test.ownTotal
			}, answers: [][2]string{{`expected{code`, "STATE own bad"}, {"expected", "STATE own total"}, {"code", "STATE bad"}, {"requests_total[", "STATE total"}}}
			p := ofErrors(s.start(t))
			p.Compare = map[string]Comparison{"errors": {
				Bad: `sum(increase(requests_total{code=~"5.."}[{window}]))`, Total: "sum(increase(requests_total[{window}]))",
				Own: Own{Bad: `sum(increase(expected{code=~"5.."}[{window}]))`, Total: "sum(increase(expected[{window}]))"},
			}}
			got := strings.Split(strings.TrimSpace(probetest.Lines(run(t, p))), "\n")
			if strings.HasPrefix(test.want, "inconclusive(schema)") && strings.HasPrefix(test.want, "inconclusive(schema): *") {
				wantMatch(t, got[len(got)-1], "compare@errors inconclusive(schema): *more than all*")
				return
			}
			wantMatch(t, got[len(got)-1], "compare@errors "+test.want)
		})
	}
}

// p99 compares a quantile.
func p99(url string) *Probe {
	p := ofErrors(url)
	p.Compare = map[string]Comparison{"p99": {Buckets: "sum by (le) (increase(requests_bucket[{window}]))", Quantile: 0.99}}
	return p
}

// TestCompare_quantile: a quantile of a classic histogram against what it was.
func TestCompare_quantile(t *testing.T) {
	t.Parallel()
	healthy := buckets("0.1", "9000", "0.25", "9800", "0.5", "9960", "1", "9990", "2.5", "10000", "+Inf", "10000")
	few := buckets("0.1", "90", "0.25", "98", "0.5", "100", "1", "100", "2.5", "100", "+Inf", "100")
	slow := buckets("0.1", "100", "0.25", "200", "0.5", "400", "1", "900", "2.5", "1000", "+Inf", "1000")
	beyond := buckets("0.1", "100", "0.25", "200", "0.5", "400", "1", "500", "2.5", "600", "+Inf", "1000")
	for name, test := range map[string]struct{ before, now, want string }{
		"as before":           {healthy, healthy, "pass(ok): expected at most 0.508 (0.406, between 0.361 and 0.448, of 10000 7d ago), got 0.406, *"},
		"slow":                {healthy, slow, "fail(worse): expected at most 0.508 *"},
		"beyond the edges":    {healthy, beyond, "fail(worse): expected at most 0.508 (*), got 2.5, between 2.5 and any, of 1000 within 10m"},
		"was beyond them too": {beyond, beyond, "inconclusive(clipped): *; beyond the last finite bucket nothing is known"},
		"limit beyond them":   {beyond, slow, "pass(ok): *"},
		"better":              {beyond, healthy, "pass(ok): *"},
		"few":                 {healthy, few, "inconclusive(uncertain): *"},
		"nobody calls it":     {healthy, buckets("0.1", "0", "0.25", "0", "+Inf", "0"), "inconclusive(no_traffic): *"},
		"empty":               {healthy, "", "inconclusive(no_data): buckets within 10m: *"},
		"without le":          {healthy, scalar("10000"), "inconclusive(schema): buckets within 10m: expected series with the label le, got one without: sum by (le)"},
		"by another label":    {healthy, strings.ReplaceAll(healthy, `"le"`, `"pod":"a","le"`), "inconclusive(many_series): *"},
		"without +Inf":        {healthy, buckets("0.1", "9000", "0.25", "10000"), "inconclusive(schema): *expected a bucket with le=\"+Inf\", got none"},
		"one edge and +Inf":   {healthy, buckets("0.4", "10000", "+Inf", "10000"), "pass(ok): *"},
		"only +Inf":           {healthy, buckets("+Inf", "10000"), "inconclusive(schema): *expected at least two buckets, got one"},
		"falling":             {healthy, buckets("0.1", "9000", "0.25", "100", "+Inf", "10000"), "inconclusive(schema): *do not rise"},
		"falling a little":    {healthy, buckets("0.1", "9000", "0.25", "9800", "0.5", "9960.2", "1", "9959.9", "2.5", "10000", "+Inf", "10000"), "pass(ok): *"},
		"one edge twice":      {healthy, buckets("0.1", "9000", "0.25", "9800", "0.5", "9960", "1", "4000", "1.0", "5990", "2.5", "10000", "+Inf", "10000"), "pass(ok): *"},
		"an edge of NaN":      {healthy, buckets("0.1", "9000", "NaN", "9800", "+Inf", "10000"), "inconclusive(schema): *expected a number in the label le, got another text"},
		"a count of NaN":      {healthy, buckets("0.1", "NaN", "+Inf", "10000"), "inconclusive(not_a_number): *"},
		"a count of infinity": {healthy, buckets("0.1", "1", "+Inf", "+Inf"), "inconclusive(not_a_number): *"},
		"a negative count":    {healthy, buckets("0.1", "-1", "+Inf", "10000"), "inconclusive(not_a_number): *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{answers: [][2]string{{"bucket", "STATE"}}, state: func(_, _ string, ago time.Duration) string {
				if ago > 30*time.Minute {
					return test.before
				}
				return test.now
			}}
			got := strings.Split(strings.TrimSpace(probetest.Lines(run(t, p99(s.start(t))))), "\n")
			wantMatch(t, got[len(got)-1], "compare@p99 "+test.want)
		})
	}
}

// native is a native histogram as the API writes it: triples of lower edge, upper edge and count.
func native(count string, triples ...string) string {
	var all []string
	for i := 0; i < len(triples); i += 3 {
		all = append(all, fmt.Sprintf(`[0,"%s","%s","%s"]`, triples[i], triples[i+1], triples[i+2]))
	}
	return fmt.Sprintf(`{"metric":{},"histogram":[TIME,{"count":"%s","sum":"1","buckets":[%s]}]}`, count, strings.Join(all, ","))
}

func TestCompare_native(t *testing.T) {
	t.Parallel()
	healthy := native("10000", "-1e-128", "1e-128", "10", "0.0625", "0.0884", "8990", "0.25", "0.3535", "900", "0.3535", "0.5", "100")
	for name, test := range map[string]struct{ now, want string }{
		"as before":         {healthy, "pass(ok): expected at most 0.442 (0.353, *"},
		"slow":              {native("1000", "0.5", "0.707", "500", "0.707", "1", "500"), "fail(worse): *"},
		"nobody calls it":   {native("0"), "inconclusive(no_traffic): *"},
		"in no order":       {native("10000", "0.3535", "0.5", "100", "0.25", "0.3535", "900", "0.0625", "0.0884", "9000"), "pass(ok): *"},
		"side by side":      {native("1000", "0.0625", "0.0884", "900", "0.0884", "0.125", "0", "0.125", "0.177", "100"), "pass(ok): expected at most 0.442 (0.353, *"},
		"one wide bucket":   {native("1000", "0.01", "1", "1000"), "fail(worse): expected at most 0.442 (*), got 0.955, *"}, // 0.01 * 100^0.99
		"overlapping":       {native("10000", "0.25", "0.5", "9000", "0.3535", "0.5", "1000"), "inconclusive(schema): *their edges or counts make no sense"},
		"a negative count":  {native("0", "0.25", "0.5", "-1"), "inconclusive(schema): *"},
		"an edge of NaN":    {native("1", "NaN", "0.5", "1"), "inconclusive(schema): *"},
		"a count of NaN":    {native("NaN", "0.25", "0.5", "100"), "inconclusive(schema): *"},
		"buckets missing":   {native("10000", "0.25", "0.5", "100"), "inconclusive(schema): *they hold 100 of 10000 events"},
		"two histograms":    {healthy + "," + strings.ReplaceAll(healthy, `"metric":{}`, `"metric":{"pod":"a"}`), "inconclusive(many_series): *"},
		"no form of bucket": {`{"metric":{},"histogram":[TIME,{"count":"1","buckets":[["a"]]}]}`, "inconclusive(schema): *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{answers: [][2]string{{"bucket", "STATE"}}, state: func(_, _ string, ago time.Duration) string {
				if ago > 30*time.Minute {
					return healthy
				}
				return test.now
			}}
			got := strings.Split(strings.TrimSpace(probetest.Lines(run(t, p99(s.start(t))))), "\n")
			wantMatch(t, got[len(got)-1], "compare@p99 "+test.want)
		})
	}
}

// TestBaselineTime: while an incident is open, the time before it is taken; likewise where the usual time lies in the last
// incident, whose errors would become the limit.
func TestBaselineTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		incident probe.Incident
		want     time.Duration // ago
		words    string
	}{
		"none":              {probe.Incident{}, day, "1d ago"},
		"open":              {probe.Incident{Start: ago(2 * time.Hour)}, 3 * time.Hour, "before the incident of 2026-11-28T10:00:00Z"},
		"over":              {probe.Incident{Start: ago(2 * time.Hour), End: ago(time.Hour)}, day, "1d ago"},
		"a day ago":         {probe.Incident{Start: ago(day + 30*time.Minute), End: ago(day - time.Hour)}, day + 90*time.Minute, "before the incident of 2026-11-27T11:30:00Z"},
		"over just then":    {probe.Incident{Start: ago(day + 3*time.Hour), End: ago(day + 59*time.Minute)}, day + 4*time.Hour, "before the incident of 2026-11-27T09:00:00Z"},
		"over long before":  {probe.Incident{Start: ago(day + 3*time.Hour), End: ago(day + time.Hour)}, day, "1d ago"},
		"noticed just then": {probe.Incident{Start: ago(day - 59*time.Minute), End: ago(day - 2*time.Hour)}, day + time.Minute, "before the incident of 2026-11-27T12:59:00Z"},
		"in the future":     {probe.Incident{Start: now.Add(time.Hour)}, day, "1d ago"},
	} {
		p := &Probe{Baseline: &Baseline{Offset: probe.Duration(day)}, Compare: map[string]Comparison{"a": {}}}
		job := probe.Job{Probe: incidentReader{p, now, func(at time.Time, words string) {
			if got := now.Sub(at); got != test.want || words != test.words {
				t.Errorf("%s: got %s, %q, expected %s, %q", name, got, words, test.want, test.words)
			}
		}}, Timeout: time.Second, Incident: func() probe.Incident { return test.incident }}
		job.Do(t.Context())
	}
}

// TestShare_noise: what was subtracted may be off by a little, so that a share near nothing is not known to be nothing.
func TestShare_noise(t *testing.T) {
	t.Parallel()
	m, o := shareCounts{bad: 1000, total: 2000, ownBad: 1000, ownTotal: 1000}.share(0.01)
	if !o.Passed() || m.Value != 0 || m.High < 0.05 {
		t.Errorf("got %+v, %v", m, o)
	}
	exact := stats.Ratio(0, 1000, 0.01)
	if m.High <= exact.High {
		t.Errorf("got at most %v, as if nothing had been subtracted", m.High)
	}
}
