package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Routes of the Kubernetes API.
const (
	deploymentRoute = "GET /apis/apps/v1/namespaces/{namespace}/deployments/{name}"
	cronJobRoute    = "GET /apis/batch/v1/namespaces/{namespace}/cronjobs/{name}"
	podsRoute       = "GET /api/v1/namespaces/{namespace}/pods"
)

// kubePage is how many objects are in a page of a list, whatever the caller's limit.
const kubePage = 2

// serveKubernetes makes a host a stand-in for the API server of a cluster, with a Deployment of three pods and a CronJob.
func serveKubernetes(h *host, token string) {
	started := time.Now()
	admitted := func(route http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case bearer(r) != token:
				writeKubeStatus(w, http.StatusUnauthorized, "Unauthorized", "")
			case r.PathValue("namespace") != "demo":
				writeKubeStatus(w, http.StatusForbidden, "Forbidden", r.PathValue("name"))
			default:
				route(w, r)
			}
		}
	}
	one := func(name string, made func() object) http.HandlerFunc {
		return admitted(func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("name") != name {
				writeKubeStatus(w, http.StatusNotFound, "NotFound", r.PathValue("name"))
				return
			}
			writeJSON(w, http.StatusOK, made())
		})
	}
	h.handle(deploymentRoute, one("proxy", kubeDeployment))
	h.handle(cronJobRoute, one("backup", func() object { return kubeCronJob(time.Now().Truncate(time.Hour)) }))
	h.handle(podsRoute, admitted(func(w http.ResponseWriter, r *http.Request) {
		var all []object
		if r.FormValue("labelSelector") == "app=proxy" {
			for i := range 3 {
				all = append(all, kubePod(i, started))
			}
		}
		from, err := strconv.Atoi(r.FormValue("continue"))
		if err != nil || from < 0 || from > len(all) {
			from = 0
		}
		writeJSON(w, http.StatusOK, kubeList(all, from))
	}))
}

// kubeList is a page of pods.
func kubeList(all []object, from int) object {
	to := min(from+kubePage, len(all))
	meta := object{"resourceVersion": "4711"}
	if to < len(all) {
		meta["continue"] = strconv.Itoa(to)
	}
	return object{"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": slices.Concat([]object{}, all[from:to])}
}

// writeKubeStatus refuses a request as the API server does.
func writeKubeStatus(w http.ResponseWriter, code int, reason, name string) {
	writeJSON(w, code, object{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "details": object{"name": name},
	})
}

func kubeTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func kubeDeployment() object {
	get := func(path string) object { return object{"httpGet": object{"path": path, "port": "http"}} }
	return object{
		"kind": "Deployment", "apiVersion": "apps/v1",
		"metadata": object{
			"name": "proxy", "namespace": "demo", "uid": "d-1", "generation": 3,
			"annotations": object{"deployment.kubernetes.io/revision": "3"},
		},
		"spec": object{
			"replicas": 3, "selector": object{"matchLabels": object{"app": "proxy"}},
			"template": object{"metadata": object{"labels": object{"app": "proxy"}}, "spec": object{"containers": []any{object{
				"name": "proxy", "image": "registry.demo.test/proxy:" + release,
				"ports": []any{object{"name": "http", "containerPort": 8080}},
				"env": []any{
					object{"name": "JWT_KEY_ID_CURRENT", "value": "demo"},
					object{"name": "DATABASE_URL", "valueFrom": object{"secretKeyRef": object{"name": "database", "key": "url"}}},
				},
				"livenessProbe": get("/health"), "readinessProbe": get("/ready"),
			}}}},
		},
		"status": object{
			"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
			"conditions": []any{
				object{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
				object{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
			},
		},
	}
}

func kubePod(i int, started time.Time) object {
	since := kubeTime(started.Add(-time.Hour))
	return object{
		"metadata": object{
			"name": fmt.Sprintf("proxy-5d9c-%d", i), "namespace": "demo", "uid": fmt.Sprintf("p-%d", i), "creationTimestamp": since,
			"labels":          object{"app": "proxy", "pod-template-hash": "5d9c"},
			"ownerReferences": []any{object{"kind": "ReplicaSet", "name": "proxy-5d9c", "uid": "r-1", "controller": true}},
		},
		"status": object{
			"phase": "Running", "podIPs": []any{object{"ip": "127.0.0.1"}},
			"conditions": []any{
				object{"type": "PodScheduled", "status": "True", "lastTransitionTime": since},
				object{"type": "Ready", "status": "True", "lastTransitionTime": since},
			},
			"containerStatuses": []any{object{"name": "proxy", "restartCount": 0, "ready": true, "state": object{"running": object{"startedAt": since}}}},
		},
	}
}

// kubeCronJob runs every night; its last success is some hours old at any time of the day.
func kubeCronJob(now time.Time) object {
	return object{
		"kind": "CronJob", "apiVersion": "batch/v1",
		"metadata": object{"name": "backup", "namespace": "demo", "uid": "c-1", "creationTimestamp": kubeTime(now.AddDate(-1, 0, 0))},
		"spec":     object{"schedule": "0 3 * * *", "suspend": false},
		"status":   object{"lastScheduleTime": kubeTime(now.Add(-5 * time.Hour)), "lastSuccessfulTime": kubeTime(now.Add(-5 * time.Hour))},
	}
}
