package clock

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/postgres"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// The clock of Debian's PostgreSQL is that of this machine: it agrees with a service of this machine, and the error bar is
// that of one round trip. A role that may do nothing but log in can ask for it.
func TestPostgres(t *testing.T) {
	testenv.WithoutRace(t)
	server := testenv.StartPostgres(t)
	server.Authenticate(t, "host all all all scram-sha-256")
	server.SQL(t, "CREATE ROLE prober_ro LOGIN PASSWORD 'correct-horse-battery'")
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("correct-horse-battery"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := postgres.Settings{Database: "postgres", User: "prober_ro", Password: secret.File(path)}
	pool := server.StartPgBouncer(t, map[string]string{"prober_ro": "correct-horse-battery"})

	c := New()
	c.Services = map[string]Service{
		"api":      {URL: timeAt(t, 0), JSON: probetest.Path(t, "$.now")},
		"database": {Postgres: &Database{Settings: login, Address: server.Address()}},
		"pool":     {Postgres: &Database{Settings: login, Address: pool}},
	}
	r := probetest.Run(t, Kind(), c)
	for _, pair := range []string{"api/database", "api/pool", "database/pool"} {
		wantOutcome(t, r, "skew", pair, "pass(ok): ")
	}
	for _, name := range []string{"database", "pool"} {
		wantOutcome(t, r, "source", name, "pass(ok): ")
		offset, known := sample(r, offsetGauge, name)
		doubt, _ := sample(r, uncertaintyGauge, name)
		if !known || max(offset, -offset) > doubt || doubt > 1 {
			t.Errorf("%s: the same clock is %g ± %g s off", name, offset, doubt)
		}
	}

	wrong := login
	wrong.User = "stranger"
	c = New()
	c.Services = map[string]Service{
		"api":      {URL: timeAt(t, 0), JSON: probetest.Path(t, "$.now")},
		"database": {Postgres: &Database{Settings: wrong, Address: server.Address()}},
		"gone":     {Postgres: &Database{Settings: login, Address: "127.0.0.1:1"}},
	}
	r = probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "source", "database", "inconclusive(credential): its time cannot be read: the server rejects the password (SQLSTATE 28P01)")
	wantOutcome(t, r, "source", "gone", "inconclusive(refused): its time cannot be read: connection refused")

	// A database whose clock is ahead disagrees.
	c = New()
	c.Services = map[string]Service{
		"api":      {URL: timeAt(t, -time.Minute), JSON: probetest.Path(t, "$.now")},
		"database": {Postgres: &Database{Settings: login, Address: server.Address()}},
	}
	wantOutcome(t, probetest.Run(t, Kind(), c), "skew", "api/database", "fail(skew): ", "1m0s")
}

// TestPostgres_answers: a time is one number in one row, and nothing else is one.
func TestPostgres_answers(t *testing.T) {
	number := func(row []any) testenv.PostgresAnswer {
		return testenv.PostgresAnswer{Columns: make([]string, len(row)), Rows: [][]any{row}}
	}
	now := func() testenv.PostgresAnswer { return number([]any{fmt.Sprint(time.Now().UnixMicro())}) }
	for name, test := range map[string]struct {
		answer func() testenv.PostgresAnswer
		want   string
	}{
		"the time":    {now, "pass(ok): "},
		"two columns": {func() testenv.PostgresAnswer { return number([]any{"1700000000000000", "1"}) }, "inconclusive(schema): its time cannot be read: the server did not answer with one time"},
		"no row":      {func() testenv.PostgresAnswer { return testenv.PostgresAnswer{Columns: []string{"now"}} }, "inconclusive(schema): its time cannot be read: the server did not answer with one time"},
		"NULL":        {func() testenv.PostgresAnswer { return number([]any{nil}) }, "inconclusive(schema): its time cannot be read: the server did not answer with a time"},
		"a text":      {func() testenv.PostgresAnswer { return number([]any{"soon"}) }, "inconclusive(schema): its time cannot be read: the server did not answer with a time"},
		"too large":   {func() testenv.PostgresAnswer { return number([]any{"9223372036854775808"}) }, "inconclusive(schema): its time cannot be read: the server did not answer with a time"},
		"an error":    {func() testenv.PostgresAnswer { return testenv.PostgresAnswer{Code: "42501"} }, "inconclusive(credential): its time cannot be read: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := testenv.FakePostgres(t, func(sql string) testenv.PostgresAnswer {
				if strings.Contains(sql, "clock_timestamp") {
					return test.answer()
				}
				return testenv.PostgresAnswer{}
			})
			c := New()
			c.Services = map[string]Service{
				"api":      {URL: timeAt(t, 0), JSON: probetest.Path(t, "$.now")},
				"database": {Postgres: &Database{Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Address: address}},
			}
			r := probetest.Run(t, Kind(), c)
			if wantOutcome(t, r, "source", "database", test.want); strings.HasPrefix(test.want, "pass") {
				wantOutcome(t, r, "source", "database", "pass(ok): ", "this machine's clock, by the clock_timestamp() of 2 answers")
				wantOutcome(t, r, "skew", "api/database", "pass(ok): ")
			}
		})
	}
}

// timeAt serves the time of a clock that is off.
func timeAt(t *testing.T, off time.Duration) string {
	return probetest.Serve(t, map[string]http.HandlerFunc{"/now": jsonAhead(off)}) + "/now"
}
