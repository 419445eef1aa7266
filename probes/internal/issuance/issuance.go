// Package issuance asks for tokens and reads what an issuer answers (RFC 6749).
package issuance

import (
	"errors"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/oauth"
	"prober/internal/probe"
	"prober/internal/secret"
)

// LearnToken makes the token in an answer known to the redactor, under a name of its own.
func LearnToken(source string) func(*httpx.Answer) {
	return func(a *httpx.Answer) {
		if token := IssuedToken(a); WellFormed(token) {
			secret.Learn(source, token)
		}
	}
}

// A Grant is what came of a token request. The finding says why there is no token.
type Grant struct {
	probe.Outcome
	Token   string
	Expires time.Duration // expires_in; 0 if it was not said
	Sent    time.Time     // when the request was sent, and
	Got     time.Time     // when its answer was there: the token was issued in between
}

// IssuedToken is the access token in an answer, whatever its status; empty if there is none.
func IssuedToken(a *httpx.Answer) string {
	answer, _ := read(a)
	return answer.AccessToken()
}

// MinTokenLength is the length below which a token could be guessed (RFC 6749, section 10.10), and the redactor could
// not distinguish it from ordinary text.
const MinTokenLength = 16

// WellFormed reports whether a text can be a token: visible ASCII (RFC 6749, appendix A.12), and short enough for a
// header.
func WellFormed(token string) bool {
	invisible := func(c rune) bool { return c <= ' ' || c > '~' }
	return MinTokenLength <= len(token) && len(token) <= jwk.MaxTokenLength && !strings.ContainsFunc(token, invisible)
}

// ReadGrant reads the answer to a token request (RFC 6749, sections 5.1 and 5.2).
func ReadGrant(a *httpx.Answer) Grant {
	say := func(why probe.Reason, format string, args ...any) Grant {
		return Grant{Outcome: probe.Outcomef(why, format, args...)}
	}
	if code := ErrorCode(a); a.Reason == probe.OK && a.Status >= 400 && a.Status < 500 && a.Status != 429 {
		switch code {
		case "invalid_client", "unauthorized_client", "invalid_scope", "invalid_target":
			return say(probe.Credential, "expected a token, got %d (%s): the issuer does not accept what the probe is configured with", a.Status, code)
		case "":
			if a.Status == 401 || a.Status == 403 {
				return say(probe.Credential, "expected a token, got %d: the issuer, or a proxy in front of it, does not accept the probe", a.Status)
			}
		default:
			return say(probe.Status, "expected a token, got %d (%s)", a.Status, code)
		}
	}
	answer, f := ReadAnswer(a)
	if !f.Passed() {
		return Grant{Outcome: f}
	}
	g := say(probe.OK, "a token was issued")
	g.Token, g.Expires = answer.AccessToken(), answer.ExpiresIn()
	switch {
	case a.Cached != "":
		return say(probe.StaleOrCached, "the answer may come out of a cache (%s), and the token may not be fresh", a.Cached)
	case g.Token == "":
		return say(probe.Schema, "expected an access_token, got none")
	case !WellFormed(g.Token):
		return say(probe.Schema, "the access_token is malformed: expected %d to %d characters that a header can carry (RFC 6749, appendix A.12)", MinTokenLength, jwk.MaxTokenLength)
	case !answer.IsBearer():
		return say(probe.Schema, "expected token_type Bearer, got none or another")
	}
	return g
}

// ErrorCode is the code of an OAuth 2.0 error in an answer; empty if it is none of the standards'.
func ErrorCode(a *httpx.Answer) string {
	answer, _ := read(a)
	return answer.ErrorCode()
}

// ReadAnswer reads the JSON object that an answer with status 200 must be. The outcome says why there is none.
func ReadAnswer(a *httpx.Answer) (oauth.Answer, probe.Outcome) {
	if f := NotOK(a); !f.Passed() {
		return nil, f
	}
	answer, wrong := read(a)
	if wrong != "" {
		return nil, probe.Outcome{Reason: probe.Schema, Detail: wrong}
	}
	return answer, probe.Outcome{Reason: probe.OK}
}

