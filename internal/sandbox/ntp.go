package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// An ntpServer serves the time of this machine over SNTP (RFC 4330), version 4 and below.
type ntpServer struct {
	sandbox *Sandbox
	name    string
	conn    net.PacketConn
	running sync.WaitGroup
}

func newNTPServer(s *Sandbox, name string, ephemeral bool) (*ntpServer, error) {
	want := defaults()[name]
	if ephemeral {
		want = anyPort
	}
	conn, err := net.ListenPacket("udp", want)
	if err != nil && want != anyPort {
		conn, err = net.ListenPacket("udp", anyPort)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t := &ntpServer{sandbox: s, name: name, conn: conn}
	t.running.Go(t.serve)
	return t, nil
}

func (t *ntpServer) address() string { return t.conn.LocalAddr().String() }

func (t *ntpServer) close() {
	t.conn.Close()
	t.running.Wait()
}

func (t *ntpServer) serve() {
	packet := make([]byte, 1024)
	for {
		n, from, err := t.conn.ReadFrom(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if reply := t.sandbox.alteredReply(t.name, ntpReply(packet[:n], time.Now())); reply != nil {
			_, _ = t.conn.WriteTo(reply, from)
		}
	}
}

// ntpReply builds the reply to a request. It returns nil unless the packet is a client's request, so that two servers
// can never answer each other in a loop.
func ntpReply(request []byte, received time.Time) []byte {
	const client, server, headerLength = 3, 4, 48
	if len(request) < headerLength {
		return nil
	}
	version, mode := request[0]>>3&7, request[0]&7
	if mode != client || version < 1 || version > 4 {
		return nil
	}
	reply := make([]byte, headerLength)
	reply[0] = version<<3 | server                          // leap indicator 0: no warning
	reply[1] = 2                                            // stratum: synchronised to this machine's clock
	reply[2] = request[2]                                   // poll
	reply[3] = 0xec                                         // precision: 2^-20 s
	binary.BigEndian.PutUint32(reply[4:], 1<<16/1000)       // root delay: 1 ms
	binary.BigEndian.PutUint32(reply[8:], 1<<16/1000)       // root dispersion: 1 ms
	copy(reply[12:16], []byte{127, 0, 0, 1})                // reference: this machine
	putTime(reply[16:], received.Add(-16*time.Second))      // last synchronised
	copy(reply[24:32], request[40:48])                      // originate: the client's transmit time, as sent
	putTime(reply[32:], received)                           // receive
	putTime(reply[40:], received.Add(time.Since(received))) // transmit, never before receive
	return reply
}

// putTime writes an NTP timestamp: seconds since 1900, modulo 2^32, and their fraction.
func putTime(b []byte, t time.Time) {
	const from1900to1970 = 2208988800
	binary.BigEndian.PutUint32(b, uint32(t.Unix()+from1900to1970))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(t.Nanosecond())<<32/1e9))
}
