package redis

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
	"prober/internal/resp"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	password = "correct-horse-battery"
	marker   = "hunter2-7f3a9c51d2" // in names of keys; no text of ours may repeat it
)

func login(t testing.TB) resp.Settings {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return resp.Settings{User: "prober", Password: secret.File(path)}
}

// prepare creates the users of the tests.
func prepare(t testing.TB, servers ...testenv.Redis) {
	t.Helper()
	for _, s := range servers {
		grant(t, s, pageRights(t))
		for _, org := range []string{"a", "b"} {
			s.Do(t, "acl", "setuser", "org-"+org, "on", ">x", "resetkeys", "~org:"+org+":*", "+@read", "+@write", "-@dangerous", "-@admin", "-flushall", "-flushdb", "-swapdb")
		}
	}
}

// whole asks everything of a primary and its replicas.
func whole(t testing.TB, primary testenv.Redis, replicas ...testenv.Redis) *Probe {
	p := New()
	p.Settings, p.Address = login(t), primary.Address()
	for _, r := range replicas {
		p.Replicas = append(p.Replicas, r.Address())
	}
	p.Writes = &Writes{Key: "prober:{canary}"}
	p.Keys = &Keys{Allowed: []string{"org:[ab]:", "prober:"}, Planted: []string{"org:a:planted"}, Words: []string{"user", "org"}}
	p.Orgs = map[string]Org{"org-a": {User: "org-a", Key: "org:a:planted", Prefix: "org:a:"}, "org-b": {User: "org-b", Key: "org:b:planted", Prefix: "org:b:"}}
	return p
}

// do runs a probe once, within a time, and returns what did not pass.
func do(t testing.TB, p *Probe, within time.Duration) probe.Result {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return again(t, p, within)
}

// again runs a probe that has been validated.
func again(t testing.TB, p *Probe, within time.Duration) probe.Result {
	t.Helper()
	r := probetest.Do(t.Context(), probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: within})
	if err := errors.Join(Kind().Undeclared(r), r.Repeats()); err != nil {
		t.Error(err)
	}
	for _, c := range r.Checks {
		if !slices.Contains(append(p.Checks(), probe.RunCheck), c.Name) {
			t.Errorf("the check %s is not announced", c.Name)
		}
	}
	for _, text := range []string{marker, password} {
		if strings.Contains(fmt.Sprintf("%+v", r), text) {
			t.Errorf("%s is shown: %+v", text, r)
		}
	}
	return r
}

// notPassed lists the checks that did not pass, without their texts.
func notPassed(r probe.Result, names map[string]string) string {
	var all []string
	for _, c := range r.NotPassed() {
		name := c.Name
		if c.Target != "" {
			target := names[c.Target]
			if target == "" {
				target = c.Target
			}
			name += "@" + target
		}
		all = append(all, fmt.Sprintf("%s %s", name, c.Reason))
	}
	return strings.Join(all, ", ")
}

func sample(r probe.Result, m *probe.Measure, labels ...string) (float64, bool) {
	for _, s := range r.Samples {
		if s.Measure == m && fmt.Sprint(s.Values) == fmt.Sprint(labels) {
			return s.Value, true
		}
	}
	return 0, false
}
