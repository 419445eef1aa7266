package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestFailureLines_consequences shows that a failure is not buried under what follows from it, and
// that nothing is left out if everything is inconclusive.
func TestFailureLines_consequences(t *testing.T) {
	lacking := func(name, target string) probe.Check {
		return probe.Check{Name: name, Target: target, Reason: probe.ControlFailed, Detail: "proves nothing"}
	}
	for _, c := range []struct {
		name   string
		checks []probe.Check
		want   []string
	}{
		{"one follows", []probe.Check{failed(one, "no"), lacking("nobody", one)},
			[]string{"live 10.0.0.1:80 [refused]: no", "nobody 10.0.0.1:80 [control_failed, inconclusive]: proves nothing"}},
		{"several follow", []probe.Check{failed(one, "no"), lacking("nobody", one), lacking("garbage", one), lacking("nobody", two)},
			[]string{"live 10.0.0.1:80 [refused]: no", "also inconclusive as a consequence: nobody, garbage"}},
		{"the check that failed follows elsewhere too", []probe.Check{failed(one, "no"), lacking("live", two), lacking("garbage", one)},
			[]string{"live 10.0.0.1:80 [refused]: no", "also inconclusive as a consequence: live (10.0.0.2:80), garbage"}},
		{"it was noted before the failure", []probe.Check{lacking("nobody", one), failed(one, "no")},
			[]string{"live 10.0.0.1:80 [refused]: no", "nobody 10.0.0.1:80 [control_failed, inconclusive]: proves nothing"}},
		{"nothing failed", []probe.Check{lacking("nobody", ""), lacking("garbage", "")},
			[]string{"nobody [control_failed]: proves nothing", "garbage [control_failed]: proves nothing"}},
		{"for a reason of its own", []probe.Check{failed(one, "no"), lacking("nobody", ""), lacking("garbage", ""), {Name: "expired", Reason: probe.Credential, Detail: "expired"}},
			[]string{"live 10.0.0.1:80 [refused]: no", "expired [credential, inconclusive]: expired", "also inconclusive as a consequence: nobody, garbage"}},
	} {
		got := evidenceOf(result(proxy, time.Second, func(r *probe.Result) { r.Checks = c.checks }))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got  %q\n want %q", c.name, got, c.want)
		}
	}
}

// TestWrite_showPassed shows the sentences of checks that passed, and only where asked for.
func TestWrite_showPassed(t *testing.T) {
	passed := result(proxy, time.Second, func(r *probe.Result) {
		for _, target := range []string{one, two} {
			r.Checks = append(r.Checks, probe.Check{Name: "live", Target: target, Verdict: probe.Pass, Reason: probe.OK, Detail: "/health answers 200"})
		}
		for range 30 {
			r.Checks = append(r.Checks, probe.Check{Name: "more", Verdict: probe.Pass, Reason: probe.OK, Detail: "well"})
		}
	})
	with := Report{Results: []probe.Result{passed}, ShowPassed: true}
	text := write(t, "text", with)
	for _, want := range []string{"live 10.0.0.1:80 and 10.0.0.2:80: /health answers 200\n", "and 11 more\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("wanted %q in\n%s", want, text)
		}
	}
	with.ShowPassed = false
	if text := write(t, "text", with); strings.Contains(text, "answers 200") {
		t.Errorf("nobody asked for the proof:\n%s", text)
	}
}

// TestWrite_order: of probes, what matters most stands last, above the summary, and what passed is one line unless somebody
// wants to see it.
func TestWrite_order(t *testing.T) {
	var r Report
	add := func(name, severity string, verdict probe.Verdict) {
		j := probe.Job{ID: probe.ID{System: "shop", Name: name, Severity: severity}}
		r.Jobs = append(r.Jobs, j)
		r.Results = append(r.Results, result(j, time.Second, func(r *probe.Result) {
			r.Checks = []probe.Check{{Name: "status", Verdict: verdict, Reason: probe.Status, Detail: "seen"}}
		}))
	}
	add("grave", "sev1", probe.Fail)
	add("first", "", probe.Pass)
	add("odd", "P1", probe.Inconclusive)
	add("slight", "", probe.Fail)
	add("minor", "P3", probe.Fail)
	add("second", "P1", probe.Pass)
	for want, verbose := range map[string]bool{
		"ok    2 probes: first, second; odd; slight; minor; grave": false,
		"first; second; odd; slight; minor; grave":                 true,
	} {
		r.ShowPassed = verbose
		var got []string
		for line := range strings.Lines(write(t, "text", r)) {
			if fields := strings.Fields(line); strings.HasPrefix(line, "ok    2") {
				got = append(got, strings.TrimSpace(line))
			} else if len(fields) > 1 && slices.Contains([]string{"ok", "FAIL", "INCONCL"}, fields[0]) {
				got = append(got, fields[1])
			}
		}
		if got := strings.Join(got, "; "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestWrite_addressOnce: the address of a target is in its URL, and not said a second time beside it; nor is a URL that names
// the target.
func TestWrite_addressOnce(t *testing.T) {
	r := result(proxy, time.Second, func(r *probe.Result) {
		r.Fail("status", probe.Refused, "connection refused by it")
		r.Exchanged(get("status", "", "http://"+one+"/health", one, 0, time.Millisecond, "t", ""))
	})
	r.Exchanges[0].Reason = probe.Refused
	text := write(t, "text", Report{Jobs: []probe.Job{proxy}, Results: []probe.Result{r}})
	if strings.Count(text, one) != 1 || strings.Count(text, "refused") != 2 { // in the sentence and as its reason
		t.Errorf("got\n%s", text)
	}
	r.Checks[0].Target, r.Exchanges[0].Target = r.Exchanges[0].URL, r.Exchanges[0].URL
	text = write(t, "text", Report{Jobs: []probe.Job{proxy}, Results: []probe.Result{r}})
	if strings.Count(text, one) != 1 || !strings.Contains(text, "  GET: no response after 1.0 ms\n") {
		t.Errorf("got\n%s", text)
	}
}
