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
		"claims in none": part(`{"alg": "none"}`) + ".{}.c2ln",
		"longer than is": token(`{"alg": "none"}`, `{}`, strings.Repeat("a", MaxTokenLength)),
	} {
		if got := ReadRaw(text); got != nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

// TestRawToken_Date checks which numbers are dates.
func TestRawToken_Date(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "0.9": 0, "-1": 0, "1": 1, "1.9": 1, "253402300799": 253402300799, "253402300799.5": 0, "253402300800": 0, "1e999": 0,
	} {
		got := (&RawToken{Claims: map[string]any{"exp": json.Number(text)}}).Date("exp")
		if got.IsZero() != (want == 0) || !got.IsZero() && got.Unix() != want {
			t.Errorf("%s: got %s, expected %d", text, got, want)
		}
	}
}

// TestMaxTokenLength checks that a token of the longest length is read, and none beyond.
func TestMaxTokenLength(t *testing.T) {
	token := part(`{"alg":"ES256"}`) + "." + part(`{}`) + "."
	for more, want := range map[int]bool{0: true, 1: false} {
		long := token + strings.Repeat("A", MaxTokenLength-len(token)+more)
		if got := ReadRaw(long); (got != nil) != want {
			t.Errorf("raw, %d beyond the limit: read is %t", more, got != nil)
		}
		if _, err := ReadToken(long); (err == nil) != want {
			t.Errorf("%d beyond the limit: got %v", more, err)
		}
	}
}
