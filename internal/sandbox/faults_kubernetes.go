package sandbox

import (
	"net/http"
	"sync/atomic"
	"time"
)

// podFaults break the pods of the cluster.
func podFaults() []Fault {
	const (
		inspect  = "Inspect pods: CrashLoopBackOff, OOMKilled, ImagePullBackOff?"
		variable = "Missing required environment variables"
		memory   = "OOMKilled under load"
		liveness = "Readiness failure misconfigured as liveness (avoidable restarts)"
		crash    = "Bad deploy or crash loop"
		replicas = "/health returns 200 on N replicas"
	)
	deployment := func(change func(d object)) *effect {
		return on([]string{kubeAPI}, deploymentRoute, editJSON(func(body any) any {
			change(body.(object))
			return body
		}))
	}
	container := func(change func(c object)) *effect {
		return deployment(func(d object) { change(part(d, "spec", "template", "spec", "containers", 0)) })
	}
	return []Fault{
		{"pods-crash-loop", "a container of the second pod crashes whenever it is started", inspect,
			[]*effect{onPod(waits("CrashLoopBackOff", ""), ended("Error", 1, 9, time.Minute))}},
		{"pods-crashing", "a container of the second pod runs just now, and crashed twice in the last minutes", crash,
			[]*effect{onPod(ended("Error", 1, 2, time.Minute))}},
		{"pods-oom-killed", "a container of the second pod was killed for want of memory two minutes ago, and runs again", memory,
			[]*effect{onPod(ended("OOMKilled", 137, 1, 24*time.Hour))}},
		{"pods-image-pull", "the image of the second pod cannot be pulled", inspect, []*effect{onPod(waits("ImagePullBackOff", ""))}},
		{"pods-config-error", "the second pod names a Secret that does not exist", variable,
			[]*effect{onPod(waits("CreateContainerConfigError", `secret "database" not found`))}},
		{"pods-env-missing", "the pod template lacks a variable that the proxy requires", variable, []*effect{container(func(c object) {
			c["env"] = c["env"].([]any)[:1]
		})}},
		{"pods-not-ready", "the second pod has not been ready for ten minutes", replicas, []*effect{onPod(unready(10 * time.Minute))}},
		{"pods-unscheduled", "no node has room for the second pod", replicas, []*effect{onPod(unready(10*time.Minute), func(p object) {
			part(p, "status", "conditions", 0)["status"] = "False"
			part(p, "status")["containerStatuses"] = nil
		})}},
		{"pods-restarted", "a container of each pod was restarted two minutes ago", liveness, []*effect{onPods(func(_ int, p object) {
			ended("Error", 137, 1, 24*time.Hour)(p)
		})}},
		{"pods-elsewhere", "the ready pods have other addresses than those that are found", replicas, []*effect{onPods(func(_ int, p object) {
			part(p, "status")["podIPs"] = []any{object{"ip": "127.0.0.2"}}
		})}},
		{"pods-liveness-on-ready", "the liveness probe of the pod template asks /ready", liveness, []*effect{container(func(c object) {
			part(c, "livenessProbe", "httpGet")["path"] = "/ready"
		})}},
		{"pods-no-readiness", "the pod template has no readiness probe", liveness, []*effect{container(func(c object) { delete(c, "readinessProbe") })}},
		{"pods-scaled-down", "the Deployment asks for two replicas in place of three", replicas, []*effect{deployment(func(d object) {
			part(d, "spec")["replicas"] = 2
		})}},
		{"pods-none", "the selector of the Deployment matches no pod", inspect, []*effect{onList(func(list object) { list["items"] = []any{} })}},
		{"pods-status-stale", "no controller has looked at the Deployment since it was changed", replicas, []*effect{deployment(func(d object) {
			part(d, "metadata")["generation"] = 4
		})}},
		{"backup-late", "the last success of the backup was three days ago", "the last success of a CronJob", []*effect{
			on([]string{kubeAPI}, cronJobRoute, editJSON(func(body any) any {
				part(body.(object), "status")["lastSuccessfulTime"] = kubeTime(time.Now().Add(-72 * time.Hour))
				return body
			}))}},
	}
}

