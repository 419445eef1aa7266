package dialogue

import (
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"sync"
	"time"

	"prober/internal/httpx"
	"prober/internal/sorted"
	"prober/probes/internal/expect"
)

// A protocol is a ready dialogue, as far as a client gets without logging in.
type protocol struct {
	greet    []Step
	startTLS []Step // how TLS is asked for; none: the protocol does not know it
	secured  []Step // shows that the server goes on behind TLS
	farewell string // a line that ends the dialogue, so that the server logs no lost connection
}

// protocols has the ready dialogues: SMTP (RFC 5321, 3207), IMAP (RFC 9051), POP3 (RFC 1939, 2595), FTP (RFC 959, 4217), SSH
// (RFC 4253, section 4.2) and IRC (RFC 2812). Their two dozen patterns are compiled when first needed, and not by each run.
var protocols = sync.OnceValue(func() map[string]protocol {
	// The last line of a reply decides: a server may begin one with 220- and end it with 550. Its text may be missing (RFC 5321,
	// section 4.2).
	const ready = `^220( |$)`
	ehlo := func(name string) []Step { return []Step{send("EHLO prober.invalid"), reply(name, `^250( |$)`, code)} }
	return map[string]protocol{
		"smtp": {
			greet: []Step{reply("the greeting", ready, code)},
			startTLS: append([]Step{send("EHLO prober.invalid"), offer("the reply to EHLO", `(?i)^250[ -]STARTTLS\s*$`, code)},
				send("STARTTLS"), reply("the reply to STARTTLS", ready, code)),
			secured:  ehlo("the reply to EHLO over TLS"),
			farewell: "QUIT",
		},
		"imap": {
			greet: []Step{reply("the greeting", `^\* (OK|PREAUTH)\b`, `^`)},
			startTLS: []Step{send("p1 CAPABILITY"), offer("the reply to CAPABILITY", `(?i)^\* CAPABILITY (.* )?STARTTLS( |$)`, `^p1 `),
				send("p2 STARTTLS"), reply("the reply to STARTTLS", `^p2 OK\b`, `^p2 `)},
			secured:  []Step{send("p3 NOOP"), reply("the reply to NOOP over TLS", `^p3 OK\b`, `^p3 `)},
			farewell: "p4 LOGOUT",
		},
		"pop3": {
			greet: []Step{reply("the greeting", `^\+OK\b`, `^`)},
			startTLS: []Step{send("CAPA"), offer("the reply to CAPA", `(?i)^STLS\s*$`, `^(\.$|-ERR)`),
				send("STLS"), reply("the reply to STLS", `^\+OK\b`, `^`)},
			secured:  []Step{send("CAPA"), reply("the reply to CAPA over TLS", `^\+OK\b`, `^(\.$|-ERR)`)},
			farewell: "QUIT",
		},
		"ftp": {
			greet:    []Step{reply("the greeting", ready, greeted)},
			startTLS: []Step{send("AUTH TLS"), offer("the reply to AUTH TLS", `^234( |$)`, code)},
			secured:  []Step{send("NOOP"), reply("the reply to NOOP over TLS", `^(200|530)( |$)`, code)}, // 530: log in first
			farewell: "QUIT",
		},
		"ssh": {
			greet:    []Step{reply("the identification", `^SSH-(2\.0|1\.99)-`, `^SSH-`)},
			farewell: "SSH-2.0-prober",
		},
		"irc": {
			greet: []Step{
				{name: nick}, // another one in each run: a name that is in use is refused
				send("USER prober 0 * :prober"),
				{
					Expect: pattern(`^(:\S+ )?001 `), Until: pattern(`^(:\S+ )?(001|4\d\d|ERROR) ?`), name: "the welcome",
					answer: &reflex{regexp.MustCompile(`^PING :?(.*)$`), "PONG :${1}"},
				},
			},
			farewell: "QUIT",
		},
	}
})

// nick is the step of IRC that names the client.
const nick = "NICK"

func pattern(text string) *expect.Pattern { return &expect.Pattern{Regexp: regexp.MustCompile(text)} }

func send(line string) Step { return Step{Send: httpx.Value{Text: line}, name: line} }

// Ends of replies that have a code.
const (
	code    = `^\d{3}( |$)`
	greeted = `^(220|[45]\d\d)( |$)` // of a greeting of FTP, whose other lines may begin with any number
)

func reply(name, line, end string) Step {
	return Step{Expect: pattern(line), Until: pattern(end), name: name, coded: end == code || end == greeted}
}

// offer is a reply in which the server offers TLS.
func offer(name, line, end string) Step {
	s := reply(name, line, end)
	s.absent = Stripped
	return s
}

// Protocols names the ready dialogues.
func Protocols() []string { return sorted.Keys(protocols()) }

// KnowsStartTLS reports whether a protocol can change to TLS.
func KnowsStartTLS(name string) bool { return len(protocols()[name].startTLS) > 0 }

// Ready returns the steps of a protocol, with the change to TLS if that is asked.
func Ready(name string, startTLS bool) []Step {
	p := protocols()[name]
	steps := slices.Clone(p.greet)
	for i := range steps {
		if steps[i].name == nick {
			steps[i].Send.Text = fmt.Sprintf("NICK prober%04d", rand.IntN(10_000))
		}
	}
	if startTLS {
		steps = slices.Concat(steps, p.startTLS, []Step{{StartTLS: true, name: "the TLS handshake"}}, p.secured)
	}
	return steps
}

// AskTLS asks for TLS in the words of a protocol, up to the point where the handshake begins. The error is an *[Error].
func AskTLS(nc net.Conn, name string) error {
	ready := protocols()[name]
	_, err := Run(nc, slices.Concat(ready.greet, ready.startTLS, []Step{{StartTLS: true, name: "the TLS handshake"}}), func(nc net.Conn) (net.Conn, error) { return nc, nil })
	return err
}

// Farewell ends a dialogue of a protocol without waiting for a reply.
func Farewell(nc net.Conn, name string) {
	if line := protocols()[name].farewell; line != "" {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write([]byte(line + "\r\n"))
	}
}
