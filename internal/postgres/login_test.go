package postgres

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"prober/internal/secret"
)

// said reads one message of the client's after the startup.
func said(nc net.Conn) string {
	head := make([]byte, 5)
	if _, err := io.ReadFull(nc, head); err != nil {
		return ""
	}
	body := make([]byte, min(binary.BigEndian.Uint32(head[1:])-4, 1<<16))
	_, _ = io.ReadFull(nc, body)
	return string(body)
}

// A scramServer is the other side of a login, with what it does wrong.
type scramServer struct {
	password   string // that it knows
	mechanisms string // offered, joined by NUL
	nonce      string // in place of the client's
	own        string // added to it
	iterations string
	between    []byte // sent in place of its last message
	last       []byte // sent in place of the message that lets the client in
}

func (s scramServer) run(nc net.Conn) {
	next(nc, true)
	nc.Write(message('R', 10, []byte(s.mechanisms), byte(0), byte(0)))
	_, first, _ := strings.Cut(said(nc), ",,")
	nonce := strings.TrimPrefix(first, "n=,r=")
	if s.nonce != "" {
		nonce = s.nonce
	}
	answer := "r=" + nonce + s.own + ",s=" + base64.StdEncoding.EncodeToString([]byte("salt")) + ",i=" + s.iterations
	nc.Write(message('R', 11, []byte(answer)))
	final := said(nc)
	if s.between != nil {
		nc.Write(s.between)
		hang(nc)
		return
	}
	bare, _, _ := strings.Cut(final, ",p=")
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, text)
		return h.Sum(nil)
	}
	salted, _ := pbkdf2.Key(sha256.New, s.password, []byte("salt"), 4096, 32)
	proof := sum(sum(salted, "Server Key"), first+","+answer+","+bare)
	nc.Write(message('R', 12, []byte("v="+base64.StdEncoding.EncodeToString(proof))))
	if s.last == nil {
		s.last = slices.Concat(letIn, message('K', 1, 2), ready)
	}
	nc.Write(s.last)
	hang(nc)
}

