package jwk

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

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

	Payload []byte // what it signs; only of ReadSignature, as the next
	Type    string // typ of its header, without the prefix application/ and in lower case (RFC 7515, section 4.1.9)

	parsed    *jwt.JSONWebToken      // of ReadToken, or
	signed    *jose.JSONWebSignature // of ReadSignature
	compact   string
	unencoded bool // it signs the payload as it is (RFC 7797)
	critical  bool // its header demands something that is not known here
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
	t.unencoded, t.critical = extensions(parsed.Headers[0].ExtraHeaders)
	t.critical = t.critical || t.unencoded // RFC 7797, section 7: no JWT
	t.Expiry, t.IssuedAt, t.NotBefore = date(claims.Expiry), date(claims.IssuedAt), date(claims.NotBefore)
	return t, nil
}

// MaxSignatureLength is the longest JSON Web Signature that is looked at, in bytes, with the payload that it holds.
const MaxSignatureLength = 512 << 10

// ReadSignature reads a JSON Web Signature in compact form (RFC 7515) without verifying anything. Its payload is any text: the
// claims of the Token are empty. A detached one (RFC 7515, appendix F) has no payload of its own and signs the given one; one that
// has a payload is read with nil. Both may sign it as it is, if their header says so (RFC 7797).
func ReadSignature(compact string, detached []byte) (*Token, error) {
	if len(compact) > MaxSignatureLength {
		return nil, ErrLong
	}
	head, rest, _ := strings.Cut(compact, ".")
	middle, end, three := strings.Cut(rest, ".")
	if !three || strings.ContainsFunc(head+end, unicode.IsSpace) || detached != nil && middle != "" {
		return nil, ErrToken
	}
	signed, err := jose.ParseDetached(head+".."+end, []byte{}, algorithms(Algorithms))
	switch {
	case errors.As(err, new(*jose.ErrUnexpectedSignatureAlgorithm)):
		return nil, ErrAlgorithm
	case err != nil || len(signed.Signatures) != 1:
		return nil, ErrToken
	}
	header := signed.Signatures[0].Protected
	t := &Token{KeyID: header.KeyID, Algorithm: header.Algorithm, signed: signed, compact: compact, Payload: detached}
	t.unencoded, t.critical = extensions(header.ExtraHeaders)
	t.Type, _ = header.ExtraHeaders[jose.HeaderType].(string)
	t.Type = strings.TrimPrefix(strings.ToLower(t.Type), "application/")
	switch {
	case detached != nil:
	case t.unencoded: // section 5.2: anything that can be printed, but for the period that ends it
		if strings.ContainsFunc(middle, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, ErrToken
		}
		t.Payload = []byte(middle)
	case strings.ContainsAny(middle, "\r\n"): // which the decoder leaves out
		return nil, ErrToken
	default:
		if t.Payload, err = base64.RawURLEncoding.DecodeString(middle); err != nil {
			return nil, ErrToken
		}
	}
	return t, nil
}

// extensions reads the extension that is known, b64 of RFC 7797, and reports whether the header demands another one, or that one in
// a way that two verifiers may read as two things: a crit must name what the header has, once, and b64 that is false must be in it.
func extensions(header map[jose.HeaderKey]any) (unencoded, critical bool) {
	b64, given := header["b64"]
	encoded, isBool := b64.(bool)
	unencoded = given && !encoded
	if crit, is := header["crit"]; is {
		names, _ := crit.([]any)
		return unencoded, len(names) != 1 || names[0] != "b64" || !isBool
	}
	return unencoded, unencoded
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
	return err == nil && ed25519.Verify(key, t.content(), signature)
}

// content is what a token signs.
func (t *Token) content() []byte {
	if t.signed == nil {
		return []byte(t.compact[:strings.LastIndexByte(t.compact, '.')])
	}
	head, _, _ := strings.Cut(t.compact, ".")
	if t.unencoded {
		return append([]byte(head+"."), t.Payload...)
	}
	return []byte(head + "." + base64.RawURLEncoding.EncodeToString(t.Payload))
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
