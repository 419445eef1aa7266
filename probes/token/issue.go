package token

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"time"

	"prober/internal/httpx"
	"prober/internal/oauth"
	"prober/internal/probe"
	"prober/probes/internal/issuance"
)

// issue asks for a token. Which one it is in its run tells it apart for the redactor.
func (run *runState) issue(ctx context.Context, e endpoints, which string) issuance.Grant {
	if o := run.inTime(ctx); !o.Passed() {
		return issuance.Grant{Outcome: o}
	}
	clientSecret, err := run.ClientSecret.Reveal()
	if err != nil {
		return issuance.Grant{Outcome: probe.Outcome{Reason: probe.Credential, Detail: "client_secret: " + err.Error()}}
	}
	answer := run.request(ctx, "issuance", e.token, clientSecret, which, httpx.Codes(200))
	g := issuance.ReadGrant(answer)
	g.Sent, g.Got = answer.Started, time.Now()
	if answer.Reason == probe.OK && answer.Status == 200 {
		run.step("token", answer)
	}
	return g
}

// request sends a token request (RFC 6749, section 4.4.2).
func (run *runState) request(ctx context.Context, check, url, clientSecret, which string, want httpx.Statuses) *httpx.Answer {
	source := fmt.Sprintf("token %s of %s/%s", which, run.r.System, run.r.Name)
	q := httpx.Request{Check: check, URL: url, Want: want, Learn: issuance.LearnToken(source)}
	return run.post(ctx, q, oauth.ClientCredentials(run.Params, run.Scopes), clientSecret)
}

// post sends a form as the client.
func (run *runState) post(ctx context.Context, q httpx.Request, form url.Values, clientSecret string) *httpx.Answer {
	q.Show = run.named[q.URL]
	client := oauth.Client{ID: run.ClientID, Secret: clientSecret, InForm: run.Auth == "post"}
	return run.client(q.URL).Do(ctx, run.r, httpx.Post(q, client, form))
}

// wrongSecretStatuses are the answers to a wrong secret (RFC 6749, section 5.2).
var wrongSecretStatuses = httpx.Codes(400, 401)

// checkWrongSecret tries a wrong secret. That it is rejected proves something only because the right one was just accepted.
func (run *runState) checkWrongSecret(ctx context.Context, e endpoints, right issuance.Grant) {
	if !run.hasTimeFor(ctx, "wrong_secret", right) {
		return
	}
	clientSecret, err := run.ClientSecret.Reveal()
	if err != nil {
		run.r.Inconclusive("wrong_secret", probe.Credential, "client_secret: %s", err)
		return
	}
	a := run.request(ctx, "wrong_secret", e.token, wrongSecret(clientSecret), "for a wrong secret", wrongSecretStatuses)
	if run.cutOff(ctx, a) {
		run.r.Inconclusive("wrong_secret", probe.Timeout, "the run's time was up before a wrong client_secret was answered")
		return
	}
	if a.Incomplete(run.r, "wrong_secret") {
		return
	}
	run.step("wrong_secret", a)
	switch code := issuance.ErrorCode(a); {
	case issuance.IssuedToken(a) != "":
		run.r.Fail("wrong_secret", probe.AuthBypass, "a wrong client_secret gets a token too (%d)", a.Status)
	case a.Status == 429:
		run.r.Inconclusive("wrong_secret", probe.RateLimited, "expected a wrong client_secret to be rejected as invalid_client, got 429: the issuer limits the rate of the prober's requests")
	case wrongSecretStatuses.Contains(a.Status) && code == "invalid_client":
		run.r.Pass("wrong_secret", "a wrong client_secret is rejected (%d invalid_client), the right one was accepted", a.Status)
	case wrongSecretStatuses.Contains(a.Status):
		run.r.Fail("wrong_secret", probe.Body, "a wrong client_secret is rejected (%d), but not as invalid_client (RFC 6749, section 5.2)", a.Status)
	case a.Status == 403:
		run.r.Inconclusive("wrong_secret", probe.ControlFailed, "expected a wrong client_secret to be rejected as invalid_client, got 403: something in front of the issuer rejects the prober")
	default:
		run.r.Fail("wrong_secret", probe.Status, "expected a wrong client_secret to be rejected (%s invalid_client), got %d", wrongSecretStatuses, a.Status)
	}
}

// hasTimeFor reports whether there is time left for another request such as the one that got a token, and notes it if not.
// A request cut off by the run's own end would say nothing of the issuer.
func (run *runState) hasTimeFor(ctx context.Context, check string, like issuance.Grant) bool {
	end, limited := ctx.Deadline()
	if took := like.Got.Sub(like.Sent); limited && time.Until(end) < took {
		run.r.Inconclusive(check, probe.Timeout, "not requested: issuing a token took %s, and no more than %s of the run is left",
			took.Round(time.Millisecond), max(0, time.Until(end)).Round(time.Millisecond))
		return false
	}
	return true
}

// wrongSecret makes a secret as long as the right one, but never so short that it could be guessed right.
func wrongSecret(right string) string {
	for {
		var wrong string
		for len(wrong) < max(len(right), issuance.MinTokenLength) {
			wrong += rand.Text()
		}
		if wrong = wrong[:max(len(right), issuance.MinTokenLength)]; wrong != right {
			return wrong
		}
	}
}
