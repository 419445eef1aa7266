package jwk

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Errors of ParsePEM. They hold no byte of the bundle.
var (
	ErrNoPEM    = errors.New("no PEM block in it")
	ErrTrailing = errors.New("something other than PEM blocks in it")
)

// ParsePEM reads a bundle of PEM blocks, PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE each. Newlines may be escaped, as
// they are in many an environment variable. ids names the keys in their order: a bundle has no ids of its own; nil
// leaves them empty. Text around the blocks is an error, since a block that is cut off looks just like that.
func ParsePEM(bundle []byte, ids []string) (Set, error) {
	rest := bytes.TrimSpace([]byte(strings.NewReplacer(`\r\n`, "\n", `\n`, "\n").Replace(string(bundle))))
	var set Set
	for len(rest) > 0 {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
			return nil, trouble(set, ErrTrailing)
		}
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, trouble(set, ErrTrailing)
		}
		rest = bytes.TrimSpace(rest)
		set = append(set, fromPEM(block))
		if len(set) > MaxKeys {
			return nil, errMany
		}
	}
	if len(set) == 0 {
		return nil, ErrNoPEM
	}
	if ids != nil && len(ids) != len(set) {
		return nil, fmt.Errorf("%d keys are named and the bundle holds %d", len(ids), len(set))
	}
	for i, id := range ids {
		set[i].ID = id
	}
	return set, nil
}

func trouble(set Set, err error) error {
	if len(set) == 0 {
		return ErrNoPEM
	}
	return err
}

func fromPEM(block *pem.Block) Key {
	var k Key
	switch block.Type {
	case "PUBLIC KEY":
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return Key{Problem: Unreadable}
		}
		k.take(public)
	case "RSA PUBLIC KEY":
		public, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return Key{Problem: Unreadable}
		}
		k.take(public)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Key{Problem: Unreadable}
		}
		k.take(certificate.PublicKey)
	default:
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return Key{Problem: Private}
		}
		return Key{Problem: Unknown}
	}
	return k
}
