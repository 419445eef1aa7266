package kubernetes

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"prober/internal/memory"
	"prober/internal/probe"
)

func TestPods_everyPage(t *testing.T) {
	f, c := serve(t, pods("7", "token 2&", "a", "b"), pods("7", "token-3"), pods("7", "", "c"))
	names, o := listPods(t, c)
	expect(t, o, "ok")
	if names != "a b c" {
		t.Errorf("got %s", names)
	}
	query := "/api/v1/namespaces/shop/pods?"
	want := []string{
		query + "labelSelector=app%3Dweb&limit=50",
		query + "continue=token+2%26&labelSelector=app%3Dweb&limit=50",
		query + "continue=token-3&labelSelector=app%3Dweb&limit=50",
	}
	if !slices.Equal(f.asked, want) {
		t.Errorf("asked %q", f.asked)
	}
}

// What is not one whole list of one moment is no list.
func TestPods_wholeOrNotAtAll(t *testing.T) {
	full := make([]string, pageItems)
	var many []string // pages
	for i := range maxPages + 1 {
		many = append(many, pods("7", fmt.Sprint("token-", i), fmt.Sprint("pod-", i)))
	}
	for i := range full {
		full[i] = fmt.Sprint("pod-", i)
	}
	for name, test := range map[string]struct {
		answers []string
		want    string
		asked   int
	}{
		"none":                     {[]string{pods("7", "")}, "ok", 1},
		"a page that is full":      {[]string{pods("7", "", full...)}, "ok", 1},
		"more than asked for":      {[]string{pods("7", "", append(full, "one")...)}, "too_large: expected at most 50 pods in a page, as asked for, got 51", 1},
		"pages without end":        {many, "too_large: the list of pods has more than 40 pages", maxPages},
		"objects without end":      {fullPages(maxItems/pageItems + 1), "too_large: the list of pods has more than 1000 objects", maxItems/pageItems + 1},
		"the same token again":     {[]string{pods("7", "same", "a"), pods("7", "same", "b")}, "schema: the list of pods does not end: its continue token is too long, or the one before", 2},
		"a token without end":      {[]string{pods("7", strings.Repeat("x", maxContinue+1), "a")}, "schema: the list of pods does not end*", 1},
		"an object twice":          {[]string{pods("7", "t", "a"), pods("7", "", "a")}, "schema: the list of pods has an object twice", 2},
		"two moments":              {[]string{pods("7", "t", "a"), pods("8", "", "b"), pods("9", "t", "a"), pods("8", "", "b")}, "expired: the pages of the list of pods are of different moments", 4},
		"two moments, once":        {[]string{pods("7", "t", "a"), pods("8", "", "b"), pods("9", "t", "a"), pods("9", "", "b")}, "ok", 4},
		"forgotten, once":          {[]string{pods("7", "t", "a"), failure(410, "Expired", ""), pods("9", "t", "a"), pods("9", "", "b")}, "ok", 4},
		"forgotten, again":         {[]string{pods("7", "t", "a"), failure(410, "Expired", ""), pods("9", "t", "a"), failure(410, "Expired", "")}, "expired: got 410: the API server no longer has the list of pods as it was", 4},
		"forgotten before it came": {[]string{failure(410, "Gone", "")}, "expired: got 410*", 1},
		"a page that is refused":   {[]string{pods("7", "t", "a"), failure(403, "Forbidden", "")}, "forbidden: got 403*", 2},
		"more, and not where":      {[]string{strings.Replace(pods("7", "", "a"), `"continue"`, `"remainingItemCount":3,"continue"`, 1)}, "schema: the list of pods says that it goes on, and not where", 1},
		"no moment":                {[]string{pods("", "", "a")}, "schema: the list of pods has no resourceVersion", 1},
		"another kind of list":     {[]string{strings.Replace(pods("7", ""), "PodList", "ServiceList", 1)}, "schema: expected a PodList, got other JSON", 1},
		"one object":               {[]string{`{"kind":"Pod","metadata":{"resourceVersion":"7"}}`}, "schema: expected a PodList, got other JSON", 1},
		"another namespace":        {[]string{strings.Replace(pods("7", "", "a"), `"shop"`, `"`+marker+`"`, 1)}, "schema: the list of pods has an object of another namespace", 1},
		"an object without a uid":  {[]string{strings.Replace(pods("7", "", "a"), "uid-a", "", 1)}, "schema: the list of pods has an object that is not one of the kind Pod", 1},
		"no items":                 {[]string{`{"kind":"PodList","metadata":{"resourceVersion":"7"}}`}, "schema: expected a PodList, got other JSON", 1},
		"an object that is null":   {[]string{`{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[null]}`}, "schema: the list of pods has an object that is not one*", 1},
		"an object that is a text": {[]string{`{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":["` + marker + `"]}`}, "schema: the list of pods has an object that is not one*", 1},
		"the same key twice":       {[]string{`{"kind":"ServiceList","kind":"PodList","metadata":{"resourceVersion":"7"},"items":[]}`}, "schema: the answer is not JSON*", 1},
		"a page of a portal":       {[]string{"<html>" + marker}, "schema: the answer is not JSON*", 1},
		"nothing":                  {[]string{""}, "schema: the answer is not JSON: the body is empty, expected JSON", 1},
		"a body without end":       {[]string{strings.Repeat(" ", defaultMaxBody+1)}, "too_large: the body is larger than 2097152 bytes", 1},
		"values without end":       {[]string{`{"items":[` + strings.Repeat("0,", 100_000) + `0]}`}, "self_limit: *", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := serve(t, test.answers...)
			names, o := listPods(t, c)
			expect(t, o, test.want)
			if len(f.asked) != test.asked {
				t.Errorf("%d requests, expected %d", len(f.asked), test.asked)
			}
			if test.want != "ok" && names != "" {
				t.Errorf("a part of the list is handed out: %s", names)
			}
		})
	}
}

