package resp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/memory"
	"prober/internal/probe"
)

// greeting is what a server answers to HELLO.
const greeting = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"

// Every error of a server's is told apart, and nothing of what it says is shown.
func TestDo_refused(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"NOAUTH Authentication required.":   "credential: the server asks for a password",
		"WRONGPASS " + marker:               "credential: the server rejects the user or its password",
		"NOPERM User " + marker:             "credential: the prober's user lacks a right",
		"DENIED Redis is running":           "refused: the server is in protected mode",
		"LOADING " + marker:                 "loading: the server has started and is loading its data",
		"BUSY " + marker:                    "busy: the server is busy with a script",
		"OOM " + marker:                     "oom: maxmemory is reached",
		"READONLY " + marker:                "read_only: the server is a replica",
		"MISCONF " + marker:                 "misconf: the server cannot save to its disk",
		"NOREPLICAS " + marker:              "few_replicas: fewer replicas follow",
		"MASTERDOWN " + marker:              "primary_down: the replica has lost its primary",
		"CLUSTERDOWN " + marker:             "cluster_down: the cluster is down",
		"ERR max number of clients reached": "refused: the server has no connection left",
		"ERR unknown command '" + marker:    "unknown_command: the server does not know the command",
		"ERR " + marker:                     "command_failed: the server could not run the command",
		marker:                              "command_failed: the server could not run the command",
		"":                                  "command_failed: the server could not run the command",
		"MOVED":                             "schema: the server names another one without a valid address",
		"MOVED 1 " + marker:                 "schema: ",
		"MOVED 1 a b:1":                     "schema: ",
		"MOVED 1 evil/" + marker + ":1":     "schema: ",
		"MOVED 1 127.0.0.1:99999":           "schema: ",
		"MOVED 1 169.254.169.254:6379":      "protocol: 169.254.169.254 is where clouds hand out credentials",
		"ASK 1 0.0.0.0:6379":                "protocol: ",
	} {
		s := serve(t, map[string]string{"HELLO": greeting, "DBSIZE": "-NOAUTH " + marker + "\r\n", "GET": "-" + said + "\r\n"})
		got, _ := attempt(t, client(t, settings(t)), s.address, 5*time.Second, func(c *Conn) error {
			_, err := c.Do("GET", "a")
			return err
		})
		wantPrefix(t, got, want)
	}
}

// What is no answer ends in time, with a reason.
func TestDo_hostile(t *testing.T) {
	t.Parallel()
	for wire, want := range map[string]string{
		"$1000000000\r\n":      "too_large: the server announced or sent more than is read of an answer",
		"*100000000\r\n":       "too_large: ",
		"HTTP/1.1 400 Bad\r\n": "protocol: the answer is not valid for the protocol: the server may not be Redis",
		"*2\r\n+a\r\n#close":   "truncated: the server ended the connection within an answer",
		"*2\r\n+a#close":       "truncated: ",
		"#close":               "reset: connection closed",
		"\r\n#close":           "protocol: ",
		"":                     "timeout: the server accepts connections and gives no answer in time: it is frozen",
		"$5\r\nab":             "timeout: ",
		// Of another protocol, which sends no end of a line or nothing more.
		strings.Repeat("a", 8<<10):           "protocol: the answer is not valid for the protocol: the server may not be Redis",
		"\x15\x03\x01\x00\x02\x02\x46":       "protocol: ",
		"\x15\x03\x01\x00\x02\x02\x46#close": "protocol: ",
		"S":                                  "protocol: ",
		"+" + strings.Repeat("a", 8<<10):     "too_large: ",
	} {
		s := serve(t, map[string]string{"HELLO": greeting, "GET": wire})
		got, all := attempt(t, client(t, &Settings{}), s.address, time.Second, func(c *Conn) error {
			_, err := c.Do("GET", "a")
			if !c.Broken() {
				t.Errorf("%q: the connection is still used", wire)
			}
			if _, again := c.Do("PING"); again == nil || again.Error() != err.Error() {
				t.Errorf("%q: then %v", wire, again)
			}
			return err
		})
		wantPrefix(t, got, want)
		if len(all) != 1 || all[0].Expected || all[0].Reason == probe.OK || all[0].Version != "7.0.15" {
			t.Errorf("%q: recorded %+v", wire, all)
		}
	}
}

