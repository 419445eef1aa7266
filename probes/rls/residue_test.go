package rls

import (
	"fmt"
	"os/exec"
	"testing"

	"prober/internal/testenv"
)

// tell runs statements as the application, by a connection of its own.
func tell(t *testing.T, address string, statements ...string) {
	t.Helper()
	tellAs(t, "app", address, statements...)
}

// tellAs runs statements as a role.
func tellAs(t *testing.T, user, address string, statements ...string) {
	t.Helper()
	cmd := exec.Command(testenv.Need(t, "psql"), "-X", "-q", fmt.Sprintf("postgres://%s:%s@%s/postgres", user, password, address))
	for _, s := range statements {
		cmd.Args = append(cmd.Args, "-c", s)
	}
	if out, err := testenv.Run(t, cmd); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// An org that another client left on a connection of the pool is found, whatever way it was set, and nothing else is.
func testResidue(t *testing.T, s testenv.Postgres) {
	plant(t, s, "")
	users := map[string]string{"app": password}
	byTransaction := s.StartPgBouncer(t, users, "default_pool_size = 1")
	bySession := s.StartPgBouncer(t, users, "default_pool_size = 1", "pool_mode = session")
	found := []string{"fail_closed inconclusive(control_failed): expected a connection on which no org is set, got one on which another client left its own", "residue fail(org_left): expected no org on a connection of the pool, got one in 6 of 6 looks: *"}
	for _, test := range []struct {
		name, address string
		statements    []string
		want          []string
	}{
		{"a fresh pool", byTransaction, []string{"SELECT 1"}, nil},
		{"SET", byTransaction, []string{"SET app.org_id = 'org-b'"}, found},
		{"RESET", byTransaction, []string{"RESET app.org_id"}, nil},
		{"set_config for the session", byTransaction, []string{"SELECT set_config('app.org_id', 'org-b', false)"}, found},
		{"RESET again", byTransaction, []string{"RESET app.org_id"}, nil},
		{"for the transaction", byTransaction, []string{"BEGIN; SET LOCAL app.org_id = 'org-b'; COMMIT"}, nil},
		{"a pool of sessions", bySession, []string{"SET app.org_id = 'org-b'"}, nil},
		{"no pool", s.Address(), []string{"SELECT 1"}, []string{"residue inconclusive(control_failed): expected connections that share a process of the server, got none in 6 looks: *"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tell(t, test.address, test.statements...)
			p := newProbe(s)
			p.Address, p.Looks = test.address, 6
			wantLines(t, notPassed(t, p), test.want)
		})
	}
}