// The objects of a list stay until the run is over. So they are charged to it, and what nobody asks for is dropped.
func TestPods_memory(t *testing.T) {
	ask := func(run int64, answers ...string) ([]Pod, probe.Outcome) {
		_, c := serve(t, answers...)
		ctx, account := memory.NewBudget(run).Open(t.Context())
		defer account.Close()
		return c.Pods(ctx, newResult(), "api", "shop", web)
	}
	large := func(field string) (pages []string) {
		for i := range 20 {
			next := fmt.Sprint("token-", i)
			if i == 19 {
				next = ""
			}
			page := pods("7", next, fmt.Sprint("pod-", i))
			pages = append(pages, strings.Replace(page, `"namespace":"shop"`, `"namespace":"shop",`+field, 1))
		}
		return pages
	}
	long := strings.Repeat("x", 150_000)
	all, o := ask(2<<20, large(`"labels":{"pod-template-hash":"1","app":"`+long+`"},"annotations":{"a":"`+long+`"}`)...)
	expect(t, o, "ok")
	if len(all) != 20 || len(all[0].Metadata.Labels) != 1 || len(all[0].Metadata.Annotations) != 0 {
		t.Errorf("%d pods, the first with %d labels", len(all), len(all[0].Metadata.Labels))
	}
	_, o = ask(2<<20, large(`"ownerReferences":[{"uid":"`+long+`"}]`)...)
	expect(t, o, "self_limit: *")
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct{ answer, list, get string }{
		"401": {failure(401, "Unauthorized", ""),
			"credential: got 401: the API server does not accept a request without a credential",
			"credential: got 401: the API server does not accept a request without a credential"},
		"403": {failure(403, "Forbidden", "web"),
			"forbidden: got 403: a request without a credential lacks the verb list of pods in the namespace shop",
			"forbidden: got 403: a request without a credential lacks the verb get of deployments in the namespace shop"},
		"403 of a proxy": {"403 <html>" + marker, "credential: *", "credential: *"},
		"404": {failure(404, "NotFound", "web"),
			"status: got 404: the API server does not serve pods of api/v1",
			"not_found: expected Deployment web in the namespace shop, got 404: it does not exist"},
		"404 of another object": {failure(404, "NotFound", "other"),
			"status: got 404: the API server does not serve pods of api/v1",
			"status: got 404: the API server does not serve deployments of apis/apps/v1"},
		"404 of no API": {"404 404 page not found",
			"status: expected 200, got 404, and not in the words of an API server of Kubernetes: expected one at api",
			"status: expected 200, got 404, and not in the words of an API server of Kubernetes: expected one at api"},
		"429":           {failure(429, "TooManyRequests", ""), "rate_limited: *", "rate_limited: *"},
		"500":           {failure(500, "InternalError", ""), "status: expected 200, got 500", "status: expected 200, got 500"},
		"503":           {failure(503, "ServiceUnavailable", ""), "status: got 503: the API server, or its store, is overloaded or not ready", "status: got 503*"},
		"a redirect":    {"302 ", "redirect: *", "redirect: *"},
		"204":           {"204 ", "status: *", "status: *"},
		"a failure, OK": {strings.Replace(failure(200, "", ""), "200 ", "", 1), "schema: expected a PodList, got other JSON", "schema: expected an object of the kind Deployment, got other JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := serve(t, test.answer)
			f.header.Set("Retry-After", "30")
			f.header.Set("Location", "/login")
			names, o := listPods(t, c)
			expect(t, o, test.list)
			if _, o2 := getDeployment(t, c); o2.Reason != o.Reason || test.get != test.list {
				expect(t, o2, test.get)
			}
			if names != "" || len(f.asked) != 2 {
				t.Errorf("got %q by %d requests", names, len(f.asked))
			}
		})
	}
}

