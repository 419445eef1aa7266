package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// dialers may open sockets by themselves. All other packages use connections of internal/dial, and pass its dialer to
// third-party clients.
var dialers = []string{"internal/dial", "internal/sandbox", "internal/testenv", "internal/bench", "internal/endure", "cmd"}

// A forbidden name is one with which code could bypass internal/dial or internal/httpx.
type forbidden struct {
	path    string         // of the package; a dot import of it is refused too
	name    *regexp.Regexp // nil: the import itself
	pointer bool           // a pointer to the type may be mentioned, which makes none
	allowed []string       // packages that may, beside those below
	instead string
}

var forbiddenNames = []forbidden{
	{path: "net", name: regexp.MustCompile(`^(Dial.*|Lookup.*|Resolve.*Addr|DefaultResolver|Listen([A-Z].*)?|FileConn|FilePacketConn|FileListener)$`), allowed: dialers,
		instead: "take connections from internal/dial"},
	{path: "net", name: regexp.MustCompile(`^Resolver$`), pointer: true, allowed: dialers, instead: "use dial.Resolver"},
	{path: "crypto/tls", name: regexp.MustCompile(`^(Dial.*|Listen)$`), allowed: dialers, instead: "use DialTLSContext or Handshake of internal/dial"},
	{path: "golang.org/x/net/icmp", name: regexp.MustCompile(`^ListenPacket$`), allowed: dialers, instead: "take connections from internal/dial"},
	{path: "net/textproto", name: regexp.MustCompile(`^Dial$`), allowed: dialers, instead: "take connections from internal/dial"},
	{path: "syscall", name: regexp.MustCompile(`^(Socket.*|Connect|Sendto|Sendmsg.*|RawSyscall.*|Syscall.*)$`), allowed: dialers, instead: "take connections from internal/dial"},
	{path: "net/rpc", allowed: dialers, instead: "it dials by itself"},
	{path: "net/smtp", allowed: dialers, instead: "it dials by itself"},
	{path: "log/syslog", allowed: dialers, instead: "it dials by itself"},

	{path: "net/http", name: regexp.MustCompile(`^(Get|Head|Post|PostForm|DefaultClient|DefaultTransport|ListenAndServe.*)$`), allowed: dialers, instead: "use internal/httpx"},
	{path: "net/http", name: regexp.MustCompile(`^(Client|Transport)$`), pointer: true, allowed: append([]string{"internal/httpx"}, dialers...), instead: "use internal/httpx"},
	{path: "net/http/httputil", name: regexp.MustCompile(`ReverseProxy$`), allowed: dialers, instead: "its transport is the default one"},
	{path: "prober/internal/dial", name: regexp.MustCompile(`^WithOpen$`), allowed: []string{"internal/testenv"}, instead: "it is for tests"},

	{path: "os/exec", allowed: []string{"internal/command", "internal/testenv", "internal/bench", "internal/endure", "internal/mutate", "internal/notices"}, instead: "start programs with internal/command"},
	{path: "os", name: regexp.MustCompile(`^StartProcess$`), instead: "start programs with internal/command"},
	{path: "syscall", name: regexp.MustCompile(`^(Exec|ForkExec|StartProcess)$`), instead: "start programs with internal/command"},
}

// directSockets finds code that bypasses internal/dial to open a socket, bypasses internal/httpx to send a request, or
// starts a program. It resolves the names of imports.
func directSockets(s source) (wrong []string) {
	if s.test {
		return nil
	}
	imported := map[string]string{} // the name in this file -> the path
	for _, i := range s.file.Imports {
		imports, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(imports)
		if i.Name != nil {
			name = i.Name.Name
		}
		imported[name] = imports
		for _, f := range forbiddenNames {
			if f.path == imports && !within(s.pkg, f.allowed) && (f.name == nil || name == ".") {
				wrong = append(wrong, fmt.Sprintf("%s: no import of %s as %q: %s", s.at(i), imports, name, f.instead))
				break
			}
		}
	}
	var pointers []ast.Expr
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StarExpr:
			pointers = append(pointers, n.X)
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			for _, f := range forbiddenNames {
				if f.name != nil && f.path == imported[x.Name] && f.name.MatchString(n.Sel.Name) && !within(s.pkg, f.allowed) &&
					!(f.pointer && slices.Contains(pointers, ast.Expr(n))) {
					wrong = append(wrong, fmt.Sprintf("%s: no %s.%s: %s", s.at(n), f.path, n.Sel.Name, f.instead))
				}
			}
		}
		return true
	})
	return wrong
}

func TestSockets(t *testing.T) {
	testenv.WithoutRace(t)
	seen := false
	for _, s := range sources(t) {
		for _, w := range directSockets(s) {
			t.Error(w)
		}
		// The rule must complain about internal/dial itself, if it were any other package.
		if s.pkg == "internal/dial" && !s.test {
			s.pkg = "probes/other"
			seen = seen || len(directSockets(s)) > 0
		}
	}
	if !seen {
		t.Error("internal/dial opens no socket; expected the rule to see one")
	}
}

// tcpKind is the obvious way to write a kind that dials. It is only parsed, never run.
const tcpKind = `package tcp

import (
	"context"
	"net"

	"prober/internal/probe"
)

// Probe asks whether a port is open.
type Probe struct {
	Address string
}

func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		r.Fail("connect", probe.Refused, "expected a connection")
		return
	}
	conn.Close()
	r.Pass("connect", "connected")
}
`

