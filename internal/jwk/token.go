package jwk

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// MaxTokenLength is the longest token that is looked at, in bytes. What is longer fits into no header of a request.
const MaxTokenLength = 16 << 10

// Algorithms are the signature algorithms that a public key can verify. None of a shared secret is among them, and
// neither is "none": RFC 8725, section 3.1, has the verifier fix the list.
var Algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
}

// Errors of ReadToken and Verify. They hold no byte of the token.
var (
	ErrToken     = errors.New("not a signed JWT in compact form (RFC 7519)")
	ErrLong      = errors.New("longer than any header may be")
	ErrAlgorithm = errors.New("signed with an algorithm that is not allowed")
	ErrCritical  = errors.New("its header has a crit that no verifier knows (RFC 7515, section 4.1.11)")
	ErrNoKeyID   = errors.New("its header names no kid")
	ErrNoKey     = errors.New("no key of the set has the kid that its header names")
	ErrKey       = errors.New("the key with its kid cannot verify its algorithm")
	ErrSignature = errors.New("its signature does not verify with the key that has its kid")
	ErrClaims    = errors.New("its claims are no JSON object as RFC 7519 has it")
)

// A Token is what a signed JWT says. Its texts are the issuer's, or the forger's: to be compared, not repeated.
type Token struct {
	KeyID     string
	Algorithm string // one of Algorithms
	Issuer    string
	Subject   string
	ID        string
	Audience  []string
	Expiry    time.Time // zero if it says none; so with the next two
	IssuedAt  time.Time
	NotBefore time.Time

	Payload []byte // what it signs; only of ReadSignature

	parsed   *jwt.JSONWebToken      // of ReadToken, or
	signed   *jose.JSONWebSignature // of ReadSignature
	compact  string
	critical bool // its header demands something that is not known here
}

// ReadToken reads a token without verifying anything.
func ReadToken(token string) (*Token, error) {
	if len(token) > MaxTokenLength {
		return nil, ErrLong
	}
	parsed, err := jwt.ParseSigned(token, algorithms(Algorithms))
	if err != nil {
		if errors.As(err, new(*jose.ErrUnexpectedSignatureAlgorithm)) {
			return nil, ErrAlgorithm
		}
		return nil, ErrToken
	}
	var claims jwt.Claims
	if parsed.UnsafeClaimsWithoutVerification(&claims) != nil {
		return nil, ErrClaims
	}
	t := &Token{Issuer: claims.Issuer, Subject: claims.Subject, ID: claims.ID, Audience: claims.Audience, parsed: parsed, compact: token}
	t.KeyID, t.Algorithm = parsed.Headers[0].KeyID, parsed.Headers[0].Algorithm
	t.critical = unknownCritical(parsed.Headers[0].ExtraHeaders["crit"])
	t.Expiry, t.IssuedAt, t.NotBefore = date(claims.Expiry), date(claims.IssuedAt), date(claims.NotBefore)
	return t, nil
}

// MaxSignatureLength is the longest JSON Web Signature that is looked at, in bytes, with the payload that it holds.
const MaxSignatureLength = 512 << 10

// ReadSignature reads a JSON Web Signature in compact form (RFC 7515) without verifying anything. Its payload is any text: the
// claims of the Token are empty. A detached one (RFC 7515, appendix F, and RFC 7797) has no payload of its own and signs the
// given one; one that has a payload is read with nil.
func ReadSignature(compact string, detached []byte) (*Token, error) {
	if len(compact) > MaxSignatureLength {
		return nil, ErrLong
	}
	parse := func() (*jose.JSONWebSignature, error) {
		return jose.ParseSignedCompact(compact, algorithms(Algorithms))
	}
	if detached != nil {
		parse = func() (*jose.JSONWebSignature, error) {
			return jose.ParseDetached(compact, detached, algorithms(Algorithms))
		}
	}
	signed, err := parse()
	switch {
	case errors.As(err, new(*jose.ErrUnexpectedSignatureAlgorithm)):
		return nil, ErrAlgorithm
	case err != nil || len(signed.Signatures) != 1:
		return nil, ErrToken
	}
	header := signed.Signatures[0].Protected
	t := &Token{KeyID: header.KeyID, Algorithm: header.Algorithm, signed: signed, compact: compact, Payload: detached}
	t.critical = unknownCritical(header.ExtraHeaders["crit"]) // b64 (RFC 7797) is known
	if detached == nil {
		t.Payload = signed.UnsafePayloadWithoutVerification()
	}
	return t, nil
}

// unknownCritical reports whether a crit names anything that a verifier need not know. It must not be empty.
func unknownCritical(crit any) bool {
	if crit == nil {
		return false
	}
	names, isList := crit.([]any)
	return !isList || len(names) == 0 || slices.ContainsFunc(names, func(name any) bool { return name != "b64" })
}

// date is the time of a date, to the second; zero if there is none.
func date(n *jwt.NumericDate) time.Time {
	if n == nil {
		return time.Time{}
	}
	return n.Time()
}

// Verify proves the token's signature with a key of the set: one with the token's kid, which must be of use for its
// algorithm. A token that names no kid is refused, since it does not say which key signed it. It says nothing of the
// claims. It returns the key.
func (s Set) Verify(t *Token, allowed []string) (Key, error) {
	switch {
	case !slices.Contains(allowed, t.Algorithm):
		return Key{}, ErrAlgorithm
	case t.critical:
		return Key{}, ErrCritical
	case t.KeyID == "":
		return Key{}, ErrNoKeyID
	}
	found := s.Find(t.KeyID)
	if len(found) == 0 {
		return Key{}, ErrNoKey
	}
	err := ErrKey
	for _, k := range found {
		if k.Public == nil || k.Problem != "" || !slices.Contains(k.Algorithms(), t.Algorithm) ||
			k.Algorithm != "" && k.Algorithm != t.Algorithm {
			continue
		}
		err = ErrSignature
		if t.verifiedBy(k.Public) {
			return k, nil
		}
	}
	return Key{}, err
}

// verifiedBy reports whether a key verifies the token. The library knows Ed25519 by its older name only, EdDSA, and not
// by that of RFC 9864.
func (t *Token) verifiedBy(public crypto.PublicKey) bool {
	key, isEd25519 := public.(ed25519.PublicKey)
	switch {
	case t.Algorithm == "Ed25519" && isEd25519:
	case t.signed != nil:
		return t.signed.DetachedVerify(t.Payload, public) == nil
	default:
		return t.parsed.Claims(public) == nil
	}
	end := strings.LastIndexByte(t.compact, '.')
	signature, err := base64.RawURLEncoding.DecodeString(t.compact[end+1:])
	content := t.compact[:end]
	if strings.HasSuffix(content, ".") { // detached
		content += base64.RawURLEncoding.EncodeToString(t.Payload)
	}
	return err == nil && ed25519.Verify(key, []byte(content), signature)
}

func algorithms(names []string) []jose.SignatureAlgorithm {
	out := make([]jose.SignatureAlgorithm, len(names))
	for i, name := range names {
		out[i] = jose.SignatureAlgorithm(name)
	}
	return out
}

// Allowed returns the algorithms that a verifier allows: those listed or, where none is, Algorithms.
func Allowed(listed []string) []string {
	if len(listed) > 0 {
		return listed
	}
	return Algorithms
}
