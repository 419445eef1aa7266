package pods

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
)

// cronJob serves a CronJob and the pods of its Jobs.
func cronJob(t *testing.T, spec, status object, pods ...object) *Probe {
	t.Helper()
	write := func(out http.ResponseWriter, v any) {
		out.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(out).Encode(v)
	}
	w := &world{paths: map[string]http.HandlerFunc{
		"/apis/batch/v1/namespaces/ibex/cronjobs/backup": func(out http.ResponseWriter, _ *http.Request) {
			write(out, object{"kind": "CronJob", "metadata": object{"name": "backup", "namespace": "ibex", "uid": "c", "creationTimestamp": ago(3 * time.Hour)}, "spec": spec, "status": status})
		},
		"/api/v1/namespaces/ibex/pods": func(out http.ResponseWriter, q *http.Request) {
			if got := q.FormValue("labelSelector"); got != "batch.kubernetes.io/job-name in (backup-1,backup-2)" {
				t.Errorf("selected %q", got)
			}
			write(out, object{"kind": "PodList", "metadata": object{"resourceVersion": "9"}, "items": append([]object{}, pods...)})
		},
	}}
	p := New()
	p.Settings = kubernetes.Settings{API: w.serve(t), Namespace: "ibex"}
	p.CronJob, p.MaxAge = "backup", probe.Duration(time.Hour)
	return p
}

func TestCronJob(t *testing.T) {
	active := []any{object{"name": "backup-1", "uid": "j-1"}, object{"name": "backup-2", "uid": "j-2"}, object{"name": "), !x"}}
	jobs := func() *world {
		w := healthy()
		for i := range w.pods {
			in(w.pods[i], "metadata")["ownerReferences"] = []any{object{"kind": "Job", "name": "backup-1", "uid": "j-1", "controller": true}}
		}
		return w
	}
	broken := func(reason string) object {
		w := jobs()
		w.waiting(0, reason, "")
		return w.pods[0]
	}
	others := broken("ImagePullBackOff")
	in(others, "metadata", "ownerReferences", 0)["uid"] = "j-0" // of a Job of the same name that is gone
	oom := func() object {
		w := jobs()
		in(w.pods[0], "status")["phase"] = "Failed"
		w.container(0)["state"] = object{"terminated": object{"reason": "OOMKilled", "exitCode": 137, "startedAt": ago(time.Hour), "finishedAt": ago(time.Minute)}}
		return w.pods[0]
	}
	for name, test := range map[string]struct {
		probe *Probe
		want  []string
	}{
		"in time":                 {cronJob(t, object{}, object{"lastSuccessfulTime": ago(59 * time.Minute)}), []string{"pass"}},
		"too long ago":            {cronJob(t, object{}, object{"lastSuccessfulTime": ago(61 * time.Minute)}), []string{"fail", "last_success fail(no_success): expected a success within 1h, got the last one 1 hour ago"}},
		"suspended":               {cronJob(t, object{"suspend": true}, object{"lastSuccessfulTime": ago(2 * time.Hour)}), []string{"fail", "last_success fail(no_success): expected a success within 1h, got the last one 2 hours ago; it is suspended"}},
		"never":                   {cronJob(t, object{}, object{}), []string{"fail", "last_success fail(no_success): expected a success within 1h, got none"}},
		"in the future":           {cronJob(t, object{}, object{"lastSuccessfulTime": ago(-time.Hour)}), []string{"inconclusive", "last_success inconclusive(stale_or_cached): *"}},
		"runs":                    {cronJob(t, object{}, object{"lastSuccessfulTime": ago(time.Minute), "active": active}, jobs().pods[0]), []string{"pass"}},
		"a pod of another":        {cronJob(t, object{}, object{"lastSuccessfulTime": ago(time.Minute), "active": active}, others), []string{"pass"}},
		"a time zone, never late": {cronJob(t, object{"timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid"}, object{"lastSuccessfulTime": ago(time.Minute)}), []string{"pass"}},
		"suspended, in time":      {cronJob(t, object{"suspend": true}, object{"lastSuccessfulTime": ago(time.Minute)}), []string{"pass"}},
		"no status":               {cronJob(t, object{}, nil), []string{"fail", "last_success fail(no_success): expected a success within 1h, got none"}},
		"runs without a pod":      {cronJob(t, object{}, object{"lastSuccessfulTime": ago(time.Minute), "active": active}), []string{"pass"}},
		"lacks its image":         {cronJob(t, object{}, object{"lastSuccessfulTime": ago(time.Minute), "active": active}, broken("ImagePullBackOff")), []string{"fail", "last_success fail(image_pull): 1 of 1 pod: *"}},
		"lacks its Secret":        {cronJob(t, object{}, object{"lastSuccessfulTime": ago(time.Minute), "active": active}, broken("CreateContainerConfigError")), []string{"fail", "last_success fail(config_error): *"}},
		"crashes":                 {cronJob(t, object{}, object{"lastSuccessfulTime": ago(time.Minute), "active": active}, broken("CrashLoopBackOff")), []string{"fail", "last_success fail(crash_loop): *"}},
		"runs out of memory":      {cronJob(t, object{}, object{"lastSuccessfulTime": ago(time.Minute), "active": active}, oom()), []string{"fail", "last_success fail(oom_killed): 1 pod: a container was killed for want of memory (OOMKilled), the last one 1 minute ago"}},
	} {
		t.Run(name, func(t *testing.T) { want(t, run(t, test.probe), test.want...) })
	}
	late := &kubernetes.CronJob{}
	at := time.Now().Add(-50 * time.Minute)
	late.Status.LastSuccessfulTime = &at
	skewed := &snapshot{now: time.Now(), skew: 20 * time.Minute}
	hourly := &Probe{MaxAge: probe.Duration(time.Hour)}
	if o := hourly.lastSuccess(late, skewed); o.Reason != probe.StaleOrCached {
		t.Errorf("clocks differ: got %s", o.Reason)
	}
	if skewed.skew = time.Minute; !hourly.lastSuccess(late, skewed).Passed() {
		t.Error("clocks differ by less than matters")
	}
	at = skewed.now.Add(-61 * time.Minute)
	if o := hourly.lastSuccess(late, skewed); o.Reason != reasonNoSuccess { // by exactly as much as the clocks differ
		t.Errorf("late by more than matters: got %s", o.Reason)
	}
	at = skewed.now.Add(-time.Hour)
	if o := hourly.lastSuccess(late, skewed); o.Reason != probe.StaleOrCached {
		t.Errorf("just in time, by one of the clocks: got %s", o.Reason)
	}
	late.Metadata.DeletionTimestamp = &at
	if o := hourly.lastSuccess(late, skewed); o.Reason != reasonNoSuccess {
		t.Errorf("being deleted: got %s", o.Reason)
	}
	p := cronJob(t, object{}, object{})
	p.MaxAge = probe.Duration(4 * time.Hour)
	want(t, run(t, p), "inconclusive", "last_success inconclusive(settling): expected a success within 4h, got none yet since the CronJob was made 3 hours ago")
	p.CronJob = "other"
	want(t, run(t, p), "inconclusive", "api inconclusive(status): *")
}
