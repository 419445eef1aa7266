package deploys

import (
	"testing"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// TestStateOf: a rollout is complete by its numbers, and available by them or by what the controller said before.
func TestStateOf(t *testing.T) {
	t.Parallel()
	three := 3
	for name, test := range map[string]struct {
		replicas                     *int
		updated, available, existing int
		paused                       bool
		status, reason               string
		want                         probe.DeployState
	}{
		"complete":               {&three, 3, 3, 3, false, "True", "NewReplicaSetAvailable", probe.DeployLive},
		"complete, one lost":     {&three, 3, 2, 3, false, "True", "NewReplicaSetAvailable", probe.DeployLive},
		"not yet available":      {&three, 3, 2, 3, false, "True", "ReplicaSetUpdated", probe.DeployInProgress},
		"available, no reason":   {&three, 3, 3, 3, false, "", "", probe.DeployLive},
		"one updated":            {&three, 1, 1, 3, false, "True", "ReplicaSetUpdated", probe.DeployInProgress},
		"an old pod ends":        {&three, 3, 3, 4, false, "True", "ReplicaSetUpdated", probe.DeployInProgress},
		"too late":               {&three, 1, 3, 4, false, "False", "ProgressDeadlineExceeded", probe.DeployFailed},
		"too late, and complete": {&three, 3, 3, 3, false, "False", "ProgressDeadlineExceeded", probe.DeployLive},
		"too late, says another": {&three, 1, 3, 4, false, "True", "ProgressDeadlineExceeded", probe.DeployInProgress},
		"no replica, otherwise":  {&three, 1, 3, 4, false, "False", "ReplicaSetCreateError", probe.DeployInProgress},
		"paused half-way":        {&three, 1, 3, 4, true, "Unknown", "DeploymentPaused", probe.DeployPaused},
		"paused at the start":    {&three, 0, 3, 3, true, "Unknown", "DeploymentPaused", probe.DeployWaiting},
		"paused after it":        {&three, 3, 3, 3, true, "Unknown", "DeploymentPaused", probe.DeployLive},
		"no number":              {nil, 3, 3, 3, false, "True", "NewReplicaSetAvailable", probe.DeployUnknown},
	} {
		d := &kubernetes.Deployment{}
		d.Spec.Replicas, d.Spec.Paused = test.replicas, test.paused
		d.Status.UpdatedReplicas, d.Status.AvailableReplicas, d.Status.Replicas = test.updated, test.available, test.existing
		if got, _ := stateOf(d, kubernetes.Condition{Status: test.status, Reason: test.reason}); got != test.want {
			t.Errorf("%s: expected %s, got %s", name, test.want, got)
		}
	}
}

// TestRunning_olderUnderWay: a deploy that is older than the live one serves no more, whatever its state.
func TestRunning_olderUnderWay(t *testing.T) {
	t.Parallel()
	live, older := deploy{}, deploy{}
	live.State, live.Version = probe.DeployLive, "2"
	older.State = probe.DeployInProgress
	if got := running([]deploy{live, older}, true); got != "2" {
		t.Errorf("got %q", got)
	}
	if got := newer([]deploy{live, older}); len(got) != 0 {
		t.Errorf("%d are newer than the newest", len(got))
	}
	if got := running([]deploy{older, live}, true); got != "" {
		t.Errorf("a newer one is under way, and %q runs", got)
	}
}

// TestRunning_oneReplica: what runs is known only if every replica answers with it.
func TestRunning_oneReplica(t *testing.T) {
	t.Parallel()
	for second, want := range map[string]string{commitA: commitA, commitB: ""} {
		p := ofRender(renderEntry("dep-2", "live", commitA, time.Hour), renderEntry("dep-1", "deactivated", commitB, 3*time.Hour)).render(t).runsAt(t, "http://service.example/version")
		p.Runs.Replicas = replicas.Replicas{Want: 2, Static: []string{service(t, second).Listener.Addr().String(), service(t, commitA).Listener.Addr().String()}}
		if r := run(t, p); r.Running != want {
			t.Errorf("expected %q to run, got %q\n%s", want, r.Running, probetest.Lines(r))
		}
	}
}

// TestListed_twice: pages may overlap, and a deploy is one.
func TestListed_twice(t *testing.T) {
	t.Parallel()
	made := func(id string, age time.Duration) deploy {
		d := deploy{created: time.Now().Add(-age)}
		d.ID, d.State = id, probe.DeployLive
		return d
	}
	all, o := listed([]deploy{made("c", time.Hour), made("b", 2*time.Hour), made("b", 2*time.Hour), made("a", 3*time.Hour), made("c", time.Hour)})
	if !o.Passed() || len(all) != 3 || all[0].ID != "c" || all[1].ID != "b" || all[2].ID != "a" {
		t.Errorf("got %+v", all)
	}
	if _, o := listed(nil); o.Reason != reasonNone {
		t.Errorf("got %s", o.Reason)
	}
}

// TestMeasure: the newest five have series, with their start to the millisecond.
func TestMeasure(t *testing.T) {
	t.Parallel()
	var all []deploy
	for range maxMeasured + 1 {
		d := deploy{}
		d.ID, d.Version, d.State, d.Started = string(rune('a'+len(all))), "1", probe.DeployLive, time.UnixMilli(1_500)
		all = append(all, d)
	}
	all[1].Started = time.Time{}
	r := probe.NewResult(probe.ID{})
	measure(r, all)
	infos, starts := 0, 0
	for _, s := range r.Samples {
		switch s.Measure {
		case infoGauge:
			if infos++; s.Value != 1 {
				t.Errorf("the information is %v", s.Value)
			}
		case startedGauge:
			if starts++; s.Value != 1.5 {
				t.Errorf("started at %v", s.Value)
			}
		}
	}
	if infos != maxMeasured || starts != maxMeasured-1 {
		t.Errorf("%d deploys, %d of them with a start", infos, starts)
	}
}

// TestKubernetes_reusedFailure: to go back to a ReplicaSet that was seen to fail, and never to be live, is no rollback.
func TestKubernetes_reusedFailure(t *testing.T) {
	t.Parallel()
	c, d, newest := ofKubernetes()
	p := c.kubernetes(t)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	first := func() deploy {
		t.Helper()
		all, o := p.platform.deploys(t.Context(), p.api(probe.NewResult(probe.ID{}), checkLatest))
		if !o.Passed() {
			t.Fatal(o.Detail)
		}
		return all[0]
	}
	annotations := newest["metadata"].(object)["annotations"].(object)
	progressing(d, "False", "ProgressDeadlineExceeded", 1, 3)
	if got := first().State; got != probe.DeployFailed {
		t.Fatalf("got %s", got)
	}
	annotations["deployment.kubernetes.io/revision-history"] = "2"
	annotations["deployment.kubernetes.io/revision"] = "4"
	d["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision"] = "4"
	progressing(d, "True", "ReplicaSetUpdated", 1, 3)
	if got := first(); got.reused || time.Since(got.Started) > time.Minute {
		t.Errorf("a failure that is tried again is taken for a rollback, begun %s ago", time.Since(got.Started))
	}
	progressing(d, "True", "NewReplicaSetAvailable", 3, 3)
	d["status"].(object)["replicas"] = 3
	first()
	annotations["deployment.kubernetes.io/revision"] = "6"
	d["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision"] = "6"
	if !first().reused {
		t.Error("once it was live, to go back to it is a rollback")
	}
}
