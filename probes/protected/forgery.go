package protected

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes/internal/expect"
)

// Forgeries says that forged tokens are presented, and what they are forged from.
type Forgeries struct {
	On        yes            `yaml:"-" short:"true"`
	Keys      secret.Public  `yaml:"keys" doc:"the public keys: the URL of a key set, {file: PATH} or {env: NAME}; needed to forge tokens with the public key as their secret"`
	Status    httpx.Statuses `yaml:"status" default:"[400, 401, 403]" doc:"statuses that reject a forged token"`
	Denied    expect.Denials `yaml:"denied" doc:"in place of status: how a forged token is rejected"`
	Claims    map[string]any `yaml:"claims" doc:"claims to forge from, if the valid token is opaque"`
	Algorithm string         `yaml:"algorithm" default:"RS256" doc:"of real tokens, if the valid token is opaque"`
	KeyID     string         `yaml:"kid" doc:"of real tokens, if the valid token is opaque"`
	Except    []string       `yaml:"except" empty:"true" doc:"forged tokens to leave out, by name"`

	AllUnknownKids bool `yaml:"all_unknown_kids" doc:"in each run present all tokens that name no key of the verifier, which may fetch the key set for each; otherwise they take turns"`
}

// MarshalYAML writes true where there is no more to say.
func (f Forgeries) MarshalYAML() (any, error) {
	type fields Forgeries
	if reflect.ValueOf(f).IsZero() {
		return true, nil
	}
	return fields(f), nil
}

// yes is the word true, which says no more.
type yes struct{}

// UnmarshalYAML reads true.
func (*yes) UnmarshalYAML(unmarshal func(any) error) error {
	var said bool
	if unmarshal(&said) != nil || !said {
		return errors.New("expected true or keys; without forgeries leave it out")
	}
	return nil
}

// JSONSchema describes the one word.
func (yes) JSONSchema() map[string]any { return map[string]any{"const": true} }

func (f *Forgeries) validate() error {
	if f == nil {
		return nil
	}
	var wrong []error
	if f.Algorithm != "" && !slices.Contains(forgeable, f.Algorithm) {
		wrong = append(wrong, probe.Settingf("algorithm", "expected one of %s", strings.Join(forgeable, ", ")))
	}
	for i, name := range f.Except {
		if !slices.ContainsFunc(recipes, func(r recipe) bool { return r.name == name }) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("except[%d]", i), "is no forged token%s", text.DidYouMean(name, recipeNames())))
		}
	}
	if len(f.Except) == len(recipes) {
		wrong = append(wrong, probe.Settingf("except", "leaves nothing to present"))
	}
	return errors.Join(wrong...)
}

func recipeNames() []string {
	names := make([]string, len(recipes))
	for i, r := range recipes {
		names[i] = r.name
	}
	return names
}

// forgeryDenials are the ways in which a forged token is rejected.
func (p *Probe) forgeryDenials() expect.Denials {
	return denials(p.Forgeries.Denied, p.Forgeries.Status, p.Denied, 400, 401, 403)
}

// A forgery is a token that nobody must accept. It holds much of a real one, so it is a function: no verb of fmt
// prints what a function returns.
type forgery struct {
	name   string // in probe_auth_case, after "forged_"
	words  string // in a sentence
	newKey bool   // it names no key that the verifier has
	token  func() string
}

// A forgerySet is the forged tokens that could be made.
type forgerySet struct {
	probe.Outcome // OK, or why not all could be made
	all           []forgery
	keyed         bool // some are keyed with the public key
}

// A forgeryCache keeps its forgeries while what they are made of stays the same: to make them costs more than to present
// them, and each has to be made known to the redactor.
type forgeryCache struct {
	sync.Mutex
	of   [sha256.Size]byte
	kept []forgery
}

