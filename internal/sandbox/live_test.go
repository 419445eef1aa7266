package sandbox

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// describeLive describes what the WebSocket service answers to the handshake, to a hello and to a close frame.
func (s *Sandbox) describeLive(ctx context.Context) string {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address(live))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case err != nil:
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTimeout))
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: "+liveProtocol+"\r\n\r\n")
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return "no handshake"
	}
	said := []string{fmt.Sprintf("%d accept=%s protocol=%s", answer.StatusCode, answer.Header.Get("Sec-WebSocket-Accept"), answer.Header.Get("Sec-WebSocket-Protocol"))}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return said[0]
	}
	if s.alteredLive().silent {
		_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
	}
	for _, frame := range []string{"\x81\x85\x00\x00\x00\x00hello", "\x88\x80\x00\x00\x00\x00"} {
		io.WriteString(conn, frame)
		answer, sound := readServerFrame(in)
		if said = append(said, answer); !sound {
			break
		}
	}
	return strings.Join(said, "; ")
}

// readServerFrame describes a frame, and reports whether others may follow.
func readServerFrame(in *bufio.Reader) (said string, sound bool) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return "no frame", false
	}
	if head[1] > 125 {
		return fmt.Sprintf("%x and more", head), false
	}
	data := make([]byte, head[1])
	_, _ = io.ReadFull(in, data)
	if head[0] == closeFrame && len(data) >= 2 {
		return fmt.Sprintf("closes with %d", binary.BigEndian.Uint16(data)), true
	}
	return fmt.Sprintf("%x %q", head, data), true
}
