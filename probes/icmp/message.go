package icmp

import (
	"bytes"
	"encoding/binary"

	"prober/internal/dial"
	"prober/internal/probe"
)

// headerSize is how long the header of an echo request or reply is (RFC 792, RFC 4443): type, code, checksum, identifier and
// sequence number.
const headerSize = 8

// A family has the types of messages that one version of ICMP has.
type family struct{ request, reply byte }

var (
	icmp4 = family{8, 0}
	icmp6 = family{128, 129}
)

// echo writes an echo request. The kernel overwrites the identifier over a ping socket with its own, which is the same, and the
// checksum of ICMPv6, which covers the addresses too.
func (f family) echo(id, seq uint16, payload []byte) []byte {
	m := make([]byte, headerSize, headerSize+len(payload))
	m[0] = f.request
	binary.BigEndian.PutUint16(m[4:], id)
	binary.BigEndian.PutUint16(m[6:], seq)
	m = append(m, payload...)
	binary.BigEndian.PutUint16(m[2:], checksum(m))
	return m
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i]) << 8
		if i+1 < len(b) {
			sum += uint32(b[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// A match is what a message is to a request.
type match int

const (
	stranger match = iota // about something else
	corrupted
	genuine
)

// read says which request a message replies to, by its place among those that were sent. On loopback a raw socket reads the
// requests too, and anywhere replies to others.
func (f family) read(message []byte, id, first uint16, sent int, payload []byte) (place int, m match) {
	if len(message) < headerSize || message[0] != f.reply || message[1] != 0 || binary.BigEndian.Uint16(message[4:]) != id {
		return 0, stranger
	}
	place = int(binary.BigEndian.Uint16(message[6:]) - first)
	switch {
	case place >= sent:
		return 0, stranger
	case bytes.Equal(message[headerSize:], payload):
		return place, genuine
	}
	return place, corrupted
}

// about says which request an error is about, by its place among those that were sent.
func (f family) about(e *dial.EchoError, id, first uint16, sent int) (place int, ok bool) {
	if len(e.Request) < headerSize || e.Request[0] != f.request || binary.BigEndian.Uint16(e.Request[4:]) != id {
		return 0, false
	}
	place = int(binary.BigEndian.Uint16(e.Request[6:]) - first)
	return place, place < sent
}

// explain says what an error of ICMP means.
func (f family) explain(e *dial.EchoError) (why *probe.Reason, text string) {
	const (
		prohibited, tooBig = "it is prohibited", "the packet is too big"
		network, host      = "there is no way to the network", "the host does not respond there"
	)
	kind, code := e.Type, e.Code
	if f == icmp6 {
		switch {
		case kind == 1 && code == 0:
			return &probe.Unreachable, network
		case kind == 1 && (code == 1 || code == 5 || code == 6):
			return &reasonProhibited, prohibited
		case kind == 1 && code == 3:
			return &probe.Unreachable, host
		case kind == 2:
			return &reasonTooBig, tooBig
		}
		kind = map[byte]byte{1: 3, 3: 11}[kind] // the same in ICMP
		code += 100                             // and none of its codes
	}
	switch {
	case kind == 3 && code == 0:
		return &probe.Unreachable, network
	case kind == 3 && code == 1:
		return &probe.Unreachable, host
	case kind == 3 && code == 4:
		return &reasonTooBig, tooBig
	case kind == 3 && (code == 9 || code == 10 || code == 13):
		return &reasonProhibited, prohibited
	case kind == 3:
		return &probe.Unreachable, "the destination is unreachable"
	case kind == 11 && code%100 == 1:
		return &reasonLoss, "some fragments of the packet did not arrive"
	case kind == 11:
		return &reasonTimeExceeded, "the TTL has run out"
	}
	return &probe.Protocol, "the packet is not accepted"
}
