package sandbox

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// A liveServer is how the WebSocket service of the sample system behaves: it welcomes whoever says hello.
type liveServer struct {
	status      string // answered in place of 101
	foreignKey  bool   // it answers the key of another client
	subprotocol string
	welcome     string // the frame that answers a hello; empty: the connection ends
	silent      bool   // a hello is not answered
	closing     uint16 // the code that answers a close frame
}

// liveProtocol is the subprotocol of the service.
const liveProtocol = "demo.v1"

// soundLive is the service without faults.
func soundLive() liveServer {
	return liveServer{subprotocol: liveProtocol, welcome: webSocketFrame(textFrame, `{"type":"welcome","version":"`+release+`"}`), closing: 1000}
}

// A liveFault changes how the service behaves.
type liveFault func(*liveServer)

func onLive(change liveFault) []*effect { return []*effect{{hosts: []string{live}, alterLive: change}} }

// alteredLive is the service with the active faults.
func (s *Sandbox) alteredLive() liveServer {
	l := soundLive()
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterLive != nil {
				e.alterLive(&l)
			}
		}
	}
	return l
}

// serveLive makes a host a WebSocket service.
func serveLive(h *host) {
	h.serve = func(listener net.Listener) (end func()) {
		return serveConnections(listener, func(conn net.Conn) {
			in := bufio.NewReader(io.LimitReader(conn, 1<<20))
			if l := h.sandbox.alteredLive(); l.accept(conn, in) {
				for l.answer(conn, in) {
				}
			}
		})
	}
}

// accept answers the handshake. It reports whether the connection is a WebSocket from then on.
func (l *liveServer) accept(conn net.Conn, in *bufio.Reader) bool {
	q, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	key := q.Header.Get("Sec-WebSocket-Key")
	status := l.status
	switch {
	case status != "":
	case q.URL.Path != "/socket":
		status = "404 Not Found"
	case !strings.EqualFold(q.Header.Get("Upgrade"), "websocket"):
		status = "426 Upgrade Required"
	}
	if status != "" {
		fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlive\n", status)
		return false
	}
	if l.foreignKey {
		key = "dGhlIHNhbXBsZSBub25jZQ=="
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n")
	if l.subprotocol != "" {
		fmt.Fprint(conn, "Sec-WebSocket-Protocol: "+l.subprotocol+"\r\n")
	}
	_, err = fmt.Fprint(conn, "\r\n")
	return err == nil
}

// The first bytes of frames that are whole.
const (
	textFrame  = 0x81
	closeFrame = 0x88
	pingFrame  = 0x89
	pongFrame  = 0x8a
)

// answer reads a frame and answers it. It reports whether the connection goes on.
func (l *liveServer) answer(conn net.Conn, in *bufio.Reader) bool {
	first, data, err := readClientFrame(in)
	reply := ""
	switch {
	case err != nil:
		return false
	case first == closeFrame:
		reply = webSocketClose(l.closing)
	case first == pingFrame:
		reply = webSocketFrame(pongFrame, data)
	case l.silent:
		return true
	default:
		reply = l.welcome
	}
	_, err = io.WriteString(conn, reply)
	return err == nil && reply != "" && first != closeFrame
}

// readClientFrame reads a frame of up to 125 bytes, which a client masks.
func readClientFrame(in *bufio.Reader) (first byte, data string, err error) {
	var head [6]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, "", err
	}
	size := int(head[1] & 0x7f)
	if head[1]&0x80 == 0 || size > 125 {
		return 0, "", io.ErrUnexpectedEOF
	}
	body := make([]byte, size)
	_, err = io.ReadFull(in, body)
	for i := range body {
		body[i] ^= head[2+i%4]
	}
	return head[0], string(body), err
}

// webSocketFrame is a frame of up to 125 bytes of a server.
func webSocketFrame(first byte, data string) string {
	return string([]byte{first, byte(len(data))}) + data
}

func webSocketClose(code uint16) string {
	return webSocketFrame(closeFrame, string(binary.BigEndian.AppendUint16(nil, code)))
}
