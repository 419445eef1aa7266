package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/beevik/ntp"
	"golang.org/x/net/dns/dnsmessage"
)

// A call is what a bare client does with one address in each run.
type call struct {
	Address string
	Tape    tape // what it sends there, and how much it reads
	Times   int  // for clients that know what to send: how often
}

// clients are the bare clients. Each returns a function that does all calls of a run, one after the other.
var clients = map[string]func(w work) (func(ctx context.Context, probe int) error, error){
	"net/http":         bareHTTP,
	"net/http, TLS":    bareHTTPS,
	"net/http, h2":     bareGRPC,
	"net.Conn":         bareConn,
	"crypto/tls":       bareTLS,
	"x/net/dnsmessage": bareDNS,
	"beevik/ntp":       bareNTP,
}

// bareHTTP sends the requests that were recorded, with the bodies and on as many connections.
func bareHTTP(w work) (func(context.Context, int) error, error) {
	type connection struct {
		address  string
		requests []*http.Request
		bodies   [][]byte
	}
	var all []connection
	for _, c := range w.Calls {
		requests, err := c.Tape.requests()
		if err != nil {
			return nil, err
		}
		of := connection{c.Address, requests, make([][]byte, len(requests))}
		for i, req := range requests {
			if of.bodies[i], err = io.ReadAll(req.Body); err != nil {
				return nil, err
			}
		}
		all = append(all, of)
	}
	asIs := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, CheckRedirect: asIs}
	return func(ctx context.Context, _ int) error {
		for _, c := range all {
			client := fresh
			if len(c.requests) > 1 {
				transport := &http.Transport{DisableCompression: true}
				defer transport.CloseIdleConnections()
				client = &http.Client{Transport: transport, CheckRedirect: asIs}
			}
			for i, recorded := range c.requests {
				req, err := http.NewRequestWithContext(ctx, recorded.Method, "http://"+c.address+recorded.RequestURI, bytes.NewReader(c.bodies[i]))
				if err != nil {
					return err
				}
				req.Host, req.Header = recorded.Host, recorded.Header
				if _, err := answered(client, req); err != nil {
					return err
				}
			}
		}
		return nil
	}, nil
}

// bareConn sends the bytes that were recorded and reads as many as were answered, without a look at them.
func bareConn(w work) (func(context.Context, int) error, error) {
	converse := func(ctx context.Context, c call) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", c.Address)
		if err != nil {
			return err
		}
		defer conn.Close()
		deadline, _ := ctx.Deadline()
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
		buffer := make([]byte, 4096)
		for _, t := range c.Tape {
			if len(t.Asked) > 0 {
				if _, err := conn.Write(t.Asked); err != nil {
					return err
				}
			}
			for left := len(t.Answered); left > 0; {
				n, err := conn.Read(buffer[:min(left, len(buffer))])
				if left -= n; err != nil {
					return err
				}
			}
		}
		return nil
	}
	return func(ctx context.Context, _ int) error {
		return eachCall(w, func(c call) error { return converse(ctx, c) })
	}, nil
}

// bareTLS makes handshakes and verifies the certificate.
func bareTLS(w work) (func(context.Context, int) error, error) {
	config, err := trusting(w.CA)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ int) error {
		return eachCall(w, func(c call) error {
			d := tls.Dialer{Config: config}
			conn, err := d.DialContext(ctx, "tcp", c.Address)
			if err != nil {
				return err
			}
			return conn.Close()
		})
	}, nil
}

// bareHTTPS sends a GET over a new connection with TLS.
func bareHTTPS(w work) (func(context.Context, int) error, error) {
	config, err := trusting(w.CA)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
	return func(ctx context.Context, _ int) error {
		return eachCall(w, func(c call) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.Address+"/", nil)
			if err != nil {
				return err
			}
			_, err = answered(client, req)
			return err
		})
	}, nil
}

func trusting(authority []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("no certificate of an authority")
	}
	return &tls.Config{RootCAs: pool}, nil
}

// bareGRPC sends the calls as net/http does over HTTP/2 without TLS, on one connection in each run.
func bareGRPC(w work) (func(context.Context, int) error, error) {
	const name = "ledger.v1.Ledger"
	message := append([]byte{0, 0, 0, 0, byte(len(name) + 2), 0x0a, byte(len(name))}, name...)
	return func(ctx context.Context, _ int) error {
		return eachCall(w, func(c call) error {
			transport := &http.Transport{Protocols: &http.Protocols{}}
			transport.Protocols.SetUnencryptedHTTP2(true)
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			for range c.Times {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.Address+"/grpc.health.v1.Health/Check", bytes.NewReader(message))
				if err != nil {
					return err
				}
				req.Header.Set("Content-Type", "application/grpc")
				req.Header.Set("TE", "trailers")
				if _, err := answered(client, req); err != nil {
					return err
				}
			}
			return nil
		})
	}, nil
}

// bareDNS sends the questions that were recorded over UDP, each with an id of its own, and parses the answers.
func bareDNS(w work) (func(context.Context, int) error, error) {
	return func(ctx context.Context, _ int) error {
		return eachCall(w, func(c call) error {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "udp", c.Address)
			if err != nil {
				return err
			}
			defer conn.Close()
			deadline, _ := ctx.Deadline()
			if err := conn.SetDeadline(deadline); err != nil {
				return err
			}
			question := bytes.Clone(c.Tape[0].Asked)
			id := uint16(rand.Uint32())
			binary.BigEndian.PutUint16(question, id)
			if _, err := conn.Write(question); err != nil {
				return err
			}
			buffer := make([]byte, 4096)
			n, err := conn.Read(buffer)
			if err != nil {
				return err
			}
			var m dnsmessage.Message
			if err := m.Unpack(buffer[:n]); err != nil {
				return err
			}
			if m.ID != id {
				return errors.New("the answer to another question")
			}
			return nil
		})
	}, nil
}

// bareNTP asks each server once.
func bareNTP(w work) (func(context.Context, int) error, error) {
	return func(context.Context, int) error {
		return eachCall(w, func(c call) error {
			answer, err := ntp.QueryWithOptions(c.Address, ntp.QueryOptions{Timeout: time.Second})
			if err != nil {
				return err
			}
			return answer.Validate()
		})
	}, nil
}

func eachCall(w work, do func(call) error) error {
	for _, c := range w.Calls {
		if err := do(c); err != nil {
			return err
		}
	}
	return nil
}