func TestPods_cached(t *testing.T) {
	f, c := serve(t, pods("7", "", "a"))
	f.header = http.Header{"Age": {"60"}}
	_, o := listPods(t, c)
	expect(t, o, "stale_or_cached: *")
}

func TestDeployment(t *testing.T) {
	const whole = `{"kind":"Deployment","metadata":{"name":"web","namespace":"shop","uid":"u","generation":4,"creationTimestamp":"2026-01-02T03:04:05Z",
		"annotations":{"deployment.kubernetes.io/revision":"12"}},
		"spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},"template":{"spec":{"containers":[{"name":"web","image":"web@sha256:0","readinessProbe":{"httpGet":{"path":"/ready","port":"http"}}}]}}},
		"status":{"observedGeneration":4,"readyReplicas":2,"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded"}]}}`
	f, c := serve(t, whole)
	d, o := getDeployment(t, c)
	expect(t, o, "ok")
	progressing := FindCondition(d.Status.Conditions, "Progressing")
	if *d.Spec.Replicas != 3 || d.Status.ReadyReplicas != 2 || !d.Observed() || progressing.Reason != "ProgressDeadlineExceeded" ||
		d.Metadata.Annotations[Revision] != "12" || d.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Path != "/ready" {
		t.Errorf("got %+v", d)
	}
	if d.Status.ObservedGeneration = 3; d.Observed() {
		t.Error("a status of the generation before counts")
	}
	if f.asked[0] != "/apis/apps/v1/namespaces/shop/deployments/web" {
		t.Errorf("asked %q", f.asked)
	}
	for _, harm := range [][2]string{{`"web","namespace"`, `"other","namespace"`}, {`"shop"`, `"other"`}, {`"uid":"u"`, `"uid":""`}} {
		_, c := serve(t, strings.Replace(whole, harm[0], harm[1], 1))
		_, o := getDeployment(t, c)
		expect(t, o, "schema: expected Deployment web in the namespace shop, got another object")
	}
	for _, harm := range [][2]string{{`"Deployment"`, `"` + marker + `"`}, {`"replicas":3`, `"replicas":"3"`}} {
		_, c := serve(t, strings.Replace(whole, harm[0], harm[1], 1))
		_, o := getDeployment(t, c)
		expect(t, o, "schema: expected an object of the kind Deployment, got other JSON")
	}
}

func TestReplicaSets(t *testing.T) {
	f, c := serve(t, `{"kind":"ReplicaSetList","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"web-1","namespace":"shop","uid":"r",
		"ownerReferences":[{"kind":"X","uid":"x"},{"kind":"Deployment","name":"web","uid":"u","controller":true}]},"spec":{"replicas":3}}]}`)
	all, o := c.ReplicaSets(t.Context(), newResult(), "api", "shop", web)
	expect(t, o, "ok")
	if len(all) != 1 || all[0].Metadata.Controller().UID != "u" || f.asked[0] != "/apis/apps/v1/namespaces/shop/replicasets?labelSelector=app%3Dweb&limit=50" {
		t.Errorf("got %+v by %q", all, f.asked)
	}
}

