package probes

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
)

// Forgeries says that forged tokens are presented, and what they are forged from.
type Forgeries struct {
	Keys      secret.Public  `yaml:"keys" doc:"where the public keys are: the URL of a key set, {file: PATH} or {env: NAME}; with them tokens are keyed with the public key"`
	Status    httpx.Statuses `yaml:"status" doc:"what refuses a forged token; 401 or 403 unless said otherwise"`
	Claims    map[string]any `yaml:"claims" doc:"what to forge from where the valid token is opaque"`
	Algorithm string         `yaml:"algorithm" doc:"of real tokens, where the valid token is opaque; RS256 unless said otherwise"`
	KeyID     string         `yaml:"kid" doc:"of real tokens, where the valid token is opaque"`
}

// UnmarshalYAML reads true or the fields.
func (f *Forgeries) UnmarshalYAML(unmarshal func(any) error) error {
	var yes bool
	if unmarshal(&yes) == nil {
		if !yes {
			return errors.New("wanted true or how; without forgeries leave it out")
		}
		*f = Forgeries{}
		return nil
	}
	type fields Forgeries
	return unmarshal((*fields)(f))
}

// MarshalYAML writes true where there is no more to say.
func (f Forgeries) MarshalYAML() (any, error) {
	type fields Forgeries
	if f.Keys.IsZero() && f.Status.IsZero() && f.Claims == nil && f.Algorithm == "" && f.KeyID == "" {
		return true, nil
	}
	return fields(f), nil
}

// JSONSchema describes the two forms.
func (Forgeries) JSONSchema() map[string]any {
	text := map[string]any{"type": "string"}
	return map[string]any{"anyOf": []any{
		map[string]any{"const": true},
		map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
			"keys": secret.Public{}.JSONSchema(), "status": httpx.Statuses{}.JSONSchema(), "claims": map[string]any{"type": "object"},
			"algorithm": map[string]any{"enum": forgeable}, "kid": text,
		}},
	}}
}

func (f *Forgeries) validate() error {
	if f == nil {
		return nil
	}
	var wrong []error
	if f.Algorithm != "" && !slices.Contains(forgeable, f.Algorithm) {
		wrong = append(wrong, fmt.Errorf("forgeries.algorithm: wanted one of %s", strings.Join(forgeable, ", ")))
	}
	if s := f.Status; !s.IsZero() && (len(s.Codes()) != len(s) || !s.Denial() || s.Contains(429) || s.Contains(404)) {
		wrong = append(wrong, errors.New("forgeries.status: wanted what refuses a token, such as 401"))
	}
	return errors.Join(wrong...)
}

func (f *Forgeries) denials() httpx.Statuses {
	if f.Status.IsZero() {
		return httpx.Codes(401, 403)
	}
	return f.Status
}

// A forgery is a token that nobody must accept. It holds much of a real one, so it is a function: no verb of fmt
// prints what a function returns.
type forgery struct {
	name  string // in probe_auth_case, after "forged_"
	words string // in a sentence
	token func() string
}

func forged(name, words, token string) forgery {
	return forgery{name, words, func() string { return token }}
}

// A battery is the forged tokens of a run.
type battery struct {
	all    []forgery
	keyed  bool         // some are keyed with the public key
	why    probe.Reason // OK, or why not all could be made
	detail string
}

// A forger keeps its forgeries while what they are made of stays the same: to make them costs more than to present
// them, and each has to be made known to the redactor.
type forger struct {
	sync.Mutex
	of   [sha256.Size]byte
	kept []forgery
}

// forge makes the tokens to present: from the valid one if that is a JWT, else from the claims of the configuration.
func (p *Protected) forge(ctx context.Context, r *probe.Result, tokens map[string]*fixture) *battery {
	if p.Forgeries == nil {
		return nil
	}
	token, why, detail := p.valid.client.Token(ctx)
	if why != probe.OK {
		return &battery{why: why, detail: detail}
	}
	real := readJWT(token)
	if real == nil && p.Forgeries.Claims == nil {
		return &battery{why: probe.Credential, detail: "the valid token is no JWT; write under claims what real ones say"}
	}
	if real == nil {
		real = p.Forgeries.invented(time.Now())
	}
	b := &battery{why: probe.OK}
	var published []crypto.PublicKey
	if !p.Forgeries.Keys.IsZero() {
		published, b.why, b.detail = p.publicKeys(ctx, r, token, real)
	}
	b.keyed = len(published) > 0
	m := maker{real: real, published: published, other: otherSignature(tokens, real)}
	all, err := p.forger.all(r.System+"/"+r.Name, m)
	if err != nil {
		return &battery{why: probe.ControlFailed, detail: "keys to forge with could not be made"}
	}
	b.all = all
	return b
}

