package issuance

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/secret"
)

// TestNotOK: the classes of httpx, but that a 401 says nothing about a credential: what is asked for is public, or was
// asked for with the right one.
func TestNotOK(t *testing.T) {
	for _, c := range []struct {
		status int
		why    probe.Reason
		cached string
		want   probe.Outcome
	}{
		{200, probe.OK, "", probe.Outcome{Reason: probe.OK}},
		{200, probe.OK, "Age: 3", probe.Outcome{Reason: probe.OK}},
		{201, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 201")},
		{401, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 401")},
		{403, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 403")},
		{404, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 404")},
		{503, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 503")},
		{302, probe.OK, "", probe.Outcomef(probe.Redirect, "expected 200, got 302: redirects are not followed")},
		{304, probe.OK, "status 304", probe.Outcomef(probe.StaleOrCached, "expected 200, got 304 to a request that holds no copy")},
		{429, probe.OK, "", probe.Outcomef(probe.RateLimited, "expected 200, got 429: the target limits the rate of the prober's requests")},
		{200, probe.Truncated, "", probe.Outcomef(probe.Truncated, "cut")},
	} {
		a := &httpx.Answer{Exchange: probe.Exchange{Status: c.status, Reason: c.why}, Cached: c.cached}
		if c.why != probe.OK {
			a.Detail = "cut"
		}
		if got := NotOK(a); got != c.want {
			t.Errorf("%d: got %+v, want %+v", c.status, got, c.want)
		}
	}
}

// TestReadGrant: what is not a fresh token of the standard is none, and says whose fault it is.
func TestReadGrant(t *testing.T) {
	const token = "0123456789abcdef"
	granted := func(token string) string {
		return `{"access_token": "` + token + `", "token_type": "Bearer", "expires_in": 300}`
	}
	for name, c := range map[string]struct {
		status int
		body   string
		cached string
		why    probe.Reason
		detail string
	}{
		"granted":                  {200, granted(token), "", probe.OK, "a token was issued"},
		"the longest":              {200, granted(strings.Repeat("a", jwk.MaxTokenLength)), "", probe.OK, "a token was issued"},
		"the ends of ASCII":        {200, granted("!" + token + "~"), "", probe.OK, "a token was issued"},
		"created":                  {201, granted(token), "", probe.Status, "expected 200, got 201"},
		"from a cache":             {200, granted(token), "Age: 3", probe.StaleOrCached, "the answer may come out of a cache (Age: 3), and the token may not be fresh"},
		"no token":                 {200, `{"token_type": "Bearer"}`, "", probe.Schema, "expected an access_token, got none"},
		"a short token":            {200, granted(token[1:]), "", probe.Schema, "the access_token is malformed: "},
		"a long token":             {200, granted(strings.Repeat("a", jwk.MaxTokenLength+1)), "", probe.Schema, "the access_token is malformed: "},
		"a token with a space":     {200, granted(token + " x"), "", probe.Schema, "the access_token is malformed: "},
		"a token with a delete":    {200, granted(token + "\x7f"), "", probe.Schema, "the access_token is malformed: "},
		"a token of another kind":  {200, `{"access_token": "` + token + `", "token_type": "mac"}`, "", probe.Schema, "expected token_type Bearer, got none or another"},
		"a token without its kind": {200, `{"access_token": "` + token + `"}`, "", probe.Schema, "expected token_type Bearer, got none or another"},
		"HTML":                     {200, " <html>", "", probe.Schema, "expected JSON, got an HTML page"},
		"no JSON":                  {200, "token", "", probe.Schema, "the answer is not JSON: "},
		"a list":                   {200, "[]", "", probe.Schema, "expected a JSON object, got other JSON"},
		"a wrong client":           {401, `{"error": "invalid_client"}`, "", probe.Credential, "expected a token, got 401 (invalid_client): the issuer does not accept"},
		"another grant":            {400, `{"error": "unauthorized_client"}`, "", probe.Credential, "expected a token, got 400 (unauthorized_client): the issuer does not accept"},
		"a wrong scope":            {400, `{"error": "invalid_scope"}`, "", probe.Credential, "expected a token, got 400 (invalid_scope): the issuer does not accept"},
		"a wrong audience":         {400, `{"error": "invalid_target"}`, "", probe.Credential, "expected a token, got 400 (invalid_target): the issuer does not accept"},
		"a proxy's 401":            {401, "", "", probe.Credential, "expected a token, got 401: the issuer, or a proxy in front of it,"},
		"a proxy's 403":            {403, "", "", probe.Credential, "expected a token, got 403: the issuer, or a proxy in front of it,"},
		"a 400 without a code":     {400, "", "", probe.Status, "expected 200, got 400"},
		"the issuer's own fault":   {400, `{"error": "invalid_request"}`, "", probe.Status, "expected a token, got 400 (invalid_request)"},
		"the last of the 4xx":      {499, `{"error": "invalid_client"}`, "", probe.Credential, "expected a token, got 499 (invalid_client)"},
		"a limit with a code":      {429, `{"error": "invalid_client"}`, "", probe.RateLimited, "expected 200, got 429"},
		"a 500 with a code":        {500, `{"error": "invalid_client"}`, "", probe.Status, "expected 200, got 500"},
		"a 200 with a code":        {200, `{"error": "invalid_client"}`, "", probe.Schema, "expected an access_token, got none"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &httpx.Answer{Exchange: probe.Exchange{Status: c.status, Reason: probe.OK}, Body: []byte(c.body), Cached: c.cached}
			got := ReadGrant(a)
			if got.Reason != c.why || !strings.HasPrefix(got.Detail, c.detail) {
				t.Errorf("got %s: %s, want %s: %s", got.Reason.Word, got.Detail, c.why.Word, c.detail)
			}
			if (got.Token != "") != got.Passed() || got.Passed() && got.Expires != 300*time.Second {
				t.Errorf("got a token of %d bytes that expires in %s", len(got.Token), got.Expires)
			}
		})
	}
	cut := &httpx.Answer{Exchange: probe.Exchange{Status: 401, Reason: probe.Truncated}, Detail: "cut", Body: []byte(`{"error": "invalid_client"}`)}
	if got := ReadGrant(cut); got.Reason != probe.Truncated || got.Token != "" {
		t.Errorf("got %+v of an answer that breaks off", got)
	}
}

// TestNotVerified: each flaw of a token has its reason, also where it is wrapped.
func TestNotVerified(t *testing.T) {
	for err, want := range map[error]probe.Reason{
		jwk.ErrNoKey: SigningWithUnpublishedKey, jwk.ErrNoKeyID: NoKeyID, jwk.ErrAlgorithm: AlgorithmNotAllowed, jwk.ErrCritical: CriticalHeader,
		jwk.ErrKey: KeyUnusable, jwk.ErrSignature: BadSignature, errors.New("two dots"): probe.Schema,
	} {
		if got := NotVerified(fmt.Errorf("verify: %w", err)); got.Reason != want || got.Reason.Verdict != probe.Fail {
			t.Errorf("%s: got %s (%v), want %s", err, got.Reason.Word, got.Reason.Verdict, want.Word)
		}
	}
}

// TestLearnToken: an issued token is a secret from then on, whatever the status that it came with.
func TestLearnToken(t *testing.T) {
	const token = "a-token-that-nobody-else-has-7261"
	for body, want := range map[string]string{
		`{"access_token": "short-token-726"}`: "got short-token-726",
		`{"access_token": "` + token + `"}`:   "got <redacted>",
	} {
		LearnToken("the token of a test")(&httpx.Answer{Exchange: probe.Exchange{Status: 400, Reason: probe.OK}, Body: []byte(body)})
		if got := secret.Redact(strings.Replace(want, "<redacted>", token, 1)); got != want {
			t.Errorf("got %q of %s, want %q", got, body, want)
		}
	}
}
