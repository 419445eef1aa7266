package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// newTLSTarget serves one page over TLS on 127.0.0.1, with a certificate of its own. The handshake is a part of the exchange,
// so what the recorder counts are connections.
func newTLSTarget(wrap func(net.Listener) net.Listener) (address string, authority []byte, end func(), err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", nil, nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	go acceptEach(tls.NewListener(wrap(l), config), func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			conn.Write(lastReply)
		}
	})
	return l.Addr().String(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), func() { l.Close() }, nil
}

// A door forwards datagrams to a server and counts those that were answered.
type door struct {
	conn net.PacketConn
	to   string

	mu       sync.Mutex
	asked    [][]byte // since the last call of take
	answered int
}

func newDoor(to string) (*door, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &door{conn: conn, to: to}
	go d.serve()
	return d, nil
}

func (d *door) address() string { return d.conn.LocalAddr().String() }

func (d *door) close() { d.conn.Close() }

// take returns what was asked since the last call, and how much of it was answered.
func (d *door) take() (asked [][]byte, answered int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked, answered = d.asked, d.answered
	d.asked, d.answered = nil, 0
	return asked, answered
}

func (d *door) serve() {
	for {
		packet := make([]byte, 1500)
		n, from, err := d.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		d.mu.Lock()
		d.asked = append(d.asked, packet[:n])
		d.mu.Unlock()
		go d.forward(packet[:n], from)
	}
}

func (d *door) forward(packet []byte, from net.Addr) {
	server, err := net.Dial("udp", d.to)
	if err != nil {
		return
	}
	defer server.Close()
	server.SetDeadline(time.Now().Add(time.Second))
	if _, err := server.Write(packet); err != nil {
		return
	}
	answer := make([]byte, 4096)
	n, err := server.Read(answer)
	if err != nil {
		return
	}
	d.mu.Lock()
	d.answered++
	d.mu.Unlock()
	d.conn.WriteTo(answer[:n], from)
}
