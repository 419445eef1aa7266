// Package jwk reads the public keys by which verifiers tell real tokens from forged ones: a JSON Web Key Set
// (RFC 7517) or a bundle of PEM blocks. It reads key by key, so that one odd key never hides the others, and says of
// each what is wrong with it. Nothing that is or may be a private key is kept.
package jwk

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/memory"
)

// A Key is one entry of a set. ID, Algorithm, Use and Ops are the publisher's text: to be compared, not repeated.
type Key struct {
	ID         string
	Type       string // RSA, EC or OKP; empty if it is another
	Curve      string // P-256, P-384, P-521 or Ed25519; empty of RSA keys
	Algorithm  string
	Use        string
	Ops        []string
	Bits       int              // the size of the modulus or of the curve
	Public     crypto.PublicKey // nil unless the key could be read
	Thumbprint string           // the key's identity, whatever its id: RFC 7638 with SHA-256, base64url; empty if not read
	Problem    Problem          // the worst that is wrong with it; empty if nothing is

	OtherCertificate bool // its x5c, x5t or x5t#S256 is of another key
}

// A Problem is what makes a key unusable, in one word of a closed set.
type Problem string

// Problems, the worst first.
const (
	Private       Problem = "private_key"     // it holds private or symmetric material (RFC 7517, section 9.2)
	Malformed     Problem = "malformed"       // not a JSON object, or a member occurs twice
	Unknown       Problem = "unknown_type"    // a type or curve that is to be ignored (RFC 7517, section 5)
	Unreadable    Problem = "unreadable"      // required members missing or out of range, a point off the curve
	Weak          Problem = "weak_key"        // below RFC 7518, section 3.3, or with a dangerous exponent or modulus
	NotForSigning Problem = "not_for_signing" // use, key_ops or alg say that it verifies no signature
)

// A Set is the keys in the order in which they were published.
type Set []Key

// Errors of Parse. They hold no byte of the answer.
var (
	ErrFormat = errors.New("no JSON object with an array named \"keys\", or something stands before or behind it")
	ErrTwice  = errors.New("the member \"keys\" occurs twice")
	ErrEmpty  = errors.New("the set holds no key")
)

// MaxKeys is how many keys are read of one set.
const MaxKeys = 20_000

// lookEvery is after how many keys the time is looked at.
const lookEvery = 100

// Limits of the prober.
var (
	errMany = &memory.ErrLimit{Limit: fmt.Sprintf("the set holds more than %d keys", MaxKeys)}
	errLate = &memory.ErrLimit{Limit: "the run was over before the key set was read"}
)

// maxOps is the length of the longest key_ops that is read, in bytes. RFC 7517 knows eight operations.
const maxOps = 1024

// What reading takes at most: parseBytes times the body while it is read, and keyBytes for each key that is kept.
const (
	parseBytes = 3
	keyBytes   = 320
)

// Parse reads a JSON Web Key Set. Member names are compared exactly, as RFC 7517 has them. A set without keys is an
// error, since no token could ever be verified by it. The error is a memory.ErrLimit if the set has more than MaxKeys keys
// or the run that ctx belongs to has no memory or no time left for it; then nothing that the run concludes counts.
func Parse(ctx context.Context, body []byte) (Set, error) {
	set, err := parseWithin(ctx, body)
	if err != nil {
		memory.Exceeded(ctx, "", err)
	}
	return set, err
}

func parseWithin(ctx context.Context, body []byte) (Set, error) {
	kept := int64(len(body)) + keyBytes*int64(min(bytes.Count(body, []byte("{")), MaxKeys+1)) // with the texts of the keys
	passing := parseBytes * int64(len(body))
	if err := memory.Take(ctx, kept+passing); err != nil {
		return nil, err
	}
	defer memory.Give(ctx, passing)
	return parse(ctx, body)
}

func parse(ctx context.Context, body []byte) (Set, error) {
	members, err := object(body)
	if errors.Is(err, errTwice) {
		return nil, ErrTwice
	}
	if err != nil {
		return nil, ErrFormat
	}
	raw, err := list(members["keys"])
	switch {
	case err != nil:
		return nil, err
	case len(raw) == 0:
		return nil, ErrEmpty
	}
	set := make(Set, len(raw))
	for i, key := range raw {
		if (i+1)%lookEvery == 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, errLate
		}
		set[i] = parseKey(key)
	}
	delete(members, "keys")
	if rest, err := json.Marshal(members); err != nil || holdsPrivate(rest, false) {
		set = append(set, Key{Problem: Private}) // beside the keys
	}
	return set, nil
}

