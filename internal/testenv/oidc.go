package testenv

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

//go:embed oidc/server.mjs
var oidcServer []byte

// What tests of the OpenID provider name.
const (
	OIDCBasicClient = "basic:client"          // authenticates by client_secret_basic
	OIDCPostClient  = "post-client"           // by client_secret_post
	OIDCResource    = "https://api.oidc.test" // whoever asks for it gets a JWT for it, others an opaque token
)

// OIDC starts a certified OpenID provider, npm's oidc-provider, on a port of 127.0.0.1; both of its clients have the
// secret. It signs with a key made at its start. At /api it takes its opaque tokens.
func OIDC(t testing.TB, port int, secret string) *Process {
	t.Helper()
	node := Need(t, "node")
	modules := npmModules(t, "oidc-provider")
	script := filepath.Join(t.TempDir(), "server.mjs")
	if err := os.WriteFile(script, oidcServer, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, script)
	cmd.Env = append(os.Environ(), "OIDC_MODULES="+modules, "OIDC_PORT="+strconv.Itoa(port), "OIDC_SECRET="+secret)
	return StartCmd(t, cmd)
}
