package jwk

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestReadRaw(t *testing.T) {
	token := func(head, claims, signature string) string {
		coded := base64.RawURLEncoding.EncodeToString
		return coded([]byte(head)) + "." + coded([]byte(claims)) + "." + signature
	}
	good := ReadRaw(token(`{"alg": "none", "kid": "k"}`, `{"exp": 1790000000.9, "n": 12345678901234567890, "iat": "now", "nbf": 1e300}`, "c2ln"))
	if good == nil || good.Text("kid") != "k" || good.Text("typ") != "" || good.Signature != "c2ln" {
		t.Fatalf("got %+v", good)
	}
	if good.Claims["n"] != json.Number("12345678901234567890") {
		t.Errorf("the number became %v", good.Claims["n"])
	}
	if at := good.Date("exp"); !at.Equal(time.Unix(1790000000, 0)) {
		t.Errorf("exp is %s", at)
	}
	for _, name := range []string{"iat", "nbf", "none"} {
		if at := good.Date(name); !at.IsZero() {
			t.Errorf("%s is %s", name, at)
		}
	}
	for name, text := range map[string]string{
		"empty":          "",
		"two parts":      "e30.e30",
		"no signature":   token(`{"alg": "none"}`, `{}`, ""),
		"no algorithm":   token(`{}`, `{}`, "c2ln"),
		"null claims":    token(`{"alg": "none"}`, `null`, "c2ln"),
		"text behind":    token(`{"alg": "none"}`, `{} {}`, "c2ln"),
		"a list":         token(`{"alg": "none"}`, `[]`, "c2ln"),
		"no base64":      "{}.e30.c2ln",
		"longer than is": token(`{"alg": "none"}`, `{}`, strings.Repeat("a", MaxTokenLength)),
	} {
		if got := ReadRaw(text); got != nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}
