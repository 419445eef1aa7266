package sql

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	password = "correct-horse-battery"
	marker   = "hunter2-7f3a9c51d2" // in the data; no text of ours may repeat it
)

// login is how the tests log in.
func login(t *testing.T, user string) postgres.Settings {
	t.Helper()
	return postgres.Settings{Database: "postgres", User: user, Password: secret.File(passwordFile(t))}
}

// passwordFile has the password of every role.
func passwordFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func limit(n float64) *Number { return new(Number(n)) }

// sample returns a value of a result.
func sample(r probe.Result, m *probe.Measure, labels ...string) (float64, bool) {
	for _, s := range r.Samples {
		same := s.Measure == m && len(s.Values) == len(labels)
		for i := range labels {
			same = same && s.Values[i] == labels[i]
		}
		if same {
			return s.Value, true
		}
	}
	return 0, false
}

func run(t *testing.T, p *Probe) probe.Result {
	t.Helper()
	return probetest.Run(t, Kind(), p)
}