// An answer to nothing is not taken for the one to the next question. What was pushed is none.
func TestDo_unasked(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{"+OK\r\n": "protocol: ", ":": "protocol: ", ">2\r\n+message\r\n+a\r\n": "ok: "} {
		s := serve(t, map[string]string{"HELLO": greeting, "GET": "$1\r\na\r\n" + more, "PING": "+PONG\r\n"})
		got, _ := attempt(t, client(t, &Settings{}), s.address, 30*time.Second, func(c *Conn) error {
			if _, err := c.Do("GET", "a"); err != nil {
				t.Errorf("%q: the answer itself: %v", more, err)
			}
			_, err := c.Do("PING")
			return err
		})
		wantPrefix(t, got, want)
	}
}

// An answer counts in the memory of the run until the next question, and what there is no room for is the prober's limit.
func TestDo_memory(t *testing.T) {
	t.Parallel()
	large := "*10\r\n" + strings.Repeat("$60000\r\n"+strings.Repeat("a", 60000)+"\r\n", 10)
	s := serve(t, map[string]string{"HELLO": greeting, "GET": large, "PING": "+PONG\r\n"})
	for room, want := range map[int64]string{128 << 10: "self_limit: ", 64 << 20: "ok: "} {
		ctx, account := memory.NewBudget(room).Open(t.Context())
		conn, err := client(t, &Settings{}).Connect(ctx, probe.NewResult(probe.ID{}), "ping", At(s.address))
		if err != nil {
			t.Fatal(err)
		}
		got := "ok: "
		for range 200 { // more than there would be room for without giving it back
			if _, err := conn.Do("GET", "a"); err != nil {
				got = fmt.Sprintf("%s: ", Explain(err).Reason)
				break
			}
		}
		conn.Close()
		account.Close()
		wantPrefix(t, got, want)
	}
}

// A server that does not know HELLO is asked by AUTH, as it was before Redis 6.
func TestConnect_old(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"DBSIZE": "-NOAUTH a\r\n", "AUTH": "+OK\r\n", "PING": "+PONG\r\n"})
	set := settings(t)
	set.User = ""
	got, _ := attempt(t, client(t, set), s.address, 5*time.Second, func(c *Conn) error {
		if c.Opened() != Locked {
			t.Errorf("opened is %d", c.Opened())
		}
		_, err := c.Do("PING")
		return err
	})
	wantPrefix(t, got, "ok: ")
	want := []string{"DBSIZE", "HELLO 3 AUTH default " + password + " SETNAME prober", "AUTH " + password, "PING"}
	if got := s.commands(); !slices.Equal(got, want) {
		t.Errorf("sent %q", got)
	}
	s = serve(t, map[string]string{"DBSIZE": "-NOAUTH a\r\n", "AUTH": "-ERR invalid password\r\n"})
	got, _ = attempt(t, client(t, set), s.address, 5*time.Second, func(*Conn) error { return nil })
	wantPrefix(t, got, "credential: the server rejects the password")
}

