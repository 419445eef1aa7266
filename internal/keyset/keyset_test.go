package keyset

import "testing"

// TestThumbprintIsThatOfTheRFC reads the example of RFC 7638, section 3.1, whose thumbprint is given there, and the
// same key with a needless zero before its exponent, which is the same key.
func TestThumbprintIsThatOfTheRFC(t *testing.T) {
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst" +
		"n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91" +
		"CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	for _, e := range []string{"AQAB", "AAEAAQ"} {
		set, err := Parse([]byte(`{"keys":[{"kty":"RSA","n":"` + n + `","e":"` + e + `","alg":"RS256","kid":"2011-04-29"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		k := set[0]
		if k.Thumbprint != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" || k.Problem != "" || k.Bits != 2048 {
			t.Errorf("e=%s: got %+v", e, k)
		}
	}
}
