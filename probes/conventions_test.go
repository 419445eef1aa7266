package probes_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/probes"
)

// An answering is what a product answers in one of its states: "STATUS TYPE BODY" by path and query. The answer for every
// other path is at "*", or is 404.
type answering map[string]string

const notFound = "404 text/plain 404 page not found"

// conventions lists how products answer that they are ready or not, as their documentation and sources have it, with the
// states of a replica that a probe must see in it.
func conventions() map[string]map[string]answering {
	kube := `404 application/json {"kind":"Status","status":"Failure","code":404}`
	vault := func(status int, standby bool) string {
		return fmt.Sprintf(`%d application/json {"initialized":%t,"sealed":%t,"standby":%t,"performance_standby":false,"server_time_utc":1,"version":"1.19.0"}`,
			status, status != 501, status == 503 || status == 501, standby)
	}
	const vaultReady = "/v1/sys/health?standbyok=true&perfstandbyok=true"
	const vaultDenied = `403 application/json {"errors":["permission denied"]}`
	const haproxyReady = "200 text/html <html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n"
	const haproxy503 = "503 text/html <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n"
	const elasticReady = "/_cluster/health?wait_for_status=yellow&timeout=1s"
	const elasticRoot = `200 application/json {"name":"a","version":{"number":"8.17.0"},"tagline":"You Know, for Search"}`
	spring := func(live, ready string) answering {
		return answering{"/actuator/health/liveness": live, "/actuator/health/readiness": ready, "*": `404 application/json {"status":404,"error":"Not Found"}`}
	}
	const springUp = `200 application/vnd.spring-boot.actuator.v3+json {"status":"UP"}`
	const stub = "200 text/plain Active connections: 1 \nserver accepts handled requests\n 1 1 1 \nReading: 0 Writing: 1 Waiting: 0 \n"
	return map[string]map[string]answering{
		"kubernetes": {
			"serving_unverified": {"/healthz": "204  ", "/readyz": "302 text/html <a href=/>Found</a>"},
			"not_ready":          {"/healthz": "200 text/plain ok", "/readyz": "503 text/plain not yet"},
		},
		"kube-apiserver": {
			"serving_unverified": {"/livez?exclude=etcd": "200 text/plain ok", "/readyz": "200 text/plain ok", "*": kube},
			"not_ready":          {"/livez?exclude=etcd": "200 text/plain ok", "/readyz": "500 text/plain [-]etcd failed: reason withheld\nreadyz check failed\n", "*": kube},
			"down":               {"/livez?exclude=etcd": "500 text/plain livez check failed", "/readyz": "500 text/plain readyz check failed", "*": kube},
		},
		"vault": {
			"serving_unverified":                            {"/v1/sys/health": vault(200, false), vaultReady: vault(200, false), "*": vaultDenied},
			"serving_unverified as a standby":               {"/v1/sys/health": vault(429, true), vaultReady: vault(200, true), "*": vaultDenied},
			"not_ready":                                     {"/v1/sys/health": vault(503, true), vaultReady: vault(503, true), "*": vaultDenied},
			"not_ready before it is initialized":            {"/v1/sys/health": vault(501, true), vaultReady: vault(501, true), "*": vaultDenied},
			"wrong_route behind a gateway without a server": {"*": "503 text/plain no healthy upstream"},
		},
		"consul": {
			"serving_unverified": {"/v1/status/leader": `200 application/json "10.1.10.12:8300"`},
			"not_ready":          {"/v1/status/leader": `200 application/json ""`},
			"down":               {"/v1/status/leader": "500 text/plain No cluster leader"},
		},
		"spring-boot": {
			"serving_unverified":                   spring(springUp, springUp),
			"not_ready":                            spring(springUp, `503 application/json {"status":"OUT_OF_SERVICE"}`),
			"not_ready where all statuses are 200": spring(springUp, `200 application/json {"status":"OUT_OF_SERVICE"}`),
			"down":                                 spring(`503 application/json {"status":"DOWN"}`, `503 application/json {"status":"DOWN"}`),
			"down where all statuses are 200":      spring(`200 application/json {"status":"DOWN"}`, `200 application/json {"status":"DOWN"}`),
		},
		"envoy": {
			"serving_unverified": {"/server_info": `200 application/json {"version":"abc/1.33.0/Clean/RELEASE/BoringSSL","state":"LIVE"}`, "/ready": "200 text/plain LIVE\n", "*": "404 text/html invalid path. <table>admin commands"},
			"not_ready":          {"/server_info": `200 application/json {"version":"abc/1.33.0/Clean/RELEASE/BoringSSL","state":"DRAINING"}`, "/ready": "503 text/plain DRAINING\n", "*": notFound},
		},
		"haproxy": {
			"serving_unverified": {"/live": "200 text/plain live", "/ready": haproxyReady, "*": haproxy503},
			"not_ready":          {"/live": "200 text/plain live", "/ready": haproxy503, "*": haproxy503},
			"wrong_route":        {"*": haproxyReady},
		},
		"traefik": {
			"serving_unverified": {"/ping": "200 text/plain OK"},
			"not_ready":          {"/ping": "503 text/plain Service Unavailable"},
		},
		"nginx": {
			"serving_unverified": {"/stub_status": stub, "*": "404 text/html <html><head><title>404 Not Found"},
			"wrong_route":        {"*": "200 text/html <!DOCTYPE html><title>Welcome to nginx!</title>"},
		},
		"apache": {
			"serving_unverified": {"/server-status?auto": "200 text/plain ServerVersion: Apache/2.4.71\nBusyWorkers: 1\nIdleWorkers: 49\n", "*": "404 text/html <title>404 Not Found"},
			"not_ready":          {"/server-status?auto": "200 text/plain ServerVersion: Apache/2.4.71\nBusyWorkers: 50\nIdleWorkers: 0\n", "*": "404 text/html <title>404 Not Found"},
		},
		"elasticsearch": {
			"serving_unverified": {"/": elasticRoot, elasticReady: `200 application/json {"status":"yellow","timed_out":false}`, "*": `404 application/json {"error":{"type":"index_not_found_exception"},"status":404}`},
			"not_ready":          {"/": elasticRoot, elasticReady: `408 application/json {"status":"red","timed_out":true}`, "*": `404 application/json {"status":404}`},
			"not_ready at once":  {"/": elasticRoot, elasticReady: `200 application/json {"status":"red","timed_out":false}`, "*": `404 application/json {"status":404}`},
		},
		"keycloak": {
			"serving_unverified": {"/health/live": `200 application/json {"status":"UP","checks":[]}`, "/health/ready": `200 application/json {"status":"UP","checks":[]}`, "*": "404 text/html <html><body><h1>Resource not found</h1>"},
			"not_ready":          {"/health/live": `200 application/json {"status":"UP","checks":[]}`, "/health/ready": `503 application/json {"status":"DOWN","checks":[{"name":"database","status":"DOWN"}]}`, "*": notFound},
		},
	}
}

