package testenv

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	//go:embed postgraphile/package-lock.json
	postGraphileLock []byte
	//go:embed postgraphile/schema.sql
	postGraphileSchema string
)

// PostGraphile starts PostGraphile over a PostgreSQL with the notes of two orgs, prober-one and prober-two, which
// row-level security keeps apart. It returns its URL and the database. The mutation authenticate signs in.
func PostGraphile(t testing.TB) (url string, db Postgres) {
	t.Helper()
	node, modules := Need(t, "node"), npmModules(t, postGraphileLock, "postgraphile")
	db = StartPostgres(t)
	db.SQL(t, postGraphileSchema)
	port := FreePort(t)
	Start(t, node, filepath.Join(modules, "node_modules", "postgraphile", "cli.js"), "--connection", db.URL(), "--schema", "app",
		"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--default-role", "anonymous", "--jwt-token-identifier", "app.token",
		"--jwt-secret", "secret-of-the-postgraphile-of-a-test", "--disable-graphiql")
	url = fmt.Sprintf("http://127.0.0.1:%d/graphql", port)
	Eventually(t, time.Minute, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"query":"{ __typename }"}`))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
	return url, db
}
