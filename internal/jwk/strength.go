package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
)

// Sizes of a modulus in bits: the least of RFC 7518, section 3.3, and the most that common libraries read.
const (
	minModulusBits = 2048
	maxModulus     = 4096
)

// measure notes the size of a public key and returns what is wrong with its substance.
func (k *Key) measure(public crypto.PublicKey) Problem {
	switch key := public.(type) {
	case *rsa.PublicKey:
		k.Type = "RSA"
		k.Bits = key.N.BitLen()
		if k.Bits > maxModulus {
			return Unreadable
		}
		// Exponents of 3 and less, and even ones, are those of broken keys; an even modulus has a factor of 2.
		if k.Bits < minModulusBits || key.N.Bit(0) == 0 || key.E <= 3 || key.E%2 == 0 {
			return Weak
		}
	case *ecdsa.PublicKey:
		k.Type, k.Curve = "EC", key.Curve.Params().Name
		k.Bits = key.Curve.Params().BitSize
		if _, err := key.ECDH(); err != nil { // it is no point of the curve
			return Unreadable
		}
	case ed25519.PublicKey:
		k.Type, k.Curve, k.Bits = "OKP", "Ed25519", 256 // a point of small order has no thumbprint
	default:
		return Unreadable
	}
	return ""
}

// AllowExponent3 takes those keys for good that have nothing wrong with them but an exponent of 3: it is weak only
// together with a padding that is not checked.
func (s Set) AllowExponent3() {
	for i := range s {
		k := &s[i]
		public, is := k.Public.(*rsa.PublicKey)
		if !is || k.Problem != Weak || public.E != 3 || k.Bits < minModulusBits || public.N.Bit(0) == 0 {
			continue
		}
		k.Problem = ""
		if !k.verifies() {
			k.Problem = NotForSigning
		}
	}
}
