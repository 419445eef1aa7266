package kubernetes

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// recorded are answers of a real API server, of version 1.36, without what nobody reads.
func recorded(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	data, err := os.ReadFile("testdata/apiserver-1.36.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRecorded reads what a real API server wrote: optional members are missing or null, and numbers that are 0 are left out.
func TestRecorded(t *testing.T) {
	all := recorded(t)
	ask := func(answers ...string) *Client {
		_, c := serve(t, answers...)
		return c
	}
	list, o := ask(string(all["pods"]), "410 "+string(all["410"])).Pods(t.Context(), newResult(), "api", "ibex", web)
	expect(t, o, "expired: got 410: the API server no longer has the list of pods as it was")
	if list != nil {
		t.Errorf("a part of the list is handed out: %v", list)
	}
	_, c := serve(t, string(all["pods"]), `{"kind":"PodList","metadata":{"resourceVersion":"304"},"items":null}`)
	list, o = c.Pods(t.Context(), newResult(), "api", "ibex", web)
	expect(t, o, "ok")
	proxy, o := ask(string(all["deployment"])).Workload(t.Context(), newResult(), "api", KindDeployment, "ibex", "proxy")
	expect(t, o, "ok")
	if len(list) != 2 || !list[0].Ready() || !proxy.Owns(&list[0]) || list[1].Status.ContainerStatuses[0].State.Running == nil || list[1].Status.PodIPs[0].IP != "127.0.1.1" {
		t.Errorf("got %+v", list)
	}
	if proxy.Wanted() != 3 || proxy.ReadyCount() != 3 || !proxy.Observed() || len(proxy.Spec.Template.Spec.HealthMistakes("/ready")) != 0 || proxy.Metadata.Read.IsZero() {
		t.Errorf("got %+v", proxy)
	}
	for kind, want := range map[string]string{KindStatefulSet: "2 2 0 true", KindDaemonSet: "2 1 1 true"} {
		name := map[string]string{KindStatefulSet: "statefulset", KindDaemonSet: "daemonset"}[kind]
		w, o := ask(string(all[name])).Workload(t.Context(), newResult(), "api", kind, "ibex", name)
		expect(t, o, "ok")
		if got := fmt.Sprint(w.Wanted(), w.ReadyCount(), w.Status.NumberMisscheduled, w.Observed()); got != want {
			t.Errorf("%s: got %s, want %s", kind, got, want)
		}
	}
	sets, o := ask(string(all["replicasets"])).ReplicaSets(t.Context(), newResult(), "api", "ibex", web)
	expect(t, o, "ok")
	if len(sets) != 2 || sets[0].Metadata.Annotations[Revision] != "3" || sets[0].Metadata.Annotations[RevisionHistory] != "1" || sets[1].Status.AvailableReplicas != 1 {
		t.Errorf("got %+v", sets)
	}
	backup, o := ask(string(all["cronjob"])).CronJob(t.Context(), newResult(), "api", "ibex", "backup")
	expect(t, o, "ok")
	if !backup.Spec.Suspend || backup.Status.LastSuccessfulTime == nil || backup.Status.Active != nil {
		t.Errorf("got %+v", backup)
	}
}

// TestRecorded_refusals: what a real API server says in place of an object.
func TestRecorded_refusals(t *testing.T) {
	all := recorded(t)
	for name, want := range map[string]string{
		"401":               "credential: got 401: the API server does not accept a request without a credential",
		"403 of an object":  "forbidden: got 403: a request without a credential lacks the verb get of deployments in the namespace shop",
		"404":               "not_found: expected Deployment prxy in the namespace shop, got 404: it does not exist",
		"404 of a resource": "status: got 404: the API server does not serve deployments of apis/apps/v1",
	} {
		_, c := serve(t, name[:3]+" "+string(all[name]))
		_, o := c.Deployment(t.Context(), newResult(), "api", "shop", "prxy")
		expect(t, o, want)
	}
	_, c := serve(t, "403 "+string(all["403 of a list"]))
	_, o := c.Pods(t.Context(), newResult(), "api", "shop", web)
	expect(t, o, "forbidden: got 403: a request without a credential lacks the verb list of pods in the namespace shop")
}
