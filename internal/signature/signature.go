// Package signature verifies what a sender of webhooks says of a delivery: by Standard Webhooks, an HMAC, a JSON Web Signature or
// a shared token. It looks at the bytes as they came, before anybody reads them as JSON.
package signature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/jwk"
)

// Schemes.
const (
	Standard = "standard"     // Standard Webhooks 1.0, with its own names of headers or those of Svix
	HMAC     = "hmac"         // HMAC-SHA256 of a content, in a header
	JWS      = "jws"          // a JSON Web Signature that holds the payload: in a header, or the body itself (RFC 8935)
	Detached = "jws-detached" // a JSON Web Signature without its payload, in a header (RFC 7515, appendix F)
	Token    = "token"        // a shared text in a header, which says nothing of the body
)

// Schemes lists them.
var Schemes = []string{Standard, HMAC, JWS, Detached, Token}

// Errors of Verify, one for each way in which a delivery is not proven. They hold no byte of it.
var (
	ErrMissing    = errors.New("no signature")
	ErrMalformed  = errors.New("a signature, an id or a timestamp that cannot be read")
	ErrUnknownKey = errors.New("a signature by a key that is not in the key set")
	ErrMismatch   = errors.New("a signature that does not verify")
	ErrType       = errors.New("a signature of something else: its typ is another")
	ErrUnusable   = errors.New("a signature by a key that is published in a form that verifies nothing")
	ErrUnknown    = errors.New("a signature of an algorithm, or by a type of key, that is not known here")
)

// Names of the parts of a content.
const (
	partID        = "{id}"
	partTimestamp = "{timestamp}"
	PartBody      = "{body}"
)

// A Form says where a delivery has its signature, and what that signs.
type Form struct {
	Scheme    string
	Header    string // of all but Standard; empty for a JWS that is the body
	Prefix    string // of HMAC: what stands before the signature, such as "sha256=" or "v1="
	Hex       bool   // of HMAC: hexadecimal in place of base64
	Content   string // of HMAC: what is signed, with {timestamp} and {body}
	Type      string // of both forms of JWS: the typ that the header must have, in lower case and without application/; empty: any
	Timestamp string // of HMAC: the header that has the time in seconds since 1970, or, with =, what stands before it in Header: "t="
}

// Keys are what verifies. Which of them is used follows from the scheme.
type Keys struct {
	Shared [][]byte
	Public []ed25519.PublicKey
	Set    jwk.Set
}

// Add reads a key as people are given it: whsec_ and whpk_ of Standard Webhooks, and any text of the other schemes.
func (k *Keys) Add(scheme, text string) error {
	if scheme != Standard {
		k.Shared = append(k.Shared, []byte(text))
		return nil
	}
	encoded, isPublic := strings.CutPrefix(text, "whpk_")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(encoded, "whsec_"))
	switch {
	case err != nil || isPublic && len(key) != ed25519.PublicKeySize:
		return errors.New("expected whsec_ or whpk_ and a key in base64")
	case !isPublic && len(key) < 16:
		return errors.New("expected a key of at least 16 bytes in base64 after whsec_")
	case isPublic:
		k.Public = append(k.Public, key)
	default:
		k.Shared = append(k.Shared, key)
	}
	return nil
}

// A Signed is what a delivery says that was verified.
type Signed struct {
	ID        string    // webhook-id; empty of all but Standard
	Timestamp time.Time // to the second; zero if the form has none
	Payload   []byte    // the body, or what a JWS in its place holds
	Key       jwk.Key   // that verified; only of the two forms of JWS
	Content   [sha256.Size]byte
}

// Bounds of a header.
const (
	maxHeader     = 16 << 10
	maxSignatures = 32
)

// Verify proves a delivery by one of the keys. The error is one of those above.
func (f *Form) Verify(header http.Header, body []byte, keys *Keys) (Signed, error) {
	switch f.Scheme {
	case Token:
		return f.verifyToken(header, body, keys)
	case JWS, Detached:
		return f.verifyJWS(header, body, keys)
	case Standard:
		family := "Webhook-"
		if len(header.Values("Webhook-Signature")) == 0 && len(header.Values("Svix-Signature")) > 0 {
			family = "Svix-"
		}
		id, err := one(header, family+"Id")
		if err != nil || id == "" || strings.ContainsAny(id, ".") { // a dot would let a part of the body pass for the timestamp
			return Signed{}, wrongUnless(err, ErrMissing)
		}
		own := Form{Header: family + "Signature", Prefix: "v1,", Content: partID + "." + partTimestamp + "." + PartBody, Timestamp: family + "Timestamp"}
		return own.verifyHMAC(header, body, id, " ", keys)
	}
	return f.verifyHMAC(header, body, "", ",", keys)
}

