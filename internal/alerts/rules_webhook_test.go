package alerts

import (
	"testing"
	"time"

	"prober/internal/probe"
)

// TestUnverified: deliveries that do not verify have an alert of their own, whatever the verdict, by both ways of deciding.
func TestUnverified(t *testing.T) {
	t.Parallel()
	hook := job("hook", "webhook", "P2", time.Minute, fake{checks: []string{"delivered"}})
	j := change(hook, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	const passes = `probe_verdict{verdict="pass"}`
	testWorlds(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}), j, []world{
		{"all verify", map[string]string{passes: "1x60", unverifiedRatio: "0x60"}, "10m", nil},
		{"one of five does not", map[string]string{passes: "1x60", unverifiedRatio: "0.2x60"}, "10m", nil},
		{"every other one does not", map[string]string{passes: "1x60", unverifiedRatio: "0.5x60"}, "10m", []string{"ProbeDeliveriesUnverified info"}},
		{"too few came", map[string]string{passes: "1x60"}, "10m", nil},
	}, "ProbeDeliveriesUnverified", "ProbeFailing")
	for ratio, want := range map[float64]string{0: "", 0.2: "", 0.5: "ProbeDeliveriesUnverified"} {
		p := newPast(hook)
		for range 10 {
			p.now = p.now.Add(time.Minute)
			p.Observe(probe.Result{ID: hook.ID, Started: p.now, Checks: []probe.Check{{Name: "delivered", Verdict: probe.Pass, Reason: probe.OK}},
				Samples: []probe.Sample{{Measure: &probe.Measure{Name: unverifiedRatio}, Value: ratio}}})
		}
		if got := p.names(); got != want {
			t.Errorf("%g: got %q, expected %q", ratio, got, want)
		}
	}
}