// A server that asks for SCRAM proves that it knows the password, or nobody is logged in.
func TestConnect_scram(t *testing.T) {
	const (
		unreadable = "protocol: the answer of "
		weak       = "weak_auth: expected SCRAM, but the server "
	)
	for name, test := range map[string]struct {
		change func(*scramServer)
		want   string
	}{
		"sound":                          {func(*scramServer) {}, "ok: "},
		"and other mechanisms":           {func(s *scramServer) { s.mechanisms = marker + "\x00SCRAM-SHA-256" }, "ok: "},
		"a binding of nothing":           {func(s *scramServer) { s.mechanisms = "SCRAM-SHA-256-PLUS\x00SCRAM-SHA-256" }, "ok: "},
		"only a binding of nothing":      {func(s *scramServer) { s.mechanisms = "SCRAM-SHA-256-PLUS" }, unreadable},
		"another password":               {func(s *scramServer) { s.password = marker }, "protocol: expected the server to prove that it knows the password too"},
		"another nonce":                  {func(s *scramServer) { s.nonce = marker }, unreadable},
		"no nonce of its own":            {func(s *scramServer) { s.own = "" }, unreadable},
		"2^31 iterations":                {func(s *scramServer) { s.iterations = "2147483648" }, "protocol: expected at most 1000000 iterations"},
		"2^70 iterations":                {func(s *scramServer) { s.iterations = "1180591620717411303424" }, unreadable},
		"more iterations than are done":  {func(s *scramServer) { s.iterations = "1000001" }, "protocol: expected at most 1000000 iterations"},
		"no iterations":                  {func(s *scramServer) { s.iterations = "0" }, unreadable},
		"fewer than none":                {func(s *scramServer) { s.iterations = "-4096" }, unreadable},
		"an extension":                   {func(s *scramServer) { s.iterations = "4096,x=" + marker }, unreadable},
		"its proof is left out":          {func(s *scramServer) { s.between = slices.Concat(letIn, ready) }, unreadable},
		"an error in place of its proof": {func(s *scramServer) { s.between = message('R', 12, []byte("e="+marker)) }, "protocol: expected the server to prove"},
		"half of a proof":                {func(s *scramServer) { s.between = message('R', 12, []byte("v=")) }, "protocol: expected the server to prove"},
		"a refusal in place of it":       {func(s *scramServer) { s.between = refusal }, "credential: the server rejects the password (SQLSTATE 28P01)"},
		"clear text in place of it":      {func(s *scramServer) { s.between = message('R', 3) }, unreadable},
		"and then in clear":              {func(s *scramServer) { s.last = message('R', 3) }, weak + "asks for the password in clear; it was not sent"},
		"and then again":                 {func(s *scramServer) { s.last = message('R', 10, "SCRAM-SHA-256", byte(0)) }, weak + "asks for another way to authenticate"},
		"and then a refusal":             {func(s *scramServer) { s.last = refusal }, "credential: the server rejects the password (SQLSTATE 28P01)"},
		"in, and then in clear":          {func(s *scramServer) { s.last = slices.Concat(letIn, message('R', 3)) }, unreadable},
		"ready before in":                {func(s *scramServer) { s.last = ready }, unreadable},
		"a key before in":                {func(s *scramServer) { s.last = slices.Concat(message('K', 1, 2), letIn, ready) }, unreadable},
		"a key that is cut":              {func(s *scramServer) { s.last = slices.Concat(letIn, message('K', int16(1)), ready) }, unreadable},
		"notices between": {func(s *scramServer) {
			s.last = slices.Concat(message('N', byte(0)), letIn, message('N', byte(0)), ready)
		}, "ok: "},
		"endless notices between": {func(s *scramServer) { s.last = bytes.Repeat(message('N', byte('M'), marker, byte(0)), 10_000) }, "too_large: the server sent more than is read of an answer"},
		"a parameter that is cut": {func(s *scramServer) { s.last = slices.Concat(letIn, message('S', []byte("server_version")), ready) }, unreadable},
		"a refusal that is cut":   {func(s *scramServer) { s.last = message('E', byte('C'), []byte("28P01")) }, unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := scramServer{password: password, mechanisms: "SCRAM-SHA-256", own: "server", iterations: "4096"}
			test.change(&server)
			s := serve(t, server.run)
			got, _ := connect(t, client(t, settings(t)), s.address, timeoutFor(test.want))
			wantPrefix(t, got, test.want)
			if sent := s.received(); strings.Contains(sent, password) {
				t.Errorf("the server got %q", sent)
			}
		})
	}
}

// Ways to authenticate that are not known are refused as those that are.
func TestConnect_otherWays(t *testing.T) {
	for asked, want := range map[int]string{
		1: "weak_auth: expected SCRAM, but the server asks for another way", 2: "weak_auth: ", 6: "weak_auth: ", 7: "weak_auth: ",
		8: "protocol: ", 9: "weak_auth: ", 11: "protocol: ", 12: "protocol: ", 13: "weak_auth: ", 1 << 30: "weak_auth: ",
	} {
		t.Run(fmt.Sprint(asked), func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(nc net.Conn) {
				next(nc, true)
				nc.Write(slices.Concat(message('R', asked, []byte(marker)), letIn, ready))
				hang(nc)
			})
			for _, settings := range []*Settings{settings(t), anonymous()} {
				got, _ := connect(t, client(t, settings), s.address, 5*time.Second)
				wantPrefix(t, got, want)
			}
		})
	}
}

// The example of RFC 7677, section 3.
func TestScram(t *testing.T) {
	s := scram{password: "pencil", header: "n,,", nonce: "rOprNGfwEbeRWgbNEkqO", first: "n=user,r=rOprNGfwEbeRWgbNEkqO"}
	got, err := s.answer("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
	want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if err := s.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="); err != nil {
		t.Error(err)
	}
	if err := s.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="); err == nil {
		t.Error("another proof is accepted")
	}
}

