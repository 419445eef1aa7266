package protected

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/jwk"
)

// A forgeryBuilder makes forgeries out of what a forger would know.
type forgeryBuilder struct {
	real      *jwk.RawToken
	published []crypto.PublicKey // by which real tokens are verified; none if unknown
	other     *jwk.RawToken      // another token made with the same key, for a caller who must be rejected; nil if there is none

	own    *forgeKey // a key of our own for the real algorithm
	pair   *forgeKey // the same or, where that is a shared secret, one for what only a pair of keys can do
	recent time.Time
}

func (b *forgeryBuilder) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, part := range []string{b.real.Header, b.real.Payload, b.real.Signature, b.otherSignature()} {
		fmt.Fprintf(h, "%d %s ", len(part), part)
	}
	for _, key := range b.published {
		for _, s := range secretsFrom(key) {
			h.Write(s.key)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (b *forgeryBuilder) otherSignature() string {
	if b.other == nil {
		return ""
	}
	return b.other.Signature
}

// make makes all forgeries but those that are left out. What cannot be made of this token, or without the public key,
// is missing. The bytes are put together by hand, since no library should.
func (b *forgeryBuilder) make(except []string) ([]forgery, error) {
	var err error
	if b.own, err = newForgeKey(b.real.Text("alg")); err != nil {
		return nil, err
	}
	b.pair = b.own
	if b.own.signer == nil {
		if b.pair, err = newForgeKey("ES256"); err != nil {
			return nil, err
		}
	}
	b.recent = time.Now()
	var all []forgery
	for _, r := range recipes {
		if slices.Contains(except, r.name) {
			continue
		}
		if token := r.make(b); token != "" {
			all = append(all, forgery{r.name, r.words, r.newKey, func() string { return token }})
		}
	}
	return all, nil
}

// absent removes a member of a header.
type absent struct{}

// head is the real header with members changed, given as names and values in turn.
func (b *forgeryBuilder) head(pairs ...any) map[string]any {
	head := maps.Clone(b.real.Head)
	for pair := range slices.Chunk(pairs, 2) {
		if name := pair[0].(string); pair[1] == (absent{}) {
			delete(head, name)
		} else {
			head[name] = pair[1]
		}
	}
	return head
}

// unsigned is the real token with members of its header changed, and without a signature.
func (b *forgeryBuilder) unsigned(pairs ...any) string {
	return encoded(b.head(pairs...)) + "." + b.real.Payload + "."
}

// signedBy is the real token with members of its header changed, signed with another key.
func (b *forgeryBuilder) signedBy(k *forgeKey, pairs ...any) string {
	return k.sign(encoded(b.head(append(pairs, "alg", k.alg)...)) + "." + b.real.Payload)
}

// keyed is the real token with members of its header changed, and a MAC by that key.
//
//go:noinline
func (b *forgeryBuilder) keyed(alg string, key []byte, pairs ...any) string {
	return b.signedBy(&forgeKey{alg: alg, shared: key}, pairs...)
}

// claiming is the real token with a claim changed. The real key is not ours, so another one signs under its kid.
func (b *forgeryBuilder) claiming(name string, value any) string {
	claims := maps.Clone(b.real.Claims)
	claims[name] = value
	return b.own.sign(b.real.Header + "." + encoded(claims))
}

// withSignature is the real token with another signature.
func (b *forgeryBuilder) withSignature(signature []byte) string {
	return b.real.Header + "." + b.real.Payload + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// signature is that of the real token; nil if it has none.
func (b *forgeryBuilder) signature() []byte {
	signature, err := base64.RawURLEncoding.DecodeString(b.real.Signature)
	if err != nil || len(signature) == 0 {
		return nil
	}
	return signature
}

// payload is what the real token says; nil if that cannot be read.
func (b *forgeryBuilder) payload() []byte {
	text, err := base64.RawURLEncoding.DecodeString(b.real.Payload)
	if err != nil {
		return nil
	}
	return text
}

// encrypted is a token in JWE, for which the public key is enough: a verifier that also has the private one may take
// what it can decrypt for signed. It is empty without a public key that can encrypt.
func (b *forgeryBuilder) encrypted(contentType jose.ContentType, text []byte) string {
	if len(b.published) == 0 || text == nil {
		return ""
	}
	to := jose.Recipient{Key: b.published[0], KeyID: b.real.Text("kid")}
	switch b.published[0].(type) {
	case *rsa.PublicKey:
		to.Algorithm = jose.RSA_OAEP_256
	case *ecdsa.PublicKey:
		to.Algorithm = jose.ECDH_ES
	default:
		return ""
	}
	options := (&jose.EncrypterOptions{}).WithType("JWT")
	if contentType != "" {
		options = options.WithContentType(contentType)
	}
	encrypter, err := jose.NewEncrypter(jose.A128GCM, to, options)
	if err != nil {
		return ""
	}
	token, err := encrypter.Encrypt(text)
	if err != nil {
		return ""
	}
	compact, err := token.CompactSerialize()
	if err != nil {
		return ""
	}
	return compact
}

// twoAlgs is the real token without a signature, with two members alg in its header.
func (b *forgeryBuilder) twoAlgs(first, last string) string {
	rest, err := json.Marshal(b.head("alg", absent{}))
	if err != nil {
		return ""
	}
	members := strings.TrimSuffix(strings.TrimPrefix(string(rest), "{"), "}")
	if members != "" {
		members += ","
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":%q,%s"alg":%q}`, first, members, last)) + "." + b.real.Payload + "."
}

// tampered changes of the claims what no verifier has another reason to refuse: the token expires a second later.
func tampered(t *jwk.RawToken) map[string]any {
	claims := maps.Clone(t.Claims)
	if exp := t.Date("exp"); !exp.IsZero() {
		claims["exp"] = json.Number(strconv.FormatInt(exp.Unix()+1, 10))
	} else {
		claims["prober"] = "tampered"
	}
	return claims
}

// encoded is a part of a token.
func encoded(part map[string]any) string {
	text, err := json.Marshal(part)
	if err != nil {
		return "" // of what was JSON or YAML; it does not come to this
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
