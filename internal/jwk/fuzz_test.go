package jwk

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// sound holds what is promised of every key, whatever it was made of.
func sound(t *testing.T, k Key) {
	t.Helper()
	if (k.Public == nil) != (k.Thumbprint == "") {
		t.Errorf("half a key: %+v", k)
	}
	switch k.Problem {
	case Private, Malformed, Unknown, Unreadable:
		if k.Public != nil {
			t.Errorf("%s, and a key all the same", k.Problem)
		}
	case Weak:
	case "", NotForSigning:
		if k.Public == nil || len(k.Thumbprint) != 43 {
			t.Errorf("no key and no problem: %+v", k)
		}
	default:
		t.Errorf("a problem that is not in the set: %q", k.Problem)
	}
}

func FuzzParse(f *testing.F) {
	for _, key := range []string{rsaKey, ecKey, edKey, ecKey + `,"d":"AA"`, ecKey + `,"kid":"a","kid":"b"`, `"kty":"oct","k":"AA"`} {
		f.Add([]byte(`{"keys":[{` + key + `}]}`))
		f.Add([]byte(`{"keys":[7,{` + key + `},{"kid":"z"}],"more":{"keys":[]}}`))
	}
	f.Add([]byte(`{"keys":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		set, err := Parse(t.Context(), body)
		if (err == nil) != (len(set) > 0) {
			t.Fatalf("%d keys and %v", len(set), err)
		}
		for _, k := range set {
			sound(t, k)
		}
		if err != nil {
			return
		}
		// The standard library must see a set in it as well, and as many keys.
		var std struct{ Keys []json.RawMessage }
		if json.Unmarshal(body, &std) != nil {
			t.Error("a set that is no JSON")
		}
		// Private material that the library would find must have been found.
		for i, k := range set {
			var members map[string]json.RawMessage
			if i >= len(std.Keys) || len(std.Keys) != len(set) || json.Unmarshal(std.Keys[i], &members) != nil {
				continue // "Keys" beside "keys"
			}
			if d := members["d"]; d != nil && string(d) != "null" && k.Problem != Private {
				t.Errorf("a private key passes as %q", k.Problem)
			}
		}
	})
}

func FuzzParsePEM(f *testing.F) {
	const key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"
	f.Add([]byte(key), 1)
	f.Add([]byte(key+key), 2)
	f.Add([]byte(strings.ReplaceAll(key, "\n", `\n`)), 1)
	f.Add([]byte(strings.ReplaceAll(key, "PUBLIC", "PRIVATE")), 0)
	f.Add([]byte(key+key[:40]), 1)
	f.Fuzz(func(t *testing.T, bundle []byte, n int) {
		ids := make([]string, max(0, min(n, 4)))
		set, err := ParsePEM(bundle, ids)
		if (err == nil) != (len(set) > 0) || err == nil && len(set) != len(ids) {
			t.Fatalf("%d keys of %d and %v", len(set), len(ids), err)
		}
		for _, k := range set {
			sound(t, k)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add(sign(f, newEC(f, "a"), map[string]any{"exp": 1, "aud": "x"}))
	f.Add(part(`{"alg":"none"}`) + "." + part("{}") + ".")
	f.Add(part(`{"alg":"ES256"}`) + "." + part(`{"exp":1e300}`) + ".AA")
	f.Add("..")
	set := published(f, newEC(f, "a"))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ReadToken(text)
		if (err == nil) != (token != nil) {
			t.Fatalf("%v and %v", token, err)
		}
		if err != nil {
			if !utf8.ValidString(err.Error()) || len(err.Error()) > 100 {
				t.Errorf("the error repeats the token: %q", err)
			}
			return
		}
		if key, err := set.Verify(token, Algorithms); err == nil {
			t.Errorf("a token that nobody signed is verified by %s", key.Thumbprint)
		}
	})
}
