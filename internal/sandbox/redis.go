package sandbox

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/drop"
	"prober/internal/resp"
)

// A redisServer is what a Redis server of the sample system is and has. It knows the commands of the demo's probe and stores
// what that writes; tests against real servers hold what replication and ACL do.
type redisServer struct {
	login    loginStep
	noLogin  bool   // it answers whoever has not logged in
	refusal  string // of everything but a login
	noWrites string // refusal of writes

	primary bool
	linkUp  bool
	behind  int64 // bytes that the replica lacks

	names    []string // of further keys
	unplant  bool     // the planted key is gone
	hidden   bool     // SCAN shows no more than the planted keys
	database int      // that has a key besides 0; 0: none

	open     bool // the user of org-a has rights on all keys
	commands bool // and on commands that concern all
}

// redisServers are the servers without faults: a primary and a replica that follows it.
func redisServers() map[string]redisServer {
	return map[string]redisServer{redis1: {primary: true}, redis2: {linkUp: true}}
}

// A redisFault changes what a server is and has.
type redisFault func(*redisServer)

//go:noinline
func onRedis(hosts []string, change redisFault) *effect {
	return &effect{hosts: hosts, alterRedis: change}
}

// alteredRedis is a server with the active faults.
func (s *Sandbox) alteredRedis(name string) redisServer {
	r := redisServers()[name]
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterRedis != nil && e.on(name) {
				e.alterRedis(&r)
			}
		}
	}
	return r
}

// plantedKey is the key that each pass over all keys must meet.
const plantedKey = "org:org-a:planted"

// redisKeys are the keys that are there all the time.
func redisKeys() []string {
	keys := []string{plantedKey, "org:org-b:planted", "org:org-a:note:demo-canary-a"}
	for i := range 20 {
		keys = append(keys, fmt.Sprintf("org:org-%c:note:%d", "ab"[i%2], i))
	}
	return keys
}

// maxWritten bounds what a client may have written.
const maxWritten = 1000

// firstOffset is how far the primary is at the start: further than a replica ever lacks.
const firstOffset = 1 << 21

// A redisStore has what was written to the primary, which the replica has too.
type redisStore struct {
	mu      sync.Mutex
	written map[string]redisValue
	offset  int64
}

type redisValue struct {
	text string
	ends time.Time
}

func (s *redisStore) set(key, text string, life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for k, v := range s.written {
		if now.After(v.ends) || len(s.written) > maxWritten {
			delete(s.written, k)
		}
	}
	s.written[key] = redisValue{text, now.Add(life)}
	s.offset += int64(len(key) + len(text))
}

func (s *redisStore) get(key string) (text string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.written[key]
	return v.text, ok && time.Now().Before(v.ends)
}

func (s *redisStore) position() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}

// serveRedis makes a host a server of Redis's protocol.
func serveRedis(h *host, store *redisStore, password string) {
	h.serve = func(listener net.Listener) (end func()) {
		return serveConnections(listener, func(conn net.Conn) {
			(&redisSession{host: h, store: store, password: password, conn: conn}).run()
		})
	}
}

// A redisSession is one connection of a client.
type redisSession struct {
	host     *host
	store    *redisStore
	password string
	conn     net.Conn
	loggedIn bool
}

func (s *redisSession) run() {
	in := resp.NewReader(s.conn)
	for {
		v, err := in.Read()
		if err != nil || len(v.Items) == 0 {
			return
		}
		var args []string
		for _, item := range v.Items {
			args = append(args, item.Text)
		}
		server := s.host.sandbox.alteredRedis(s.host.name)
		if server.login == loginHang {
			continue
		}
		if _, err := s.conn.Write([]byte(s.answer(server, args))); err != nil {
			return
		}
	}
}

const (
	redisOK   = "+OK\r\n"
	redisNull = "$-1\r\n"
)

