package postgres

import (
	"crypto/tls"
	"slices"

	"prober/internal/pgwire"
	"prober/internal/probe"
)

// What a server asks of a client that logs in (message AuthenticationRequest).
const (
	authOK           = 0
	authCleartext    = 3
	authMD5          = 5
	authGSSContinue  = 8
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12
)

// authenticate sends the startup message that was collected, and logs in. With a password, the server is expected to ask for it
// by SCRAM, and to prove that it knows it too; without one, to ask for none. No password leaves in any other way.
func (c *Conn) authenticate(password string, given bool) error {
	if err := c.out.Flush(c.net); err != nil {
		return c.ended(err)
	}
	proven, accepted := false, false
	for {
		m, err := c.next()
		if err != nil {
			return err
		}
		switch {
		case m.Kind == 'R' && !accepted:
			switch asked := m.Int32(); {
			case m.Short() || asked == authSASLContinue || asked == authSASLFinal || asked == authGSSContinue:
				return pgwire.ErrMalformed
			case asked == authOK && (proven || !given):
				accepted = true
			case asked == authSASL && given && !proven:
				if err := c.scram(password, m); err != nil {
					return err
				}
				proven = true
			default:
				return &Error{Outcome: probe.Outcomef(WeakAuth, "%s", weakness(asked, given))}
			}
		case m.Kind == 'K' && accepted:
			c.process, c.key = m.Int32(), slices.Clone(m.Rest())
			if m.Short() {
				return pgwire.ErrMalformed
			}
		case m.Kind == 'Z' && accepted:
			return nil
		default:
			return pgwire.ErrMalformed
		}
	}
}

// weakness says how a server wants to authenticate. Nothing but the startup message has been sent by then.
func weakness(asked int, given bool) string {
	switch {
	case asked == authCleartext:
		return "expected SCRAM, but the server asks for the password in clear; it was not sent"
	case asked == authMD5:
		return "expected SCRAM, but the server asks for an MD5 hash of the password; it was not sent"
	case asked == authOK:
		return "expected SCRAM, but the server lets the role in without asking for its password"
	case asked == authSASL && !given:
		return "the server asks for a password, and none is configured"
	}
	return "expected SCRAM, but the server asks for another way to authenticate"
}

// scram proves to the server that the client knows the password, and has the server prove the same.
func (c *Conn) scram(password string, offer pgwire.Message) error {
	var offered []string
	for mechanism := offer.Text(); mechanism != ""; mechanism = offer.Text() {
		offered = append(offered, mechanism)
	}
	if !offer.Complete() {
		return pgwire.ErrMalformed
	}
	var s scram
	tc, encrypted := c.net.(*tls.Conn)
	if encrypted {
		s.binding = certificateHash(tc.ConnectionState().PeerCertificates[0])
	}
	mechanism := s.begin(password, slices.Contains(offered, scramPlus))
	if !slices.Contains(offered, mechanism) {
		return pgwire.ErrMalformed
	}
	c.out.Begin('p').Text(mechanism).Value([]byte(s.header + s.first))
	answer, err := c.exchangeSASL(authSASLContinue)
	if err != nil {
		return err
	}
	final, err := s.answer(answer)
	if err != nil {
		return err
	}
	c.out.Begin('p').Bytes([]byte(final))
	if answer, err = c.exchangeSASL(authSASLFinal); err != nil {
		return err
	}
	return s.verify(answer)
}

// exchangeSASL sends what was collected and returns the data of the answer, which is expected to be of one kind.
func (c *Conn) exchangeSASL(expected int) (data string, err error) {
	if err := c.out.Flush(c.net); err != nil {
		return "", c.ended(err)
	}
	m, err := c.next()
	if err != nil {
		return "", err
	}
	if m.Kind != 'R' || m.Int32() != expected {
		return "", pgwire.ErrMalformed
	}
	return string(m.Rest()), nil
}
