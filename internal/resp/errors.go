package resp

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"

	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/probe"
)

// An Error says why there is no answer. Its text is the prober's own.
type Error struct {
	probe.Outcome
	Code string // the first word of the server's error if it is one that this package knows, such as NOAUTH; else empty

	unknown   bool // the server does not know the command
	absent    bool // ACL DRYRUN was asked about a command that the server does not have
	otherKeys bool // the user may run the command, but not with this key
	moved     move // where the server sends the client to
}

func (e *Error) Error() string { return e.Detail }

// Explain returns the reason of an error of this package, and its sentence.
//
//go:noinline
func Explain(err error) probe.Outcome { return asError(err).Outcome }

// Code returns the code of an error of this package; empty if it has none.
func Code(err error) string { return asError(err).Code }

// Unsupported reports whether the error is that of a server that does not know the command: it is too old, or a proxy.
func Unsupported(err error) bool { return err != nil && asError(err).unknown }

// Absent reports whether the error is what ACL DRYRUN answers about a command that the server does not have. Any other error
// says nothing of what the user may do.
func Absent(err error) bool { return err != nil && asError(err).absent }

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Outcome: probe.Outcomef(probe.Protocol, "the answer is not valid for the protocol")}
}

// Reasons of whoever asks Redis. A kind that uses this package lists them in its descriptor.
var (
	Loading = probe.Reason{Word: "loading", Verdict: probe.Fail, Text: "server is loading its data",
		Action: "Wait until the server has loaded its data; if it restarts again and again, look for the OOM killer."}
	Busy = probe.Reason{Word: "busy", Verdict: probe.Fail, Text: "server is busy with a script",
		Action: "End the script with SCRIPT KILL, or FUNCTION KILL, and find who runs it."}
	OutOfMemory = probe.Reason{Word: "oom", Verdict: probe.Fail, Text: "server refuses writes: out of memory",
		Action: "Free memory or raise maxmemory; look for keys without an expiry and for the eviction policy."}
	ReadOnly = probe.Reason{Word: "read_only", Verdict: probe.Fail, Text: "server refuses writes: it is a replica",
		Action: "Writes reach a replica: find out whether a failover moved the primary, and what the clients connect to."}
	Misconfigured = probe.Reason{Word: "misconf", Verdict: probe.Fail, Text: "server refuses writes: it cannot save them",
		Action: "Look at the disk and at the last background save in INFO persistence: the server refuses writes until a save succeeds."}
	FewReplicas = probe.Reason{Word: "few_replicas", Verdict: probe.Fail, Text: "server refuses writes: too few replicas",
		Action: "Bring the replicas back: the primary refuses writes while fewer than min-replicas-to-write are connected."}
	PrimaryDown = probe.Reason{Word: "primary_down", Verdict: probe.Fail, Text: "replica has lost its primary",
		Action: "Bring the primary back, or fail over; the replica has lost its link and serves old data at best."}
	ClusterDown = probe.Reason{Word: "cluster_down", Verdict: probe.Fail, Text: "cluster is down, or a part of it",
		Action: "Look at CLUSTER NODES for slots that nobody serves, and bring the nodes that failed back."}
	RedirectLoop = probe.Reason{Word: "redirect_loop", Verdict: probe.Fail, Text: "cluster sends the client around",
		Action: "Look at CLUSTER SLOTS on each node: they disagree on who serves the slot."}
	CommandFailed = probe.Reason{Word: "command_failed", Verdict: probe.Fail, Text: "server could not run the command",
		Action: "Read the error code in the detail, and the server's log."}
	Unknown = probe.Reason{Word: "unknown_command", Verdict: probe.Inconclusive, Text: "server does not know the command",
		Action: "Check that this is the expected server and version; a proxy may not know the command."}
)

// Reasons lists the reasons of this package.
func Reasons() []probe.Reason {
	return []probe.Reason{Loading, Busy, OutOfMemory, ReadOnly, Misconfigured, FewReplicas, PrimaryDown, ClusterDown, RedirectLoop, CommandFailed, Unknown}
}

// A refusal is what an error of the server's means, and what to do.
type refusal struct {
	reason probe.Reason
	text   string
}

// refusals explains errors by their code, the first word.
var refusals = map[string]refusal{
	"NOAUTH":      {probe.Credential, "the server asks for a password, and none was accepted from the prober"},
	"WRONGPASS":   {probe.Credential, "the server rejects the user or its password"},
	"NOPERM":      {probe.Credential, "the prober's user lacks a right that the question needs; the kind's page lists them"},
	"DENIED":      {probe.Refused, "the server is in protected mode: it has no password, and answers its own machine only"},
	"LOADING":     {Loading, "the server has started and is loading its data; it answers nobody until then"},
	"BUSY":        {Busy, "the server is busy with a script and answers nobody; SCRIPT KILL ends a script that has written nothing"},
	"UNKILLABLE":  {Busy, "the server is busy with a script that cannot be ended"},
	"OOM":         {OutOfMemory, "maxmemory is reached: the server refuses writes and answers reads; free memory, or raise maxmemory"},
	"READONLY":    {ReadOnly, "the server is a replica and refuses writes; clients have a wrong address, or a failover is not complete"},
	"MISCONF":     {Misconfigured, "the server cannot save to its disk and refuses writes; look at the disk and at its log"},
	"NOREPLICAS":  {FewReplicas, "fewer replicas follow than min-replicas-to-write asks for, so the server refuses writes"},
	"MASTERDOWN":  {PrimaryDown, "the replica has lost its primary and refuses to answer with stale data"},
	"CLUSTERDOWN": {ClusterDown, "the cluster is down: a part of the slots has no primary"},
	"TRYAGAIN":    {ClusterDown, "the slot of the key is being moved to another server"},
	"CROSSSLOT":   {CommandFailed, "the keys of the command have different slots"},
	"NOPROTO":     {CommandFailed, "the server does not speak the version of the protocol"},
	"NOQUORUM":    {CommandFailed, "too few sentinels can be reached to agree on a failover"},
	"MOVED":       {RedirectLoop, "the server sends the client to another one"},
	"ASK":         {RedirectLoop, "the server sends the client to another one"},
	"ERR":         {CommandFailed, "the server could not run the command"},
}