// answer returns what the server answers to a command.
func (s *redisSession) answer(r redisServer, args []string) string {
	command := strings.ToUpper(args[0])
	switch {
	case command == "HELLO":
		return s.hello(r, args)
	case !s.loggedIn && !r.noLogin:
		return "-NOAUTH Authentication required.\r\n"
	case r.refusal != "":
		return "-" + r.refusal + "\r\n"
	}
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch command {
	case "PING":
		return "+PONG\r\n"
	case "TIME":
		now := time.Now().UnixMicro()
		return redisList(redisText(strconv.FormatInt(now/1e6, 10)), redisText(strconv.FormatInt(now%1e6, 10)))
	case "ROLE":
		if r.primary {
			return redisList(redisText("master"), redisNumber(s.store.position()), "*0\r\n")
		}
		return redisList(redisText("slave"), redisText("127.0.0.1"), redisNumber(0), redisText("connected"), redisNumber(s.store.position()))
	case "INFO":
		return redisText(s.info(r))
	case "DBSIZE":
		return redisNumber(int64(len(s.keys(r, true))))
	case "SCAN":
		var names []string
		for _, k := range s.keys(r, false) {
			names = append(names, redisText(k))
		}
		return redisList(redisText("0"), redisList(names...))
	case "SET":
		if r.noWrites != "" {
			return "-" + r.noWrites + "\r\n"
		}
		life, _ := strconv.Atoi(arg(4))
		s.store.set(arg(1), arg(2), time.Duration(life)*time.Second)
		return redisOK
	case "GET":
		if text, ok := s.store.get(arg(1)); ok {
			return redisText(text)
		}
		return redisNull
	case "ACL":
		return r.dryRun(arg(2), strings.ToLower(arg(3)), arg(4))
	}
	return "-ERR unknown command\r\n"
}

func (s *redisSession) hello(r redisServer, args []string) string {
	if r.login == loginReject || len(args) < 5 || args[4] != s.password {
		return "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	}
	s.loggedIn = true
	return "%2\r\n" + redisText("version") + redisText("7.0.15") + redisText("mode") + redisText("standalone")
}

// keys lists the names of the keys, all or those that SCAN shows.
func (s *redisSession) keys(r redisServer, all bool) []string {
	keys := redisKeys()
	if r.hidden && !all {
		keys = keys[:3]
	}
	if r.unplant {
		keys = drop.If(keys, func(k string) bool { return k == plantedKey })
	}
	return append(keys, r.names...)
}

func (s *redisSession) info(r redisServer) string {
	lines := []string{"run_id:" + s.host.name, "redis_mode:standalone", "db0:keys=22,expires=0,avg_ttl=0", "master_replid:1"}
	if r.database != 0 {
		lines = append(lines, fmt.Sprintf("db%d:keys=1,expires=0,avg_ttl=0", r.database))
	}
	offset := s.store.position()
	if r.primary {
		lines = append(lines, "role:master", fmt.Sprintf("master_repl_offset:%d", offset))
		if replica := s.host.sandbox.alteredRedis(redis2); replica.linkUp && !replica.primary {
			lines = append(lines, fmt.Sprintf("slave0:ip=127.0.0.1,port=1,state=online,offset=%d,lag=0", offset))
		}
		return strings.Join(lines, "\r\n")
	}
	link := "down"
	if r.linkUp {
		link = "up"
	}
	return strings.Join(append(lines, "role:slave", "master_link_status:"+link, fmt.Sprintf("slave_repl_offset:%d", offset-r.behind)), "\r\n")
}

// dryRun says whether the user of an org may run a command with a key.
func (r redisServer) dryRun(user, command, key string) string {
	all := user == "org-a" && r.open
	switch command {
	case "get", "set", "del":
		if all || strings.HasPrefix(key, "org:"+user+":") {
			return redisOK
		}
		return redisText("This user has no permissions to access the '" + key + "' key")
	}
	if user == "org-a" && r.commands && command == "flushall" {
		return redisOK
	}
	return redisText("This user has no permissions to run the '" + command + "' command")
}

//go:noinline
func redisText(s string) string  { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }
func redisNumber(n int64) string { return fmt.Sprintf(":%d\r\n", n) }
func redisList(items ...string) string {
	return fmt.Sprintf("*%d\r\n%s", len(items), strings.Join(items, ""))
}