// Who answers before a login is told from who refuses, and from who does neither.
func TestConnect_asNobody(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]Opened{
		":7\r\n": Open, "-NOAUTH a\r\n": Locked, "-LOADING a\r\n": NotKnown, "-ERR unknown command\r\n": NotKnown,
	} {
		s := serve(t, map[string]string{"HELLO": greeting, "DBSIZE": answer})
		got, _ := attempt(t, client(t, settings(t)), s.address, 5*time.Second, func(c *Conn) error {
			if c.Opened() != want {
				t.Errorf("%q: opened is %d, expected %d", answer, c.Opened(), want)
			}
			return nil
		})
		wantPrefix(t, got, "ok: ")
	}
	// What is no number is the answer to something else, and so is the next one, whatever it says of the password.
	s := serve(t, map[string]string{"HELLO": "-NOAUTH a\r\n", "DBSIZE": "+PONG\r\n"})
	got, _ := attempt(t, client(t, settings(t)), s.address, 5*time.Second, func(*Conn) error { return nil })
	wantPrefix(t, got, "protocol: the answer is not valid for the protocol")
	// Whoever may not count the keys may read or delete them.
	for _, test := range []struct {
		command, answer string
		want            Opened
	}{
		{"GET", "$-1\r\n", Open}, {"HGETALL", "%0\r\n", Open}, {"DEL", ":0\r\n", Open}, {"SCAN", "*2\r\n$1\r\n0\r\n*0\r\n", Open}, {"CONFIG", "%0\r\n", Open},
		{"GET", "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n", Open}, // but may others
		{"GET", "-NOPERM No permissions to access a key\r\n", Open},
		{"GET", "-LOADING a\r\n", NotKnown}, {"GET", "-NOAUTH a\r\n", Locked},
		{"GET", "-NOPERM User default has no permissions to run the 'get' command\r\n", Locked},
	} {
		answers := map[string]string{"HELLO": greeting}
		for _, c := range []string{"DBSIZE", "GET", "HGETALL", "DEL", "SCAN", "CONFIG"} {
			answers[c] = "-NOPERM a\r\n"
		}
		answers[test.command] = test.answer
		got, _ := attempt(t, client(t, settings(t)), serve(t, answers).address, 5*time.Second, func(c *Conn) error {
			if c.Opened() != test.want {
				t.Errorf("%s %q: opened is %d, expected %d", test.command, test.answer, c.Opened(), test.want)
			}
			return nil
		})
		wantPrefix(t, got, "ok: ")
	}
	s = serve(t, map[string]string{"DBSIZE": "-ERR max number of clients reached\r\n"})
	got, _ = attempt(t, client(t, settings(t)), s.address, 5*time.Second, func(*Conn) error { return nil })
	wantPrefix(t, got, "refused: the server has no connection left")
}

// A question is followed to the server that has the key, and no further than a sound cluster sends it.
func TestDo_moved(t *testing.T) {
	t.Parallel()
	asked := func(s *fake) func(*Conn) error {
		return func(c *Conn) error {
			v, err := c.Do("GET", "a")
			if err == nil && v.Text != "here" {
				t.Errorf("got %q", v.Text)
			}
			return err
		}
	}
	last := serve(t, map[string]string{"HELLO": greeting, "GET": "+here\r\n", "ASKING": "+OK\r\n"})
	for _, code := range []string{"MOVED", "ASK"} {
		first := serve(t, map[string]string{"HELLO": greeting, "GET": "-" + code + " 1 " + last.address + "\r\n"})
		got, all := attempt(t, client(t, &Settings{}), first.address, 5*time.Second, asked(first))
		wantPrefix(t, got, "ok: ")
		if len(all) != 2 {
			t.Errorf("%s: %d exchanges", code, len(all))
		}
	}
	if got := strings.Join(last.commands(), ", "); got != "HELLO 3 SETNAME prober, GET a, HELLO 3 SETNAME prober, ASKING, GET a" {
		t.Errorf("sent %q", got)
	}
	answers := map[string]string{"HELLO": greeting}
	loop := serve(t, answers)
	answers["GET"] = "-MOVED 1 " + loop.address + "\r\n"
	got, _ := attempt(t, client(t, &Settings{}), loop.address, 5*time.Second, asked(loop))
	wantPrefix(t, got, "redirect_loop: expected a server that has the slot of the key")
	if n := len(loop.commands()); n > maxRedirects+2 {
		t.Errorf("%d commands", n)
	}
	before := len(last.commands())
	far := serve(t, map[string]string{"HELLO": greeting, "GET": "-MOVED 1 " + last.address + "\r\n"})
	got, _ = attempt(t, client(t, &Settings{}), far.address, 5*time.Second, func(c *Conn) error {
		for i := range maxShards {
			c.others[fmt.Sprint(i)] = &Conn{}
		}
		_, err := c.Do("GET", "a")
		clear(c.others)
		return err
	})
	wantPrefix(t, got, "redirect_loop: expected a cluster of at most 100 primaries")
	if n := len(last.commands()) - before; n != 0 {
		t.Errorf("one server more was asked: %d commands", n)
	}
	empty := serve(t, map[string]string{"HELLO": greeting, "GET": "-MOVED 1 :" + last.address[strings.LastIndex(last.address, ":")+1:] + "\r\n"})
	got, _ = attempt(t, client(t, &Settings{}), empty.address, 5*time.Second, asked(empty))
	wantPrefix(t, got, "ok: ") // it does not know its own address
}