// TestConventions runs the configuration of docs/kinds/health.md for each product against a server that answers as that
// product does, well and unwell.
func TestConventions(t *testing.T) {
	products := conventions()
	for _, job := range parse(t, shownConventions(t)) {
		states := products[job.Name]
		if states["serving_unverified"] == nil || len(states) < 2 {
			t.Errorf("%s: expected one sound state and one other", job.Name)
		}
		delete(products, job.Name)
		for name, answers := range states {
			t.Run(job.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				want, _, _ := strings.Cut(name, " ")
				wantState(t, conventionAt(t, job.Name, answers.serve(t)), want)
			})
		}
	}
	if len(products) > 0 {
		t.Errorf("docs/kinds/health.md does not show %v", products)
	}
}

// shownConventions is the configuration in the documentation.
func shownConventions(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/kinds/health.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```yaml\n(system: conventions\n.*?)```").FindSubmatch(page)
	if shown == nil {
		t.Fatal("docs/kinds/health.md shows no configuration of the system conventions")
	}
	return string(shown[1])
}

// conventionAt returns the job of a product, with its service at a URL.
func conventionAt(t *testing.T, product, url string) probe.Job {
	t.Helper()
	hosts := regexp.MustCompile(`http://[a-z]+\.example:[0-9]+`)
	jobs := parse(t, hosts.ReplaceAllString(shownConventions(t), url))
	return jobs[slices.IndexFunc(jobs, func(j probe.Job) bool { return j.Name == product })]
}

// wantState runs a job once and compares the state of its only replica.
func wantState(t *testing.T, job probe.Job, want string) {
	t.Helper()
	r := job.Do(t.Context())
	got := "" // if the state could not be determined
	for _, s := range r.Samples {
		if s.Name == "probe_health_state" && s.Value == 1 {
			got = s.Values[1]
		}
	}
	if got != want || (r.Verdict() == probe.Pass) != (want == "serving_unverified") {
		t.Errorf("expected %s, got %s and %s: %+v", want, got, r.Verdict(), r.Checks)
	}
}

func parse(t *testing.T, text string) []probe.Job {
	t.Helper()
	c, err := config.Parse(probes.Kinds(), config.File{Name: "conventions.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return c.Jobs
}

func (a answering) serve(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		said, ok := a[q.URL.RequestURI()]
		if !ok {
			said = a["*"]
		}
		if said == "" {
			said = notFound
		}
		parts := strings.SplitN(said, " ", 3)
		var status int
		fmt.Sscan(parts[0], &status)
		w.Header().Set("Content-Type", parts[1])
		w.WriteHeader(status)
		fmt.Fprint(w, parts[2])
	}))
	t.Cleanup(server.Close)
	return server.URL
}