// forge makes the tokens to present: from the valid one if that is a JWT, else from the claims of the configuration.
func (p *Probe) forge(ctx context.Context, r *probe.Result, tokens map[string]*storedToken) *forgerySet {
	if p.Forgeries == nil {
		return nil
	}
	token, o := p.valid.client.Token(ctx)
	if !o.Passed() {
		return &forgerySet{Outcome: o}
	}
	real := jwk.ReadRaw(token)
	if real == nil && p.Forgeries.Claims == nil {
		return &forgerySet{Outcome: probe.Outcomef(probe.Credential, "the valid token is not a JWT; set claims to those of real tokens")}
	}
	if real == nil {
		real = p.Forgeries.synthetic(time.Now())
	}
	b := &forgerySet{Outcome: probe.Outcome{Reason: probe.OK}}
	var published []crypto.PublicKey
	if !p.Forgeries.Keys.IsZero() {
		published, b.Outcome = p.publicKeys(ctx, r, token, real)
	}
	b.keyed = len(published) > 0
	m := forgeryBuilder{real: real, published: published, other: otherToken(tokens, real)}
	all, err := p.forgeries.all(r.System+"/"+r.Name, m, p.Forgeries.Except)
	if err != nil {
		return &forgerySet{Outcome: probe.Outcomef(probe.ControlFailed, "keys to forge with could not be made")}
	}
	if b.all = all; len(all) == 0 && b.Passed() {
		b.Outcome = probe.Outcomef(probe.NothingChecked, "what is not left out (except) cannot be made of the valid token, or not without keys")
	}
	return b
}

// synthetic is a token that could be a real one, but for its signature, which it lacks.
func (f *Forgeries) synthetic(now time.Time) *jwk.RawToken {
	alg := f.Algorithm
	if alg == "" {
		alg = "RS256"
	}
	t := &jwk.RawToken{Head: map[string]any{"typ": "JWT", "alg": alg}, Claims: maps.Clone(f.Claims)}
	if f.KeyID != "" {
		t.Head["kid"] = f.KeyID
	}
	hour := now.Truncate(time.Hour) // so that it stays the same for a while
	for name, at := range map[string]time.Time{"iat": hour, "exp": hour.Add(2 * time.Hour)} {
		if _, there := t.Claims[name]; !there {
			t.Claims[name] = json.Number(strconv.FormatInt(at.Unix(), 10))
		}
	}
	t.Header, t.Payload = encoded(t.Head), encoded(t.Claims)
	return t
}

// otherToken is another caller's, made with the same algorithm and key; nil if there is none.
func otherToken(tokens map[string]*storedToken, real *jwk.RawToken) *jwk.RawToken {
	for _, name := range sorted.Keys(tokens) {
		t := tokens[name].jwt
		if t != nil && name != callerValid && t.Text("alg") == real.Text("alg") && t.Text("kid") == real.Text("kid") && t.Signature != real.Signature {
			return t
		}
	}
	return nil
}

// jsonParts lists the parts of a token, in any form, that are JSON in Base64: they begin with a brace.
func jsonParts(token string) []string {
	alphabet := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}
	return drop.If(strings.FieldsFunc(token, alphabet), func(part string) bool { return !strings.HasPrefix(part, "ey") })
}

// all returns the forgeries that a maker makes, or makes them if they are not kept.
func (f *forgeryCache) all(whose string, m forgeryBuilder, except []string) ([]forgery, error) {
	f.Lock()
	defer f.Unlock()
	of := m.sum()
	if f.kept != nil && f.of == of {
		return f.kept, nil
	}
	all, err := m.make(except)
	if err != nil {
		return nil, err
	}
	learnt := map[string]bool{m.real.Header: true, m.real.Payload: true}
	for _, made := range all {
		for i, part := range jsonParts(made.token()) {
			if !learnt[part] { // it says again what the real token says, in another encoding
				learnt[part] = true
				secret.Learn(fmt.Sprintf("forged %s, part %d, of %s", made.name, i, whose), part)
			}
		}
	}
	f.of, f.kept = of, all
	return all, nil
}
