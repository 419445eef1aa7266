package testenv

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A Cluster is an API server of Kubernetes with its store: no kubelet and no controllers, whose part a test plays.
type Cluster struct {
	URL   string
	CA    string // file of the certificate to trust
	Admin string // token that may do everything
}

// Kubernetes starts an API server on 127.0.0.1, with access by roles (RBAC).
func Kubernetes(t testing.TB) Cluster {
	t.Helper()
	Real(t)
	bin, dir := filepath.Join(cacheDir(), "bin"), t.TempDir()
	etcd := build(t, "kubernetes", filepath.Join(bin, "etcd"), "go.etcd.io/etcd/server/v3")
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
		URL: fmt.Sprintf("https://127.0.0.1:%d", FreePort(t)), CA: filepath.Join(dir, "certs", "apiserver.crt"), Admin: rand.Text(),
	}
	private := write("sa.key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	tokens := write("tokens.csv", fmt.Appendf(nil, "%s,admin,1,system:masters\n", c.Admin))
	store, peer := fmt.Sprintf("http://127.0.0.1:%d", FreePort(t)), fmt.Sprintf("http://127.0.0.1:%d", FreePort(t))
	Start(t, etcd, "--data-dir="+filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--listen-client-urls="+store, "--advertise-client-urls="+store,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	Start(t, server, "--etcd-servers="+store, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--secure-port="+c.URL[len("https://127.0.0.1:"):], "--cert-dir="+filepath.Join(dir, "certs"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+private, "--service-account-signing-key-file="+private,
		"--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC", "--token-auth-file="+tokens, "--anonymous-auth=false",
		"--disable-admission-plugins=ServiceAccount") // which waits for a controller
	return c
}