// read reads a JSON object, whatever the status; wrong says why there is none.
func read(a *httpx.Answer) (answer oauth.Answer, wrong string) {
	if _, err := a.JSON(); err != nil { // stricter than what follows: no key twice, bounded
		if strings.HasPrefix(strings.TrimSpace(string(a.Body[:min(len(a.Body), 64)])), "<") {
			return nil, "expected JSON, got an HTML page"
		}
		return nil, "the answer is not JSON: " + err.Error()
	}
	if answer = oauth.Read(a.Body); answer == nil {
		return nil, "expected a JSON object, got other JSON"
	}
	return answer, ""
}

// NotOK says why an answer is not one with status 200.
func NotOK(a *httpx.Answer) probe.Outcome {
	c := a.Classify(httpx.ClassifyOptions{Want: httpx.Codes(200), AllowCached: true}) // who needs a fresh answer says so
	switch c.Class {
	case httpx.ClassExpected:
		return probe.Outcome{Reason: probe.OK}
	case httpx.ClassUnauthorized: // what is public, or was asked for rightly
		return probe.Outcomef(probe.Status, "expected 200, got %d", a.Status)
	}
	return c.Outcome
}

// NotVerified says why a token does not verify. It repeats nothing of the token.
func NotVerified(err error) probe.Outcome {
	for _, known := range []struct {
		err  error
		why  probe.Reason
		text string
	}{
		{jwk.ErrNoKey, SigningWithUnpublishedKey, "a fresh token names a kid that is not in the key set: verifiers reject it"},
		{jwk.ErrNoKeyID, NoKeyID, "a fresh token names no kid: verifiers cannot know which key signed it"},
		{jwk.ErrAlgorithm, AlgorithmNotAllowed, "a fresh token is signed with an algorithm that verifiers do not allow (algs)"},
		{jwk.ErrCritical, CriticalHeader, "a fresh token has a critical header (crit): verifiers that do not know it reject the token"},
		{jwk.ErrKey, KeyUnusable, "the key with a fresh token's kid cannot verify its algorithm"},
		{jwk.ErrSignature, BadSignature, "a fresh token does not verify with the key that has its kid"},
	} {
		if errors.Is(err, known.err) {
			return probe.Outcome{Reason: known.why, Detail: known.text}
		}
	}
	return probe.Outcomef(probe.Schema, "a fresh token cannot be read as a JWT: %s; if the issuer's tokens are not JWTs, set opaque: true", err)
}

// Reasons why a token does not verify.
var (
	SigningWithUnpublishedKey = probe.Reason{Word: "signing_with_unpublished_key", Verdict: probe.Fail, Text: "no published key has the token's kid",
		Action: "Publish the key with which the issuer signs, or switch back to the key before: verifiers cannot verify new tokens."}
	NoKeyID = probe.Reason{Word: "no_kid", Verdict: probe.Fail, Text: "the token does not name its key",
		Action: "Have the issuer name its key (kid) in each token; until then verifiers guess."}
	AlgorithmNotAllowed = probe.Reason{Word: "alg_not_allowed", Verdict: probe.Fail, Text: "the algorithm is none, symmetric, or not allowed",
		Action: "Correct the algorithm of the issuer: tokens with this one must not be accepted anywhere."}
	CriticalHeader = probe.Reason{Word: "critical_header", Verdict: probe.Fail, Text: "the token demands that its verifiers know an extension",
		Action: "Remove the extension (crit) from the tokens: verifiers that do not know it must reject them."}
	KeyUnusable = probe.Reason{Word: "key_unusable", Verdict: probe.Fail, Text: "the key cannot be used for the token's algorithm",
		Action: "Publish a key that fits the algorithm, or correct the algorithm of the issuer."}
	BadSignature = probe.Reason{Word: "bad_signature", Verdict: probe.Fail, Text: "signed with another key, or changed",
		Action: "Compare the issuer's private key with the published one: they do not belong together, or a proxy changes the token."}
)

// Reasons about the rotation of keys.
var (
	RevokedKeyPublished = probe.Reason{Word: "revoked_kid_present", Verdict: probe.Fail, Text: "a revoked key is still published",
		Action: "Remove the revoked key from the key set now: what it signs is still accepted."}
	PublishedTooLate = probe.Reason{Word: "published_too_late", Verdict: probe.Fail, Text: "signs before every cache can have the key",
		Action: "Publish the next key earlier: caches that do not have it yet reject what it signs until they fetch again."}
	GraceTooShort = probe.Reason{Word: "grace_too_short", Verdict: probe.Fail, Text: "removed too soon after its last signature",
		Action: "Publish the old key again until nothing that it signed is verified any more."}
)
