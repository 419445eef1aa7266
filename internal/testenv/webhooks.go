package testenv

import (
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

//go:embed webhooks/sign.mjs
var webhookSigner []byte

// A SignedWebhook is a delivery as a library of senders signs it.
type SignedWebhook struct {
	By      string            // standardwebhooks, svix or node
	Key     string            // whpk_ and the public key, if it is not signed with the secret
	Body    string            // some are long, and not all are ASCII
	Headers map[string]string // of Standard Webhooks, by the names of the library
}

// SignedWebhooks returns deliveries that npm's standardwebhooks and svix sign with a secret (whsec_), and Node with keys of
// Ed25519.
func SignedWebhooks(t testing.TB, secret string) (all []SignedWebhook) {
	t.Helper()
	node, modules := Need(t, "node"), npmModules(t, npmLock, "standardwebhooks and svix")
	script := filepath.Join(t.TempDir(), "sign.mjs")
	if err := os.WriteFile(script, webhookSigner, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, script)
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "HOOK_MODULES="+modules, "HOOK_SECRET="+secret)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
