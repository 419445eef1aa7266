package sandbox

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// describeMail describes what the mail server says, and shows in the oldest and in the newest version of TLS that it accepts.
func (s *Sandbox) describeMail(ctx context.Context) string {
	words := []string{s.converse(ctx, 0)}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
		words = append(words, tls.VersionName(version)+" "+s.converse(ctx, version))
	}
	return strings.Join(words, "; ")
}

// converse goes as far as the offer of STARTTLS or, with a version, through a handshake in that version.
func (s *Sandbox) converse(ctx context.Context, version uint16) string {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address(mail))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case err != nil:
		return err.Error()
	}
	defer conn.Close()
	limit := answerTimeout
	if s.alteredMail().silent {
		limit = 50 * time.Millisecond
	}
	_ = conn.SetDeadline(time.Now().Add(limit))
	in := bufio.NewReader(conn)
	greeting, err := readReply(in)
	if err != nil {
		return "no greeting"
	}
	fmt.Fprint(conn, "EHLO a\r\n")
	offer, err := readReply(in)
	if err != nil {
		return greeting + ", then nothing"
	}
	if version == 0 {
		return greeting + ", " + offer
	}
	fmt.Fprint(conn, "STARTTLS\r\n")
	said, err := readReply(in)
	if err != nil || !strings.HasPrefix(said, "220") {
		return said
	}
	if in.Buffered() > 0 {
		return said + " and more"
	}
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
	if secured.Handshake() != nil {
		return "no handshake"
	}
	leaf := secured.ConnectionState().PeerCertificates[0]
	trusted := x509.NewCertPool()
	pem, err := os.ReadFile(s.authority.file())
	if err != nil || !trusted.AppendCertsFromPEM(pem) {
		return "the file of the authority holds no certificate"
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: trusted})
	return fmt.Sprintf("%s, trusted: %t, for another %s", leaf.DNSNames, err == nil, time.Until(leaf.NotAfter).Round(24*time.Hour))
}

// readReply reads the lines of a reply, of at most 100.
func readReply(in *bufio.Reader) (string, error) {
	var lines []string
	for range 100 {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		lines = append(lines, strings.TrimSpace(line))
		if len(line) > 3 && line[3] == ' ' {
			return strings.Join(lines, " "), nil
		}
	}
	return "", errors.New("no end")
}
