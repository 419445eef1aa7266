// Package resp asks Redis servers, and those that speak its protocol, RESP: Valkey, KeyDB, Dragonfly.
//
// It promises, against any server:
//
//   - connections come from internal/dial: the address guard, the deadlines and the phases are its;
//   - off this machine, TLS with a verified certificate unless the settings allow plain text; where a server sends a client
//     on to, no less is required, and another machine never sends the client to this one;
//   - answers are bounded in depth, items and bytes before anything is allocated, and charged to internal/memory;
//   - every error is an *[Error]: a reason of the closed set and a sentence without a byte of the server's.
//
// A kind makes a [Client] of its [Settings] in Validate and opens a [Conn] for each server that it asks:
//
//	conn, err := p.client.Connect(ctx, r, "ping", resp.At(p.Address))
//	if err != nil {
//		r.Note("ping", resp.Explain(err))
//		return
//	}
//	defer conn.Close()
//	pong, err := conn.Do("PING")
package resp

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
	User           string        `yaml:"user,omitempty" doc:"the ACL user to log in as; default: the server's default user"`
	Password       secret.Secret `yaml:"password,omitempty" doc:"its password, read for each connection"`
	TLS            *dial.TLS     `yaml:"tls,omitempty" doc:"settings for TLS, which is required unless the server is on this machine"`
	AllowPlaintext bool          `yaml:"allow_plaintext,omitempty" doc:"log in without TLS on other machines too"`
	Resolver       string        `yaml:"resolver,omitempty" doc:"host:port of a name server; default: the system's"`
}

// A Client opens connections with the same settings. Its methods may be called from several goroutines.
type Client struct {
	settings *Settings
	dialer   *dial.Dialer
}

// maxName bounds the name of a user.
const maxName = 128

// Client checks the settings and the addresses that will be asked by them, given by the path of their setting, and returns
// a client. The error joins a probe.SettingError for each thing that is wrong and repeats no secret. Addresses that are
// empty are not looked at.
func (s *Settings) Client(addresses map[string]string) (*Client, error) {
	wrong := []error{probe.InSetting("tls", s.TLS.Validate(!s.Password.IsZero()))}
	if len(s.User) > maxName || strings.ContainsAny(s.User, " \x00\r\n") {
		wrong = append(wrong, probe.Settingf("user", "expected a name of at most %d bytes without spaces", maxName))
	}
	if s.User != "" && s.Password.IsZero() {
		wrong = append(wrong, probe.Settingf("user", "expected a password beside it"))
	}
	if s.AllowPlaintext && s.TLS != nil {
		wrong = append(wrong, probe.Settingf("allow_plaintext", "has no effect beside tls"))
	}
	if s.Resolver != "" && !dial.IsHostPort(s.Resolver) {
		wrong = append(wrong, probe.Settingf("resolver", "expected host:port"))
	}
	for path, address := range addresses {
		if err := dial.CheckHostPort(address); address != "" && err != nil {
			wrong = append(wrong, probe.Settingf(path, "%s", err))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return &Client{settings: s, dialer: dial.New(s.Resolver, s.TLS)}, nil
}

// A Server is where to connect to, and what may be sent there.
type Server struct {
	address string
	found   bool // named by another server
	encrypt bool // of a server that was found: as the one that named it
	local   bool // of a server that was found: whether the one that named it is on this machine
}

// At is the server at an address of the configuration, host:port.
func At(address string) Server { return Server{address: address} }

// Address returns host:port.
func (s Server) Address() string { return s.address }

// encrypts reports whether a connection to a server uses TLS.
func (c *Client) encrypts(s Server) bool {
	host, _, _ := net.SplitHostPort(s.address)
	return s.encrypt || c.settings.TLS != nil || !dial.IsLocal(host) && !c.settings.AllowPlaintext
}

// foundAt is the server at a host and a port that another server names. A server that does not know its own address names
// none, and means the one that it was asked by.
func (c *Conn) foundAt(host, port string) (Server, error) {
	if host == "" {
		host, _, _ = net.SplitHostPort(c.server.address)
	}
	address := net.JoinHostPort(strings.Trim(host, "[]"), port)
	if !dial.IsHostPort(address) || strings.Trim(host, hostCharacters) != "" {
		return Server{}, &Error{Outcome: probe.Outcomef(probe.Schema, "the server names another one without a valid address")}
	}
	peer, _, _ := net.SplitHostPort(c.Peer())
	return Server{address: address, found: true, encrypt: c.client.encrypts(c.server), local: dial.IsLocal(peer)}, nil
}

const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"
