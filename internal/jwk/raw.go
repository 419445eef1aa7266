package jwk

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"strings"
	"time"
)

// A RawToken is a signed JWT in its encoded parts (RFC 7515, section 7.1), and what its header and claims say. It is not
// verified, and unlike ReadToken its reader takes any algorithm.
type RawToken struct {
	Header, Payload, Signature string // as encoded
	Head, Claims               map[string]any
}

// ReadRaw reads a token; nil if it is no signed JWT. Numbers are json.Number.
func ReadRaw(token string) *RawToken {
	if len(token) > MaxTokenLength {
		return nil
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] == "" {
		return nil
	}
	t := &RawToken{Header: parts[0], Payload: parts[1], Signature: parts[2]}
	if !decodePart(t.Header, &t.Head) || !decodePart(t.Payload, &t.Claims) || t.Text("alg") == "" {
		return nil
	}
	return t
}

func decodePart(part string, into *map[string]any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(into) != nil || *into == nil {
		return false
	}
	_, err = d.Token()
	return err == io.EOF
}

// Text returns a member of the header that is a text; empty if it is none.
func (t *RawToken) Text(name string) string {
	v, _ := t.Head[name].(string)
	return v
}

// Date returns a NumericDate among the claims (RFC 7519, section 2); zero if there is none between 1970 and 9999.
func (t *RawToken) Date(name string) time.Time {
	n, ok := t.Claims[name].(json.Number)
	if !ok {
		return time.Time{}
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 1 || seconds > 253402300799 { // the year 9999
		return time.Time{}
	}
	return time.Unix(int64(math.Floor(seconds)), 0)
}