// one returns the only value of a header. Two would be read differently by different receivers.
func one(header http.Header, name string) (string, error) {
	switch values := header.Values(name); {
	case len(values) == 0:
		return "", ErrMissing
	case len(values) > 1 || len(values[0]) > maxHeader:
		return "", ErrMalformed
	default:
		return values[0], nil
	}
}

// wrongUnless returns the error if it is the one expected, and else ErrMalformed.
func wrongUnless(err, expected error) error {
	if err == expected {
		return err
	}
	return ErrMalformed
}

func (f *Form) verifyToken(header http.Header, body []byte, keys *Keys) (Signed, error) {
	got, err := one(header, f.Header)
	if err != nil {
		return Signed{}, err
	}
	for _, want := range keys.Shared {
		if subtle.ConstantTimeCompare([]byte(got), append([]byte(f.Prefix), want...)) == 1 {
			return Signed{Payload: body}, nil
		}
	}
	return Signed{}, ErrMismatch
}

func (f *Form) verifyHMAC(header http.Header, body []byte, id, separator string, keys *Keys) (Signed, error) {
	value, err := one(header, f.Header)
	if err != nil {
		return Signed{}, err
	}
	parts := strings.SplitN(value, separator, maxSignatures+1)
	if len(parts) > maxSignatures {
		return Signed{}, ErrMalformed
	}
	signed := Signed{ID: id, Payload: body}
	stamp, err := f.timestamp(header, parts)
	if err != nil {
		return Signed{}, err
	}
	if stamp != "" {
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || strings.Trim(stamp, "0123456789") != "" || len(stamp) > 11 {
			return Signed{}, ErrMalformed
		}
		signed.Timestamp = time.Unix(seconds, 0)
	}
	content := fill(f.Content, id, stamp, body)
	signed.Content = sha256.Sum256(content)
	wrong := ErrMissing // until one is found that has the form of a signature
	for _, part := range parts {
		part = strings.TrimSpace(part)
		if text, ok := strings.CutPrefix(part, "v1a,"); ok && id != "" {
			signature, err := base64.StdEncoding.DecodeString(text)
			if err == nil && slices.ContainsFunc(keys.Public, func(k ed25519.PublicKey) bool { return ed25519.Verify(k, content, signature) }) {
				return signed, nil
			}
			wrong = ErrMismatch
			continue
		}
		text, ok := strings.CutPrefix(part, f.Prefix)
		if !ok || text == "" {
			continue
		}
		wrong = ErrMismatch
		var signature []byte
		if f.Hex {
			signature, err = hex.DecodeString(text)
		} else {
			signature, err = base64.StdEncoding.DecodeString(text)
		}
		if err == nil && slices.ContainsFunc(keys.Shared, func(k []byte) bool { return hmac.Equal(signature, sum(k, content)) }) {
			return signed, nil
		}
	}
	return Signed{}, wrong
}

func sum(key, content []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(content)
	return h.Sum(nil)
}

// timestamp returns the text of the time; empty if the form has none.
func (f *Form) timestamp(header http.Header, parts []string) (string, error) {
	if f.Timestamp == "" {
		return "", nil
	}
	if !strings.HasSuffix(f.Timestamp, "=") {
		stamp, err := one(header, f.Timestamp)
		if err != nil || stamp == "" {
			return "", ErrMalformed
		}
		return stamp, nil
	}
	stamp := ""
	for _, part := range parts {
		if text, ok := strings.CutPrefix(strings.TrimSpace(part), f.Timestamp); ok {
			if stamp != "" {
				return "", ErrMalformed
			}
			stamp = text
		}
	}
	if stamp == "" {
		return "", ErrMalformed
	}
	return stamp, nil
}

