package protected

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// gateFlaws are the ways in which a verifier takes a forged token for a real one, each with the forgeries that it
// takes, and no other.
var gateFlaws = map[string][]string{
	"none":                {"none", "no_kid_none", "unknown_kid_none"},
	"none_capital":        {"none_capital"},
	"none_upper":          {"none_upper"},
	"none_mixed":          {"none_capital", "none_upper", "none_mixed"},
	"none_signed":         {"none_signed"},
	"none_first":          {"none_first"},
	"none_last":           {"none_last"},
	"no_alg":              {"no_alg"},
	"empty_alg":           {"empty_alg"},
	"unknown_alg":         {"unknown_alg"},
	"empty_signature":     {"empty_signature"},
	"two_parts":           {"two_parts"},
	"truncated_signature": {"truncated_signature"},
	"zero_signature":      {"zero_signature"},
	"zero_der_signature":  {"zero_der_signature"},
	"order_signature":     {"order_signature"},
	"tampered_payload":    {"tampered_payload"},
	"other_signature":     {"other_signature"},
	"own_key": {
		"truncated_signature", "zero_signature", "zero_der_signature", "order_signature", "tampered_payload", "other_signature",
		"own_key", "embedded_jwk", "embedded_x5c", "unencoded", "unknown_crit", "wrong_typ", "x5u", "jku",
	},
	"embedded_jwk":     {"embedded_jwk"},
	"embedded_x5c":     {"embedded_x5c"},
	"embedded_secret":  {"embedded_secret"},
	"x5u":              {"x5u"},
	"jku":              {"jku"},
	"unencoded":        {"unencoded"},
	"unknown_crit":     {"unknown_crit", "unencoded"},
	"wrong_typ":        {"wrong_typ"},
	"json_unsigned":    {"json_unsigned"},
	"json_none":        {"json_none"},
	"json_mixed":       {"json_mixed"},
	"extra_part":       {"extra_part"},
	"encrypted":        {"encrypted"},
	"encrypted_none":   {"encrypted_none"},
	"wrong_aud":        {"wrong_aud"},
	"wrong_iss":        {"wrong_iss"},
	"future_nbf":       {"future_nbf"},
	"past_exp":         {"past_exp"},
	"hs256_empty":      {"hs256_empty"},
	"hs256_pem":        {"hs256_pem"},
	"hs256_pem_bare":   {"hs256_pem_bare"},
	"hs256_der":        {"hs256_der"},
	"hs256_pkcs1":      {"hs256_pkcs1"},
	"hs256_ssh":        {"hs256_ssh"},
	"hs256_material":   {"hs256_material"},
	"hs256_jwk":        {"hs256_jwk"},
	"hs384_pem":        {"hs384_pem"},
	"hs384_pem_bare":   {"hs384_pem_bare"},
	"hs384_der":        {"hs384_der"},
	"hs384_jwk":        {"hs384_jwk"},
	"hs512_pem":        {"hs512_pem"},
	"hs512_pem_bare":   {"hs512_pem_bare"},
	"hs512_der":        {"hs512_der"},
	"hs512_jwk":        {"hs512_jwk"},
	"no_kid":           {"no_kid"},
	"no_kid_none":      {"no_kid_none"},
	"no_kid_empty":     {"no_kid_empty"},
	"unknown_kid":      {"unknown_kid", "unknown_kid_jwk", "unknown_kid_x5c", "unknown_kid_jku", "unknown_kid_x5u"},
	"unknown_kid_none": {"unknown_kid_none"},
	"unknown_kid_jwk":  {"unknown_kid_jwk"},
	"unknown_kid_x5c":  {"unknown_kid_x5c"},
	"unknown_kid_jku":  {"unknown_kid_jku"},
	"unknown_kid_x5u":  {"unknown_kid_x5u"},
	"kid_path":         {"kid_path"},
	"kid_sql":          {"kid_sql"},
}

