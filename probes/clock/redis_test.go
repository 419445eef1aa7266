package clock

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/httpx"
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

// fakeRedis answers TIME as told, and no other command.
func fakeRedis(t *testing.T, now func() string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				for in := resp.NewReader(nc); ; {
					asked, err := in.Read()
					if err != nil {
						return
					}
					answer := "-ERR unknown command\r\n"
					if strings.EqualFold(asked.Items[0].Text, "TIME") {
						answer = now()
					}
					fmt.Fprint(nc, answer)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// TestRedis_answers: a time is two numbers, and nothing else is one.
func TestRedis_answers(t *testing.T) {
	array := func(items ...string) func() string {
		text := fmt.Sprintf("*%d\r\n", len(items))
		for _, item := range items {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(item), item)
		}
		return func() string { return text }
	}
	const no = "inconclusive(schema): its time cannot be read: the server did not answer with a time"
	for name, test := range map[string]struct {
		answer func() string
		want   string
	}{
		"the time": {func() string {
			now := time.Now()
			return array(fmt.Sprint(now.Unix()), fmt.Sprint(now.Nanosecond()/1000))()
		}, "pass(ok): "},
		"one number":               {array("1700000000"), no},
		"three numbers":            {array("1700000000", "1", "2"), no},
		"no seconds":               {array("soon", "1"), no},
		"no microseconds":          {array("1700000000", "soon"), no},
		"a negative time":          {array("-1", "1"), no},
		"seconds without end":      {array("1099511627776", "1"), no},
		"more than a second":       {array("1700000000", "1000000"), no},
		"a text":                   {func() string { return "+OK\r\n" }, no},
		"an error":                 {func() string { return "-NOPERM no permissions\r\n" }, "inconclusive(credential): its time cannot be read: "},
		"what is no answer at all": {func() string { return "HTTP/1.1 400 Bad Request\r\n" }, "inconclusive(protocol): its time cannot be read: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := New()
			c.Services = map[string]Service{
				"api":   {URL: timeAt(t, 0), JSON: probetest.Path(t, "$.now")},
				"redis": {Redis: &Redis{Address: fakeRedis(t, test.answer)}},
			}
			r := probetest.Run(t, Kind(), c)
			if wantOutcome(t, r, "source", "redis", test.want); strings.HasPrefix(test.want, "pass") {
				wantOutcome(t, r, "source", "redis", "pass(ok): ", "this machine's clock, by the TIME of 2 answers")
				wantOutcome(t, r, "skew", "api/redis", "pass(ok): ")
			}
		})
	}
}

// A Redis server that is asked for its clock leaves no room for another source, and is found by the resolver of the probe.
func TestValidate_redis(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *Service)
		wrong  bool
	}{
		"alone":             {func(*Service) {}, false},
		"with a url":        {func(s *Service) { s.URL = "https://a.example" }, true},
		"with tokens":       {func(s *Service) { s.IAT = &httpx.OAuth2{} }, true},
		"with JSON":         {func(s *Service) { s.JSON = probetest.Path(t, "$.now") }, true},
		"with a credential": {func(s *Service) { s.Bearer = secret.Env("A") }, true},
		"with a database":   {func(s *Service) { s.Postgres = &Database{} }, true},
	} {
		c := New()
		s := Service{Redis: &Redis{Address: "127.0.0.1:6379"}}
		test.change(&s)
		c.Resolver, c.Services = "127.0.0.1:53", map[string]Service{"a": s, "b": {URL: "https://b.example"}}
		err := c.Validate()
		if wrong := err != nil && strings.Contains(err.Error(), "services.a.redis: leaves no room"); wrong != test.wrong || !test.wrong && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
		if !test.wrong && s.Redis.Resolver != "127.0.0.1:53" {
			t.Errorf("%s: asks the name server %q", name, s.Redis.Resolver)
		}
	}
	own := &Redis{Settings: resp.Settings{Resolver: "127.0.0.2:53"}, Address: "127.0.0.1:6379"}
	c := New()
	c.Resolver, c.Services = "127.0.0.1:53", map[string]Service{"a": {Redis: own}, "b": {URL: "https://b.example"}}
	if err := c.Validate(); err != nil || own.Resolver != "127.0.0.2:53" {
		t.Errorf("its own name server: %v, %s", err, own.Resolver)
	}
}