// fill writes a content in one pass: what looks like the name of a part in a body stays as it is.
func fill(content, id, stamp string, body []byte) []byte {
	out := make([]byte, 0, len(content)+len(id)+len(stamp)+len(body))
	for content != "" {
		switch {
		case strings.HasPrefix(content, partID):
			out, content = append(out, id...), content[len(partID):]
		case strings.HasPrefix(content, partTimestamp):
			out, content = append(out, stamp...), content[len(partTimestamp):]
		case strings.HasPrefix(content, PartBody):
			out, content = append(out, body...), content[len(PartBody):]
		default:
			out, content = append(out, content[0]), content[1:]
		}
	}
	return out
}

func (f *Form) verifyJWS(header http.Header, body []byte, keys *Keys) (Signed, error) {
	compact, detached := string(body), []byte(nil)
	if f.Header != "" {
		value, err := one(header, f.Header)
		if err != nil {
			return Signed{}, err
		}
		compact = value
	}
	if f.Scheme == Detached {
		detached = bytes.Clone(body)
		if detached == nil {
			detached = []byte{}
		}
	}
	token, err := jwk.ReadSignature(compact, detached)
	switch {
	case err == jwk.ErrAlgorithm && isUnknown(compact):
		return Signed{}, ErrUnknown
	case err != nil:
		return Signed{}, ErrMalformed
	}
	key, err := keys.Set.Verify(token, jwk.Algorithms)
	switch {
	case errors.Is(err, jwk.ErrNoKey) || errors.Is(err, jwk.ErrNoKeyID):
		return Signed{}, ErrUnknownKey
	case err == jwk.ErrKey && !slices.ContainsFunc(keys.Set.Find(token.KeyID), func(k jwk.Key) bool { return k.Problem == "" }):
		if slices.ContainsFunc(keys.Set.Find(token.KeyID), func(k jwk.Key) bool { return k.Problem == jwk.Unknown }) {
			return Signed{}, ErrUnknown
		}
		return Signed{}, ErrUnusable
	case err != nil || f.Header != "" && !bytes.Equal(token.Payload, body):
		return Signed{}, ErrMismatch
	case f.Type != "" && f.Type != token.Type:
		return Signed{}, ErrType
	}
	return Signed{Payload: token.Payload, Key: key, Content: sha256.Sum256(token.Payload)}, nil
}

// isUnknown reports whether a JWS names an algorithm that others may know. "none" and those of a shared secret are known, and wrong.
func isUnknown(compact string) bool {
	head, _, _ := strings.Cut(compact, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	var header struct {
		Algorithm string `json:"alg"`
	}
	name := ""
	if err == nil && json.Unmarshal(text, &header) == nil {
		name = strings.ToUpper(header.Algorithm)
	}
	return name != "" && name != "NONE" && !strings.HasPrefix(name, "HS")
}

// Tampered returns the delivery with one byte changed, as a forger might: in its body and in each header that it is verified by. None
// may verify.
func (f *Form) Tampered(header http.Header, body []byte) (headers []http.Header, bodies [][]byte) {
	if f.Scheme != Token {
		changed := []byte("A")
		if len(body) > 0 {
			changed = bytes.Clone(body)
			changed[len(body)/2] = other(body[len(body)/2])
		}
		headers, bodies = append(headers, header), append(bodies, changed)
	}
	names := []string{f.Header, f.Timestamp}
	if f.Scheme == Standard {
		names = []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Svix-Id", "Svix-Timestamp", "Svix-Signature"}
	}
	for _, name := range names {
		value := header.Get(name)
		if value == "" || f.isList(value) { // another signature of the list would verify
			continue
		}
		at := len(value) / 2
		copied := header.Clone()
		copied.Set(name, value[:at]+string(rune(other(value[at])))+value[at+1:])
		headers, bodies = append(headers, copied), append(bodies, body)
	}
	return headers, bodies
}

func (f *Form) isList(value string) bool {
	return f.Scheme == Standard && strings.Contains(value, " ") || f.Scheme == HMAC && strings.Contains(value, ",")
}

// other returns another byte, which is another value in base64 too: the last character of a segment has bits that do not count.
func other(c byte) byte {
	if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'f' {
		return '9'
	}
	if c >= '0' && c <= '9' { // a timestamp stays one
		return '0' + (c-'0'+1)%10
	}
	return 'A'
}
