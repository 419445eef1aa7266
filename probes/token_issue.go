package probes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/keyset"
	"prober/internal/probe"
)

// A grant is what came of a token request. The finding says why there is no token.
type grant struct {
	finding
	token   string
	expires time.Duration // expires_in; 0 if it was not said
	sent    time.Time     // when the request was sent, and
	got     time.Time     // when its answer was there: the token was issued in between
}

// issue asks for a token. Which one it is in its run tells it apart for the redactor.
func (run *tokenRun) issue(ctx context.Context, e ends, which string) grant {
	clientSecret, err := run.ClientSecret.Reveal()
	if err != nil {
		return grant{finding: finding{"issuance", probe.Credential, "client_secret: " + err.Error()}}
	}
	answer := run.request(ctx, "issuance", e.token, clientSecret, which, httpx.Codes(200))
	g := granted(answer)
	g.sent, g.got = answer.Started, time.Now()
	if answer.Reason == probe.OK && answer.Status == 200 {
		run.step("token", answer)
	}
	return g
}

// request sends a token request (RFC 6749, section 4.4.2).
func (run *tokenRun) request(ctx context.Context, check, url, clientSecret, which string, want httpx.Statuses) *httpx.Answer {
	source := fmt.Sprintf("token %s of %s/%s", which, run.r.System, run.r.Name)
	q := httpx.Request{Check: check, URL: url, Want: want, Learn: learnToken(source)}
	return run.post(ctx, q, credentialsGrant(run.Params, run.Scopes), clientSecret)
}

// post sends a form as the client.
func (run *tokenRun) post(ctx context.Context, q httpx.Request, form url.Values, clientSecret string) *httpx.Answer {
	q.Show = run.named[q.URL]
	client := oauthClient{run.ClientID, clientSecret, run.Auth == "post"}
	return run.client(q.URL).Do(ctx, run.r, client.post(q, form))
}

// issuedToken is the access token in an answer, whatever its status; empty if there is none.
func issuedToken(a *httpx.Answer) string {
	members, _ := jsonMembers(a)
	return memberText(members, "access_token")
}

// leastToken is the length below which a token could be guessed (RFC 6749, section 10.10), and could not be told from
// ordinary text by the redactor.
const leastToken = 16

// wellFormed reports whether a text can be a token: visible ASCII (RFC 6749, appendix A.12), and short enough for a
// header.
func wellFormed(token string) bool {
	invisible := func(c rune) bool { return c <= ' ' || c > '~' }
	return leastToken <= len(token) && len(token) <= keyset.LongestToken && !strings.ContainsFunc(token, invisible)
}

// granted reads the answer to a token request (RFC 6749, sections 5.1 and 5.2).
func granted(a *httpx.Answer) grant {
	say := func(why probe.Reason, format string, args ...any) grant {
		return grant{finding: finding{"issuance", why, fmt.Sprintf(format, args...)}}
	}
	if code := oauthError(a); a.Reason == probe.OK && a.Status >= 400 && a.Status < 500 && a.Status != 429 {
		switch code {
		case "invalid_client", "unauthorized_client", "invalid_scope", "invalid_target":
			return say(probe.Credential, "wanted a token, got %d (%s): the issuer does not accept what the probe is configured with", a.Status, code)
		case "":
			if a.Status == 401 || a.Status == 403 {
				return say(probe.Credential, "wanted a token, got %d: the issuer, or what stands before it, does not accept the probe", a.Status)
			}
		default:
			return say(probe.Status, "wanted a token, got %d (%s)", a.Status, code)
		}
	}
	members, f := jsonObject("issuance", a)
	if f.short() {
		return grant{finding: f}
	}
	g := say(probe.OK, "a token was issued")
	g.token = memberText(members, "access_token")
	var seconds float64
	if json.Unmarshal(members["expires_in"], &seconds) == nil && seconds > 0 && seconds < 1e9 {
		g.expires = time.Duration(seconds * float64(time.Second))
	}
	switch {
	case a.Cached != "":
		return say(probe.StaleOrCached, "the answer may come out of a cache (%s), and then the token is not a fresh one", a.Cached)
	case g.token == "":
		return say(probe.Schema, "wanted an access_token, got none")
	case !wellFormed(g.token):
		return say(probe.Schema, "the access_token is none: wanted %d to %d characters that a header can carry (RFC 6749, appendix A.12)", leastToken, keyset.LongestToken)
	case !strings.EqualFold(memberText(members, "token_type"), "Bearer"):
		return say(probe.Schema, "wanted token_type Bearer, got none or another")
	}
	return g
}

