package testenv

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

//go:embed websocket/server.mjs
var webSocketServer []byte

// WebSocket starts a server of npm's ws on a port of 127.0.0.1. It echoes at /echo and speaks the subprotocol chat.v1, closes with
// 1011 at /error, cuts the connection at /cut, answers nothing at /silent, and 404 elsewhere.
func WebSocket(t testing.TB, port int) *Process {
	t.Helper()
	node, modules := Need(t, "node"), npmModules(t, npmLock, "ws")
	script := filepath.Join(t.TempDir(), "server.mjs")
	if err := os.WriteFile(script, webSocketServer, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, script)
	cmd.Env = append(os.Environ(), "WS_MODULES="+modules, "WS_PORT="+strconv.Itoa(port))
	return StartCmd(t, cmd)
}
