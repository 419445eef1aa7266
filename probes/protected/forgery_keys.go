package protected

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
)

// keysURL is where the key set is fetched; empty if the keys have another source, or none.
func (f *Forgeries) keysURL() string {
	if f.Keys.Source() != "" {
		return ""
	}
	url, err := f.Keys.Read()
	if err != nil {
		return ""
	}
	return url
}

// readKeys returns the key set, or why there is none.
func (p *Probe) readKeys(ctx context.Context, r *probe.Result) (jwk.Set, probe.Outcome) {
	if url := p.Forgeries.keysURL(); url != "" {
		a := p.keysClient.Do(ctx, r, httpx.Request{Check: "keys", URL: url, Want: httpx.Codes(200)})
		if a.Reason != probe.OK {
			return nil, probe.Outcomef(a.Reason, "the public keys could not be fetched: %s", a.Detail)
		}
		if a.Status != 200 {
			return nil, probe.Outcomef(probe.Status, "the public keys could not be fetched: got %d", a.Status)
		}
		set, err := jwk.Parse(ctx, a.Body)
		if err != nil {
			return nil, probe.Outcomef(probe.Schema, "the public keys cannot be read: %s", err)
		}
		return set, probe.Outcome{Reason: probe.OK}
	}
	text, err := p.Forgeries.Keys.Read()
	if err != nil {
		return nil, probe.Outcomef(probe.ControlFailed, "the public keys: %s", err)
	}
	set, err := jwk.Parse(ctx, []byte(text))
	if err != nil {
		set, err = jwk.ParsePEM([]byte(text), nil)
	}
	if err != nil {
		return nil, probe.Outcomef(probe.Schema, "the public keys cannot be read: %s", err)
	}
	return set, probe.Outcome{Reason: probe.OK}
}

// publicKeys returns the public key by which the real token is verified: with any other, to be rejected would prove
// nothing. Of an opaque token it is unknown; then it is the first one that could be.
func (p *Probe) publicKeys(ctx context.Context, r *probe.Result, token string, real *jwk.RawToken) ([]crypto.PublicKey, probe.Outcome) {
	set, o := p.readKeys(ctx, r)
	if !o.Passed() {
		return nil, o
	}
	kid := real.Text("kid")
	for i := range set {
		if p.Forgeries.keysURL() == "" && set[i].ID == "" {
			set[i].ID = kid // a PEM bundle has no ids
		}
	}
	if real.Signature == "" || kid == "" {
		for _, k := range set {
			if k.Public != nil && (kid == "" || k.ID == kid) {
				return []crypto.PublicKey{k.Public}, probe.Outcome{Reason: probe.OK}
			}
		}
		return nil, probe.Outcomef(probe.ControlFailed, "none of the public keys is that of the valid token")
	}
	t, err := jwk.ReadToken(token)
	if err != nil {
		return nil, probe.Outcomef(probe.ControlFailed, "the valid token: %s", err)
	}
	k, err := set.Verify(t, jwk.Algorithms)
	if err != nil {
		return nil, probe.Outcomef(probe.ControlFailed, "none of the public keys verifies the valid token")
	}
	return []crypto.PublicKey{k.Public}, probe.Outcome{Reason: probe.OK}
}

// A sharedSecret is a public key taken for a shared secret, in one of the forms in which a verifier may hold it.
type sharedSecret struct {
	name string
	key  []byte
}

// secretForms are the forms of a public key, in a sentence.
var secretForms = map[string]string{
	"pem":      "PEM",
	"pem_bare": "PEM without the newline at its end",
	"der":      "DER",
	"pkcs1":    "PEM of PKCS #1",
	"ssh":      "as OpenSSH writes it",
	"material": "its bytes",
	"jwk":      "its bytes as in the key set",
}

