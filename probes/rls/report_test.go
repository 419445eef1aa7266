package rls

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/breach"
	"prober/probes/internal/probetest"
)

// reported is a probe that reports what a sweep found.
type reported struct {
	*Probe
	s sweep
}

func (p *reported) Checks() []string { return nil }

func (p *reported) Ask(_ context.Context, r *probe.Result) {
	p.s.p = p.Probe
	p.s.report(r)
}

// TestResidue_report: an org, or a role, that somebody left on a connection of the pool is a breach that is counted.
func TestResidue_report(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]residue{
		"pass(ok), proven":             {looks: 4, shared: true},
		"fail(org_left), a breach":     {looks: 4, left: 1, roles: 1, shared: true},
		"fail(role_left), a breach":    {looks: 4, roles: 1, failed: &probe.Outcome{Reason: probe.Timeout}},
		"inconclusive(control_failed)": {looks: 4},
		"inconclusive(self_limit)":     {looks: 4, shared: true, failed: &probe.Outcome{Reason: probe.SelfLimit}},
	} {
		r := probe.NewResult(probe.ID{})
		f.report(r)
		got := fmt.Sprintf("%s(%s)", r.Checks[0].Verdict, r.Checks[0].Reason)
		for _, s := range r.Samples {
			switch {
			case s.Measure == breach.Total && s.Value == 1 && s.Values[0] == surfacePool:
				got += ", a breach"
			case s.Measure == breach.LastProven:
				got += ", proven"
			}
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestWrites_report: one write that succeeds is a breach that is counted, whatever else is not known; and none of those that were
// tried is a proof only if something was tried, and each org sees its own row.
func TestWrites_report(t *testing.T) {
	t.Parallel()
	notes := &relation{ident: "notes"}
	for want, w := range map[string]writes{
		"fail(foreign_write)":          {tried: 2, why: breach.ForeignWrite, succeeded: []finding{{notes, "UPDATE by a"}}, failed: &probe.Outcome{Reason: probe.Timeout}},
		"inconclusive(self_limit)":     {tried: 2, failed: &probe.Outcome{Reason: probe.SelfLimit}},
		"inconclusive(control_failed)": {untried: 2},
		"pass(ok)":                     {tried: 1},
	} {
		w.sweep = &sweep{p: New()}
		r := probe.NewResult(probe.ID{})
		w.report(r)
		if got := fmt.Sprintf("%s(%s)", r.Checks[0].Verdict, r.Checks[0].Reason); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for _, s := range r.Samples {
			if proven := s.Measure == breach.LastProven; proven != (want == "pass(ok)") || s.Values[0] != surfaceWrites {
				t.Errorf("%s: measured %s", want, s.Measure.Name)
			}
		}
	}
	missing := writes{tried: 1, sweep: &sweep{p: New(), missing: []string{"notes"}}}
	r := probe.NewResult(probe.ID{})
	if missing.report(r); r.Checks[0].Reason != probe.ControlFailed || len(r.Samples) > 0 {
		t.Errorf("without its control: %+v", r.Checks[0])
	}
}

// TestShown: a name is shown if the configuration has it, wherever.
func TestShown(t *testing.T) {
	t.Parallel()
	p := New()
	p.Exempt, p.Columns, p.Tables = map[string]string{"a": "why"}, map[string]string{"b": "org"}, []string{"c"}
	p.Canaries, p.Names = []string{"d"}, []string{"e"}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if got := p.shown(name); got != name {
			t.Errorf("%s is shown as %s", name, got)
		}
	}
	if got := p.shown("f"); !strings.HasPrefix(got, "sha256:") {
		t.Errorf("f is shown as %s", got)
	}
}

// TestAsk_nobodyThere: where one connection is refused no other is made.
func TestAsk_nobodyThere(t *testing.T) {
	t.Parallel()
	p := newProbeOf("127.0.0.1:1")
	p.Looks = 20
	if r := probetest.Run(t, Kind(), p); len(r.Exchanges) != 1 || !strings.Contains(probetest.Lines(r), "connect fail(refused)") {
		t.Errorf("%d exchanges:\n%s", len(r.Exchanges), probetest.Lines(r))
	}
}

// TestReport: one row of another org is a breach that is counted, wherever it was seen, and the time of the last proof is that of a
// sweep that found none, asked everything and whose control held.
func TestReport(t *testing.T) {
	t.Parallel()
	notes, plans := &relation{ident: "notes"}, &relation{ident: "plans"}
	failed := probe.Outcomef(probe.Timeout, "no answer")
	leak, also := finding{notes, "b"}, finding{notes, "no org"}
	for name, c := range map[string]struct {
		s    sweep
		want string
	}{
		"nothing":                         {sweep{unset: true}, "pass(ok) pass(ok) pass(ok), proven"},
		"one leak":                        {sweep{unset: true, leaks: []finding{leak}}, "pass(ok) fail(leak_list) pass(ok), a breach"},
		"one without an org":              {sweep{unset: true, open: []finding{also}}, "pass(ok) pass(ok) fail(fails_open), a breach"},
		"one of each, of two tables":      {sweep{unset: true, leaks: []finding{leak}, open: []finding{{plans, "no org"}}}, "pass(ok) fail(leak_list) fail(fails_open), a breach"},
		"the same table without an org":   {sweep{unset: true, leaks: []finding{leak}, open: []finding{also}}, "pass(ok) fail(leak_list) pass(ok), a breach"},
		"somebody left an org":            {sweep{}, "pass(ok) pass(ok) inconclusive(control_failed)"},
		"a canary is missing":             {sweep{unset: true, missing: []string{"notes"}}, "inconclusive(control_failed) inconclusive(control_failed) inconclusive(control_failed)"},
		"a question has no answer":        {sweep{unset: true, failed: &failed}, "pass(ok) inconclusive(control_failed) inconclusive(control_failed)"},
		"neither has the control":         {sweep{unset: true, failed: &failed, missing: []string{"notes"}}, "inconclusive(control_failed) inconclusive(control_failed) inconclusive(control_failed)"},
		"a leak beside a broken question": {sweep{unset: true, failed: &failed, leaks: []finding{leak}}, "pass(ok) fail(leak_list) inconclusive(control_failed), a breach"},
	} {
		p := &reported{Probe: &Probe{}, s: c.s}
		r := probe.Job{ID: probe.ID{System: "shop", Name: "rls"}, Probe: p, Timeout: time.Minute}.Do(t.Context())
		verdicts := map[string]string{}
		for _, check := range r.Checks {
			verdicts[check.Name] = fmt.Sprintf("%s(%s)", check.Verdict, check.Reason)
		}
		got := verdicts[checkControl] + " " + verdicts[checkIsolated] + " " + verdicts[checkFailClosed]
		for _, s := range r.Samples {
			switch {
			case s.Measure == breach.Total && s.Value == 1:
				got += ", a breach"
			case s.Measure == breach.LastProven:
				got += ", proven"
			}
		}
		if got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", name, got, c.want)
		}
	}
}