// oauthError is the code of an OAuth 2.0 error in an answer; empty if it is none of the standards'.
func oauthError(a *httpx.Answer) string {
	members, _ := jsonMembers(a)
	return httpx.OAuthCode(memberText(members, "error"))
}

// refusedSecret are the answers to a wrong secret (RFC 6749, section 5.2).
var refusedSecret = httpx.Codes(400, 401)

// refusal tries a wrong secret. That it is refused proves something only because the right one was just accepted.
func (run *tokenRun) refusal(ctx context.Context, e ends, right grant) {
	if !run.enough(ctx, "refusal", right) {
		return
	}
	clientSecret, err := run.ClientSecret.Reveal()
	if err != nil {
		run.r.Inconclusive("refusal", probe.Credential, "client_secret: %s", err)
		return
	}
	a := run.request(ctx, "refusal", e.token, wrongSecret(clientSecret), "for a wrong secret", refusedSecret)
	if run.cutOff(ctx, a) {
		run.r.Inconclusive("refusal", probe.Timeout, "the run's time was up before a wrong client_secret was answered")
		return
	}
	if a.Incomplete(run.r, "refusal") {
		return
	}
	run.step("refusal", a)
	switch code := oauthError(a); {
	case issuedToken(a) != "":
		run.r.Fail("refusal", probe.AuthBypass, "a wrong client_secret gets a token too (%d)", a.Status)
	case a.Status == 429:
		run.r.Inconclusive("refusal", probe.RateLimited, "wanted a wrong client_secret refused as invalid_client, got 429: the issuer limits the rate of the prober's requests")
	case refusedSecret.Contains(a.Status) && code == "invalid_client":
		run.r.Pass("refusal", "a wrong client_secret is refused (%d invalid_client), the right one was accepted", a.Status)
	case refusedSecret.Contains(a.Status):
		run.r.Fail("refusal", probe.Body, "a wrong client_secret is refused (%d), but not as invalid_client (RFC 6749, section 5.2)", a.Status)
	case a.Status == 403:
		run.r.Inconclusive("refusal", probe.ControlFailed, "wanted a wrong client_secret refused as invalid_client, got 403: something before the issuer refuses the prober")
	default:
		run.r.Fail("refusal", probe.Status, "wanted a wrong client_secret refused (%s invalid_client), got %d", refusedSecret, a.Status)
	}
}

// enough reports whether there is time left for another request such as the one that got a token, and notes it if not.
// A request cut off by the run's own end would say nothing of the issuer.
func (run *tokenRun) enough(ctx context.Context, check string, like grant) bool {
	end, limited := ctx.Deadline()
	if took := like.got.Sub(like.sent); limited && time.Until(end) < took {
		run.r.Inconclusive(check, probe.Timeout, "not asked: issuing a token took %s, and no more than %s of the run is left",
			took.Round(time.Millisecond), max(0, time.Until(end)).Round(time.Millisecond))
		return false
	}
	return true
}

// wrongSecret makes a secret as long as the right one, but never so short that it could be guessed right.
func wrongSecret(right string) string {
	for {
		var wrong string
		for len(wrong) < max(len(right), leastToken) {
			wrong += rand.Text()
		}
		if wrong = wrong[:max(len(right), leastToken)]; wrong != right {
			return wrong
		}
	}
}
