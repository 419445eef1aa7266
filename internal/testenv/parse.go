package testenv

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	//go:embed parse/package-lock.json
	parseLock []byte
	//go:embed parse/server.mjs
	parseServer []byte
)

// Parse starts a Parse Server on an empty PostgreSQL, with the application prober, and returns its URL.
func Parse(t testing.TB, masterKey string) string {
	t.Helper()
	Real(t)
	node, modules, db := Need(t, "node"), npmModules(t, parseLock, "parse-server"), StartPostgres(t)
	script := filepath.Join(t.TempDir(), "server.mjs")
	if err := os.WriteFile(script, parseServer, 0o600); err != nil {
		t.Fatal(err)
	}
	port := FreePort(t)
	cmd := exec.Command(node, script)
	cmd.Dir = filepath.Dir(script) // where it writes logs
	cmd.Env = append(os.Environ(), "PARSE_MODULES="+modules, fmt.Sprintf("PARSE_PORT=%d", port), "PARSE_DATABASE="+db.URL(), "PARSE_MASTER_KEY="+masterKey)
	StartCmd(t, cmd)
	url := fmt.Sprintf("http://127.0.0.1:%d/parse", port)
	Answers(t, url+"/health", "")
	return url
}
