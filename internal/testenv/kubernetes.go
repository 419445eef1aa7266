package testenv

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A Cluster is an API server of Kubernetes with its store: no kubelet and no controllers, whose part a test plays.
type Cluster struct {
	URL   string
	CA    string // file of the certificate to trust
	Admin string // token that may do everything

	store string          // URL of etcd
	key   *rsa.PrivateKey // that signs the tokens of service accounts
}

// Call makes a request with a token and returns the status and the answer.
func (c Cluster) Call(t testing.TB, token, method, path string, body any) (int, map[string]any) {
	t.Helper()
	return call(t, method, c.URL+path, token, body)
}

// Must makes a request as the admin and returns the answer. Anything but success ends the test.
func (c Cluster) Must(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	code, answer := c.Call(t, c.Admin, method, path, body)
	if code < 200 || code > 299 {
		t.Fatalf("%s %s: %d: %v", method, path, code, answer["message"])
	}
	return answer
}

// Create makes an object and gives it its status, as controllers do.
func (c Cluster) Create(t testing.TB, collection string, object map[string]any) {
	t.Helper()
	made := c.Must(t, "POST", collection, object)
	c.Report(t, collection+"/"+made["metadata"].(map[string]any)["name"].(string), object["status"])
}

// Report replaces the status of an object, as controllers and the kubelet do.
func (c Cluster) Report(t testing.TB, path string, status any) {
	t.Helper()
	now := c.Must(t, "GET", path, nil)
	now["status"] = status
	c.Must(t, "PUT", path+"/status", now)
}

// Forget has the store forget all that is not so now: lists that were begun before cannot be continued.
func (c Cluster) Forget(t testing.TB) {
	t.Helper()
	_, answer := call(t, "POST", c.store+"/v3/kv/put", "", map[string]any{"key": "cHJvYmVy", "value": "MQ=="})
	revision := answer["header"].(map[string]any)["revision"]
	if code, answer := call(t, "POST", c.store+"/v3/kv/compaction", "", map[string]any{"revision": revision, "physical": true}); code != http.StatusOK {
		t.Fatalf("the store does not forget: %d %v", code, answer)
	}
}

// Prober makes two namespaces, a service account in monitoring, and the objects of a file of manifests in ibex. It returns the
// token of the account.
func (c Cluster) Prober(t testing.TB, manifests string) (token string) {
	t.Helper()
	Eventually(t, 3*time.Minute, func(context.Context) error {
		if code, answer := c.Call(t, c.Admin, "GET", "/readyz", nil); code != http.StatusOK {
			return fmt.Errorf("not ready: %d %v", code, answer)
		}
		return nil
	})
	for _, name := range []string{"ibex", "monitoring"} {
		c.Must(t, "POST", "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": name}})
	}
	c.Must(t, "POST", "/api/v1/namespaces/monitoring/serviceaccounts", map[string]any{"metadata": map[string]any{"name": "prober"}})
	data, err := os.ReadFile(manifests)
	if err != nil {
		t.Fatal(err)
	}
	for object := range strings.SplitSeq(string(data), "\n---\n") {
		kind := regexp.MustCompile(`(?m)^kind: (\w+)$`).FindStringSubmatch(object)
		if kind == nil {
			t.Fatalf("%s: expected the kind of each object", manifests)
		}
		path := "/apis/rbac.authorization.k8s.io/v1/namespaces/ibex/" + strings.ToLower(kind[1]) + "s"
		if code, answer := send(t, "POST", c.URL+path, c.Admin, "application/yaml", []byte(object)); code != http.StatusCreated {
			t.Fatalf("%s: %d: %v", path, code, answer["message"])
		}
	}
	made := c.Must(t, "POST", "/api/v1/namespaces/monitoring/serviceaccounts/prober/token", map[string]any{})
	return made["status"].(map[string]any)["token"].(string)
}

// Expired returns a token of a service account as it was signed an hour before its end, two hours ago.
func (c Cluster) Expired(t testing.TB, token string) string {
	t.Helper()
	head, rest, _ := strings.Cut(token, ".")
	body, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(body)
	var claims map[string]any
	if err != nil || json.Unmarshal(text, &claims) != nil {
		t.Fatal("the token is no JWT")
	}
	began := time.Now().Add(-2 * time.Hour)
	claims["iat"], claims["nbf"], claims["exp"] = began.Unix(), began.Unix(), began.Add(time.Hour).Unix()
	if text, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	signed := head + "." + base64.RawURLEncoding.EncodeToString(text)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, c.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// insecure asks servers of a test, whose certificates say nothing.
var insecure = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // loopback

func call(t testing.TB, method, url, token string, body any) (int, map[string]any) {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, method, url, token, "application/json", content)
}

func send(t testing.TB, method, url, token, contentType string, content []byte) (int, map[string]any) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", contentType)
	a, err := insecure.Do(q)
	if err != nil {
		return 0, map[string]any{"message": err.Error()}
	}
	defer a.Body.Close()
	var answer map[string]any
	_ = json.NewDecoder(a.Body).Decode(&answer)
	return a.StatusCode, answer
}

// Kubernetes starts an API server on 127.0.0.1, with access by roles (RBAC).
func Kubernetes(t testing.TB) Cluster {
	t.Helper()
	Real(t)
	bin, dir := filepath.Join(cacheDir(), "bin"), t.TempDir()
	server := build(t, "kubernetes", filepath.Join(bin, "kube-apiserver"), "k8s.io/kubernetes/cmd/kube-apiserver")

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c := Cluster{
		URL: fmt.Sprintf("https://127.0.0.1:%d", FreePort(t)), CA: filepath.Join(dir, "certs", "apiserver.crt"), Admin: rand.Text(), key: key,
	}
	private := write("sa.key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	tokens := write("tokens.csv", fmt.Appendf(nil, "%s,admin,1,system:masters\n", c.Admin))
	c.store, _ = Etcd(t, "http")
	Start(t, server, "--etcd-servers="+c.store, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--secure-port="+c.URL[len("https://127.0.0.1:"):], "--cert-dir="+filepath.Join(dir, "certs"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+private, "--service-account-signing-key-file="+private,
		"--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC", "--token-auth-file="+tokens, "--anonymous-auth=false",
		"--disable-admission-plugins=ServiceAccount",  // which waits for a controller
		"--feature-gates=ListFromCacheSnapshot=false") // so that what the store has forgotten, the server has too
	return c
}
