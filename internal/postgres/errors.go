package postgres

import (
	"errors"
	"strings"

	"prober/internal/dial"
	"prober/internal/pgwire"
	"prober/internal/probe"
)

// An Error says why there is no answer. Its text is the prober's own.
type Error struct {
	probe.Outcome
	Code string // SQLSTATE as the server gave it, five of 0-9 and A-Z; empty if it gave none. It must not reach a label.
}

func (e *Error) Error() string { return e.Detail }

// Explain returns the reason of an error of this package, and its sentence.
//
//go:noinline
func Explain(err error) probe.Outcome { return asError(err).Outcome }

// Code returns the SQLSTATE of an error of this package; empty if it has none.
//
//go:noinline
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Reasons of whoever asks PostgreSQL. A kind that uses this package lists them in its descriptor.
var (
	WeakAuth = probe.Reason{Word: "weak_auth", Verdict: probe.Fail, Text: "server does not authenticate by SCRAM",
		Action: "Set password_encryption to scram-sha-256, then set the password of the role again, and require scram-sha-256 in pg_hba.conf."}
	QueryFailed = probe.Reason{Word: "query_failed", Verdict: probe.Fail, Text: "server could not run the query",
		Action: "Read the SQLSTATE in the detail and the server's log: a full disk, a crash and a changed table look like this."}
	Locked = probe.Reason{Word: "locked", Verdict: probe.Inconclusive, Text: "waited too long for a lock",
		Action: "Find who holds the lock in pg_locks and pg_stat_activity; a migration or an open transaction is the usual cause."}
	Conflict = probe.Reason{Word: "conflict", Verdict: probe.Inconclusive, Text: "query gave way to another transaction",
		Action: "Wait for the next run; if it stays on a standby, raise max_standby_streaming_delay."}
	ReadOnlyViolated = probe.Reason{Word: "read_only_violated", Verdict: probe.Inconclusive, Text: "query tries to write",
		Action: "Change the query of the probe: it may only read."}
	TooManyRows = probe.Reason{Word: "too_many_rows", Verdict: probe.Inconclusive, Text: "more rows than are read",
		Action: "Add a limit or an aggregate to the query of the probe."}
)

// Reasons lists the reasons of this package.
func Reasons() []probe.Reason {
	return []probe.Reason{WeakAuth, QueryFailed, Locked, Conflict, ReadOnlyViolated, TooManyRows}
}

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Outcome: probe.Outcomef(probe.Protocol, "the answer is not valid for the protocol")}
}

// explain returns the error as an *Error.
func (c *Conn) explain(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, pgwire.ErrTooLong):
		return &Error{Outcome: probe.Outcomef(probe.TooLarge, "the server announced a message of more than %d KiB", maxMessage>>10)}
	case errors.Is(err, errNoTLS):
		return &Error{Outcome: probe.Outcomef(probe.TLS, "the server offers no TLS, without which nothing is sent to another machine")}
	case errors.Is(err, errNoStart):
		return &Error{Outcome: probe.Outcomef(probe.Refused, "the server refused the connection before TLS")}
	case errors.Is(err, dial.ErrFlood):
		return &Error{Outcome: probe.Outcomef(probe.TooLarge, "the server sent more than is read of an answer")}
	}
	return &Error{Outcome: c.exchange.Explain(err)}
}

// A state is what a SQLSTATE means here.
type state struct {
	reason probe.Reason
	text   string
}

// states explains those that say more than their class (appendix "PostgreSQL Error Codes").
var states = map[string]state{
	"22P02": {QueryFailed, "a text is not valid for the type that it is compared with"},
	"25006": {ReadOnlyViolated, "the query tries to write in a read-only transaction"},
	"28000": {probe.Credential, "the server rejects the role, or the way it logs in from here"},
	"28P01": {probe.Credential, "the server rejects the password"},
	"3D000": {probe.Schema, "the database does not exist"},
	"40001": {Conflict, "the query gave way to another transaction, or to replay on a standby"},
	"40P01": {Conflict, "the query was chosen to end a deadlock"},
	"42501": {probe.Credential, "the role lacks a right that the query needs"},
	"42601": {probe.Schema, "the query is not one valid statement"},
	"42703": {probe.Schema, "a column of the query does not exist"},
	"42704": {probe.Schema, "a name in the query is not known"},
	"42883": {probe.Schema, "a function or an operator of the query does not exist"},
	"42P01": {probe.Schema, "a table of the query does not exist, or not in the role's search path"},
	"53300": {probe.Refused, "the server has no connection left"},
	"55P03": {Locked, "a table of the query was locked for too long"},
	"57014": {probe.Timeout, "the query took longer than the run may, and was cancelled"},
	"57P01": {probe.Refused, "the server is shutting down, or an administrator ended the connection"},
	"57P02": {probe.Refused, "the server is recovering from a crash"},
	"57P03": {probe.Refused, "the server accepts no connections now"},
	"57P05": {probe.Refused, "the server ended an idle session"},
}

// classes explains the others, by their first two characters.
var classes = map[string]state{
	"08": {probe.Refused, "the pool or the server refuses the connection"},
	"28": {probe.Credential, "the server rejects the role"},
	"42": {probe.Schema, "the query does not fit the database"},
	"53": {QueryFailed, "the server lacks memory, disk or connections"},
	"57": {probe.Refused, "an operator intervened"},
	"58": {QueryFailed, "the server met an error of its system"},
	"XX": {QueryFailed, "the server met an internal error"},
}

// poolSays are the beginnings of what PgBouncer says, which has one SQLSTATE for all its refusals.
var poolSays = map[string]state{
	"SASL authentication failed":     {probe.Credential, "the pool rejects the password"},
	"password authentication failed": {probe.Credential, "the pool rejects the password"},
	"no such user":                   {probe.Credential, "the pool does not know the role"},
	"no such database":               {probe.Schema, "the pool does not know the database"},
	"unsupported startup parameter":  {probe.Protocol, "the pool refuses a parameter of the session"},
	"transaction blocks not allowed": {probe.ControlFailed, "the pool is in statement mode, in which no transaction bounds a query"},
	"query_wait_timeout":             {probe.Timeout, "the pool had no connection to a server in time"},
}

// refusalOf explains an error that the server reports. Of its text nothing is repeated: it may hold a value, a name, or whatever a
// hostile server puts there.
func refusalOf(m pgwire.Message) error {
	var code, message string
	for field := m.Byte(); field != 0; field = m.Byte() {
		switch text := m.Text(); field {
		case 'C':
			code = text
		case 'M':
			message = text
		}
	}
	if !m.Complete() {
		return pgwire.ErrMalformed
	}
	return explainState(code, message)
}

func explainState(code, message string) *Error {
	if len(code) != 5 || strings.Trim(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return &Error{Outcome: probe.Outcomef(probe.Protocol, "the server reported an error without a valid SQLSTATE")}
	}
	if code == "08P01" {
		for begins, s := range poolSays {
			if strings.HasPrefix(message, begins) {
				return &Error{probe.Outcomef(s.reason, "%s (SQLSTATE 08P01)", s.text), code}
			}
		}
	}
	if s, ok := states[code]; ok {
		return &Error{probe.Outcomef(s.reason, "%s (SQLSTATE %s)", s.text, code), code}
	}
	if s, ok := classes[code[:2]]; ok {
		return &Error{probe.Outcomef(s.reason, "%s (SQLSTATE class %s)", s.text, code[:2]), code}
	}
	return &Error{probe.Outcomef(QueryFailed, "the server could not run the query"), code}
}
