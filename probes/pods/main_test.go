package pods

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// marker is in what the API says; no text of ours may repeat it.
const marker = "hunter2-7f3a9c51d2"

// object is JSON.
type object = map[string]any

// A world is a Deployment with its pods, as the API shows them.
type world struct {
	kind     string // of the workload
	workload object
	pods     []object
	paths    map[string]http.HandlerFunc // in place of the API's
	header   http.Header                 // of the API's answers
}

// ago is a moment in the past, as the API writes it.
func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

// healthy is a Deployment of three replicas that run.
func healthy() *world {
	w := &world{kind: "Deployment", workload: object{
		"kind": "Deployment", "apiVersion": "apps/v1",
		"metadata": object{"name": "proxy", "namespace": "ibex", "uid": "d-1", "generation": 4},
		"spec": object{"replicas": 3, "selector": object{"matchLabels": object{"app": "proxy"}}, "template": object{
			"metadata": object{"labels": object{"app": "proxy"}},
			"spec": object{"containers": []any{object{
				"name": "proxy", "image": "proxy:" + marker,
				"ports": []any{object{"name": "http", "containerPort": 8080}},
				"env": []any{
					object{"name": "JWT_KEY_ID_CURRENT", "value": marker},
					object{"name": "DATABASE_URL", "valueFrom": object{"secretKeyRef": object{"name": marker, "key": "url"}}},
					object{"name": "EMPTY", "value": ""},
					object{"name": "FLAGS", "valueFrom": object{"configMapKeyRef": object{"name": "flags", "key": "x", "optional": true}}},
				},
				"livenessProbe":  object{"httpGet": object{"path": "/health", "port": "http"}},
				"readinessProbe": object{"httpGet": object{"path": "/ready", "port": 8080}},
			}}},
		}},
		"status": object{"observedGeneration": 4, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
	}}
	for i := range 3 {
		w.pods = append(w.pods, pod(i))
	}
	return w
}

func pod(i int) object {
	return object{
		"metadata": object{
			"name": fmt.Sprintf("proxy-abc-%d-%s", i, marker), "namespace": "ibex", "uid": fmt.Sprintf("p-%d", i), "creationTimestamp": ago(time.Hour),
			"labels":          object{"app": "proxy", "pod-template-hash": "abc"},
			"ownerReferences": []any{object{"kind": "ReplicaSet", "name": "proxy-abc", "uid": "rs-1", "controller": true}},
		},
		"status": object{
			"phase": "Running", "podIPs": []any{object{"ip": fmt.Sprintf("127.0.1.%d", i)}},
			"conditions": []any{
				object{"type": "PodScheduled", "status": "True"},
				object{"type": "Ready", "status": "True", "lastTransitionTime": ago(50 * time.Minute)},
			},
			"containerStatuses": []any{object{"name": "proxy", "restartCount": 0, "ready": true, "state": object{"running": object{"startedAt": ago(time.Hour)}}}},
		},
	}
}

// in returns a part of an object by a path of keys and indices.
func in(o any, path ...any) object {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			o = o.(object)[step]
		case int:
			o = o.([]any)[step]
		}
	}
	return o.(object)
}

// container is the status of the container of a pod.
func (w *world) container(i int) object { return in(w.pods[i], "status", "containerStatuses", 0) }

// template is the container of the pod template.
func (w *world) template() object {
	return in(w.workload, "spec", "template", "spec", "containers", 0)
}

// unready makes a pod unready since some time.
func (w *world) unready(i int, since time.Duration) {
	c := in(w.pods[i], "status", "conditions", 1)
	c["status"], c["lastTransitionTime"] = "False", ago(since)
	in(w.workload, "status")["readyReplicas"] = in(w.workload, "status")["readyReplicas"].(int) - 1
}

// waiting makes the container of a pod wait.
func (w *world) waiting(i int, reason, message string) {
	w.unready(i, time.Minute)
	w.container(i)["state"] = object{"waiting": object{"reason": reason, "message": message + " " + marker}}
}

// crashed gives the container of a pod a run that ended.
func (w *world) crashed(i, restarts int, reason string, code int, start, end time.Duration) {
	c := w.container(i)
	c["restartCount"] = restarts
	c["lastState"] = object{"terminated": object{"reason": reason, "exitCode": code, "startedAt": ago(start), "finishedAt": ago(end), "message": marker}}
	if c["state"].(object)["running"] != nil {
		c["state"] = object{"running": object{"startedAt": ago(end)}}
	}
}

func (w *world) serve(t *testing.T) string {
	t.Helper()
	write := func(out http.ResponseWriter, v any) {
		out.Header().Set("Content-Type", "application/json")
		for name, values := range w.header {
			out.Header()[name] = values
		}
		_ = json.NewEncoder(out).Encode(v)
	}
	resource := map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}[w.kind]
	mux := http.NewServeMux()
	for path, handler := range w.paths {
		mux.HandleFunc(path, handler)
	}
	if w.paths == nil {
		mux.HandleFunc("/apis/apps/v1/namespaces/ibex/"+resource+"/proxy", func(out http.ResponseWriter, _ *http.Request) { write(out, w.workload) })
		mux.HandleFunc("/api/v1/namespaces/ibex/pods", func(out http.ResponseWriter, q *http.Request) {
			if got := q.FormValue("labelSelector"); got != "app=proxy" {
				t.Errorf("selected %q", got)
			}
			write(out, object{"kind": "PodList", "apiVersion": "v1", "metadata": object{"resourceVersion": "9"}, "items": append([]object{}, w.pods...)})
		})
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// probe returns a probe of the world.
func (w *world) probe(t *testing.T) *Probe {
	t.Helper()
	p := New()
	p.Settings = kubernetes.Settings{API: w.serve(t), Namespace: "ibex"}
	p.Deployment = "proxy"
	return p
}

func run(t *testing.T, p *Probe) probe.Result {
	t.Helper()
	return runIn(t, p, probe.Incident{})
}

// runIn runs a probe while there is an incident.
func runIn(t *testing.T, p *Probe, incident probe.Incident) probe.Result {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	job := probe.Job{
		ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second,
		Incident: func() probe.Incident { return incident },
	}
	r := job.Do(t.Context())
	if err := errors.Join(Kind().Undeclared(r), r.Repeats()); err != nil {
		t.Error(err)
	}
	if text := probetest.Lines(r); strings.Contains(text, marker) {
		t.Errorf("the server's text is repeated:\n%s", text)
	}
	return r
}

// want compares the lines that did not pass, the verdict first.
func want(t *testing.T, r probe.Result, lines ...string) {
	t.Helper()
	got := strings.Split(probetest.NotPassed(r), "\n")
	for i := range max(len(got), len(lines)) {
		g, l := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(lines) {
			l = lines[i]
		}
		if prefix, open := strings.CutSuffix(l, "*"); g != l && !(open && strings.HasPrefix(g, prefix)) {
			t.Errorf("line %d:\n got  %s\n want %s", i+1, g, l)
		}
	}
}

// states returns the states in which there are pods.
func states(r probe.Result) string {
	var all []string
	for _, s := range r.Samples {
		if s.Measure == podsGauge && s.Value > 0 {
			all = append(all, fmt.Sprintf("%s=%v", s.Values[0], s.Value))
		}
	}
	return strings.Join(all, " ")
}
