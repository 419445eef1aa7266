package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"prober/internal/resp"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// The clock of Debian's Redis is that of this machine: it agrees with a service of this machine, and the error bar is that of
// one round trip. A user who may do nothing but ask for the time can.
func TestRedis(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	server := testenv.StartRedis(t)
	server.Do(t, "acl", "setuser", "prober", "on", ">correct-horse-battery", "-@all", "+time")
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("correct-horse-battery"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := resp.Settings{User: "prober", Password: secret.File(path)}
	wrong := login
	wrong.User = "stranger"

	c := New()
	c.Services = map[string]Service{
		"api":      {URL: timeAt(t, 0), JSON: probetest.Path(t, "$.now")},
		"redis":    {Redis: &Redis{Settings: login, Address: server.Address()}},
		"stranger": {Redis: &Redis{Settings: wrong, Address: server.Address()}},
		"gone":     {Redis: &Redis{Settings: login, Address: "127.0.0.1:1"}},
	}
	r := probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "skew", "api/redis", "pass(ok): ")
	wantOutcome(t, r, "source", "redis", "pass(ok): ")
	wantOutcome(t, r, "source", "stranger", "inconclusive(credential): its time cannot be read: the server rejects the user or its password")
	wantOutcome(t, r, "source", "gone", "inconclusive(refused): its time cannot be read: connection refused")
	offset, known := sample(r, offsetGauge, "redis")
	doubt, _ := sample(r, uncertaintyGauge, "redis")
	if !known || max(offset, -offset) > doubt || doubt > 1 {
		t.Errorf("the same clock is %g ± %g s off", offset, doubt)
	}

	// A server whose clock is ahead disagrees.
	c = New()
	c.Services = map[string]Service{
		"api":   {URL: timeAt(t, -time.Minute), JSON: probetest.Path(t, "$.now")},
		"redis": {Redis: &Redis{Settings: login, Address: server.Address()}},
	}
	wantOutcome(t, probetest.Run(t, Kind(), c), "skew", "api/redis", "fail(skew): ", "1m0s")
}