// kubeFaults break the API of the cluster, which is a witness only.
func kubeFaults() []Fault {
	api := []string{kubeAPI}
	const kubectl = "kubectl -n ibex-system get pods -l app=proxy"
	refusal := func(code int, reason string) interceptor {
		return func(_ target, w http.ResponseWriter, r *http.Request) {
			writeKubeStatus(w, code, reason, r.PathValue("name"))
		}
	}
	return []Fault{
		{"kube-down", "the API of the cluster refuses connections", kubectl, []*effect{refuseConnections(kubeAPI)}},
		{"kube-token-refused", "the API of the cluster does not accept the token: 401", kubectl, []*effect{on(api, everyRoute, refusal(401, "Unauthorized"))}},
		{"kube-forbidden", "the Role has no right to list pods: 403", kubectl, []*effect{on(api, podsRoute, refusal(403, "Forbidden"))}},
		{"kube-rate-limited", "the API of the cluster limits the rate of requests: 429", kubectl, []*effect{
			on(api, everyRoute, refusal(429, "TooManyRequests")), on(api, everyRoute, addHeaders("Retry-After", "30"))}},
		{"kube-unavailable", "the store of the API is not available: 503", kubectl, []*effect{on(api, everyRoute, refusal(503, "ServiceUnavailable"))}},
		{"kube-portal", "a page for people answers in place of the API: 200 and HTML", kubectl, []*effect{on(api, everyRoute, respondPage(200, loginPage))}},
		{"kube-deployment-gone", "the Deployment does not exist: 404", kubectl, []*effect{on(api, deploymentRoute, refusal(404, "NotFound"))}},
		{"kube-list-expired", "the API forgets each list before its second page: 410", kubectl, []*effect{on(api, podsRoute, onNextPage(refusal(410, "Expired")))}},
		{"kube-list-restarted", "the API forgets every other list before its second page: 410", kubectl,
			[]*effect{harmless(on(api, podsRoute, onNextPage(everyOther(refusal(410, "Expired")))))}},
		{"kube-list-endless", "the list of pods has a next page after each", kubectl, []*effect{onList(func(list object) {
			part(list, "metadata")["continue"] = "2"
		})}},
	}
}

// part returns an object within another, by keys and indices.
//
//go:noinline
func part(o any, path ...any) object {
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

// onList changes the pages of the list of pods.
func onList(change func(list object)) *effect {
	return on([]string{kubeAPI}, podsRoute, editJSON(func(body any) any {
		change(body.(object))
		return body
	}))
}

// onPods changes every pod.
//
//go:noinline
func onPods(change func(i int, p object)) *effect {
	return onList(func(list object) {
		for i, p := range list["items"].([]any) {
			change(i, p.(object))
		}
	})
}

// onPod changes the second pod.
//
//go:noinline
func onPod(changes ...func(p object)) *effect {
	return onPods(func(_ int, p object) {
		if part(p, "metadata")["uid"] != "p-1" {
			return
		}
		for _, change := range changes {
			change(p)
		}
	})
}

// unready makes a pod unready since some time.
//
//go:noinline
func unready(since time.Duration) func(p object) {
	return func(p object) {
		c := part(p, "status", "conditions", 1)
		c["status"], c["lastTransitionTime"] = "False", kubeTime(time.Now().Add(-since))
	}
}

// waits makes the container of a pod wait.
//
//go:noinline
func waits(reason, message string) func(p object) {
	return func(p object) {
		unready(10 * time.Minute)(p)
		part(p, "status", "containerStatuses", 0)["state"] = object{"waiting": object{"reason": reason, "message": message}}
	}
}

// ended gives the container of a pod a run that ended two minutes ago, after some time.
//
//go:noinline
func ended(reason string, code, restarts int, after time.Duration) func(p object) {
	return func(p object) {
		at := time.Now().Add(-2 * time.Minute)
		c := part(p, "status", "containerStatuses", 0)
		c["restartCount"] = restarts
		c["lastState"] = object{"terminated": object{
			"reason": reason, "exitCode": code, "startedAt": kubeTime(at.Add(-after)), "finishedAt": kubeTime(at),
		}}
		if part(c, "state")["running"] != nil {
			c["state"] = object{"running": object{"startedAt": kubeTime(at)}}
		}
	}
}

// onNextPage limits an interceptor to the pages of a list after the first.
func onNextPage(i interceptor) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if r.FormValue("continue") == "" {
			at.next(w, r)
			return
		}
		i(at, w, r)
	}
}

// everyOther limits an interceptor to the first, third, fifth request, and so on.
func everyOther(i interceptor) interceptor {
	var n atomic.Int64
	return func(at target, w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			at.next(w, r)
			return
		}
		i(at, w, r)
	}
}
