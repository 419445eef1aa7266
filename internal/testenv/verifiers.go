package testenv

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed verifiers/server.mjs
var verifiersServer []byte

//go:embed verifiers/package-lock.json
var verifiersLock []byte

// Verifiers starts verifiers of JWTs from npm, sound and broken ones, with an issuer for the client "prober" with the
// secret, on a port of 127.0.0.1. It returns their URL: each has a path of its own name there.
func Verifiers(t testing.TB, secret string) string {
	t.Helper()
	node := Need(t, "node")
	modules := npmModules(t, verifiersLock, "verifiers of JWTs")
	script := filepath.Join(t.TempDir(), "server.mjs")
	if err := os.WriteFile(script, verifiersServer, 0o600); err != nil {
		t.Fatal(err)
	}
	port := FreePort(t)
	cmd := exec.Command(node, script)
	cmd.Env = append(os.Environ(), "VERIFIERS_MODULES="+modules, fmt.Sprintf("VERIFIERS_PORT=%d", port), "VERIFIERS_SECRET="+secret)
	StartCmd(t, cmd)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	Answers(t, url+"/jwks", "")
	return url
}
