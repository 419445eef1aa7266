package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Public keys of the RFCs, as members without the braces.
const (
	rsaN = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst" +
		"n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91" +
		"CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	rsaKey = `"kty":"RSA","e":"AQAB","n":"` + rsaN + `"`
	ecX    = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
	ecY    = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
	ecKey  = `"kty":"EC","crv":"P-256","x":"` + ecX + `","y":"` + ecY + `"`
	edKey  = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
)

// TestThumbprintIsThatOfTheRFC reads the examples of RFC 7638, section 3.1, and RFC 8037, appendix A.3, and the first
// with a needless zero before its exponent, which is the same key.
func TestThumbprintIsThatOfTheRFC(t *testing.T) {
	for key, want := range map[string]string{
		rsaKey: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		`"kty":"RSA","e":"AAEAAQ","alg":"RS256","kid":"2011-04-29","n":"` + rsaN + `"`: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		edKey: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	} {
		if k := one(t, key); k.Thumbprint != want || k.Problem != "" {
			t.Errorf("%.40s…: got %+v", key, k)
		}
	}
	for key, want := range map[string]int{rsaKey: 2048, ecKey: 256, edKey: 256} {
		if k := one(t, key); k.Bits != want {
			t.Errorf("%.40s…: got %d bits, expected %d", key, k.Bits, want)
		}
	}
}

// one parses a set of the key with these members.
func one(t *testing.T, members string) Key {
	t.Helper()
	set, err := Parse(t.Context(), []byte(`{"keys":[{`+members+`}]}`))
	if err != nil || len(set) != 1 {
		t.Fatalf("%.60s: %v", members, err)
	}
	return set[0]
}

