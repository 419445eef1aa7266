package signature

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// signedAt is the header of a delivery that the vector's key signed at a time.
func signedAt(t *testing.T, stamp, body string) (header []string, content string) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(vectorSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	content = vectorID + "." + stamp + "." + body
	return []string{"Webhook-Id", vectorID, "Webhook-Timestamp", stamp,
		"Webhook-Signature", "v1," + base64.StdEncoding.EncodeToString(macOf(string(key), content))}, content
}

// TestVerify_content: two deliveries are the same one if the same bytes were signed, and only then.
func TestVerify_content(t *testing.T) {
	form, keys := &Form{Scheme: Standard}, keysOf(t, Standard, vectorSecret)
	seen := map[[sha256.Size]byte]bool{}
	for _, c := range [][2]string{{"1614265330", "a"}, {"1614265330", "b"}, {"1614265331", "a"}} {
		header, content := signedAt(t, c[0], c[1])
		got, err := form.Verify(headers(header...), []byte(c[1]), keys)
		if err != nil || got.Content != sha256.Sum256([]byte(content)) || seen[got.Content] {
			t.Errorf("%q: %v, %x", c, err, got.Content)
		}
		seen[got.Content] = true
	}
}

// TestVerify_timestamps: a time is a number of seconds, as long as those of the next 3,000 years.
func TestVerify_timestamps(t *testing.T) {
	form, keys := &Form{Scheme: Standard}, keysOf(t, Standard, vectorSecret)
	for stamp, want := range map[string]error{
		"0": nil, "1614265330": nil, "99999999999": nil,
		"100000000000": ErrMalformed, "-1": ErrMalformed, "+1": ErrMalformed, "1e9": ErrMalformed, "0x1": ErrMalformed, "1 ": ErrMalformed, "16142653.3": ErrMalformed,
	} {
		header, _ := signedAt(t, stamp, vectorBody)
		got, err := form.Verify(headers(header...), []byte(vectorBody), keys)
		if !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%q: got %v, expected %v", stamp, err, want)
		}
		if err == nil && got.Timestamp.IsZero() {
			t.Errorf("%q: there is no time", stamp)
		}
	}
}

// TestVerify_families: the names of the headers are those of one family; a signature of Svix is no signature beside an own one.
func TestVerify_families(t *testing.T) {
	form, keys := &Form{Scheme: Standard}, keysOf(t, Standard, vectorSecret)
	own, _ := signedAt(t, vectorTime, vectorBody)
	svix := strings.Split(strings.ReplaceAll(strings.Join(own, "\n"), "Webhook-", "Svix-"), "\n")
	for name, c := range map[string]struct {
		header []string
		want   error
	}{
		"own":                           {own, nil},
		"those of Svix":                 {svix, nil},
		"neither":                       {nil, ErrMissing},
		"own without a signature":       {own[:4], ErrMissing},
		"a wrong one beside Svix":       {append([]string{"Webhook-Id", vectorID, "Webhook-Timestamp", vectorTime, "Webhook-Signature", "v1,AAAA"}, svix...), ErrMismatch},
		"an id that is empty":           {append([]string{"Webhook-Id", ""}, own[2:]...), ErrMalformed},
		"an id with a dot":              {append([]string{"Webhook-Id", "a.1"}, own[2:]...), ErrMalformed},
		"two ids":                       {append([]string{"Webhook-Id", vectorID}, own...), ErrMalformed},
		"a header that is too long":     {append([]string{"Webhook-Id", strings.Repeat("a", maxHeader+1)}, own[2:]...), ErrMalformed},
		"one that is as long as may be": {append([]string{"Webhook-Id", strings.Repeat("a", maxHeader)}, own[2:]...), ErrMismatch},
	} {
		if _, err := form.Verify(headers(c.header...), []byte(vectorBody), keys); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: got %v, expected %v", name, err, c.want)
		}
	}
}

// TestAdd_short: a key that can be guessed is refused.
func TestAdd_short(t *testing.T) {
	for n, ok := range map[int]bool{0: false, 15: false, 16: true, 24: true} {
		text := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n))
		if err := new(Keys).Add(Standard, text); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestOther: a byte that a forger changes is another one, and a digit another digit, so that a time stays one.
func TestOther(t *testing.T) {
	for c := range 256 {
		got := other(byte(c))
		if digit := c >= '0' && c <= '9'; got == byte(c) || digit && (got < '0' || got > '9') {
			t.Errorf("%q becomes %q", byte(c), got)
		}
	}
}
