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

// Names of the OpenID provider's clients and resource.
const (
	OIDCBasicClient = "basic:client"          // authenticates by client_secret_basic
	OIDCPostClient  = "post-client"           // by client_secret_post
	OIDCResource    = "https://api.oidc.test" // tokens for it are JWTs, others are opaque
)

// OIDC starts a certified OpenID provider, npm's oidc-provider, on a port of 127.0.0.1. Both of its clients have the
// secret. It generates its signing key at start. /api accepts its opaque tokens.
func OIDC(t testing.TB, port int, secret string) *Process {
	t.Helper()
	node := Need(t, "node")
	modules := npmModules(t, npmLock, "oidc-provider")
	script := filepath.Join(t.TempDir(), "server.mjs")
	if err := os.WriteFile(script, oidcServer, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, script)
	cmd.Env = append(os.Environ(), "OIDC_MODULES="+modules, "OIDC_PORT="+strconv.Itoa(port), "OIDC_SECRET="+secret)
	return StartCmd(t, cmd)
}