// flawed returns the claims of a token that only the gate's flaw takes for real; nil if it does not.
func (g *gate) flawed(token string) map[string]any {
	if strings.HasPrefix(token, "{") {
		return g.flawedJSON(token)
	}
	parts := strings.Split(token, ".")
	switch {
	case len(parts) == 2 && g.flaw == "two_parts":
		return members(parts[1])
	case len(parts) == 4 && g.flaw == "extra_part" && g.verifies(parts[0]+"."+parts[2]+"."+parts[3]):
		return members(parts[1])
	case len(parts) == 5:
		return g.decrypted(token)
	case len(parts) != 3:
		return nil
	}
	head, claims := members(parts[0]), members(parts[1])
	if head == nil || claims == nil || !g.lets(parts, head, claims) {
		return nil
	}
	return claims
}

// members reads a part of a token leniently.
func members(part string) map[string]any {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil
	}
	var all map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&all) != nil {
		return nil
	}
	return all
}

// flawedJSON takes tokens in JSON.
func (g *gate) flawedJSON(token string) map[string]any {
	var t struct {
		Payload, Protected, Signature string
		Signatures                    *[]any
	}
	if json.Unmarshal([]byte(token), &t) != nil {
		return nil
	}
	switch g.flaw {
	case "json_unsigned": // all of no signatures verify
		if t.Signatures != nil && len(*t.Signatures) == 0 {
			return members(t.Payload)
		}
	case "json_none":
		if head := members(t.Protected); head["alg"] == "none" {
			return members(t.Payload)
		}
	case "json_mixed": // verifies the JSON, and reads the claims of the compact form that the same text has
		if g.verifies(t.Protected + "." + t.Payload + "." + t.Signature) {
			return members(strings.Split(token, ".")[1])
		}
	}
	return nil
}

// decrypted takes what was encrypted for the gate for signed.
func (g *gate) decrypted(token string) map[string]any {
	if !strings.HasPrefix(g.flaw, "encrypted") {
		return nil
	}
	sealed, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.RSA_OAEP_256, jose.ECDH_ES}, []jose.ContentEncryption{jose.A128GCM})
	if err != nil {
		return nil
	}
	text, err := sealed.Decrypt(g.private)
	if err != nil {
		return nil
	}
	nested := sealed.Header.ExtraHeaders[jose.HeaderContentType] == "JWT"
	if nested != (g.flaw == "encrypted_none") {
		return nil
	}
	if !nested {
		return members(base64.RawURLEncoding.EncodeToString(text))
	}
	parts := strings.Split(string(text), ".")
	if len(parts) != 3 || members(parts[0])["alg"] != "none" {
		return nil
	}
	return members(parts[1])
}

