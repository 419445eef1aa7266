package protected

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// A recipe says how a forgery is made: of those that public advisories on JWT libraries know, and of those that RFC
// 7515, RFC 8725 and their like forbid.
type recipe struct {
	name   string // in probe_auth_case, after "forged_", and in the setting except
	words  string // in a sentence
	newKey bool   // it names no key that the verifier has, so that a verifier may fetch the key set for it
	make   func(b *forgeryBuilder) string
}

// The address of keys that nobody serves: a verifier that fetches them reaches no host (RFC 2606, section 2).
const nowhere = "https://prober.invalid/"

// The ids of keys that no verifier has. The second names a file that is empty, the third makes a query answer with a
// constant: either would give a careless verifier a key that is known to all, and changes nothing.
const (
	unknownKid = "prober-unknown-key"
	pathKid    = "../../../../../../../../dev/null"
	sqlKid     = "' UNION SELECT 'prober' -- "
	sqlKey     = "prober"
)

// recipes lists all forgeries, in the order in which they are presented. Those that may make a verifier wait for a host
// are the last ones.
var recipes = slices.Concat(unsignedRecipes, signatureRecipes, keyRecipes, sharedRecipes(), formRecipes, claimRecipes, newKeyRecipes, remoteRecipes)

// unsignedRecipes have no algorithm.
var unsignedRecipes = []recipe{
	{"none", "a token with alg none", false, func(b *forgeryBuilder) string { return b.unsigned("alg", "none") }},
	{"none_capital", "a token with alg None", false, func(b *forgeryBuilder) string { return b.unsigned("alg", "None") }},
	{"none_upper", "a token with alg NONE", false, func(b *forgeryBuilder) string { return b.unsigned("alg", "NONE") }},
	{"none_mixed", "a token with alg nOnE", false, func(b *forgeryBuilder) string { return b.unsigned("alg", "nOnE") }},
	{"none_signed", "a token with alg none and the real signature", false, func(b *forgeryBuilder) string {
		if b.real.Signature == "" {
			return ""
		}
		return b.unsigned("alg", "none") + b.real.Signature
	}},
	{"no_alg", "a token without alg", false, func(b *forgeryBuilder) string { return b.unsigned("alg", absent{}) }},
	{"empty_alg", "a token with an empty alg", false, func(b *forgeryBuilder) string { return b.unsigned("alg", "") }},
	{"unknown_alg", "a token with an unknown alg", false, func(b *forgeryBuilder) string { return b.unsigned("alg", "prober") }},
	{"none_last", "a token with two algs, of which the last is none", false, func(b *forgeryBuilder) string {
		return b.twoAlgs(b.real.Text("alg"), "none")
	}},
	{"none_first", "a token with two algs, of which the first is none", false, func(b *forgeryBuilder) string {
		return b.twoAlgs("none", b.real.Text("alg"))
	}},
}

// signatureRecipes do without the right signature.
var signatureRecipes = []recipe{
	{"empty_signature", "a token whose signature is left out", false, func(b *forgeryBuilder) string {
		return b.real.Header + "." + b.real.Payload + "."
	}},
	{"two_parts", "a token of two parts", false, func(b *forgeryBuilder) string { return b.real.Header + "." + b.real.Payload }},
	{"truncated_signature", "a token with half of its signature", false, func(b *forgeryBuilder) string {
		if b.signature() == nil {
			return ""
		}
		return b.withSignature(b.signature()[:len(b.signature())/2])
	}},
	{"zero_signature", "a token with a signature of zeros", false, func(b *forgeryBuilder) string {
		if b.signature() == nil {
			return ""
		}
		return b.withSignature(make([]byte, len(b.signature())))
	}},
	{"zero_der_signature", "a token with a signature of zeros in DER", false, func(b *forgeryBuilder) string {
		if b.order() == nil {
			return ""
		}
		return b.withSignature([]byte{0x30, 6, 2, 1, 0, 2, 1, 0})
	}},
	{"order_signature", "a token whose signature is the order of the curve, twice", false, func(b *forgeryBuilder) string {
		if b.order() == nil {
			return ""
		}
		return b.withSignature(slices.Concat(b.order(), b.order()))
	}},
	{"tampered_payload", "a token that was changed after it was signed", false, func(b *forgeryBuilder) string {
		if b.real.Signature == "" {
			return ""
		}
		return b.real.Header + "." + encoded(tampered(b.real)) + "." + b.real.Signature
	}},
	{"other_signature", "a token with the signature of another", false, func(b *forgeryBuilder) string {
		if b.other == nil {
			return ""
		}
		return b.real.Header + "." + b.real.Payload + "." + b.other.Signature
	}},
}

