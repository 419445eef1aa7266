package sandbox

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
)

// A mailServer is what the SMTP server of the sample system says and shows. It accepts no mail.
type mailServer struct {
	greeting   string
	silent     bool // it says nothing
	endless    bool // its greeting does not end
	noStartTLS bool // it does not offer STARTTLS
	injects    bool // it sends more in plain text after it has agreed to STARTTLS

	certificate string // by the name that authority.certificates gives it
	lowest      uint16 // version of TLS
	highest     uint16
}

// soundMail is the server without faults.
func soundMail() mailServer {
	return mailServer{greeting: "220 mail.demo.test ESMTP", certificate: soundCertificate, lowest: tls.VersionTLS12, highest: tls.VersionTLS13}
}

// A mailFault changes what the server says and shows.
type mailFault func(*mailServer)

//go:noinline
func onMail(change mailFault) *effect { return &effect{hosts: []string{mail}, alterMail: change} }

// alteredMail is the server with the active faults.
func (s *Sandbox) alteredMail() mailServer {
	m := soundMail()
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterMail != nil {
				e.alterMail(&m)
			}
		}
	}
	return m
}

// serveMail makes a host an SMTP server.
func serveMail(h *host, a *authority) {
	h.serve = func(listener net.Listener) (end func()) {
		return serveConnections(listener, func(conn net.Conn) {
			(&mailSession{server: h.sandbox.alteredMail(), authority: a, conn: conn}).run()
		})
	}
}

// A mailSession is one connection of a client.
type mailSession struct {
	server    mailServer
	authority *authority
	conn      net.Conn
	encrypted bool
}

func (s *mailSession) run() {
	if s.server.silent {
		_, _ = s.conn.Read(make([]byte, 1)) // until the client gives up
		return
	}
	for s.server.endless {
		if s.say("220-mail.demo.test greets you") != nil {
			return
		}
	}
	if s.say(s.server.greeting) != nil {
		return
	}
	for s.answer() {
	}
}

// answer reads one command and answers it. It reports whether the session goes on. Each command is read by itself: what follows
// STARTTLS is the handshake.
func (s *mailSession) answer() bool {
	line, err := bufio.NewReaderSize(s.conn, 512).ReadSlice('\n')
	if err != nil {
		return false
	}
	switch command, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(string(line))), " "); command {
	case "EHLO":
		return s.say(s.offers()...) == nil
	case "NOOP":
		return s.say("250 ok") == nil
	case "STARTTLS":
		if s.encrypted || s.server.noStartTLS {
			return s.say("502 not implemented") == nil
		}
		return s.startTLS()
	case "QUIT":
		_ = s.say("221 bye")
		return false
	}
	return s.say("502 not implemented") == nil
}

func (s *mailSession) offers() []string {
	if s.encrypted || s.server.noStartTLS {
		return []string{"250-mail.demo.test", "250 8BITMIME"}
	}
	return []string{"250-mail.demo.test", "250-STARTTLS", "250 8BITMIME"}
}

func (s *mailSession) startTLS() bool {
	lines := []string{"220 go ahead"}
	if s.server.injects {
		lines = append(lines, "250 injected")
	}
	if s.say(lines...) != nil {
		return false
	}
	secured := tls.Server(s.conn, &tls.Config{
		Certificates: []tls.Certificate{s.authority.certificates[s.server.certificate]}, MinVersion: s.server.lowest, MaxVersion: s.server.highest,
	})
	if secured.Handshake() != nil {
		return false
	}
	s.conn, s.encrypted = secured, true
	return true
}

func (s *mailSession) say(lines ...string) error {
	_, err := fmt.Fprint(s.conn, strings.Join(lines, "\r\n")+"\r\n")
	return err
}
