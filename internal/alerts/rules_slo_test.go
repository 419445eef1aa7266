package alerts

import (
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestSLO_rules has promtool run the generated unit tests of objectives: that of a probe every 30 seconds,
// and beside it one that is too slow for the fastest window.
func TestSLO_rules(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	with := func(j probe.Job, percent float64, days int) probe.Job {
		j.SLO = probe.Objective{Percent: percent, Window: time.Duration(days) * 24 * time.Hour}
		return j
	}
	f := Rules([]probe.Job{
		with(job("each", "http", "P1", 30*time.Second, fake{}), 99.9, 30),
		with(job("slow", "http", "P3", 5*time.Minute, fake{}), 99, 30),
	}, Options{Kinds: kinds()})
	var tests strings.Builder
	if err := f.WriteTests(&tests, "rules.yml"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"two single failures twenty minutes apart: silent", "nothing but inconclusive runs: silent", "an outage"} {
		if n := strings.Count(tests.String(), want); n != 1 {
			t.Errorf("%d generated tests %q, expected 1", n, want)
		}
	}
	// Without the other rules, which take their time.
	var cases []testCase
	f.Groups = slices.DeleteFunc(f.Groups, func(g Group) bool { return !strings.Contains(g.Name, "/slo/") })
	for _, s := range f.systems {
		cases = append(cases, s.sloTests()...)
	}
	if complaint := promtool(t, written(t, f), testsOf(t, cases)); complaint != "" {
		t.Error(complaint)
	}
	// The guards are what keeps two failures silent: without them the same test does not pass.
	for i := range f.Groups {
		for k := range f.Groups[i].Rules {
			r := &f.Groups[i].Rules[k]
			r.Expr = strings.NewReplacer("> 5.5", "> 0", "> 1.5", "> 0").Replace(r.Expr)
		}
	}
	if complaint := promtool(t, written(t, f), testsOf(t, cases[:1])); complaint == "" {
		t.Error("without the guards two single failures raise no alert either")
	}
}
