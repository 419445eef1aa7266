package kubernetes

import (
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
)

func newResult() *probe.Result { return probe.NewResult(probe.ID{}) }

// In a cluster the kubelet says where the API server is, and exchanges the token.
func TestOwnCluster(t *testing.T) {
	f := &fake{answers: []string{pods("7", "", "a")}}
	s := httptest.NewTLSServer(f)
	t.Cleanup(s.Close)
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	env := map[string]string{}
	own := cluster{files: dir, getenv: func(name string) string { return env[name] }}
	settings := &Settings{}
	c, err := settings.client(own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ask := func() probe.Outcome {
		_, o := c.Pods(t.Context(), newResult(), "api", "shop", web)
		return o
	}
	expect(t, ask(), "no_cluster: expected api, or a prober that runs in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
	env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"] = host, port
	expect(t, ask(), "credential: bearer: secret from file "+dir+"/token: *")
	if o := ask(); !strings.HasSuffix(o.Detail, "; a pod has it with a service account and its token mounted") {
		t.Errorf("got %s", o.Detail)
	}
	write("token", "token-one\n")
	expect(t, ask(), "credential: *") // no ca.crt: never a connection that anybody may answer
	write("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	expect(t, ask(), "ok")
	write("token", "token-two\n")
	expect(t, ask(), "ok")
	if want := []string{"Bearer token-one", "Bearer token-two"}; !slices.Equal(f.tokens, want) {
		t.Errorf("sent %q", f.tokens)
	}

	_, o := c.Namespace()
	expect(t, o, "no_cluster: expected namespace, or a prober that runs in a cluster: the file of its own namespace cannot be read")
	write("namespace", "../other")
	_, o = c.Namespace()
	expect(t, o, "no_cluster: *")
	write("namespace", "monitoring\n")
	if name, o := c.Namespace(); name != "monitoring" || !o.Passed() {
		t.Errorf("got %q, %v", name, o)
	}
	f.answers = []string{failure(403, "Forbidden", "")}
	expect(t, ask(), "forbidden: got 403: the prober's service account lacks the verb list of pods in the namespace shop")
	if settings.Bearer != (secret.Secret{}) || settings.TLS != nil || settings.Addresses()[0] != "https://kubernetes.default.svc" {
		t.Error("the settings are changed")
	}
}

func TestSettings(t *testing.T) {
	bearer := httpx.Settings{Bearer: secret.Env("TOKEN")}
	for name, test := range map[string]struct {
		settings Settings
		want     string // of the error; none if empty
	}{
		"in a cluster":                  {Settings{}, ""},
		"elsewhere":                     {Settings{API: "https://kube.example:6443", Settings: bearer, Namespace: "shop"}, ""},
		"behind a path":                 {Settings{API: "https://kube.example/k8s/clusters/c-1", Settings: bearer}, ""},
		"a proxy of kubectl":            {Settings{API: "http://127.0.0.1:8001"}, ""},
		"a certificate, in the cluster": {Settings{Settings: httpx.Settings{TLS: &dial.TLS{CAFile: "ca", CertFile: "c", KeyFile: "k"}}}, ""},
		"a token in clear":              {Settings{API: "http://kube.example", Settings: bearer}, "api: http://kube.example: http:// would send the credential in clear"},
		"parameters":                    {Settings{API: "https://kube.example?limit=1"}, "api: expected a URL without parameters"},
		"no URL":                        {Settings{API: "kube.example:6443"}, "api: expected http:// or https://"},
		"capital letters":               {Settings{Namespace: "Shop"}, "namespace: expected a name of Kubernetes"},
		"a way out":                     {Settings{Namespace: ".."}, "namespace: expected a name of Kubernetes"},
		"no verification":               {Settings{Settings: httpx.Settings{TLS: &dial.TLS{InsecureSkipVerify: true}}}, "tls.insecure_skip_verify: a credential could be sent to anyone"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.settings.Client()
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
				t.Errorf("got %v, expected %s", err, test.want)
			}
		})
	}
}

// Whatever is wrong with the API server says nothing of what was asked for.
func TestNote(t *testing.T) {
	for reason, want := range map[probe.Reason]probe.Verdict{
		probe.OK: probe.Pass, NotFound: probe.Fail,
		probe.Refused: probe.Inconclusive, probe.Schema: probe.Inconclusive, probe.Status: probe.Inconclusive, Forbidden: probe.Inconclusive, Expired: probe.Inconclusive,
	} {
		r := newResult()
		Note(r, "api", probe.Outcomef(reason, "x"))
		if got := r.Verdict(); got != want {
			t.Errorf("%s: got %s", reason, got)
		}
	}
}