// lets tells whether the gate's flaw takes the place of a signature that holds, of a token of three parts.
func (g *gate) lets(parts []string, head, claims map[string]any) bool {
	alg, hasAlg := head["alg"].(string)
	kid, hasKid := head["kid"].(string)
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	mac := func(with string, key []byte) bool {
		algorithm := map[string]func() hash.Hash{"hs256": sha256.New, "hs384": sha512.New384, "hs512": sha512.New}[with]
		m := hmac.New(algorithm, key)
		m.Write([]byte(parts[0] + "." + parts[1]))
		return strings.EqualFold(alg, with) && hmac.Equal(m.Sum(nil), signature)
	}
	verifiedBy := func(key any) bool {
		parsed, err := jwt.ParseSigned(strings.Join(parts, "."), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		return err == nil && parsed.Claims(key) == nil
	}
	raw, _ := base64.RawURLEncoding.DecodeString(parts[0])
	algs := regexp.MustCompile(`"alg":"([^"]*)"`).FindAllSubmatch(raw, -1)
	unsigned := len(signature) == 0
	ours := kid == "k1"
	known := alg == string(g.alg) && ours && (len(algs) == 1 || head["jwk"] != nil)
	plain := len(head) == 3 && head["typ"] == "JWT" // brings nothing along
	end := json.Number(fmt.Sprint(g.now.Add(30 * 24 * time.Hour).Unix()))
	switch g.flaw {
	case "none":
		return alg == "none" && unsigned && len(algs) == 1
	case "none_capital":
		return alg == "None"
	case "none_upper":
		return alg == "NONE"
	case "none_mixed":
		return alg != "none" && strings.EqualFold(alg, "none")
	case "none_signed": // wants a signature, and then does not look at it
		return alg == "none" && !unsigned
	case "none_first":
		return len(algs) == 2 && string(algs[0][1]) == "none"
	case "none_last":
		return len(algs) == 2 && string(algs[1][1]) == "none"
	case "no_alg":
		return !hasAlg
	case "empty_alg":
		return hasAlg && alg == ""
	case "unknown_alg":
		return alg == "prober"
	case "empty_signature":
		return known && unsigned
	case "truncated_signature": // compares as many bytes as there are
		for real := range g.signature {
			whole, _ := base64.RawURLEncoding.DecodeString(real)
			if len(signature) > 0 && bytes.HasPrefix(whole, signature) && len(whole) > len(signature) {
				return known
			}
		}
	case "zero_signature":
		return known && len(signature) > 0 && len(bytes.Trim(signature, "\x00")) == 0
	case "zero_der_signature":
		return known && bytes.Equal(signature, []byte{0x30, 6, 2, 1, 0, 2, 1, 0})
	case "order_signature": // calculates modulo the order
		half := len(signature) / 2
		return known && half > 0 && bytes.Equal(signature[:half], ecdsaCurve(alg).Params().N.Bytes()) && bytes.Equal(signature[:half], signature[half:])
	case "tampered_payload": // remembers good signatures, of this user
		return known && g.signature[parts[2]] && claims["exp"] != end
	case "other_signature": // remembers good signatures, of claims that it has seen
		return known && g.signature[parts[2]] && claims["exp"] == end
	case "own_key": // does not verify
		return known && !unsigned
	case "embedded_jwk", "unknown_kid_jwk":
		text, _ := json.Marshal(head["jwk"])
		var key jose.JSONWebKey
		return ours == (g.flaw == "embedded_jwk") && key.UnmarshalJSON(text) == nil && key.IsPublic() && verifiedBy(key.Key)
	case "embedded_x5c", "unknown_kid_x5c":
		chain, _ := head["x5c"].([]any)
		if len(chain) != 1 || ours != (g.flaw == "embedded_x5c") {
			return false
		}
		der, err := base64.StdEncoding.DecodeString(chain[0].(string))
		if err != nil {
			return false
		}
		certificate, err := x509.ParseCertificate(der)
		return err == nil && verifiedBy(certificate.PublicKey)
	case "embedded_secret":
		key, _ := head["jwk"].(map[string]any)
		secret, _ := key["k"].(string)
		k, err := base64.RawURLEncoding.DecodeString(secret)
		return err == nil && len(k) > 0 && mac("hs256", k)
	case "x5u", "jku": // cannot fetch the keys and lets in
		return ours && head[g.flaw] != nil
	case "unknown_kid_x5u", "unknown_kid_jku":
		return !ours && head[strings.TrimPrefix(g.flaw, "unknown_kid_")] != nil
	case "unencoded":
		return head["b64"] == false
	case "unknown_crit":
		return head["crit"] != nil
	case "wrong_typ":
		return known && head["typ"] != "JWT"
	case "wrong_aud":
		return claims["aud"] != "gate"
	case "wrong_iss":
		return claims["iss"] != gateIssuer
	case "future_nbf":
		return claims["nbf"] != nil
	case "past_exp":
		return known && plain && claims["exp"] != end && !g.signature[parts[2]] && !unsigned
	case "hs256_empty":
		return ours && mac("hs256", nil)
	case "no_kid":
		return !hasKid && alg == string(g.alg)
	case "no_kid_none":
		return !hasKid && alg == "none"
	case "no_kid_empty":
		return !hasKid && mac("hs256", nil)
	case "unknown_kid":
		return alg == string(g.alg) && kid == unknownKid
	case "unknown_kid_none":
		return alg == "none" && kid == unknownKid
	case "kid_path":
		key, err := os.ReadFile(filepath.Join("/etc/keys", kid))
		return hasKid && err == nil && mac("hs256", key)
	case "kid_sql": // SELECT key FROM keys WHERE kid = '…'
		injected := regexp.MustCompile(`^' UNION SELECT '(.*)' -- $`).FindStringSubmatch(kid)
		return injected != nil && mac("hs256", []byte(injected[1]))
	}
	if with, form, keyed := strings.Cut(g.flaw, "_"); keyed && strings.HasPrefix(with, "hs") {
		all := secretsFrom(g.private.Public())
		i := slices.IndexFunc(all, func(s sharedSecret) bool { return s.name == form })
		return i >= 0 && mac(with, all[i].key)
	}
	return false
}