// A certificate is bound if the server offers that; if it does not, it is told that the client could have.
func TestScram_binding(t *testing.T) {
	for name, test := range map[string]struct {
		signature x509.SignatureAlgorithm
		offers    bool
		want      string // mechanism, header, bytes bound
	}{
		"no TLS":                  {0, true, "SCRAM-SHA-256 n,, 0"},
		"offered, SHA-256":        {x509.ECDSAWithSHA256, true, "SCRAM-SHA-256-PLUS p=tls-server-end-point,, 32"},
		"offered, SHA-1":          {x509.SHA1WithRSA, true, "SCRAM-SHA-256-PLUS p=tls-server-end-point,, 32"},
		"offered, SHA-384":        {x509.SHA384WithRSAPSS, true, "SCRAM-SHA-256-PLUS p=tls-server-end-point,, 48"},
		"offered, SHA-512":        {x509.SHA512WithRSA, true, "SCRAM-SHA-256-PLUS p=tls-server-end-point,, 64"},
		"offered, no hash":        {x509.PureEd25519, true, "SCRAM-SHA-256 n,, 0"},
		"not offered, or removed": {x509.ECDSAWithSHA256, false, "SCRAM-SHA-256 y,, 0"},
	} {
		var s scram
		if test.signature != 0 {
			s.binding = certificateHash(&x509.Certificate{Raw: []byte("certificate"), SignatureAlgorithm: test.signature})
		}
		mechanism := s.begin(password, test.offers)
		if got := fmt.Sprintf("%s %s %d", mechanism, s.header, len(s.binding)); got != test.want {
			t.Errorf("%s: got %s, expected %s", name, got, test.want)
		}
		if other := (&scram{}); other.begin(password, false) != scramPlain || other.nonce == s.nonce || len(s.nonce) < 20 {
			t.Errorf("%s: the nonce %q is no nonce", name, s.nonce)
		}
	}
}

// Each character that is taken as it is stays the same whatever stands beside it. That is so in all of Unicode's versions, of
// which SASLprep has another.
func TestPrepared_stable(t *testing.T) {
	n := 0
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !stable(r) {
			continue
		}
		n++
		p := norm.NFKC.PropertiesString(string(r))
		if !norm.NFKC.IsNormalString(string(r)) || !p.BoundaryBefore() || p.CCC() != 0 {
			t.Errorf("%U is changed, or changes what is before it", r)
		}
		if unicode.Is(unicode.Cf, r) || unicode.IsSpace(r) || unicode.Is(unicode.Variation_Selector, r) {
			t.Errorf("%U is mapped to nothing or to a space", r)
		}
	}
	if n < 30_000 {
		t.Errorf("only %d characters are taken", n)
	}
}

func TestPrepared(t *testing.T) {
	for password, want := range map[string]bool{
		"": true, "correct horse": true, "tab\tand\x01": true, "Grüße": true, "Łódź": true, "пароль": true, "密码": true, "비밀번호": true, "パスワード": true, "🙂": true,
		"\xff\xfe": true, // not UTF-8: taken as it is
		"ﬁ":        false, "no\u00a0break": false, "soft\u00adhyphen": false, "u\u0308": false, "ª": false, "Ⅳ": false, "が\u3099": false, "한\u11a8": false, "\u212a": false, "日\u3000本": false,
	} {
		if got := prepared(password); got != want {
			t.Errorf("%+q: got %t, expected %t", password, got, want)
		}
	}
	s := settings(t)
	s.Password = secret.File(file(t, "password", []byte("soft\u00adhyphen")))
	got, x := connect(t, client(t, s), "127.0.0.1:1", time.Second)
	wantPrefix(t, got, "credential: expected a password of ASCII and of letters that SCRAM hashes as they are")
	if x.Addr != "" {
		t.Errorf("%s is dialled", x.Addr)
	}
}
