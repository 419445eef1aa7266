package jwk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is defined by it
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestParse_findsPrivate: whoever publishes a private key may have found any place and any spelling for it.
func TestParse_findsPrivate(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	jwk := `{"kty":"EC","crv":"P-256","d":"AA"}`
	for name, c := range map[string]struct {
		members string // beside those of a public key
		want    bool
	}{
		"d":                             {`"d":"AA"`, true},
		"d in upper case":               {`"D":"AA"`, true},
		"Dp":                            {`"Dp":"AA"`, true},
		"k":                             {`"K":"AA"`, true},
		"d that is null":                {`"d":null`, false},
		"d twice":                       {`"d":"AA","d":null`, true},
		"privateKey":                    {`"privateKey":"x"`, true},
		"private_key":                   {`"private_key":{"d":"x"}`, true},
		"PRIVATE-KEY":                   {`"PRIVATE-KEY":"x"`, true},
		"client_secret":                 {`"client_secret":"x"`, true},
		"private is false":              {`"private":false`, false},
		"PEM in a member of its own":    {`"x-pem":` + jsonText(t, text), true},
		"PEM with escaped newlines":     {`"pem":` + jsonText(t, strings.ReplaceAll(text, "\n", `\n`)), true},
		"PEM in a list in an object":    {`"x":{"y":[1,` + jsonText(t, text) + `]}`, true},
		"PEM in Base64":                 {`"x":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"`, true},
		"PEM of OpenSSH":                {`"x":"-----BEGIN OPENSSH PRIVATE KEY-----\nAA"`, true},
		"PKCS #8 in Base64":             {`"x":"` + base64.StdEncoding.EncodeToString(pkcs8) + `"`, true},
		"SEC 1 in URL-safe Base64":      {`"x":"` + base64.RawURLEncoding.EncodeToString(sec1) + `"`, true},
		"a JWK in a member of its own":  {`"jwk":` + jwk, true},
		"a JWK as text":                 {`"jwk":` + jsonText(t, jwk), true},
		"a JWK as text after a blank":   {`"jwk":` + jsonText(t, " "+jwk), true},
		"a JWK in Base64":               {`"jwk":"` + base64.StdEncoding.EncodeToString([]byte(jwk)) + `"`, true},
		"a JWK in Base64, indented":     {`"jwk":"` + base64.StdEncoding.EncodeToString([]byte("{\n  "+jwk[1:])) + `"`, true},
		"JWKs as text":                  {`"jwks":` + jsonText(t, "["+jwk+"]"), true},
		"JWKs in Base64":                {`"jwks":"` + base64.RawURLEncoding.EncodeToString([]byte("[ "+jwk+"]")) + `"`, true},
		"PKCS #8 in hex":                {`"x":"` + hex.EncodeToString(pkcs8) + `"`, true},
		"PEM in upper-case hex":         {`"x":"` + strings.ToUpper(hex.EncodeToString([]byte(text))) + `"`, true},
		"PEM in Base64 after a newline": {`"x":"` + base64.StdEncoding.EncodeToString([]byte("\n"+text)) + `"`, true},
		"PEM in Base64 twice":           {`"x":"` + base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(text)))) + `"`, true},
		"text that is no JSON":          {`"a":"{\"x\":[y","b":"[y","c":"{\"x\":[1,[{\"y\":[z"`, false},
		"d after such a text":           {`"a":"{\"x\":[y","d":"AA"`, true},
		"no JSON in Base64":             {`"a":"` + base64.StdEncoding.EncodeToString([]byte(`{"x":[y`)) + `"`, false},
		"an escaped member":             {`"\u0064":"AA"`, true},
		"a public PEM":                  {`"pem":"-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----"`, false},
		"a name that has the word":      {`"x":"our PRIVATE KEY is safe"`, false},
		"another object with a k in it": {`"meta":{"k":"v","p":"q"}`, false},
		"a list of such objects":        {`"meta":[{"k":"v"},{"p":"q"}]`, false},
		"such an object as text":        {`"meta":` + jsonText(t, `{"k":"v"}`), false},
		"such an object in Base64":      {`"meta":"` + base64.StdEncoding.EncodeToString([]byte(`{"k":"v"}`)) + `"`, false},
		"d after an object":             {`"meta":{"a":1},"d":"AA"`, true},
		"d after a list":                {`"meta":[1,[2]],"d":"AA"`, true},
		"texts that begin like others":  {`"x":"M","y":"MA","z":"eyJ","a":"{","b":"LS0tLS1CRUdJTi"`, false},
	} {
		for kind, key := range map[string]string{"EC": ecKey, "RSA": rsaKey, "unknown": `"kty":"X"`} {
			if got := one(t, `"kid":"a",`+key+","+c.members).Problem == Private; got != c.want {
				t.Errorf("%s, %s: got %v, want %v", kind, name, got, c.want)
			}
		}
		set, err := Parse(t.Context(), []byte(`{"keys":[{`+ecKey+`}],`+c.members+`}`))
		short := len(name) <= 2 || strings.HasPrefix(name, "d ") || name == "an escaped member"
		if want := c.want && !short; err == nil && (set[len(set)-1].Problem == Private) != want { // a short name may mean anything there
			t.Errorf("beside the keys, %s: want %v of %+v", name, want, set)
		}
	}
	for _, entry := range []string{jsonText(t, text), `[{"d":"AA","kty":"RSA"}]`, `{"kty":"RSA","d":"AA","d":"BB"}`} {
		set, err := Parse(t.Context(), []byte(`{"keys":[`+entry+`]}`))
		if err != nil || set[0].Problem != Private {
			t.Errorf("%.40s: got %+v, %v", entry, set, err)
		}
	}
}

