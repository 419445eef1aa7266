package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Redis is a Redis server of a test. It keeps nothing on disk.
type Redis struct {
	*Process
	port     int    // of 127.0.0.1
	password string // of the administrator
}

// redisPassword is that of the administrator of each server.
const redisPassword = "administrator-of-a-test"

// StartRedis starts an empty Redis server that ends with the test. Settings are those of redis.conf, name and values. The
// default user needs a password, which only Do knows.
func StartRedis(t testing.TB, settings ...string) Redis {
	t.Helper()
	Need(t, "redis-cli")
	port := FreePort(t)
	return startRedis(t, port, append([]string{
		"port " + strconv.Itoa(port), "requirepass " + redisPassword, "masterauth " + redisPassword, `save ""`, "repl-diskless-sync-delay 0",
	}, settings...))
}

// StartReplica starts a server that follows this one and ends with the test.
func (r Redis) StartReplica(t testing.TB, settings ...string) Redis {
	t.Helper()
	return StartRedis(t, append([]string{fmt.Sprintf("replicaof 127.0.0.1 %d", r.port)}, settings...)...)
}

// StartSentinel starts a sentinel without a password that watches the server as main, and ends with the test.
func (r Redis) StartSentinel(t testing.TB, quorum int) Redis {
	t.Helper()
	port := FreePort(t)
	s := startRedis(t, port, []string{
		"port " + strconv.Itoa(port), fmt.Sprintf("sentinel monitor main 127.0.0.1 %d %d", r.port, quorum),
		"sentinel auth-pass main " + redisPassword, "sentinel down-after-milliseconds main 1000", "sentinel failover-timeout main 5000",
	}, "--sentinel")
	s.password = ""
	return s
}

// StartRedisCluster starts so many primaries, which have all slots, and no replicas.
func StartRedisCluster(t testing.TB, primaries int) []Redis {
	t.Helper()
	var all []Redis
	var addresses []string
	for range primaries {
		s := StartRedis(t, "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-port "+strconv.Itoa(FreePort(t)))
		all, addresses = append(all, s), append(addresses, s.Address())
	}
	all[0].Do(t, append([]string{"--cluster-yes", "--cluster", "create"}, addresses...)...)
	for _, s := range all {
		Eventually(t, time.Minute, func(context.Context) error {
			if !strings.Contains(s.Do(t, "cluster", "info"), "cluster_state:ok") {
				return errors.New("the cluster is not there yet")
			}
			return nil
		})
	}
	return all
}

func startRedis(t testing.TB, port int, settings []string, args ...string) Redis {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(conf, []byte("bind 127.0.0.1\ndir "+dir+"\n"+strings.Join(settings, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := Redis{StartCmd(t, exec.Command(Need(t, "redis-server"), append([]string{conf}, args...)...)), port, redisPassword}
	Eventually(t, time.Minute, func(context.Context) error {
		select {
		case <-r.Ended():
			t.Fatalf("redis-server ended: %s", r.Output())
		default:
		}
		out, err := r.cli(t, "ping")
		if err == nil && !strings.Contains(out, "PONG") && !strings.Contains(out, "NOAUTH") {
			err = errors.New(out)
		}
		return err
	})
	return r
}

// Address returns host:port of the server.
func (r Redis) Address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// Port returns the port of the server.
func (r Redis) Port() int { return r.port }

// Do runs a command as the administrator and returns what redis-cli writes. An error of redis-cli's ends the test.
func (r Redis) Do(t testing.TB, args ...string) string {
	t.Helper()
	out, err := r.cli(t, args...)
	if err != nil {
		t.Fatalf("redis-cli: %v\n%s", err, out)
	}
	return strings.TrimSpace(out)
}

// Pipe runs many commands as the administrator, one per line.
func (r Redis) Pipe(t testing.TB, commands string) {
	t.Helper()
	cmd := r.Command(t)
	cmd.Stdin = strings.NewReader(commands)
	if out, err := Run(t, cmd); err != nil {
		t.Fatalf("redis-cli: %v\n%s", err, out)
	}
}

func (r Redis) cli(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return Run(t, r.Command(t, args...))
}

// Command returns a redis-cli that runs a command as the administrator, for what does not end by itself.
func (r Redis) Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(Need(t, "redis-cli"), append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(r.port)}, args...)...)
	if r.password != "" {
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+r.password)
	}
	return cmd
}
