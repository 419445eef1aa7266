package targets

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
)

type object = map[string]any

// A cluster is a real API server, of which the test is the controller of EndpointSlices.
type cluster struct {
	testenv.Cluster
	token, file string // of the prober; file has it
}

const slicesPath = "/apis/discovery.k8s.io/v1/namespaces/ibex/endpointslices"

// manifest is an EndpointSlice of a Service.
func manifest(service, name, addresses string, ports []any, endpoints ...any) object {
	return object{
		"metadata":    object{"name": name, "labels": object{kubernetes.ServiceName: service}},
		"addressType": addresses, "ports": ports, "endpoints": endpoints,
	}
}

// endpoint is one of an EndpointSlice. Without a state, whether it is ready is not known.
func endpoint(address, pod string, state ...bool) object {
	e := object{"addresses": []any{address}}
	if pod != "" {
		e["targetRef"], e["nodeName"], e["zone"] = object{"kind": "Pod", "name": pod, "namespace": "ibex"}, "n1", "eu-1"
	}
	if len(state) > 0 {
		e["conditions"] = object{"ready": state[0]}
	}
	if len(state) > 1 {
		e["conditions"] = object{"ready": state[0], "serving": true, "terminating": state[1]}
	}
	return e
}

func (c *cluster) replace(t *testing.T, slice object) {
	t.Helper()
	c.Must(t, "PUT", slicesPath+"/"+slice["metadata"].(object)["name"].(string), slice)
}

// ask is a probe of a Service, with the shipped Role.
func (c *cluster) ask(service string) *Probe {
	k := &Kubernetes{Service: service}
	k.Settings = kubernetes.Settings{API: c.URL, Namespace: "ibex", Settings: httpx.Settings{Bearer: secret.File(c.file), TLS: &dial.TLS{CAFile: c.CA}}}
	return &Probe{Want: 1, Kubernetes: k}
}

