package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"prober/internal/pgwire"
	"prober/internal/probe"
)

// The mechanisms that PostgreSQL has (RFC 7677). The second binds the proof to the certificate of the server, so that nobody
// between the two can hand it on.
const (
	scramPlain = "SCRAM-SHA-256"
	scramPlus  = "SCRAM-SHA-256-PLUS"
)

// maxIterations bounds how long the hash of a password takes: a server says how often it is repeated. PostgreSQL's default is 4096.
const maxIterations = 1_000_000

// A scram is the client's side of one login by SCRAM-SHA-256 (RFC 5802).
type scram struct {
	binding []byte // the hash of the certificate (RFC 5929, section 4); nil without TLS, and for signatures for which it has no hash
	header  string // what the client says of the binding

	password string
	nonce    string
	first    string // message of the client, without the header
	proof    string // that the server owes
}

// begin prepares the first message and returns the mechanism that it is for. The argument says whether the server offers to
// bind the certificate. A client that could have bound it says so: a third party may have taken the offer away.
func (s *scram) begin(password string, offersPlus bool) (mechanism string) {
	mechanism = scramPlain
	switch {
	case s.binding == nil:
		s.header = "n,,"
	case offersPlus:
		mechanism, s.header = scramPlus, "p=tls-server-end-point,,"
	default:
		s.binding, s.header = nil, "y,,"
	}
	s.password, s.nonce = password, rand.Text()
	s.first = "n=,r=" + s.nonce // the startup message has named the role
	return mechanism
}

// answer reads the server's first message and returns the client's last.
func (s *scram) answer(server string) (final string, err error) {
	nonce, rest, _ := strings.Cut(server, ",")
	salt, iterations, _ := strings.Cut(rest, ",")
	nonce, hasNonce := strings.CutPrefix(nonce, "r=")
	salt, hasSalt := strings.CutPrefix(salt, "s=")
	iterations, hasIterations := strings.CutPrefix(iterations, "i=")
	raw, err := base64.StdEncoding.DecodeString(salt)
	n, bad := strconv.ParseUint(iterations, 10, 64)
	switch {
	case !hasNonce || !hasSalt || !hasIterations || err != nil || bad != nil || n == 0,
		!strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce):
		return "", pgwire.ErrMalformed
	case n > maxIterations:
		return "", &Error{Outcome: probe.Outcomef(probe.Protocol, "expected at most %d iterations of the hash of a password, the server asks for more", maxIterations)}
	}
	salted, err := pbkdf2.Key(sha256.New, s.password, raw, int(n), sha256.Size)
	if err != nil {
		return "", pgwire.ErrMalformed
	}
	final = "c=" + base64.StdEncoding.EncodeToString(append([]byte(s.header), s.binding...)) + ",r=" + nonce
	all := s.first + "," + server + "," + final
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	subtle.XORBytes(key, key, mac(stored[:], all))
	s.proof = base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), all))
	return final + ",p=" + base64.StdEncoding.EncodeToString(key), nil
}

// verify reads the server's last message: who does not know the password cannot write it.
func (s *scram) verify(server string) error {
	proof, ok := strings.CutPrefix(server, "v=")
	if !ok || !hmac.Equal([]byte(proof), []byte(s.proof)) {
		return &Error{Outcome: probe.Outcomef(probe.Protocol, "expected the server to prove that it knows the password too, got another proof: it may not be the server that it should be")}
	}
	return nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// certificateHash returns what RFC 5929, section 4.1, binds of a certificate: a hash by the function of its signature, SHA-256
// in place of weaker ones; nil for signatures without such a function.
func certificateHash(c *x509.Certificate) []byte {
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		sum := sha256.Sum256(c.Raw)
		return sum[:]
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		sum := sha512.Sum384(c.Raw)
		return sum[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		sum := sha512.Sum512(c.Raw)
		return sum[:]
	}
	return nil
}

// errNotPrepared is the error of a password that the prober cannot use.
var errNotPrepared = &Error{Outcome: probe.Outcomef(probe.Credential,
	"expected a password of ASCII and of letters that SCRAM hashes as they are, got a character that it may replace before (SASLprep): the prober does not do that")}

// prepared reports whether a password certainly is as SASLprep (RFC 4013) leaves it, the way PostgreSQL does that. PostgreSQL takes as
// they are: all of ASCII, what is not UTF-8, and what SASLprep does not allow. So a character outside of ASCII stays too if nothing
// maps or normalizes it (NFKC), alone or together with its neighbours, whether it is allowed or not.
func prepared(password string) bool {
	if !utf8.ValidString(password) {
		return true
	}
	for _, r := range password {
		if r >= utf8.RuneSelf && !stable(r) {
			return false
		}
	}
	return true
}

// stable reports whether a character is one of a range of common letters that no normalization changes.
func stable(r rune) bool {
	for i := 0; i < len(stableRanges); i += 2 {
		if stableRanges[i] <= r && r <= stableRanges[i+1] {
			return true
		}
	}
	return false
}

// stableRanges are pairs of a first and a last character. A test compares them with NFKC.
var stableRanges = [...]rune{
	0xa1, 0xa7, 0xb0, 0xb1, 0xb6, 0xb6, 0xbf, 0x131, 0x134, 0x13e, 0x141, 0x148, 0x14a, 0x17e, // Latin: § ä é ñ ø š ž
	0x391, 0x3a1, 0x3a3, 0x3ce, // Greek
	0x400, 0x481, 0x48a, 0x513, // Cyrillic
	0x5d0, 0x5ea, // Hebrew
	0x621, 0x63a, 0x641, 0x64a, // Arabic
	0x3041, 0x3094, 0x30a1, 0x30fe, // Kana
	0x4e00, 0x9fa5, // Han
	0xac00, 0xd7a3, // Hangul
	0x1f300, 0x1f64f, // pictures
}
