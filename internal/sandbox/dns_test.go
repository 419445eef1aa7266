package sandbox

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// describeNameServer describes what a name server says over UDP and over TCP, by what it is asked.
func (s *Sandbox) describeNameServer(ctx context.Context, name string) map[string]string {
	said := map[string]string{}
	for _, q := range []struct {
		name      string
		t         dnsmessage.Type
		network   string
		unchecked bool
	}{
		{zoneName, dnsmessage.TypeSOA, "udp", false}, {wwwName, dnsmessage.TypeA, "udp", false}, {formerName, dnsmessage.TypeA, "udp", false},
		{longName, dnsmessage.TypeTXT, "udp", false}, {longName, dnsmessage.TypeTXT, "tcp", false},
		{signedName, dnsmessage.TypeA, "udp", false}, {signedName, dnsmessage.TypeA, "udp", true}, {"www.elsewhere.test.", dnsmessage.TypeA, "udp", false},
	} {
		label := fmt.Sprintf("%s %s over %s", q.name, strings.TrimPrefix(q.t.String(), "Type"), q.network)
		if q.unchecked {
			label += ", unchecked"
		}
		m := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true, CheckingDisabled: q.unchecked},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(q.name), Type: q.t, Class: dnsmessage.ClassINET}},
		}
		said[label] = s.lookUp(ctx, name, q.network, m)
	}
	return said
}

// lookUp asks one question and describes all that comes, up to the answer.
func (s *Sandbox) lookUp(ctx context.Context, server, network string, m dnsmessage.Message) string {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, s.address(server))
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	limit := answerTimeout
	if server == ns2 && network == "udp" && slices.Contains(s.Active(), "dns-server-silent") {
		limit = 100 * time.Millisecond
	}
	_ = conn.SetDeadline(time.Now().Add(limit))
	packed, err := m.Pack()
	if err != nil {
		return err.Error()
	}
	if network == "tcp" {
		packed = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	}
	if _, err := conn.Write(packed); err != nil {
		return err.Error()
	}
	var words []string
	for {
		message, err := readDNS(conn, network)
		if err != nil {
			return strings.Join(append(words, "no answer"), ", then ")
		}
		var got dnsmessage.Message
		if err := got.Unpack(message); err != nil {
			return err.Error()
		}
		words = append(words, describeDNS(got))
		if got.ID == m.ID {
			return strings.Join(words, ", then ")
		}
	}
}

func readDNS(conn net.Conn, network string) ([]byte, error) {
	buffer := make([]byte, 1<<16)
	if network == "udp" {
		n, err := conn.Read(buffer)
		return buffer[:n], err
	}
	if _, err := io.ReadFull(conn, buffer[:2]); err != nil {
		return nil, err
	}
	n, err := io.ReadFull(conn, buffer[:binary.BigEndian.Uint16(buffer)])
	return buffer[:n], err
}

func describeDNS(m dnsmessage.Message) string {
	words := []string{strings.TrimPrefix(m.RCode.String(), "RCode")}
	for flag, set := range map[string]bool{"AA": m.Authoritative, "TC": m.Truncated, "RA": m.RecursionAvailable, "AD": m.AuthenticData} {
		if set {
			words = append(words, flag)
		}
	}
	slices.Sort(words[1:])
	for _, one := range m.Answers[:min(len(m.Answers), 3)] {
		switch body := one.Body.(type) {
		case *dnsmessage.AResource:
			words = append(words, one.Header.Name.String()+" "+net.IP(body.A[:]).String())
		case *dnsmessage.SOAResource:
			words = append(words, fmt.Sprintf("serial %d", body.Serial))
		case *dnsmessage.NSResource:
			words = append(words, body.NS.String())
		case *dnsmessage.TXTResource:
			words = append(words, "a text")
		}
	}
	return fmt.Sprintf("%s (%d records)", strings.Join(words, " "), len(m.Answers))
}
