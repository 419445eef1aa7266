package dial

import (
	"errors"
	"net/netip"
)

// A Ping has the settings of sockets for the network "icmp".
type Ping struct {
	TTL          int  // of what is sent; 0: that of this machine
	DontFragment bool // what is too big for the way is not sent in fragments
}

// ErrPing is returned where this process may not send echo requests.
var ErrPing = errors.New("this process may not send echo requests")

// An EchoError is the error of a Read that says what became of an echo request: a router, the target's kernel or this machine
// reported so. Type and Code are those of ICMP (RFC 792) or of ICMPv6 (RFC 4443), by the version of the address that was dialled.
type EchoError struct {
	Type, Code byte
	From       netip.Addr // who reports it; not valid if this machine knows it by itself
	MTU        uint32     // of the next hop, where the request is too big for it
	Request    []byte     // the beginning of the request: its header; empty of one that was not sent
}

func (e *EchoError) Error() string { return "an error of ICMP about an echo request" }