func TestSelector(t *testing.T) {
	expression := func(key, operator string, values ...string) Selector {
		return Selector{MatchLabels: map[string]string{"app": "web"}, MatchExpressions: []Expression{{key, operator, values}}}
	}
	for _, test := range []struct {
		selector Selector
		want     string // the query, or the beginning of why not
	}{
		{Selector{MatchLabels: map[string]string{"b": "2", "a.example/x": "1"}}, "a.example/x=1,b=2"},
		{expression("tier", "In", "a", "b"), "app=web,tier in (a,b)"},
		{expression("tier", "NotIn", "a"), "app=web,tier notin (a)"},
		{expression("tier", "Exists"), "app=web,tier"},
		{expression("tier", "DoesNotExist"), "app=web,!tier"},
		{expression("tier", "Near"), "expected a selector with the operators"},
		{Selector{}, "expected a selector of labels, got an empty one"},
		{Selector{MatchLabels: map[string]string{"a": "1,b"}}, "expected a selector of labels, got characters"},
		{Selector{MatchLabels: map[string]string{"a,b": "1"}}, "expected a selector of labels, got characters"},
		{Selector{MatchLabels: map[string]string{"": "1"}}, "expected a selector of labels, got characters"},
		{expression("tier", "In", "a),b"), "expected a selector of labels, got characters"},
		{expression("", "Exists"), "expected a selector of labels, got characters"},
	} {
		got, o := test.selector.query()
		if o.Passed() != (got != "") || !strings.HasPrefix(got+o.Detail, test.want) {
			t.Errorf("%+v: got %q, %s", test.selector, got, o.Detail)
		}
	}
	if _, err := url.ParseQuery("labelSelector=" + url.QueryEscape("app=web,tier in (a,b)")); err != nil {
		t.Error(err)
	}
}

func TestWorkload(t *testing.T) {
	for kind, path := range map[string]string{KindDeployment: "deployments", KindStatefulSet: "statefulsets", KindDaemonSet: "daemonsets"} {
		body := `{"kind":"` + kind + `","metadata":{"name":"web","namespace":"shop","uid":"u","generation":2},"spec":{"replicas":2},
			"status":{"observedGeneration":2,"replicas":3,"readyReplicas":1,"desiredNumberScheduled":2,"currentNumberScheduled":3,"numberReady":1}}`
		f, c := serve(t, body)
		w, o := c.Workload(t.Context(), newResult(), "api", kind, "shop", "web")
		expect(t, o, "ok")
		if f.asked[0] != "/apis/apps/v1/namespaces/shop/"+path+"/web" || w.Wanted() != 2 || w.Existing() != 3 || w.ReadyCount() != 1 || !w.Observed() {
			t.Errorf("asked %q, got %+v", f.asked, w)
		}
		if kind != KindDaemonSet {
			_, c := serve(t, strings.Replace(body, `"replicas":2`, "", 1))
			_, o := c.Workload(t.Context(), newResult(), "api", kind, "shop", "web")
			expect(t, o, "schema: expected a "+kind+" with the number of its replicas*")
		}
	}
}

func TestOwns(t *testing.T) {
	pod := func(kind, name, uid, hash string) *Pod {
		return &Pod{Metadata: Metadata{
			Labels:          map[string]string{PodHash: hash},
			OwnerReferences: []OwnerReference{{Kind: "Deployment", Name: "web", UID: "u"}, {Kind: kind, Name: name, UID: uid, Controller: true}},
		}}
	}
	for _, test := range []struct {
		kind string
		pod  *Pod
		want bool
	}{
		{KindDeployment, pod("ReplicaSet", "web-1", "r", "1"), true},
		{KindDeployment, pod("ReplicaSet", "web-blue-1", "r", "1"), false}, // of the Deployment web-blue
		{KindDeployment, pod("ReplicaSet", "web-", "r", ""), false},
		{KindDeployment, pod("Job", "web-1", "r", "1"), false},
		{KindDeployment, &Pod{}, false},
		{KindStatefulSet, pod("StatefulSet", "web", "u", ""), true},
		{KindStatefulSet, pod("StatefulSet", "web", "v", ""), false},
		{KindStatefulSet, pod("DaemonSet", "web", "u", ""), false},
	} {
		w := &Workload{Kind: test.kind, Metadata: Metadata{Name: "web", UID: "u"}}
		if got := w.Owns(test.pod); got != test.want {
			t.Errorf("%s, %+v: got %t", test.kind, test.pod.Metadata, got)
		}
	}
}

// fullPages are pages of a list, each with as many objects as are asked for.
func fullPages(n int) []string {
	var all []string
	for page := range n {
		var names []string
		for i := range pageItems {
			names = append(names, fmt.Sprintf("pod-%d-%d", page, i))
		}
		all = append(all, pods("7", fmt.Sprint("token-", page), names...))
	}
	return all
}
