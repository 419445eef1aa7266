package jwk

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// privateMembers are those that no public key has: of RSA, EC and OKP keys, symmetric keys and AKP keys.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// privateNames are what publishers call a secret that no standard has a member for, in lower case and without what
// separates words.
var privateNames = []string{
	"private", "privatekey", "privkey", "privatepem", "privatekeypem", "pemprivate", "privatejwk", "privateexponent",
	"secret", "secretkey", "sharedsecret", "clientsecret", "hmacsecret", "signingsecret", "symmetrickey", "password", "passphrase", "seed",
}

// holdsPrivate reports whether JSON holds private or symmetric material, however it is spelled and however deep. In a key
// the short names of RFC 7518 count; elsewhere they may mean anything. JSON that breaks off is read until there.
func holdsPrivate(text []byte, isKey bool) bool {
	s := privateScan{d: json.NewDecoder(bytes.NewReader(text))}
	s.value(isKey)
	return s.found
}

// A privateScan reads JSON once, with duplicate members and all.
type privateScan struct {
	d     *json.Decoder
	depth int
	found bool
}

// maxDepth bounds what the stack of a scan takes. Below it only texts are looked at.
const maxDepth = 64

// A shape is what a member's value says.
type shape int

const (
	broken  shape = iota // it cannot be read, nor anything behind it
	nothing              // null
	plain                // true, false or a number
	filled               // a text, a list or an object that is not empty, or an empty text
)

func (s *privateScan) value(isKey bool) shape {
	token, err := s.d.Token()
	if err != nil {
		return broken
	}
	if token == nil {
		return nothing
	}
	s.depth++
	defer func() { s.depth-- }()
	switch t := token.(type) {
	case string:
		s.found = s.found || isPrivateText(t)
		return filled
	case json.Delim:
		if s.depth > maxDepth {
			s.skip()
			return filled
		}
		if t == '{' {
			s.object(isKey)
			return filled
		}
		for s.d.More() && !s.found && s.value(false) != broken {
		}
		_, _ = s.d.Token() // the end of the list; an error shows at the next one
		return filled
	}
	return plain
}

// skip reads on to the end of a list or an object, and looks at the texts in it.
func (s *privateScan) skip() {
	for open := 1; open > 0 && !s.found; {
		token, err := s.d.Token()
		if err != nil {
			return
		}
		switch t := token.(type) {
		case string:
			s.found = isPrivateText(t)
		case json.Delim:
			if t == '{' || t == '[' {
				open++
			} else {
				open--
			}
		}
	}
}

func (s *privateScan) object(isKey bool) {
	short := false
	for s.d.More() && !s.found {
		token, err := s.d.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return
		}
		got := s.value(false)
		name = strings.ToLower(name)
		isKey = isKey || name == "kty"
		short = short || got > nothing && slices.Contains(privateMembers, name)
		name = withoutSeparators.Replace(name)
		s.found = s.found || got == filled && slices.Contains(privateNames, name)
	}
	s.found = s.found || isKey && short
	_, _ = s.d.Token() // the end of the object; an error shows at the next one
}

// withoutSeparators makes private_key, private-key and privatekey one.
var withoutSeparators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

// toURLAlphabet makes base64 of any kind that of URLs, but for the padding.
var toURLAlphabet = strings.NewReplacer("\n", "", "\r", "", "+", "-", "/", "_")

// isPrivateText reports whether a text is a private key: PEM, DER or JSON Web Keys, as it is or in Base64 or hex.
func isPrivateText(text string) bool {
	der, text := text, strings.TrimSpace(text)
	if text == "" || isPrivatePEM(text) || strings.HasPrefix(der, "\x30") && isPrivateDER([]byte(der)) ||
		(text[0] == '{' || text[0] == '[') && holdsPrivate([]byte(text), false) {
		return text != ""
	}
	if decoded, err := hex.DecodeString(text); err == nil && isPrivateText(string(decoded)) {
		return true
	}
	decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(toURLAlphabet.Replace(text), "="))
	return err == nil && isPrivateText(string(decoded))
}

func isPrivatePEM(text string) bool {
	return strings.Contains(text, "-----BEGIN ") && strings.Contains(text, "PRIVATE KEY")
}

func isPrivateDER(text []byte) bool {
	_, pkcs8 := x509.ParsePKCS8PrivateKey(text)
	_, pkcs1 := x509.ParsePKCS1PrivateKey(text)
	_, ec := x509.ParseECPrivateKey(text)
	return pkcs8 == nil || pkcs1 == nil || ec == nil
}