// Only a command that the server does not have is as good as refused; any other error of ACL DRYRUN proves nothing.
func TestAbsent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"ERR Command 'FLUSHALL' not found":                 true,
		"ERR User 'org-a' not found":                       false,
		"ERR wrong number of arguments for 'keys' command": false,
		"ERR unknown command 'ACL'":                        false,
		"NOPERM this user has no permissions":              false,
	} {
		if got := Absent(refused(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

// A server elsewhere that names this machine is believed neither by its address nor by its name.
func TestFound_ourMachine(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"HELLO": greeting})
	c := client(t, &Settings{AllowPlaintext: true})
	_, err := c.Connect(t.Context(), probe.NewResult(probe.ID{}), "ping", Server{address: s.address, found: true})
	wantPrefix(t, fmt.Sprintf("%s: %s", Explain(err).Reason, Explain(err).Detail), "schema: the server is on another machine and names an address of this one")
	if len(s.commands()) != 0 {
		t.Errorf("sent %q", s.commands())
	}
	for _, set := range []*Settings{{}, {AllowPlaintext: true}} {
		c := client(t, set)
		if c.encrypts(At("10.0.0.1:6379")) != !set.AllowPlaintext || c.encrypts(At("localhost:6379")) {
			t.Error("a server elsewhere without TLS, or one here with it")
		}
		if !c.encrypts(Server{address: "127.0.0.1:1", found: true, encrypt: true}) || c.encrypts(Server{address: "10.0.0.1:1", found: true}) != !set.AllowPlaintext {
			t.Error("a server that was found is spoken to with less than the one that named it, or than one that is configured")
		}
	}
}

func TestLayout(t *testing.T) {
	t.Parallel()
	node := func(host string, port int) string {
		return fmt.Sprintf("*4\r\n$%d\r\n%s\r\n:%d\r\n$1\r\ni\r\n*0\r\n", len(host), host, port)
	}
	whole := "*3\r\n*4\r\n:8192\r\n:16383\r\n" + node("127.0.0.2", 2) + node("127.0.0.3", 3) + "*3\r\n:0\r\n:4095\r\n" + node("127.0.0.1", 1) + "*3\r\n:4096\r\n:8191\r\n" + node("127.0.0.1", 1)
	for wire, want := range map[string]string{
		whole: "0 missing: 127.0.0.1:1 with 0 of [[0 8191]], 127.0.0.2:2 with 1 of [[8192 16383]]",
		"*1\r\n*3\r\n:0\r\n:9\r\n" + node("127.0.0.1", 1): "16374 missing: 127.0.0.1:1 with 0 of [[0 9]]",
		"*0\r\n": "16384 missing: ",
		"*1\r\n*3\r\n:0\r\n:16384\r\n" + node("127.0.0.1", 1): "schema",
		"*1\r\n*3\r\n:9\r\n:0\r\n" + node("127.0.0.1", 1):     "schema",
		"*1\r\n*3\r\n:-1\r\n:0\r\n" + node("127.0.0.1", 1):    "schema",
		"*1\r\n*2\r\n:0\r\n:1\r\n":                            "schema",
		"*1\r\n*3\r\n:0\r\n:1\r\n+a\r\n":                      "schema",
		"*1\r\n*3\r\n:0\r\n:1\r\n" + node("a b", 1):           "schema",
		"*1\r\n*3\r\n:0\r\n:1\r\n" + node("a", 0):             "schema",
		"-ERR This instance has cluster support disabled\r\n": "command_failed",
	} {
		s := serve(t, map[string]string{"HELLO": greeting, "CLUSTER": wire})
		_, _ = attempt(t, client(t, &Settings{}), s.address, 5*time.Second, func(c *Conn) error {
			l, err := c.Layout()
			got := Explain(err).Reason.Word
			if err == nil {
				var shards []string
				for _, s := range l.Shards {
					shards = append(shards, fmt.Sprintf("%s with %d of %v", s.Primary.Address(), s.Replicas, s.ranges))
				}
				got = fmt.Sprintf("%d missing: %s", l.Missing, strings.Join(shards, ", "))
			}
			if got != want {
				t.Errorf("%.40q:\n got  %s\n want %s", wire, got, want)
			}
			return nil
		})
	}
}

// The slots are those of the specification's examples.
func TestSlot(t *testing.T) {
	for key, want := range map[string]uint16{"123456789": 0x31C3, "foo": 12182, "{user1000}.following": slot("user1000"), "foo{}{bar}": slot("foo{}{bar}"), "foo{{bar}}zap": slot("{bar"), "foo{bar}{zap}": slot("bar"), "": 0} {
		if got := slot(key); got != want%slots {
			t.Errorf("%q: got %d, expected %d", key, got, want)
		}
	}
}

func TestPrimaryOf(t *testing.T) {
	t.Parallel()
	for wire, want := range map[string]string{
		"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n": "127.0.0.1:6379 true", "*-1\r\n": " false", "_\r\n": " false", "*1\r\n+a\r\n": "schema", "-ERR a\r\n": "command_failed",
		"*2\r\n+" + marker + "/\r\n+1\r\n": "schema",
	} {
		s := serve(t, map[string]string{"HELLO": greeting, "SENTINEL": wire})
		_, _ = attempt(t, client(t, &Settings{}), s.address, 5*time.Second, func(c *Conn) error {
			server, ok, err := c.PrimaryOf("main")
			got := fmt.Sprint(server.Address(), " ", ok)
			if err != nil {
				got = Explain(err).Reason.Word
			}
			if got != want {
				t.Errorf("%q: got %q, expected %q", wire, got, want)
			}
			return nil
		})
	}
}

// Many questions are asked at once, and each has its own answer.
func TestBatch(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"HELLO": greeting, "GET": "+here\r\n", "SET": "-NOPERM a\r\n"})
	got, _ := attempt(t, client(t, &Settings{}), s.address, 5*time.Second, func(c *Conn) error {
		var questions [][]string
		for i := range 250 {
			questions = append(questions, []string{[]string{"GET", "SET"}[i%2], "a"})
		}
		n := 0
		err := c.Batch(questions, func(i int, v Value, refused error) {
			if i != n || (i%2 == 0) != (v.Text == "here") || (i%2 == 1) != (Code(refused) == "NOPERM") {
				t.Errorf("answer %d: %v, %v", i, v, refused)
			}
			n++
		})
		if n != 250 {
			t.Errorf("%d answers", n)
		}
		return err
	})
	wantPrefix(t, got, "ok: ")
}