// modulus writes a number of so many bits as an RSA key has it: odd, or even.
func modulus(bits int, odd bool) string {
	b := make([]byte, (bits+7)/8)
	b[0] = 1 << ((bits - 1) % 8)
	if odd {
		b[len(b)-1] |= 1
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func TestParseSaysWhatIsWrongWithAKey(t *testing.T) {
	rsaOf := func(n, e string) string { return fmt.Sprintf(`"kty":"RSA","n":%q,"e":%q`, n, e) }
	okp := func(x []byte) string {
		return `"kty":"OKP","crv":"Ed25519","x":"` + base64.RawURLEncoding.EncodeToString(x) + `"`
	}
	small := append([]byte{1}, make([]byte, 31)...)
	for name, c := range map[string]struct {
		key  string
		want Problem
	}{
		"RSA of 2048 bits":                      {rsaKey + `,"use":"sig","alg":"RS256","key_ops":["verify"]`, ""},
		"RSA of 4096 bits":                      {rsaOf(modulus(4096, true), "AQAB"), ""},
		"P-256":                                 {ecKey + `,"alg":"ES256"`, ""},
		"Ed25519":                               {edKey + `,"alg":"EdDSA"`, ""},
		"a wrong certificate beside a good key": {ecKey + `,"x5c":["bm8gY2VydGlmaWNhdGU="],"x5t":"?","x5u":"::"`, ""},
		"members that nobody knows":             {ecKey + `,"nbf":1,"n":7,"Kid":3`, ""},
		"null for what is not there":            {ecKey + `,"kid":null,"alg":null,"use":null,"key_ops":null,"d":null`, ""},
		"a text with escapes":                   {strings.ReplaceAll(ecKey, "P-256", `P\u002d256`), ""},

		"RSA of 8192 bits, which few read": {rsaOf(modulus(8192, true), "AQAB"), Unreadable},
		"RSA of 4097 bits":                 {rsaOf(modulus(4097, true), "AQAB"), Unreadable},
		"e of 31 bits":                     {rsaOf(rsaN, "f____w"), ""},
		"e of 32 bits":                     {rsaOf(rsaN, "gAAAAQ"), Weak},
		"secp256k1":                        {`"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"`, Unknown},
		"X25519":                           {`"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`, Unknown},
		"Ed448":                            {`"kty":"OKP","crv":"Ed448","x":"AA"`, Unknown},
		"ML-DSA":                           {`"kty":"AKP","alg":"ML-DSA-65","pub":"AA"`, Unknown},
		"a type still to come":             {`"kty":"XYZ","kid":"a"`, Unknown},

		"a private exponent":               {rsaKey + `,"d":"AA"`, Private},
		"primes without the exponent":      {rsaKey + `,"p":"AA","q":"AA"`, Private},
		"dp":                               {rsaKey + `,"dp":"AA"`, Private},
		"dq":                               {rsaKey + `,"dq":"AA"`, Private},
		"qi":                               {rsaKey + `,"qi":"AA"`, Private},
		"oth":                              {rsaKey + `,"oth":[]`, Private},
		"a private EC key":                 {ecKey + `,"d":"AA"`, Private},
		"a symmetric key":                  {`"kty":"oct","k":"AA"`, Private},
		"a symmetric key without itself":   {`"kty":"oct"`, Private},
		"private, of a type still to come": {`"kty":"AKP","priv":"AA"`, Private},
		"private, and one member twice":    {ecKey + `,"kid":"a","kid":"b","d":"AA"`, Private},
		"private, and ill-typed":           {`"kty":7,"d":"AA"`, Private},
		"private, of no type":              {`"d":7`, Private},
		"private, and its first value is not a text": {ecKey + `,"d":{"a":1}`, Private},

		"no modulus bits":           {rsaOf("", "AQAB"), Weak},
		"a modulus of zero":         {rsaOf("AA", "AQAB"), Weak},
		"512 bits":                  {rsaOf(modulus(512, true), "AQAB"), Weak},
		"1024 bits":                 {rsaOf(modulus(1024, true), "AQAB"), Weak},
		"2047 bits":                 {rsaOf(modulus(2047, true), "AQAB"), Weak},
		"an even modulus":           {rsaOf(modulus(2048, false), "AQAB"), Weak},
		"e=0":                       {rsaOf(rsaN, "AA"), Weak},
		"e of no bits":              {rsaOf(rsaN, ""), Weak},
		"e=1":                       {rsaOf(rsaN, "AQ"), Weak},
		"e=2":                       {rsaOf(rsaN, "Ag"), Weak},
		"e=3":                       {rsaOf(rsaN, "Aw"), Weak},
		"e=4":                       {rsaOf(rsaN, "BA"), Weak},
		"e=65536":                   {rsaOf(rsaN, "AQAA"), Weak},
		"e above 2^32":              {rsaOf(rsaN, "AQAAAAE"), Weak},
		"e of 2048 bits":            {rsaOf(rsaN, rsaN), Weak},
		"an Ed25519 of small order": {okp(small), Unreadable},

		"a point off the curve":               {`"kty":"EC","crv":"P-256","x":"` + ecY + `","y":"` + ecX + `"`, Unreadable},
		"a coordinate too short":              {`"kty":"EC","crv":"P-256","x":"AA","y":"` + ecY + `"`, Unreadable},
		"the point at infinity":               {`"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"`, Unreadable},
		"another curve's point":               {strings.ReplaceAll(ecKey, "P-256", "P-384"), Unreadable},
		"no curve":                            {`"kty":"EC","x":"` + ecX + `","y":"` + ecY + `"`, Unreadable},
		"an Ed25519 too short":                {okp(small[:31]), Unreadable},
		"an Ed25519 too long":                 {okp(append(small, 0)), Unreadable},
		"an Ed25519 without x":                {`"kty":"OKP","crv":"Ed25519"`, Unreadable},
		"no modulus":                          {`"kty":"RSA","e":"AQAB"`, Unreadable},
		"padded base64":                       {rsaOf(rsaN+"==", "AQAB"), Unreadable},
		"a line end in base64":                {`"kty":"RSA","e":"AQAB","n":"` + rsaN + `\n"`, Unreadable},
		"a modulus that is no text":           {`"kty":"RSA","e":"AQAB","n":7`, Unreadable},
		"for encryption":                      {rsaKey + `,"use":"enc"`, NotForSigning},
		"an empty use":                        {rsaKey + `,"use":""`, NotForSigning},
		"an empty alg":                        {ecKey + `,"alg":""`, NotForSigning},
		"key_ops without verify":              {rsaKey + `,"key_ops":["sign"]`, NotForSigning},
		"key_ops of nothing":                  {rsaKey + `,"key_ops":[]`, NotForSigning},
		"alg HS256":                           {rsaKey + `,"alg":"HS256"`, NotForSigning},
		"alg none":                            {rsaKey + `,"alg":"none"`, NotForSigning},
		"alg of another type":                 {rsaKey + `,"alg":"ES256"`, NotForSigning},
		"alg of another curve":                {ecKey + `,"alg":"ES384"`, NotForSigning},
		"weak and for encryption: the former": {rsaOf(rsaN, "Aw") + `,"use":"enc"`, Weak},

		"two kids":                 {ecKey + `,"kid":"a","kid":"b"`, Malformed},
		"the same kid twice":       {ecKey + `,"kid":"a","kid":"a"`, Malformed},
		"no type":                  {`"kid":"a"`, Malformed},
		"a type in other letters":  {strings.ReplaceAll(ecKey, `"kty"`, `"KTY"`), Malformed},
		"a kid that is a number":   {ecKey + `,"kid":7`, Malformed},
		"a use that is a list":     {ecKey + `,"use":["sig"]`, Malformed},
		"key_ops that is one text": {ecKey + `,"key_ops":"verify"`, Malformed},
		"the longest key_ops":      {ecKey + `,"key_ops":["verify"` + strings.Repeat(" ", maxOps-len(`["verify"]`)) + `]`, ""},
		"a longer key_ops":         {ecKey + `,"key_ops":["verify"` + strings.Repeat(" ", maxOps-len(`["verify"]`)+1) + `]`, Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			k := one(t, c.key)
			if k.Problem != c.want {
				t.Errorf("got %q, want %q", k.Problem, c.want)
			}
			if k.Problem == Private && (k.Public != nil || k.Thumbprint != "") {
				t.Error("something of a private key is kept")
			}
			if k.Problem == "" && (k.Public == nil || k.Thumbprint == "" || len(k.Algorithms()) == 0) {
				t.Errorf("a good key is half read: %+v", k)
			}
		})
	}
	for _, entry := range []string{"7", `"text"`, "null", "[]", "true", `["kty","XYZ"]`} {
		set, err := Parse(t.Context(), []byte(`{"keys":[`+entry+`,{`+ecKey+`}]}`))
		if err != nil || len(set) != 2 || set[0].Problem != Malformed || set[1].Problem != "" {
			t.Errorf("an entry %s: got %+v, %v", entry, set, err)
		}
	}
}

func TestParseRefusesWhatIsNoSet(t *testing.T) {
	for text, want := range map[string]error{
		"{}": ErrFormat, "null": ErrFormat, "[]": ErrFormat, "": ErrFormat, "<!DOCTYPE html><html></html>": ErrFormat,
		`{"Keys":[{` + ecKey + `}]}`: ErrFormat, `{"keys":{}}`: ErrFormat, `{"keys":"a"}`: ErrFormat,
		`{` + ecKey + `}`: ErrFormat, `{"keys":[{` + ecKey + `}]`: ErrFormat, `{"keys":[{` + ecKey + `}]}}`: ErrFormat,
		`{"keys":[{` + ecKey + `}]} {}`: ErrFormat, "\xef\xbb\xbf" + `{"keys":[{` + ecKey + `}]}`: ErrFormat,
		`{"keys":[]}`: ErrEmpty, `{"keys":null}`: ErrEmpty,
		`{"keys":[{` + ecKey + `}],"keys":[]}`:                     ErrTwice,
		`{"keys":[` + strings.Repeat("{},", MaxKeys) + `{}]}`:      errMany,
		strings.Repeat(`{"a":`, 20_000) + strings.Repeat("}", 9e3): ErrFormat,
	} {
		if set, err := Parse(t.Context(), []byte(text)); !errors.Is(err, want) || set != nil {
			t.Errorf("%.60s: got %d keys and %v, want %v", text, len(set), err, want)
		}
	}
	if set, err := Parse(t.Context(), []byte(" {\"more\":1, \"keys\":[{"+ecKey+"}]}\r\n")); err != nil || len(set) != 1 {
		t.Errorf("a set with other members and blanks around it: %v", err)
	}
}

func TestFindReturnsEveryKeyOfAnID(t *testing.T) {
	set, err := Parse(t.Context(), []byte(`{"keys":[{"kid":"a",`+ecKey+`},{"kid":"b",`+ecKey+`},{"kid":"a",`+rsaKey+`}]}`))
	if err != nil || len(set.Find("a")) != 2 || len(set.Find("b")) != 1 || set.Find("c") != nil || set.Find("A") != nil {
		t.Errorf("got %v, %v", set, err)
	}
}

// TestThumbprintsAreTheLibrarys holds keys that were read without the library against it.
func TestThumbprintsAreTheLibrarys(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		jwk := jose.JSONWebKey{Key: private.Public(), KeyID: "a"}
		text, _ := json.Marshal(jwk)
		want, _ := jwk.Thumbprint(crypto.SHA256)
		set, err := Parse(t.Context(), []byte(`{"keys":[`+string(text)+`]}`))
		if err != nil || set[0].Thumbprint != base64.RawURLEncoding.EncodeToString(want) || !private.PublicKey.Equal(set[0].Public) {
			t.Errorf("%s: got %+v, %v", curve.Params().Name, set, err)
		}
	}
}