// order is that of the curve of the real token's algorithm, as long as half a signature; nil if it has no curve.
func (b *forgeryBuilder) order() []byte {
	curve := ecdsaCurve(b.real.Text("alg"))
	if curve == nil {
		return nil
	}
	params := curve.Params()
	return params.N.FillBytes(make([]byte, (params.BitSize+7)/8))
}

// keyRecipes are signed with another key that they bring along or that nobody has, under the real kid.
var keyRecipes = []recipe{
	{"own_key", "a token signed with another key of the same kid", false, func(b *forgeryBuilder) string {
		return b.own.sign(b.real.Header + "." + b.real.Payload)
	}},
	{"embedded_jwk", "a token with an embedded key (jwk)", false, func(b *forgeryBuilder) string {
		return b.signedBy(b.pair, "jwk", b.pair.jwk(b.real.Text("kid")))
	}},
	{"embedded_x5c", "a token with an embedded certificate (x5c)", false, func(b *forgeryBuilder) string {
		return b.signedBy(b.pair, "x5c", b.pair.x5c())
	}},
	{"embedded_secret", "a token with an embedded secret (jwk)", false, func(b *forgeryBuilder) string {
		secret := map[string]any{"kty": "oct", "alg": "HS256", "k": base64.RawURLEncoding.EncodeToString([]byte(embeddedSecret))}
		return b.keyed("HS256", []byte(embeddedSecret), "jwk", secret)
	}},
}

// embeddedSecret is as long as HS256 demands.
const embeddedSecret = "prober-prober-prober-prober-prober"

// sharedRecipes take the public key, or nothing, for a shared secret.
func sharedRecipes() []recipe {
	all := []recipe{
		{"hs256_empty", "a token with alg HS256 keyed with an empty key", false, func(b *forgeryBuilder) string { return b.keyed("HS256", nil) }},
	}
	forms := func(alg, name string, of ...string) {
		for _, form := range of {
			words := "a token with alg " + alg + " keyed with the public key (" + secretForms[form] + ")"
			all = append(all, recipe{name + "_" + form, words, false, func(b *forgeryBuilder) string {
				for _, key := range b.published {
					for _, s := range secretsFrom(key) {
						if s.name == form {
							return b.keyed(alg, s.key)
						}
					}
				}
				return ""
			}})
		}
	}
	forms("HS256", "hs256", "pem", "pem_bare", "der", "pkcs1", "ssh", "material", "jwk")
	forms("HS384", "hs384", "pem", "pem_bare", "der", "jwk")
	forms("HS512", "hs512", "pem", "pem_bare", "der", "jwk")
	return all
}

// formRecipes are no signed tokens in compact form, or are more than that.
var formRecipes = []recipe{
	{"json_unsigned", "a token in JSON with no signatures", false, func(b *forgeryBuilder) string {
		return `{"payload":"` + b.real.Payload + `","signatures":[]}`
	}},
	{"json_none", "a token in JSON with alg none", false, func(b *forgeryBuilder) string {
		return `{"payload":"` + b.real.Payload + `","protected":"` + encoded(b.head("alg", "none")) + `","signature":""}`
	}},
	{"json_mixed", "a token in JSON that holds the claims of another in compact form", false, func(b *forgeryBuilder) string {
		if o := b.other; o != nil { // what decodes Base64 leniently skips the first four characters
			return `{"!!` + o.Header + "." + b.real.Payload + `.":"","protected":"` + o.Header + `","payload":"` + o.Payload + `","signature":"` + o.Signature + `"}`
		}
		return ""
	}},
	{"extra_part", "a token of four parts, of which another is signed", false, func(b *forgeryBuilder) string {
		if o := b.other; o != nil {
			return o.Header + "." + b.real.Payload + "." + o.Payload + "." + o.Signature
		}
		return ""
	}},
	{"encrypted", "a token that is encrypted with the public key and not signed", false, func(b *forgeryBuilder) string {
		return b.encrypted("", b.payload())
	}},
	{"encrypted_none", "a token with alg none, encrypted with the public key", false, func(b *forgeryBuilder) string {
		return b.encrypted("JWT", []byte(encoded(map[string]any{"alg": "none"})+"."+b.real.Payload+"."))
	}},
	{"unencoded", "a token with b64 false, signed with another key", false, func(b *forgeryBuilder) string {
		return b.signedBy(b.own, "b64", false, "crit", []string{"b64"})
	}},
	{"unknown_crit", "a token with an unknown critical header, signed with another key", false, func(b *forgeryBuilder) string {
		return b.signedBy(b.own, nowhere, true, "crit", []string{nowhere})
	}},
	{"wrong_typ", "a token of another type (typ), signed with another key", false, func(b *forgeryBuilder) string {
		return b.signedBy(b.own, "typ", "logout+jwt")
	}},
}