func TestSettings(t *testing.T) {
	withPassword := func(s Settings) Settings { s.Password = settings(t).Password; return s }
	for name, test := range map[string]struct {
		settings Settings
		address  string
		want     string
	}{
		"fine":                    {withPassword(Settings{User: "a"}), "redis:6379", ""},
		"no password":             {Settings{}, "redis:6379", ""},
		"a user without password": {Settings{User: "a"}, "redis:6379", "user: expected a password beside it"},
		"a name of two words":     {withPassword(Settings{User: "a b"}), "redis:6379", "user: expected a name of at most 128 bytes without spaces"},
		"no port":                 {Settings{}, "redis", "a: expected host:port"},
		"metadata":                {Settings{}, "169.254.169.254:6379", "a: 169.254.169.254 is where clouds hand out credentials: such an address is never dialled"},
		"a resolver without port": {Settings{Resolver: "ns"}, "redis:6379", "resolver: expected host:port"},
	} {
		_, err := test.settings.Client(map[string]string{"a": test.address})
		if got := fmt.Sprint(err); err == nil && test.want != "" || err != nil && got != test.want {
			t.Errorf("%s: got %v, expected %q", name, err, test.want)
		}
	}
}

func TestEndOf(t *testing.T) {
	now := time.Now()
	for within, want := range map[time.Duration]time.Duration{0: 9500 * time.Millisecond, time.Second: 900 * time.Millisecond, time.Minute: 59500 * time.Millisecond} {
		ctx := context.Background()
		if within > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, now.Add(within))
			defer cancel()
		}
		if got := endOf(ctx, now).Sub(now); got != want {
			t.Errorf("%s: until %s, expected %s", within, got, want)
		}
	}
}
