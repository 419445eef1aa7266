package jwk

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // x5t is defined by it (RFC 7517, section 4.8)
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// ofAnotherKey reports whether a key comes with a certificate that is not its own: x5c begins with one of another key, x5t
// or x5t#S256 is of another certificate (RFC 7517, sections 4.7 to 4.9), or x5c is no list of certificates. A
// certificate that cannot be parsed here may be one that others can.
func ofAnotherKey(members map[string]json.RawMessage, public crypto.PublicKey) bool {
	if !given(members, "x5c") {
		return false
	}
	var chain []string
	if json.Unmarshal(members["x5c"], &chain) != nil || len(chain) == 0 {
		return true
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(chain[0]), ""))
	if err != nil {
		return true
	}
	if certificate, err := x509.ParseCertificate(der); err == nil {
		own, comparable := public.(interface{ Equal(crypto.PublicKey) bool })
		if comparable && !own.Equal(certificate.PublicKey) {
			return true
		}
	}
	sum1, sum256 := sha1.Sum(der), sha256.Sum256(der) //nolint:gosec // see above
	return isOtherThumbprint(members, "x5t", sum1[:]) || isOtherThumbprint(members, "x5t#S256", sum256[:])
}

// isOtherThumbprint reports whether a member is the thumbprint of another certificate. Some publishers encode its
// hexadecimal form.
func isOtherThumbprint(members map[string]json.RawMessage, name string, sum []byte) bool {
	if !given(members, name) {
		return false
	}
	text, ok := member(members, name)
	if !ok {
		return true
	}
	print, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(toURLAlphabet.Replace(text), "="))
	return err != nil || !bytes.Equal(print, sum) && !strings.EqualFold(string(print), hex.EncodeToString(sum))
}