// saying explains errors without a code of their own by how they begin.
var saying = []struct {
	begins string
	refusal
}{
	{"ERR max number of clients", refusal{probe.Refused, "the server has no connection left (maxclients)"}},
	{"ERR max + cluster", refusal{probe.Refused, "the server has no connection left (maxclients)"}},
	{"ERR unknown command", refusal{Unknown, "the server does not know the command: it is too old, or a proxy"}},
	{"ERR unknown subcommand", refusal{Unknown, "the server does not know the command: it is too old, or a proxy"}},
	{"ERR Unknown subcommand", refusal{Unknown, "the server does not know the command: it is too old, or a proxy"}},
	{"ERR invalid password", refusal{probe.Credential, "the server rejects the password"}},
	{"ERR AUTH", refusal{probe.Credential, "the server has no password, or no such user"}},
	{"ERR Client sent AUTH", refusal{probe.Credential, "the server has no password"}},
	{"ERR This instance has cluster support disabled", refusal{CommandFailed, "the server is none of a cluster"}},
}

// refused explains what the server answers with. Of its text nothing is repeated: it may hold a key, a value or whatever a
// hostile server puts there.
func refused(text string) *Error {
	code, rest, _ := strings.Cut(text, " ")
	for _, s := range saying {
		if strings.HasPrefix(text, s.begins) {
			return &Error{Outcome: probe.Outcome{Reason: s.reason, Detail: s.text}, Code: "ERR", unknown: s.reason == Unknown}
		}
	}
	known, ok := refusals[code]
	if !ok {
		known, code = refusals["ERR"], ""
	}
	e := &Error{Outcome: probe.Outcome{Reason: known.reason, Detail: known.text}, Code: code}
	e.absent = code == "ERR" && strings.HasPrefix(rest, "Command '") && strings.HasSuffix(rest, "' not found")
	e.otherKeys = code == "NOPERM" && strings.Contains(rest, "permissions to access")
	if code == "MOVED" || code == "ASK" {
		e.moved = readMove(rest)
	}
	return e
}

// A move is where a cluster sends a client to. The zero move is none.
type move struct{ host, port string }

// readMove reads the slot and the address behind MOVED and ASK.
func readMove(rest string) move {
	_, address, _ := strings.Cut(rest, " ")
	i := strings.LastIndexByte(address, ':') // the host may be an IPv6 address without brackets
	if i < 0 {
		return move{}
	}
	return move{address[:i], address[i+1:]}
}

// explain returns an error as an *Error.
func (c *Conn) explain(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, errMalformed):
		return &Error{Outcome: probe.Outcomef(probe.Protocol, "the answer is not valid for the protocol: the server may not be Redis, or expect TLS")}
	case errors.Is(err, errTooLarge), errors.Is(err, dial.ErrFlood):
		return &Error{Outcome: probe.Outcomef(probe.TooLarge, "the server announced or sent more than is read of an answer")}
	case memory.IsLimit(err):
		memory.Exceeded(c.ctx, "", err)
		return &Error{Outcome: probe.Outcomef(probe.SelfLimit, "%s", err)}
	}
	o := c.exchange.Explain(err)
	if errors.Is(err, io.ErrUnexpectedEOF) && c.reader != nil { // not in the handshake
		o = probe.Outcomef(probe.Truncated, "the server ended the connection within an answer")
	}
	if c.certAsked != nil && *c.certAsked && !c.answered && (o.Reason == probe.TLS || o.Reason == probe.Reset || o.Reason == probe.Truncated) {
		o = probe.Outcomef(probe.Credential, "the server asked for a client certificate and then ended the connection: it requires one (tls.cert_file), or does not accept the one that it got")
	}
	o.Detail = c.server.unnamed(o.Detail)
	if o.Reason == probe.Timeout && c.exchange.Phase() >= dial.PhaseProcessing {
		o.Detail = "the server accepts connections and gives no answer in time: it is frozen, short of memory, or busy with one long command"
	}
	return &Error{Outcome: o}
}

// url is how a report names what was asked. A name that comes from another server is not shown: it may be anything.
func url(s Server) string {
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return "redis:"
	}
	return "redis://" + net.JoinHostPort(s.unnamed(host), port)
}

// unnamed returns a text without the name of the server, if another one has named it.
func (s Server) unnamed(text string) string {
	host, _, _ := net.SplitHostPort(s.address)
	if _, err := netip.ParseAddr(host); !s.found || host == "" || err == nil {
		return text
	}
	return strings.ReplaceAll(text, host, "named-by-another-server")
}