// claimRecipes have other claims, and are signed with another key.
var claimRecipes = []recipe{
	{"wrong_aud", "a token for another audience, signed with another key", false, func(b *forgeryBuilder) string {
		return b.claiming("aud", "https://prober.invalid")
	}},
	{"wrong_iss", "a token of another issuer, signed with another key", false, func(b *forgeryBuilder) string {
		return b.claiming("iss", "https://prober.invalid")
	}},
	{"past_exp", "a token that expired a day ago, signed with another key", false, func(b *forgeryBuilder) string {
		return b.claiming("exp", json.Number(strconv.FormatInt(b.recent.Add(-24*time.Hour).Unix(), 10)))
	}},
	{"future_nbf", "a token that is not valid yet, signed with another key", false, func(b *forgeryBuilder) string {
		return b.claiming("nbf", json.Number("4102444800")) // 2100
	}},
}

// newKeyRecipes name no key that the verifier has. A verifier may ask the issuer for each of them, so they take turns.
var newKeyRecipes = []recipe{
	{"no_kid", "a token without a kid, signed with another key", true, withoutKid(func(b *forgeryBuilder) string {
		return b.signedBy(b.own, "kid", absent{})
	})},
	{"unknown_kid", "a token with an unknown kid", true, func(b *forgeryBuilder) string { return b.signedBy(b.own, "kid", unknownKid) }},
	{"kid_path", "a token whose kid is the path of an empty file, keyed with an empty key", true, func(b *forgeryBuilder) string {
		return b.keyed("HS256", nil, "kid", pathKid)
	}},
	{"kid_sql", "a token whose kid is SQL that answers with a key", true, func(b *forgeryBuilder) string {
		return b.keyed("HS256", []byte(sqlKey), "kid", sqlKid)
	}},
	{"no_kid_none", "a token with alg none and without a kid", true, withoutKid(func(b *forgeryBuilder) string {
		return b.unsigned("alg", "none", "kid", absent{})
	})},
	{"no_kid_empty", "a token with alg HS256, without a kid and keyed with an empty key", true, withoutKid(func(b *forgeryBuilder) string {
		return b.keyed("HS256", nil, "kid", absent{})
	})},
	{"unknown_kid_none", "a token with alg none and an unknown kid", true, func(b *forgeryBuilder) string {
		return b.unsigned("alg", "none", "kid", unknownKid)
	}},
	{"unknown_kid_jwk", "a token with an unknown kid and an embedded key (jwk)", true, func(b *forgeryBuilder) string {
		return b.signedBy(b.pair, "kid", unknownKid, "jwk", b.pair.jwk(unknownKid))
	}},
	{"unknown_kid_x5c", "a token with an unknown kid and an embedded certificate (x5c)", true, func(b *forgeryBuilder) string {
		return b.signedBy(b.pair, "kid", unknownKid, "x5c", b.pair.x5c())
	}},
	{"unknown_kid_jku", "a token with an unknown kid and the URL of its keys (jku)", true, func(b *forgeryBuilder) string {
		return b.signedBy(b.pair, "kid", unknownKid, "jku", nowhere+".well-known/jwks.json")
	}},
	{"unknown_kid_x5u", "a token with an unknown kid and the URL of its certificate (x5u)", true, func(b *forgeryBuilder) string {
		return b.signedBy(b.pair, "kid", unknownKid, "x5u", nowhere+"certificate.pem")
	}},
}

// withoutKid makes nothing of a token that has no kid anyway.
func withoutKid(make func(b *forgeryBuilder) string) func(b *forgeryBuilder) string {
	return func(b *forgeryBuilder) string {
		if b.real.Text("kid") == "" {
			return ""
		}
		return make(b)
	}
}

// remoteRecipes say that their keys are somewhere else.
var remoteRecipes = []recipe{
	{"x5u", "a token with the URL of its certificate (x5u)", false, func(b *forgeryBuilder) string {
		return b.signedBy(b.pair, "x5u", nowhere+"certificate.pem")
	}},
	{"jku", "a token with the URL of its keys (jku)", false, func(b *forgeryBuilder) string {
		return b.signedBy(b.pair, "jku", nowhere+".well-known/jwks.json")
	}},
}
