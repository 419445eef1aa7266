// Package postgres asks PostgreSQL servers and their pools.
//
// It promises, against any server:
//
//   - connections come from internal/dial: the address guard, the deadlines and the phases are its;
//   - off this machine, TLS with a verified certificate; the password leaves in no other form than the proof of SCRAM;
//   - with a password, nobody is logged in whom the server did not ask for it, and who did not prove to know it too;
//   - nothing comes from PG* variables, ~/.pgpass, ~/.postgresql or a service file;
//   - messages, rows and answers are bounded, and their rows are charged to internal/memory;
//   - every error is an *[Error]: a reason of the closed set, a sentence without a byte of the server's, and the SQLSTATE;
//   - a query is cancelled at the server before the run ends, whatever the server's own timeouts.
//
// A kind makes a [Client] of its [Settings] in Validate and opens a [Conn] for each question. The connection lives as long
// as the context that it was opened with. What comes from the configuration goes through [Tx.Query], which takes one
// statement with its arguments:
//
//	conn, err := p.client.Connect(ctx, r, "connect", p.Address)
//	if err != nil {
//		r.Note("connect", postgres.Explain(err))
//		return
//	}
//	defer conn.Close()
//	tx, err := conn.Begin(postgres.ReadOnly)
//	...
//	rows, err := tx.Query(postgres.Query{SQL: p.Query, MaxRows: 100})
//	...
//	err = tx.Rollback()
//
// Limits of time are set inside of the transaction, since a pool in transaction mode refuses them at the start of a session
// or hands them on to the next client. An expected refusal is told by [Code]: 42501, 42704, 22P02.
package postgres

import (
	"errors"
	"net"
	"strings"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/secret"
)

// Settings say as whom to ask. A kind embeds them with `yaml:",inline"`. They do not change once Client has been called.
type Settings struct {
	Database string        `yaml:"database" required:"true" doc:"the database to connect to"`
	User     string        `yaml:"user" required:"true" doc:"the role to connect as, with no more rights than the queries need"`
	Password secret.Secret `yaml:"password,omitempty" doc:"the role's password or short-lived token, read for each connection; sent by SCRAM only"`
	TLS      *dial.TLS     `yaml:"tls,omitempty" doc:"settings for TLS, which is required unless the server is on this machine"`
	Resolver string        `yaml:"resolver,omitempty" doc:"host:port of a name server; default: the system's"`
}

// A Client opens connections with the same settings. Its methods may be called from several goroutines.
type Client struct {
	settings *Settings
	dialer   *dial.Dialer
}

// Client checks the settings and the addresses that will be asked by them, given by the path of their setting, and returns
// a client. The error joins a probe.SettingError for each thing that is wrong and repeats no secret. Addresses that are
// empty are not looked at.
func (s *Settings) Client(addresses map[string]string) (*Client, error) {
	wrong := []error{probe.InSetting("tls", s.TLS.Validate(true))}
	for path, name := range map[string]string{"database": s.Database, "user": s.User} {
		if strings.ContainsRune(name, 0) || len(name) > maxName {
			wrong = append(wrong, probe.Settingf(path, "expected a name of at most %d bytes without a NUL", maxName))
		}
	}
	if s.Resolver != "" && !dial.IsHostPort(s.Resolver) {
		wrong = append(wrong, probe.Settingf("resolver", "expected host:port"))
	}
	for path, address := range addresses {
		if address != "" {
			wrong = append(wrong, probe.InSetting(path, s.validateAddress(address)))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return &Client{settings: s, dialer: dial.New(s.Resolver, s.TLS)}, nil
}

// maxName is how long the name of a database or of a role can be (NAMEDATALEN).
const maxName = 63

func (s *Settings) validateAddress(address string) error {
	if err := dial.CheckHostPort(address); err != nil {
		return probe.Settingf("", "%s", err)
	}
	host, _, _ := net.SplitHostPort(address)
	if !dial.IsLocal(host) && s.Password.IsZero() && (s.TLS == nil || s.TLS.CertFile == "") {
		return probe.Settingf("", "expected a password or tls.cert_file: without one, a server on another machine lets anybody in")
	}
	return nil
}

// encrypts reports whether a connection to a host uses TLS.
func (s *Settings) encrypts(host string) bool { return s.TLS != nil || !dial.IsLocal(host) }
