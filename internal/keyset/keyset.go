// Package keyset reads the public keys by which verifiers tell real tokens from forged ones: a JSON Web Key Set
// (RFC 7517) or a bundle of PEM blocks. It reads key by key, so that one odd key never hides the others, and says of
// each what is wrong with it. Nothing that is or may be a private key is kept.
package keyset

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// A Key is one entry of a set. ID, Algorithm, Use and Ops are the publisher's words: to be compared, not repeated.
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
}

// A Problem is what makes a key unfit, in one word of a closed set.
type Problem string

// Problems, the worst first.
const (
	Private    Problem = "private_key"     // it holds private or symmetric material (RFC 7517, section 9.2)
	Malformed  Problem = "malformed"       // not a JSON object, or one member stands twice
	Unknown    Problem = "unknown_type"    // a type or curve that is to be ignored (RFC 7517, section 5)
	Unreadable Problem = "unreadable"      // required members missing or out of range, a point off the curve
	Weak       Problem = "weak_key"        // below RFC 7518, section 3.3, or with a dangerous exponent or modulus
	Unfit      Problem = "not_for_signing" // use, key_ops or alg say that it verifies no signature
)

// A Set is the keys in the order in which they were published.
type Set []Key

// Errors of Parse. They hold no byte of the answer.
var (
	ErrFormat = errors.New("no JSON object with an array named \"keys\"")
	ErrTwice  = errors.New("the member \"keys\" stands twice")
	ErrEmpty  = errors.New("the set holds no key")
	ErrMany   = errors.New("the set holds more keys than are read")
)

// Most is how many keys are read of one set.
const Most = 20_000

// Parse reads a JSON Web Key Set. Member names are compared exactly, as RFC 7517 has them. A set without keys is an
// error, since no token could ever be verified by it.
func Parse(body []byte) (Set, error) {
	members, err := object(body)
	if errors.Is(err, errTwice) {
		return nil, ErrTwice
	}
	if err != nil {
		return nil, ErrFormat
	}
	var raw []json.RawMessage
	if json.Unmarshal(members["keys"], &raw) != nil {
		return nil, ErrFormat
	}
	switch {
	case len(raw) == 0:
		return nil, ErrEmpty
	case len(raw) > Most:
		return nil, ErrMany
	}
	set := make(Set, len(raw))
	for i, text := range raw {
		set[i] = parseKey(text)
	}
	return set, nil
}

// privateMembers are those that no public key has: of RSA, EC and OKP keys, symmetric keys and AKP keys.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// required are the members that make a key what it is, by its type: those that RFC 7638 hashes.
var required = map[string][]string{
	"RSA": {"kty", "n", "e"},
	"EC":  {"kty", "crv", "x", "y"},
	"OKP": {"kty", "crv", "x"},
}

func parseKey(text json.RawMessage) Key {
	members, err := object(text)
	if err != nil {
		if mayBePrivate(text) {
			return Key{Problem: Private}
		}
		return Key{Problem: Malformed}
	}
	var k Key
	kind, kindOK := member(members, "kty")
	wellTyped := kindOK
	for name, into := range map[string]*string{"kid": &k.ID, "alg": &k.Algorithm, "use": &k.Use} {
		var ok bool
		*into, ok = member(members, name)
		wellTyped = wellTyped && ok
	}
	if ops, there := members["key_ops"]; there && json.Unmarshal(ops, &k.Ops) != nil {
		wellTyped = false
	}
	for _, name := range privateMembers {
		if _, there := members[name]; there || kind == "oct" {
			k.Problem = Private
		}
	}
	names, known := required[kind]
	if known {
		k.Type = kind
	}
	switch {
	case k.Problem == Private:
		return k
	case !wellTyped || kind == "":
		k.Problem = Malformed
	case !known:
		k.Problem = Unknown
	default:
		k.read(members, names)
	}
	return k
}

// read has the library read the members that make the key, and only those: a wrong certificate beside them is no
// fault of the key, and nothing else in there can have a say.
func (k *Key) read(members map[string]json.RawMessage, names []string) {
	bare := make(map[string]json.RawMessage, len(names))
	for _, name := range names {
		bare[name] = members[name]
	}
	crv, _ := member(members, "crv")
	if k.Type != "RSA" && !slices.Contains([]string{"P-256", "P-384", "P-521", "Ed25519"}, crv) {
		k.Problem = Unknown
		return
	}
	text, err := json.Marshal(bare)
	var jwk jose.JSONWebKey
	if err != nil || jwk.UnmarshalJSON(text) != nil || !jwk.IsPublic() {
		k.Problem = Unreadable
		return
	}
	k.take(jwk.Key)
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
		k.Problem = Unfit
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

// Find returns the keys with an id. RFC 7517, section 4.5, wants ids distinct; not all sets keep to it.
func (s Set) Find(id string) []Key {
	var found []Key
	for _, k := range s {
		if k.ID == id {
			found = append(found, k)
		}
	}
	return found
}

var errTwice = errors.New("a member stands twice")

// object reads a JSON object member by member. The standard library would take the last of two members of one name,
// and "Keys" for "keys".
func object(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	start, err := d.Token()
	if err != nil || start != json.Delim('{') {
		return nil, ErrFormat
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, ErrFormat
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, ErrFormat
		}
		if _, twice := members[name.(string)]; twice {
			return nil, errTwice
		}
		members[name.(string)] = value
	}
	if _, err := d.Token(); err != nil || d.More() {
		return nil, ErrFormat
	}
	return members, nil
}

// mayBePrivate reports whether an entry that cannot be read as a key has a private member all the same.
func mayBePrivate(text []byte) bool {
	var loose map[string]json.RawMessage
	if json.Unmarshal(text, &loose) != nil {
		return false
	}
	return slices.ContainsFunc(privateMembers, func(name string) bool { _, there := loose[name]; return there })
}

// member returns a member that is a text; ok is false if it is there and something else.
func member(members map[string]json.RawMessage, name string) (value string, ok bool) {
	raw, there := members[name]
	if !there {
		return "", true
	}
	return value, json.Unmarshal(raw, &value) == nil && string(raw) != "null"
}