func (c *cluster) setToken(t *testing.T, token string) {
	t.Helper()
	if err := os.WriteFile(c.file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReal_kubernetes lists the endpoints of Services of a real API server, as they come, change, get ready, terminate and go; lists of
// several pages, one of them forgotten in between; what the Role does not allow, and tokens that are over.
func TestReal_kubernetes(t *testing.T) {
	c := &cluster{Cluster: testenv.Kubernetes(t), file: filepath.Join(t.TempDir(), "token")}
	c.token = c.Prober(t, "../../config/deploy/role.yaml")
	c.setToken(t, c.token)
	web, both := []any{object{"name": "http", "port": 8080}}, []any{object{"name": "http", "port": 8080}, object{"name": "admin", "port": 9000}}
	const kept = "; the last list stays"
	wants := func(t *testing.T, p *Probe, list, line string) {
		t.Helper()
		verdict, want := "pass", []string{"want *"}
		if list == "" {
			verdict, want = "inconclusive", nil
		}
		wantList(t, p, list, append([]string{verdict, line}, want...)...)
	}

	t.Run("no Service", func(t *testing.T) {
		wants(t, c.ask("web"), "", "list inconclusive(empty_list): expected endpoints, got none: there is no such Service, or it selects nothing"+kept)
	})
	t.Run("created, changed, deleted", func(t *testing.T) {
		c.Must(t, "POST", slicesPath, manifest("web", "web-1", "IPv4", web))
		wants(t, c.ask("web"), "", "list inconclusive(empty_list): expected targets, got an empty list"+kept)
		c.replace(t, manifest("web", "web-1", "IPv4", web, endpoint("10.1.0.1", "web-a", true), endpoint("10.1.0.2", "web-b", false)))
		wants(t, c.ask("web"), "10.1.0.1:8080", "list pass(ok): 1 target, and 1 that are not ready")
		c.replace(t, manifest("web", "web-1", "IPv4", web, endpoint("10.1.0.1", "web-a", true), endpoint("10.1.0.2", "web-b", true), endpoint("10.1.0.3", "")))
		wants(t, c.ask("web"), "10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080", "list pass(ok): 3 targets")
		c.replace(t, manifest("web", "web-1", "IPv4", web, endpoint("10.1.0.1", "web-a", true, true), endpoint("10.1.0.2", "web-b", true)))
		wants(t, c.ask("web"), "10.1.0.2:8080", "list pass(ok): 1 target, and 1 that are not ready")
		c.replace(t, manifest("web", "web-1", "IPv4", web, endpoint("10.1.0.2", "web-b", false)))
		wants(t, c.ask("web"), "", "list inconclusive(empty_list): expected targets that are ready, got 1 that are not, and no other"+kept)
		all := c.ask("web")
		all.Kubernetes.NotReady = true
		r := wantList(t, all, "10.1.0.2:8080", "pass", "list pass(ok): 1 target", "want *")
		wantLabels(t, r, map[string]string{
			"__meta_kubernetes_namespace": "ibex", "__meta_kubernetes_service_name": "web",
			"__meta_kubernetes_endpointslice_address_target_kind": "Pod", "__meta_kubernetes_endpointslice_address_target_name": "web-b",
			"__meta_kubernetes_endpointslice_endpoint_conditions_ready": "false",
			"__meta_kubernetes_endpointslice_endpoint_node_name":        "n1", "__meta_kubernetes_endpointslice_endpoint_zone": "eu-1",
		})
		// In two slices for a while, as the controller has it, and one more of IPv6.
		c.Must(t, "POST", slicesPath, manifest("web", "web-2", "IPv4", web, endpoint("10.1.0.2", "web-b", true)))
		c.Must(t, "POST", slicesPath, manifest("web", "web-6", "IPv6", web, endpoint("fd00::2", "web-b", true)))
		c.Must(t, "POST", slicesPath, manifest("other", "other-1", "IPv4", web, endpoint("10.1.0.9", "other", true)))
		wants(t, c.ask("web"), "10.1.0.2:8080 [fd00::2]:8080", "list pass(ok): 2 targets")
		c.Must(t, "DELETE", slicesPath+"/web-2", nil)
		wants(t, c.ask("web"), "[fd00::2]:8080", "list pass(ok): 1 target, and 1 that are not ready")
		for _, name := range []string{"web-1", "web-6"} {
			c.Must(t, "DELETE", slicesPath+"/"+name, nil)
		}
		wants(t, c.ask("web"), "", "list inconclusive(empty_list): expected endpoints, got none: *")
	})
	t.Run("ports", func(t *testing.T) {
		c.Must(t, "POST", slicesPath, manifest("ports", "ports-1", "IPv4", both, endpoint("10.1.0.1", "a", true)))
		c.Must(t, "POST", slicesPath, manifest("portless", "portless-1", "IPv4", nil, endpoint("10.1.0.1", "a", true)))
		wants(t, c.ask("ports"), "", "list inconclusive(schema): expected port: the Service has several"+kept)
		wants(t, c.ask("portless"), "", "list inconclusive(schema): expected a port of the Service, got endpoints without it"+kept)
		for port, address := range map[string]string{"admin": "10.1.0.1:9000", "8080": "10.1.0.1:8080"} {
			p := c.ask("ports")
			p.Kubernetes.Port = port
			wants(t, p, address, "list pass(ok): 1 target")
		}
	})
	t.Run("several pages", func(t *testing.T) {
		for i := range 120 {
			c.Must(t, "POST", slicesPath, manifest("many", fmt.Sprintf("many-%d", i), "IPv4", web, endpoint(fmt.Sprintf("10.2.0.%d", i+1), "", true)))
		}
		p := c.ask("many")
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		r := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: time.Minute}.Do(t.Context())
		if len(r.Targets) != 120 || len(r.Exchanges) != 3 {
			t.Errorf("expected 120 targets in 3 pages, got %d in %d: %v", len(r.Targets), len(r.Exchanges), r.Checks)
		}
		c.forgetting(t)
	})
	t.Run("another namespace", func(t *testing.T) {
		p := c.ask("web")
		p.Kubernetes.Namespace = "default"
		wants(t, p, "", "list inconclusive(forbidden): got 403: the prober's credential lacks the verb list of endpointslices in the namespace default"+kept)
	})
	t.Run("what the Role does not allow", func(t *testing.T) {
		for _, q := range [][2]string{
			{"GET", slicesPath + "/ports-1"}, {"GET", slicesPath + "?watch=1"}, {"DELETE", slicesPath + "/ports-1"}, {"POST", slicesPath},
			{"GET", "/apis/discovery.k8s.io/v1/endpointslices"}, {"GET", "/api/v1/namespaces/ibex/services"}, {"GET", "/api/v1/namespaces/ibex/endpoints"},
		} {
			if code, _ := c.Call(t, c.token, q[0], q[1], manifest("ports", "ports-2", "IPv4", web)); code != 403 {
				t.Errorf("%s %s: expected 403, got %d", q[0], q[1], code)
			}
		}
	})
	t.Run("tokens", func(t *testing.T) {
		const refused = "list inconclusive(credential): got 401: the API server does not accept the prober's credential" + kept
		p := c.ask("ports")
		p.Kubernetes.Port = "http"
		for name, token := range map[string]string{"expired": c.Expired(t, c.token), "nobody's": "nobody-s-token"} {
			t.Run(name, func(t *testing.T) {
				c.setToken(t, token)
				wants(t, p, "", refused)
			})
		}
		c.setToken(t, c.token) // as the kubelet renews it
		wants(t, p, "10.1.0.1:8080", "list pass(ok): 1 target")
	})
}

// forgetting has the store forget what was before each second page, once and always: a list is of one moment, or none.
func (c *cluster) forgetting(t *testing.T) {
	target, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // loopback
	left := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.FormValue("continue") != "" && left > 0 {
			left--
			c.Forget(t)
		}
		proxy.ServeHTTP(w, q)
	}))
	defer s.Close()
	ask := func(times int) probe.Result {
		left = times
		p := c.ask("many")
		p.Kubernetes.API, p.Kubernetes.TLS = s.URL, nil
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		return probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: time.Minute}.Do(t.Context())
	}
	if r := ask(1); len(r.Targets) != 120 || len(r.Exchanges) != 5 {
		t.Errorf("expected 120 targets, the list begun again at its second page, got %d after %d exchanges: %v", len(r.Targets), len(r.Exchanges), r.Checks)
	}
	if r := ask(2); len(r.Targets) != 0 || r.Checks[0].Reason != kubernetes.Expired {
		t.Errorf("expected no list, got %d targets: %v", len(r.Targets), r.Checks)
	}
}

func wantLabels(t *testing.T, r probe.Result, want map[string]string) {
	t.Helper()
	if len(r.Targets) != 1 || fmt.Sprint(r.Targets[0].Labels) != fmt.Sprint(want) {
		t.Errorf("expected one target with %v, got %v", want, r.Targets)
	}
}