func TestSockets_ruleBites(t *testing.T) {
	const deny = "take connections from internal/dial"
	for _, test := range []struct {
		name, pkg, code, want string
	}{
		{"a kind with a dialer of its own", "probes/tcp", tcpKind, "probes/tcp/x.go:16: no net.Dialer: " + deny},
		{"net.Dial", "probes/tcp", `import "net"; var _, _ = net.Dial("tcp", "a:1")`, deny},
		{"net.DialTimeout", "probes/tcp", `import "net"; var _ = net.DialTimeout`, deny},
		{"net.DialUDP", "internal/timesync", `import "net"; var _ = net.DialUDP`, deny},
		{"under another name", "probes/tcp", `import network "net"; var _ = network.Dial`, deny},
		{"a dot import", "probes/tcp", `import . "net"; var _ = Dial`, `no import of net as "."`},
		{"an alias of the type", "probes/tcp", `import "net"; type d = net.Dialer`, deny},
		{"an embedded dialer", "probes/tcp", `import "net"; type d struct{ net.Dialer }`, deny},
		{"a pointer to a dialer", "probes/tcp", `import "net"; func f(*net.Dialer) {}`, deny},
		{"a look-up", "internal/metrics", `import "net"; var _ = net.LookupHost`, deny},
		{"a look-up in disguise", "internal/metrics", `import "net"; var _ = net.ResolveTCPAddr`, deny},
		{"the default resolver", "config", `import "net"; var _ = net.DefaultResolver`, deny},
		{"a resolver of its own", "probes/dns", `import "net"; var _ = &net.Resolver{}`, "dial.Resolver"},
		{"a new resolver", "probes/dns", `import "net"; var _ = new(net.Resolver)`, "dial.Resolver"},
		{"a resolver that is passed on", "probes/dns", `import "net"; func f(r *net.Resolver) {}`, ""},
		{"a packet socket", "probes/icmp", `import "net"; var _ = net.ListenPacket`, deny},
		{"a UDP socket", "probes/icmp", `import "net"; var _ = net.ListenUDP`, deny},
		{"a listener's settings", "probes/icmp", `import "net"; var _ net.ListenConfig`, deny},
		{"an ICMP socket", "probes/icmp", `import "golang.org/x/net/icmp"; var _ = icmp.ListenPacket`, deny},
		{"a system call", "probes/icmp", `import "syscall"; var _ = syscall.Socket`, deny},
		{"tls.Dial", "probes/tls", `import "crypto/tls"; var _ = tls.Dial`, "Handshake"},
		{"tls.Dialer", "probes/tls", `import "crypto/tls"; var _ tls.Dialer`, "Handshake"},
		{"TLS settings", "probes/tls", `import "crypto/tls"; var _ = tls.Config{}`, ""},
		{"http.Get", "internal/httpx", `import "net/http"; var _ = http.Get`, "internal/httpx"},
		{"http.PostForm", "internal/oauth", `import h "net/http"; var _ = h.PostForm`, "internal/httpx"},
		{"the default client", "internal/report", `import "net/http"; var _ = http.DefaultClient`, "internal/httpx"},
		{"the default transport", "probes/http", `import "net/http"; var _ = http.DefaultTransport`, "internal/httpx"},
		{"a client", "probes/http", `import "net/http"; var _ = http.Client{}`, "internal/httpx"},
		{"a pointer to a client", "probes/http", `import "net/http"; var _ = &http.Client{}`, "internal/httpx"},
		{"a client's zero value", "probes/http", `import "net/http"; var c http.Client`, "internal/httpx"},
		{"a transport", "internal/promapi", `import "net/http"; var _ = http.Transport{}`, "internal/httpx"},
		{"a client in httpx", "internal/httpx", `import "net/http"; var _ = http.Client{Transport: &http.Transport{}}`, ""},
		{"a client that is passed on", "internal/promapi", `import "net/http"; func f(*http.Client) {}`, ""},
		{"a status", "probes/http", `import "net/http"; var _ = http.StatusOK`, ""},
		{"a reverse proxy", "internal/web", `import "net/http/httputil"; var _ httputil.ReverseProxy`, "default one"},
		{"mail", "internal/report", `import "net/smtp"; var _ = smtp.Dial`, "dials by itself"},
		{"connections of a test", "probes/tcp", `import "prober/internal/dial"; var _ = dial.WithOpen`, "for tests"},
		{"a program", "probes/exec", `import "os/exec"; var _ = exec.Command`, "internal/command"},
		{"a program under another name", "cmd/prober", `import run "os/exec"; var _ = run.Command`, "internal/command"},
		{"a process", "cmd/prober", `import "os"; var _ = os.StartProcess`, "internal/command"},
		{"a program of the one that may", "internal/command", `import "os/exec"; var _ = exec.Command`, ""},
		{"a program of a test", "internal/testenv", `import "os/exec"; var _ = exec.Command`, ""},
		{"the one that may", "internal/dial", `import "net"; var _ net.Dialer`, ""},
		{"the program itself", "cmd/prober", `import "net"; var _ = net.Listen`, ""},
		{"the name of one that may, in part", "internal/dialogue", `import "net"; var _ = net.Dial`, deny},
		{"an address", "probes/tcp", `import "net"; var _ = net.SplitHostPort`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			code := test.code
			if !strings.HasPrefix(code, "package ") {
				code = "package x\n" + strings.ReplaceAll(code, "; ", "\n")
			}
			s := source{pkg: test.pkg, fset: token.NewFileSet()}
			file, err := parser.ParseFile(s.fset, "x.go", code, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			s.file = file
			expectComplaint(t, directSockets(s), test.want)
		})
	}
}
