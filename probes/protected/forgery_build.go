package protected

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"prober/internal/jwk"
)

// A forgeryBuilder makes forgeries out of what a forger would know.
type forgeryBuilder struct {
	real      *jwk.RawToken
	published []crypto.PublicKey // by which real tokens are verified; none if unknown
	other     string             // the signature of another real token; empty if there is none
}

func (m *forgeryBuilder) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, part := range []string{m.real.Header, m.real.Payload, m.real.Signature, m.other} {
		fmt.Fprintf(h, "%d %s ", len(part), part)
	}
	for _, key := range m.published {
		for _, s := range secretsFrom(key) {
			h.Write(s.key)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// jkuURL serves no key set: a verifier that fetches it reaches no host (RFC 2606, section 2).
const jkuURL = "https://prober.invalid/.well-known/jwks.json"

// The ids of keys that no verifier has. The second names a file that is empty, the third makes a query answer with a
// constant: either would give a careless verifier a key that is known to all, and changes nothing.
const (
	unknownKid = "prober-unknown-key"
	pathKid    = "../../../../../../../../dev/null"
	sqlKid     = "' UNION SELECT 'prober' -- "
	sqlKey     = "prober"
)

// make makes all of them. The bytes are put together by hand, since no library should.
func (m *forgeryBuilder) make() ([]forgery, error) {
	t := m.real
	alg := t.Text("alg")
	own, err := newForgeKey(alg)
	if err != nil {
		return nil, err
	}
	asym := own // for what only a pair of keys can do
	if strings.HasPrefix(alg, "HS") {
		if asym, err = newForgeKey("ES256"); err != nil {
			return nil, err
		}
	}
	public, err := asym.jwk()
	if err != nil {
		return nil, err
	}
	var all []forgery
	add := func(name, words, token string) { all = append(all, forged(name, words, token)) }
	unsigned := func(alg string) string { return encoded(m.head("alg", alg)) + "." + t.Payload + "." }
	add("none", "a token with alg none", unsigned("none"))
	add("none_capital", "a token with alg None", unsigned("None"))
	add("none_mixed", "a token with alg nOnE", unsigned("nOnE"))
	add("empty_signature", "a token whose signature is left out", t.Header+"."+t.Payload+".")
	if t.Signature != "" {
		all = append(all, m.resigned()...)
	}
	add("own_key", "a token signed with another key of the same kid", own.sign(t.Header+"."+t.Payload))
	add("unknown_kid", "a token with an unknown kid", own.sign(encoded(m.head("kid", unknownKid))+"."+t.Payload))
	add("kid_path", "a token whose kid is the path of an empty file, keyed with an empty key", m.keyed(nil, "kid", pathKid))
	add("kid_sql", "a token whose kid is SQL that answers with a key", m.keyed([]byte(sqlKey), "kid", sqlKid))
	add("embedded_jwk", "a token with an embedded key (jwk)", asym.sign(encoded(m.head("alg", asym.alg, "kid", unknownKid, "jwk", public))+"."+t.Payload))
	add("wrong_aud", "a token for another audience, signed with another key", m.claiming(own, "aud", "https://prober.invalid"))
	add("wrong_iss", "a token of another issuer, signed with another key", m.claiming(own, "iss", "https://prober.invalid"))
	add("future_nbf", "a token that is not valid yet, signed with another key", m.claiming(own, "nbf", json.Number("4102444800"))) // 2100
	for _, key := range m.published {
		for _, s := range secretsFrom(key) {
			add("hs256_"+s.name, "a token with alg HS256 keyed with the public key ("+s.words+")", m.keyed(s.key))
		}
	}
	// The last one, since a verifier may wait for the host.
	add("jku", "a token with the URL of its keys (jku)", asym.sign(encoded(m.head("alg", asym.alg, "kid", unknownKid, "jku", jkuURL))+"."+t.Payload))
	return all, nil
}

// resigned are the forgeries that need a real signature to begin with.
func (m *forgeryBuilder) resigned() []forgery {
	t := m.real
	signed := t.Header + "." + t.Payload + "."
	signature, err := base64.RawURLEncoding.DecodeString(t.Signature)
	if err != nil {
		return nil
	}
	all := []forgery{
		forged("truncated_signature", "a token with half of its signature", signed+base64.RawURLEncoding.EncodeToString(signature[:len(signature)/2])),
		forged("zero_signature", "a token with a signature of zeros", signed+base64.RawURLEncoding.EncodeToString(make([]byte, len(signature)))),
		forged("tampered_payload", "a token that was changed after it was signed", t.Header+"."+encoded(tampered(t))+"."+t.Signature),
	}
	if m.other != "" {
		all = append(all, forged("other_signature", "a token with the signature of another", signed+m.other))
	}
	return all
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

// head is the real header with members changed, given as names and values in turn.
func (m *forgeryBuilder) head(pairs ...any) map[string]any {
	head := maps.Clone(m.real.Head)
	for pair := range slices.Chunk(pairs, 2) {
		head[pair[0].(string)] = pair[1]
	}
	return head
}

// keyed is the real token with alg HS256 and a MAC by that key.
func (m *forgeryBuilder) keyed(key []byte, pairs ...any) string {
	k := forgeKey{alg: "HS256", shared: key}
	return k.sign(encoded(m.head(append(pairs, "alg", "HS256")...)) + "." + m.real.Payload)
}

// claiming is the real token with a claim changed. The real key is not ours, so another one signs under its kid.
func (m *forgeryBuilder) claiming(own *forgeKey, name string, value any) string {
	claims := maps.Clone(m.real.Claims)
	claims[name] = value
	return own.sign(m.real.Header + "." + encoded(claims))
}

// encoded is a part of a token.
func encoded(part map[string]any) string {
	text, err := json.Marshal(part)
	if err != nil {
		return "" // of what was JSON or YAML; it does not come to this
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