// TestParse_certificates: RFC 7517, sections 4.7 to 4.9.
func TestParse_certificates(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotAfter: time.Now().Add(time.Hour)}
	ofEC, err := x509.CreateCertificate(rand.Reader, template, template, ec.Public(), ec)
	if err != nil {
		t.Fatal(err)
	}
	ofRSA, err := x509.CreateCertificate(rand.Reader, template, template, rsaPrivate.Public(), rsaPrivate)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	std := base64.StdEncoding.EncodeToString
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]string{
		"EC":  fmt.Sprintf(`"kty":"EC","crv":"P-256","x":%q,"y":%q`, b64(point[1:33]), b64(point[33:])),
		"RSA": fmt.Sprintf(`"kty":"RSA","e":"AQAB","n":%q`, b64(rsaPrivate.N.Bytes())),
	}
	for kind, der := range map[string][2][]byte{"EC": {ofEC, ofRSA}, "RSA": {ofRSA, ofEC}} {
		own, other := der[0], der[1]
		sum1, sum256, other1, other256 := sha1.Sum(own), sha256.Sum256(own), sha1.Sum(other), sha256.Sum256(other) //nolint:gosec // see above
		for name, c := range map[string]struct {
			more string
			want bool
		}{
			"none":                 {`"alg":null`, false},
			"its own":              {`"x5c":["` + std(own) + `"]`, false},
			"its own, and another": {`"x5c":["` + std(own) + `","` + std(other) + `"]`, false},
			"its own, in lines":    {`"x5c":["` + std(own)[:64] + `\n` + std(own)[64:] + `"]`, false},
			"another's":            {`"x5c":["` + std(other) + `"]`, true},
			"another's first":      {`"x5c":["` + std(other) + `","` + std(own) + `"]`, true},
			"an empty list":        {`"x5c":[]`, true},
			"a text":               {`"x5c":"` + std(own) + `"`, true},
			"no Base64":            {`"x5c":["-----BEGIN CERTIFICATE-----"]`, true},
			"unreadable here":      {`"x5c":["AAAA"]`, false},
			"null":                 {`"x5c":null`, false},
			"its own thumbprints":  {`"x5c":["` + std(own) + `"],"x5t":"` + b64(sum1[:]) + `","x5t#S256":"` + b64(sum256[:]) + `"`, false},
			"in hexadecimal":       {`"x5c":["` + std(own) + `"],"x5t":"` + b64([]byte(hex.EncodeToString(sum1[:]))) + `"`, false},
			"another's x5t":        {`"x5c":["` + std(own) + `"],"x5t":"` + b64(other1[:]) + `"`, true},
			"another's x5t#S256":   {`"x5c":["` + std(own) + `"],"x5t#S256":"` + b64(other256[:]) + `"`, true},
			"an x5t of no text":    {`"x5c":["` + std(own) + `"],"x5t":7`, true},
			"an x5t of null":       {`"x5c":["` + std(own) + `"],"x5t":null`, false},
			"a thumbprint alone":   {`"x5t":"` + b64(other1[:]) + `"`, false},
		} {
			k := one(t, members[kind]+","+c.more)
			if k.OtherCertificate != c.want || k.Public == nil || k.Problem != "" {
				t.Errorf("%s, %s: want %v, got %+v", kind, name, c.want, k)
			}
		}
	}
}

// TestParse_deep: what a publisher writes must not take the stack of who reads it, and hides nothing.
func TestParse_deep(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(4 << 20)) // beyond it the test ends at once
	const many = 5_000
	for name, text := range map[string]string{
		"beside a deep list":  `"z":` + strings.Repeat("[", many) + strings.Repeat("]", many) + `,"d":"AA"`,
		"beside a deep text":  `"z":` + jsonText(t, `{"a":`+strings.Repeat("[", 200_000)) + `,"d":"AA"`,
		"a text in the depth": `"z":` + strings.Repeat(`{"a":[`, many/2) + `"-----BEGIN PRIVATE KEY-----"` + strings.Repeat(`]}`, many/2),
	} {
		if set, err := Parse(t.Context(), []byte(`{"keys":[{`+ecKey+","+text+`}]}`)); err != nil || set[0].Problem != Private {
			t.Errorf("%s: got %+v, %v", name, set, err)
		}
	}
	if !holdsPrivate([]byte(strings.Repeat("[", maxDepth-1)+`{"kty":"EC","d":"AA"}`+strings.Repeat("]", maxDepth-1)), false) {
		t.Error("a private key as deep as is looked is not found")
	}
	if set, err := Parse(t.Context(), []byte(`{"keys":[{`+ecKey+`,"z":`+strings.Repeat("[", many)+strings.Repeat("]", many)+`}]}`)); err != nil || set[0].Problem != "" {
		t.Errorf("got %+v, %v", set, err)
	}
}