func parseKey(raw json.RawMessage) Key {
	private := holdsPrivate(raw, true)
	members, _ := object(raw) // none, and so no type, if it is no object or has one of them twice
	var k Key
	wellTyped := true
	text := func(name string) string {
		value, ok := member(members, name)
		wellTyped = wellTyped && ok
		return value
	}
	kind := text("kty")
	k.ID, k.Algorithm, k.Use = text("kid"), text("alg"), text("use")
	if ops, there := members["key_ops"]; there && (len(ops) > maxOps || json.Unmarshal(ops, &k.Ops) != nil) {
		wellTyped = false
	}
	if private || kind == "oct" {
		k.Problem = Private
	}
	known := slices.Contains([]string{"RSA", "EC", "OKP"}, kind)
	if known {
		k.Type = kind
	}
	switch {
	case k.Problem == Private: // nothing else of it is kept
	case !wellTyped || kind == "":
		k.Problem = Malformed
	case !known:
		k.Problem = Unknown
	default:
		k.read(members)
	}
	if k.Problem == "" && (string(members["use"]) == `""` || string(members["alg"]) == `""`) {
		k.Problem = NotForSigning // no verifier that looks at them takes it for one it may use
	}
	return k
}

// read makes the key of the members that its type has and only those: nothing else in there can have a say. RFC 7518,
// section 6, has the rules.
func (k *Key) read(members map[string]json.RawMessage) {
	var public crypto.PublicKey
	k.Problem = Unreadable
	switch k.Type {
	case "RSA":
		public = k.readRSA(number(members, "n"), number(members, "e"))
	case "EC":
		public = k.readEC(members)
	case "OKP":
		if crv, ok := member(members, "crv"); ok && crv != "Ed25519" {
			k.Problem = Unknown
			return
		}
		public = ed25519.PublicKey(number(members, "x"))
	}
	if public != nil {
		k.take(public)
		k.OtherCertificate = k.Public != nil && ofAnotherKey(members, k.Public)
	}
}

// readRSA returns nil for what is no key or a dangerous one; the problem says which.
func (k *Key) readRSA(n, e []byte) crypto.PublicKey {
	if n == nil || e == nil {
		return nil
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	k.Bits = modulus.BitLen()
	if exponent.Sign() == 0 || exponent.BitLen() > 31 {
		k.Problem = Weak
		return nil
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
}

// curves by the name that JSON Web Keys have for them.
var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func (k *Key) readEC(members map[string]json.RawMessage) crypto.PublicKey {
	crv, _ := member(members, "crv")
	curve := curves[crv]
	if curve == nil {
		if crv != "" {
			k.Problem = Unknown
		}
		return nil
	}
	x, y := number(members, "x"), number(members, "y")
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return nil
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil { // it is no point of the curve
		return nil
	}
	return public
}

// take makes a public key that could be read the key's own, and says what is wrong with it.
func (k *Key) take(public crypto.PublicKey) {
	k.Problem = k.measure(public)
	if k.Problem == Unreadable {
		return
	}
	print, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		k.Problem = Unreadable
		return
	}
	k.Public, k.Thumbprint = public, base64.RawURLEncoding.EncodeToString(print)
	if k.Problem == "" && !k.verifies() {
		k.Problem = NotForSigning
	}
}

// verifies reports whether use, key_ops and alg, where they are given, leave the key to verify signatures (RFC 7517,
// sections 4.2 to 4.4).
func (k *Key) verifies() bool {
	if k.Use != "" && k.Use != "sig" || k.Ops != nil && !slices.Contains(k.Ops, "verify") {
		return false
	}
	return k.Algorithm == "" || slices.Contains(k.Algorithms(), k.Algorithm)
}

// Algorithms lists the signature algorithms that a key of this type and curve can verify (RFC 7518, section 3.1, and
// RFC 8037).
func (k *Key) Algorithms() []string {
	switch k.Curve {
	case "P-256":
		return []string{"ES256"}
	case "P-384":
		return []string{"ES384"}
	case "P-521":
		return []string{"ES512"}
	case "Ed25519":
		return []string{"EdDSA", "Ed25519"}
	}
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
}

// TypeFor returns the type of key that an algorithm of Algorithms needs.
func TypeFor(algorithm string) string {
	switch {
	case strings.HasPrefix(algorithm, "ES"):
		return "EC"
	case strings.HasPrefix(algorithm, "Ed"):
		return "OKP"
	}
	return "RSA"
}

// Find returns the keys with an id. RFC 7517, section 4.5, wants ids distinct, but for keys of another type; not all sets keep to it.
//
//go:noinline
func (s Set) Find(id string) []Key {
	var found []Key
	for _, k := range s {
		if k.ID == id {
			found = append(found, k)
		}
	}
	return found
}