// lowOrder are the y coordinates of Ed25519's points of small order, as encoded: under such a key one signature fits
// many messages, and good libraries read none. The sign bit does not matter.
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func TestEdwardsPointsOfSmallOrderAreNoKeys(t *testing.T) {
	for _, low := range lowOrder {
		point, err := hex.DecodeString(low)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []byte{0, 0x80} {
			point[31] = point[31]&0x7f | sign
			k := one(t, `"kty":"OKP","crv":"Ed25519","x":"`+base64.RawURLEncoding.EncodeToString(point)+`"`)
			if k.Problem != Unreadable || k.Public != nil {
				t.Errorf("%x: got %q", point, k.Problem)
			}
		}
	}
}

// The size is told of a key that is weak for its exponent too.
func TestWeakExponentHasASize(t *testing.T) {
	for _, exponent := range []string{"AA", "Aw", "AQAAAAE"} {
		if k := one(t, `"kty":"RSA","e":"`+exponent+`","n":"`+rsaN+`"`); k.Problem != Weak || k.Bits != 2048 {
			t.Errorf("%s: got %q, %d bits", exponent, k.Problem, k.Bits)
		}
	}
}

func TestExponent3MayBeAllowedAndNothingElse(t *testing.T) {
	even := strings.TrimSuffix(modulus(2048, false), "A") + "g" // its second bit is set
	for key, want := range map[string]Problem{
		`"kty":"RSA","e":"Aw","n":"` + rsaN + `"`:                 "",
		`"kty":"RSA","e":"Aw","use":"enc","n":"` + rsaN + `"`:     NotForSigning,
		`"kty":"RSA","e":"Aw","n":"` + modulus(1024, true) + `"`:  Weak,
		`"kty":"RSA","e":"Aw","n":"` + modulus(2048, false) + `"`: Weak,
		`"kty":"RSA","e":"Aw","n":"` + even + `"`:                 Weak,
		`"kty":"RSA","e":"AQ","n":"` + rsaN + `"`:                 Weak,
		`"kty":"RSA","e":"Aw","d":"AA","n":"` + rsaN + `"`:        Private,
		rsaKey: "",
	} {
		set := Set{one(t, key)}
		if set.AllowExponent3(); set[0].Problem != want {
			t.Errorf("%.60s: got %q, want %q", key, set[0].Problem, want)
		}
	}
}