// invented is a token that could be a real one, but for its signature, which it lacks.
func (f *Forgeries) invented(now time.Time) *signedJWT {
	alg := f.Algorithm
	if alg == "" {
		alg = "RS256"
	}
	t := &signedJWT{head: map[string]any{"typ": "JWT", "alg": alg}, claims: maps.Clone(f.Claims)}
	if f.KeyID != "" {
		t.head["kid"] = f.KeyID
	}
	hour := now.Truncate(time.Hour) // so that it stays the same for a while
	for name, at := range map[string]time.Time{"iat": hour, "exp": hour.Add(2 * time.Hour)} {
		if _, there := t.claims[name]; !there {
			t.claims[name] = json.Number(strconv.FormatInt(at.Unix(), 10))
		}
	}
	t.header, t.payload = encoded(t.head), encoded(t.claims)
	return t
}

// otherSignature is that of another caller's token made with the same algorithm and key, if there is one.
func otherSignature(tokens map[string]*fixture, real *signedJWT) string {
	for _, name := range slices.Sorted(maps.Keys(tokens)) {
		t := tokens[name].jwt
		if t != nil && name != callerValid && t.text("alg") == real.text("alg") && t.text("kid") == real.text("kid") && t.signature != real.signature {
			return t.signature
		}
	}
	return ""
}

// all returns the forgeries that a maker makes, or makes them if they are not kept.
func (f *forger) all(whose string, m maker) ([]forgery, error) {
	f.Lock()
	defer f.Unlock()
	of := m.sum()
	if f.kept != nil && f.of == of {
		return f.kept, nil
	}
	all, err := m.make()
	if err != nil {
		return nil, err
	}
	learnt := map[string]bool{m.real.header: true, m.real.payload: true}
	for _, made := range all {
		parts := strings.SplitN(made.token(), ".", 3)
		for i, what := range []string{"header", "payload"} {
			if !learnt[parts[i]] { // it says again what the real token says, in another encoding
				learnt[parts[i]] = true
				secret.Learn("forged "+what+" "+made.name+" of "+whose, parts[i])
			}
		}
	}
	f.of, f.kept = of, all
	return all, nil
}

// A maker makes forgeries out of what a forger would know.
type maker struct {
	real      *signedJWT
	published []crypto.PublicKey // by which real tokens are verified; none if nobody said
	other     string             // the signature of another real token; empty if there is none
}