// secretsFrom lists the forms of a public key.
func secretsFrom(public crypto.PublicKey) []sharedSecret {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	all := []sharedSecret{{"pem", text}, {"pem_bare", text[:len(text)-1]}, {"der", der}}
	add := func(ssh, material, member []byte) {
		all = append(all, sharedSecret{"ssh", ssh}, sharedSecret{"material", material},
			sharedSecret{"jwk", []byte(base64.RawURLEncoding.EncodeToString(member))})
	}
	switch key := public.(type) {
	case *rsa.PublicKey:
		all = append(all, sharedSecret{"pkcs1", pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(key)})})
		n := key.N.Bytes()
		add(sshKey("ssh-rsa", big.NewInt(int64(key.E)).Bytes(), append([]byte{0}, n...)), n, n)
	case *ecdsa.PublicKey:
		if point, err := key.Bytes(); err == nil {
			curve := fmt.Sprintf("nistp%d", key.Params().BitSize)
			add(sshKey("ecdsa-sha2-"+curve, []byte(curve), point), point, point[1:1+(len(point)-1)/2])
		}
	case ed25519.PublicKey:
		add(sshKey("ssh-ed25519", key), key, key)
	}
	return all
}

// sshKey is a public key in the format of OpenSSH (RFC 4253, section 6.6), which is no PEM and thus passes those who
// look for PEM. A modulus has its top bit set, so it begins with a zero.
func sshKey(kind string, fields ...[]byte) []byte {
	var blob []byte
	for _, field := range append([][]byte{[]byte(kind)}, fields...) {
		blob = binary.BigEndian.AppendUint32(blob, uint32(len(field)))
		blob = append(blob, field...)
	}
	return []byte(kind + " " + base64.StdEncoding.EncodeToString(blob))
}

// forgeable are the algorithms for which a key can be made to sign with.
var forgeable = append(slices.Clone(jwk.Algorithms), "HS256", "HS384", "HS512")

// A forgeKey is a key of our own that no verifier knows.
type forgeKey struct {
	alg    string
	signer crypto.Signer // nil of a shared secret
	shared []byte
}

// ownRSA is made once: it takes long, and one is as unknown to everybody as the next.
var ownRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// newForgeKey makes a key for an algorithm; for one that is not known a key for ES256.
func newForgeKey(alg string) (*forgeKey, error) {
	k := &forgeKey{alg: alg}
	var err error
	switch {
	case strings.HasPrefix(alg, "HS") && slices.Contains(forgeable, alg):
		k.shared = []byte(rand.Text() + rand.Text() + rand.Text())
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		k.signer, err = ownRSA()
	case ecdsaCurve(alg) != nil:
		k.signer, err = ecdsa.GenerateKey(ecdsaCurve(alg), rand.Reader)
	case alg == "EdDSA", alg == "Ed25519":
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.alg = "ES256"
		k.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return k, err
}

// ecdsaCurve is the curve of an algorithm; nil if it has none.
func ecdsaCurve(alg string) elliptic.Curve {
	switch alg {
	case "ES256":
		return elliptic.P256()
	case "ES384":
		return elliptic.P384()
	case "ES512":
		return elliptic.P521()
	}
	return nil
}

// jwk is the public half as a member of a header (RFC 7515, section 4.1.3).
func (k *forgeKey) jwk(kid string) *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: k.signer.Public(), Algorithm: k.alg, KeyID: kid}
}

// x5c is a certificate of the key's own as a member of a header (RFC 7515, section 4.1.6); empty if there is none.
func (k *forgeKey) x5c() []string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "prober.invalid"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, k.signer.Public(), k.signer)
	if err != nil {
		return nil
	}
	return []string{base64.StdEncoding.EncodeToString(certificate)}
}

// sign returns a token whose first two parts are signed (RFC 7518, section 3). Where that cannot be done the
// signature is empty, as in no real token.
func (k *forgeKey) sign(parts string) string {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[k.alg[max(0, len(k.alg)-3):]]
	var signature []byte
	var err error
	if k.signer == nil {
		mac := hmac.New(hash.New, k.shared)
		mac.Write([]byte(parts))
		return parts + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	message := []byte(parts)
	var options crypto.SignerOpts = hash
	if hash != 0 {
		h := hash.New()
		h.Write(message)
		message = h.Sum(nil)
	}
	switch key := k.signer.(type) {
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, key, message)
		if err = signErr; err == nil {
			size := (key.Curve.Params().BitSize + 7) / 8
			signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	default:
		if strings.HasPrefix(k.alg, "PS") {
			options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
		signature, err = key.Sign(rand.Reader, message, options)
	}
	if err != nil {
		return parts + "."
	}
	return parts + "." + base64.RawURLEncoding.EncodeToString(signature)
}
