package jwk

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

// block writes a PEM block of what a function of crypto/x509 returned.
func block(t testing.TB, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestParsePEMReadsEveryBlock(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(ec.Public())
	ecText := block(t, "PUBLIC KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(edPublic)
	edText := block(t, "PUBLIC KEY", der, err)
	rsaText := block(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rs.PublicKey), nil)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}, NotAfter: time.Now().Add(time.Hour)}
	der, err = x509.CreateCertificate(rand.Reader, template, template, ec.Public(), ec)
	certificate := block(t, "CERTIFICATE", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(edPrivate)
	private := block(t, "PRIVATE KEY", der, err)
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err = x509.MarshalPKIXPublicKey(agreement.Public())
	agreementText := block(t, "PUBLIC KEY", der, err)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weakText := block(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&weak.PublicKey), nil)
	escaped := func(text, with string) string { return strings.ReplaceAll(text, "\n", with) }
	three := ecText + rsaText + edText

	for name, c := range map[string]struct {
		bundle string
		want   []Problem
		err    error
	}{
		"one key":                               {ecText, []Problem{""}, nil},
		"three keys":                            {three, []Problem{"", "", ""}, nil},
		"no line end at the end":                {strings.TrimSpace(three), []Problem{"", "", ""}, nil},
		"blank lines between":                   {"\n\n" + ecText + "\n \n" + edText + "\n", []Problem{"", ""}, nil},
		"line ends of another system":           {escaped(three, "\r\n"), []Problem{"", "", ""}, nil},
		"escaped line ends, on one line":        {escaped(three, `\n`), []Problem{"", "", ""}, nil},
		"escaped, and a real one at the end":    {escaped(three, `\n`) + "\n", []Problem{"", "", ""}, nil},
		"escaped line ends of another system":   {escaped(three, `\r\n`), []Problem{"", "", ""}, nil},
		"a certificate":                         {certificate, []Problem{""}, nil},
		"a private key among them":              {ecText + private, []Problem{"", Private}, nil},
		"a weak key":                            {weakText, []Problem{Weak}, nil},
		"a key that signs nothing":              {agreementText, []Problem{Unreadable}, nil},
		"a block of another kind":               {block(t, "X509 CRL", []byte{1}, nil), []Problem{Unknown}, nil},
		"a block that holds something else":     {block(t, "PUBLIC KEY", []byte{1}, nil), []Problem{Unreadable}, nil},
		"an invalid certificate":                {block(t, "CERTIFICATE", []byte{1}, nil), []Problem{Unreadable}, nil},
		"an invalid PKCS#1 key":                 {block(t, "RSA PUBLIC KEY", []byte{1}, nil), []Problem{Unreadable}, nil},
		"nothing":                               {"", nil, ErrNoPEM},
		"blanks":                                {" \n", nil, ErrNoPEM},
		"no PEM":                                {"k1", nil, ErrNoPEM},
		"the first cut off":                     {ecText[:60], nil, ErrNoPEM},
		"the last cut off":                      {ecText + edText[:60], nil, ErrTrailing},
		"a key on one line without its escapes": {escaped(ecText, " "), nil, ErrNoPEM},
		"text between":                          {ecText + "and\n" + edText, nil, ErrTrailing},
		"one letter after":                      {three + "x", nil, ErrTrailing},
		"text after":                            {ecText + "# that was it", nil, ErrTrailing},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := ParsePEM([]byte(c.bundle), nil)
			if !errors.Is(err, c.err) || len(set) != len(c.want) {
				t.Fatalf("got %d keys and %v, want %d and %v", len(set), err, len(c.want), c.err)
			}
			for i, k := range set {
				if k.Problem != c.want[i] || (k.Problem == "" || k.Problem == Weak) != (k.Thumbprint != "" && k.Public != nil) {
					t.Errorf("key %d: got %+v, want the problem %q", i, k, c.want[i])
				}
				if k.Problem == Private && (k.Public != nil || k.Thumbprint != "") {
					t.Error("something of a private key is kept")
				}
			}
		})
	}

	set, err := ParsePEM([]byte(three), []string{"a", "b", "c"})
	if err != nil || len(set.Find("b")) != 1 || set.Find("b")[0].Type != "RSA" || set[0].Thumbprint == set[2].Thumbprint {
		t.Errorf("named keys: %+v, %v", set, err)
	}
	if set, err := ParsePEM([]byte(three), []string{"a", "b"}); set != nil || err == nil || err.Error() != "2 keys are named and the bundle holds 3" {
		t.Errorf("fewer names than keys: %v, %v", set, err)
	}
	if set, err := ParsePEM([]byte(strings.Repeat(edText, MaxKeys)), nil); err != nil || len(set) != MaxKeys {
		t.Errorf("as many keys as are read: %d keys, %v", len(set), err)
	}
}