func (m *maker) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, part := range []string{m.real.header, m.real.payload, m.real.signature, m.other} {
		fmt.Fprintf(h, "%d %s ", len(part), part)
	}
	for _, key := range m.published {
		for _, s := range secretsFrom(key) {
			h.Write(s.key)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// jkuURL is where nobody serves a key set: a verifier that would fetch it can reach nobody (RFC 2606, section 2).
const jkuURL = "https://prober.invalid/.well-known/jwks.json"

// The ids of keys that nobody has. The second names a file that is empty, the third makes a query answer with a
// constant: either would give a careless verifier a key that is known to all, and changes nothing.
const (
	unknownKid = "prober-unknown-key"
	pathKid    = "../../../../../../../../dev/null"
	sqlKid     = "' UNION SELECT 'prober' -- "
	sqlKey     = "prober"
)

// make makes all of them. The bytes are put together by hand, since no library should.
func (m *maker) make() ([]forgery, error) {
	t := m.real
	alg := t.text("alg")
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
	unsigned := func(alg string) string { return encoded(m.head("alg", alg)) + "." + t.payload + "." }
	add("none", "a token with alg none", unsigned("none"))
	add("none_capital", "a token with alg None", unsigned("None"))
	add("none_mixed", "a token with alg nOnE", unsigned("nOnE"))
	add("empty_signature", "a token whose signature is left out", t.header+"."+t.payload+".")
	if t.signature != "" {
		all = append(all, m.resigned()...)
	}
	add("own_key", "a token signed with another key of the same kid", own.sign(t.header+"."+t.payload))
	add("unknown_kid", "a token whose kid nobody knows", own.sign(encoded(m.head("kid", unknownKid))+"."+t.payload))
	add("kid_path", "a token whose kid is the path of an empty file, keyed with nothing", m.keyed(nil, "kid", pathKid))
	add("kid_sql", "a token whose kid is SQL that answers with a key", m.keyed([]byte(sqlKey), "kid", sqlKid))
	add("embedded_jwk", "a token that brings its own key along (jwk)", asym.sign(encoded(m.head("alg", asym.alg, "kid", unknownKid, "jwk", public))+"."+t.payload))
	add("wrong_aud", "a token for another audience, signed with another key", m.claiming(own, "aud", "https://prober.invalid"))
	add("wrong_iss", "a token of another issuer, signed with another key", m.claiming(own, "iss", "https://prober.invalid"))
	add("future_nbf", "a token that is not valid yet, signed with another key", m.claiming(own, "nbf", json.Number("4102444800"))) // 2100
	for _, key := range m.published {
		for _, s := range secretsFrom(key) {
			add("hs256_"+s.name, "a token with alg HS256 keyed with the public key ("+s.words+")", m.keyed(s.key))
		}
	}
	// The last one, since a verifier may wait for the host.
	add("jku", "a token that says where its keys are (jku)", asym.sign(encoded(m.head("alg", asym.alg, "kid", unknownKid, "jku", jkuURL))+"."+t.payload))
	return all, nil
}

// resigned are the forgeries that need a real signature to begin with.
func (m *maker) resigned() []forgery {
	t := m.real
	signed := t.header + "." + t.payload + "."
	signature, err := base64.RawURLEncoding.DecodeString(t.signature)
	if err != nil {
		return nil
	}
	all := []forgery{
		forged("truncated_signature", "a token with half of its signature", signed+base64.RawURLEncoding.EncodeToString(signature[:len(signature)/2])),
		forged("zero_signature", "a token with a signature of zeros", signed+base64.RawURLEncoding.EncodeToString(make([]byte, len(signature)))),
		forged("tampered_payload", "a token that was changed after it was signed", t.header+"."+encoded(t.tampered())+"."+t.signature),
	}
	if m.other != "" {
		all = append(all, forged("other_signature", "a token with the signature of another", signed+m.other))
	}
	return all
}

// tampered changes of the claims what no verifier has another reason to refuse: the token expires a second later.
func (t *signedJWT) tampered() map[string]any {
	claims := maps.Clone(t.claims)
	if exp := t.date("exp"); !exp.IsZero() {
		claims["exp"] = json.Number(strconv.FormatInt(exp.Unix()+1, 10))
	} else {
		claims["prober"] = "tampered"
	}
	return claims
}

// head is the real header with members changed, given as names and values in turn.
func (m *maker) head(pairs ...any) map[string]any {
	head := maps.Clone(m.real.head)
	for pair := range slices.Chunk(pairs, 2) {
		head[pair[0].(string)] = pair[1]
	}
	return head
}

// keyed is the real token with alg HS256 and a MAC by that key.
func (m *maker) keyed(key []byte, pairs ...any) string {
	k := forgeKey{alg: "HS256", shared: key}
	return k.sign(encoded(m.head(append(pairs, "alg", "HS256")...)) + "." + m.real.payload)
}

// claiming is the real token with a claim changed. The real key is not ours, so another one signs under its kid.
func (m *maker) claiming(own *forgeKey, name string, value any) string {
	claims := maps.Clone(m.real.claims)
	claims[name] = value
	return own.sign(m.real.header + "." + encoded(claims))
}

// encoded is a part of a token.
func encoded(part map[string]any) string {
	text, err := json.Marshal(part)
	if err != nil {
		return "" // of what was JSON or YAML; it does not come to this
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
