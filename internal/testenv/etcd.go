package testenv

import (
	"fmt"
	"path/filepath"
	"testing"
)

// buildEtcd builds etcd, as the module of Kubernetes has it, and returns its path.
func buildEtcd(t testing.TB) string {
	t.Helper()
	return build(t, "kubernetes", filepath.Join(cacheDir(), "bin", "etcd"), "go.etcd.io/etcd/server/v3")
}

// Etcd starts an etcd of one member on 127.0.0.1, with further flags, and returns the URL at which it serves clients, by a scheme.
func Etcd(t testing.TB, scheme string, flags ...string) (url string, server *Process) {
	t.Helper()
	Real(t)
	url = fmt.Sprintf("%s://127.0.0.1:%d", scheme, FreePort(t))
	peer := fmt.Sprintf("http://127.0.0.1:%d", FreePort(t))
	server = Start(t, buildEtcd(t), append(flags, "--data-dir="+filepath.Join(t.TempDir(), "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+url, "--advertise-client-urls="+url, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer)...)
	return url, server
}
