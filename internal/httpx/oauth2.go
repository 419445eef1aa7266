package httpx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/text"
)

// Fetching a token is preparation and not a measurement: it may be retried, in moderation.
const (
	maxAttempts = 3
	firstWait   = 100 * time.Millisecond
	maxWait     = 2 * time.Second
	minWait     = 20 * time.Millisecond // after any answer, so that no server can cause a busy loop
)

// Lifetimes of tokens.
const (
	tokenMargin     = 30 * time.Second // a token is not used this close to its expiry
	tokenDefault    = 5 * time.Minute  // of a token without an expiry
	tokenRefetchAge = time.Minute      // a rejected token older than this is fetched again
)

// tokens fetches and keeps the access token of one Settings.
type tokens struct {
	client Client // separate: the target's TLS name and connections are not the token endpoint's
	retry  retryablehttp.Client
	oauth  *OAuth2
	host   string
	port   string
	key    string // for the redactor

	turn    chan struct{} // guards the fields below; a channel, so that waiting ends with a context
	value   string
	fetched time.Time
	until   time.Time
}

func newTokens(s *Settings) (*tokens, error) {
	t := &tokens{oauth: s.OAuth2, turn: make(chan struct{}, 1)}
	if err := t.client.init(s, false, false); err != nil {
		return nil, err
	}
	t.retry.HTTPClient = &t.client.http
	t.retry.RequestLogHook = func(_ retryablehttp.Logger, r *http.Request, _ int) { r.Header.Set("User-Agent", userAgent()) }
	t.retry.RetryMax = maxAttempts - 1
	t.retry.CheckRetry = retryable
	t.retry.Backoff = pause
	t.retry.ErrorHandler = retryablehttp.PassthroughErrorHandler
	u, err := url.Parse(s.OAuth2.TokenURL)
	if err != nil {
		return nil, errors.New("oauth2.token_url: cannot be read")
	}
	t.host, t.port = hostOf(u), portOf(u)
	t.key = strings.Join([]string{"oauth2", text.URL(u), s.OAuth2.ClientID, s.OAuth2.ClientSecret.Source(), strings.Join(s.OAuth2.Scopes, " ")}, " ")
	return t, nil
}

// get returns the token, fetched again if it is about to expire. The outcome says why there is none.
func (t *tokens) get(ctx context.Context) (string, *probe.Outcome) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", noToken(dial.Explain(ctx, ctx.Err()))
	}
	if t.value != "" && time.Now().Before(t.until) {
		return t.value, nil
	}
	token, f := t.fetch(ctx)
	if f != nil {
		return "", f
	}
	now := time.Now()
	life := tokenDefault
	if !token.Expiry.IsZero() {
		life = token.Expiry.Sub(now)
	}
	secret.Learn(t.key, token.AccessToken)
	t.value, t.fetched, t.until = token.AccessToken, now, now.Add(life-min(tokenMargin, life/4))
	return t.value, nil
}

// refused is called when the target rejects a token. An old one may have been revoked; a new one would only be rejected
// again.
func (t *tokens) refused(value string) {
	select {
	case t.turn <- struct{}{}:
		if t.value == value && time.Since(t.fetched) > tokenRefetchAge {
			t.value = ""
		}
		<-t.turn
	default:
	}
}

func (t *tokens) fetch(ctx context.Context) (*oauth2.Token, *probe.Outcome) {
	clientSecret, err := t.oauth.ClientSecret.Reveal()
	if err != nil {
		return nil, failed(probe.Credential, "oauth2.client_secret: %s", err)
	}
	cfg := clientcredentials.Config{
		ClientID:     t.oauth.ClientID,
		ClientSecret: clientSecret,
		TokenURL:     t.oauth.TokenURL,
		Scopes:       t.oauth.Scopes,
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	if t.oauth.AuthStyle == "params" {
		cfg.AuthStyle = oauth2.AuthStyleInParams
	}
	if len(t.oauth.Params) > 0 {
		cfg.EndpointParams = url.Values{}
		for name, v := range t.oauth.Params {
			cfg.EndpointParams.Set(name, v)
		}
	}
	x := &exchange{client: &t.client, host: t.host, address: net.JoinHostPort(t.host, t.port), maxConns: maxAttempts, sendsLeft: maxAttempts}
	bound := x.bind(ctx)
	token, err := cfg.Token(context.WithValue(bound, oauth2.HTTPClient, &http.Client{Transport: &retryablehttp.RoundTripper{Client: &t.retry}, CheckRedirect: noRedirect}))
	if err != nil {
		o := x.explain(err)
		x.finish(time.Now(), o.Reason)
		if answered, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
			o = probe.Outcomef(probe.Credential, "%s", refusal(answered))
		} else if o.Reason == probe.Protocol {
			o.Detail = "the answer of the token endpoint is not valid (RFC 6749)"
		}
		return nil, noToken(o)
	}
	x.finish(time.Now(), probe.OK)
	if kind := token.Type(); !strings.EqualFold(kind, "Bearer") {
		return nil, noToken(probe.Outcomef(probe.Credential, "the token endpoint issued another type of token than Bearer"))
	}
	if !httpguts.ValidHeaderFieldValue(token.AccessToken) || len(token.AccessToken) < secret.Shortest {
		return nil, noToken(probe.Outcomef(probe.Credential, "the token endpoint issued an invalid token"))
	}
	return token, nil
}

// noToken says why there is no token. Whatever the reason, the target was not asked, so the credential is to blame; only a
// cancelled run stays just that.
func noToken(o probe.Outcome) *probe.Outcome {
	if o.Reason != probe.Cancelled {
		o.Reason = probe.Credential
	}
	o.Detail = "no access token: " + o.Detail
	return &o
}

// oauthErrors are the codes of RFC 6749, section 5.2, and of the standards that add to them: RFC 7009 and RFC 8707.
var oauthErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"unsupported_token_type", "invalid_target",
}

// OAuthCode returns an OAuth 2.0 error code if it is one of the standards, else nothing: other text of a server must not be
// repeated.
func OAuthCode(code string) string {
	if slices.Contains(oauthErrors, code) {
		return code
	}
	return ""
}

func refusal(e *oauth2.RetrieveError) string {
	text := "the token endpoint refused"
	if e.Response != nil {
		text = fmt.Sprintf("the token endpoint answered %d", e.Response.StatusCode)
	}
	if code := OAuthCode(e.ErrorCode); code != "" {
		text += " (" + code + ")"
	}
	return text
}

// retryable reports whether fetching a token may be retried: after temporary failures, never after an answer about the
// request itself, and never if the server's identity is in doubt.
func retryable(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, nil
	}
	if err == nil {
		return resp.StatusCode == 502 || resp.StatusCode == 503 || resp.StatusCode == 504, nil
	}
	why := exchangeOf(ctx).explain(err).Reason
	return why == probe.Refused || why == probe.Reset || why == probe.Timeout || why == probe.Truncated, nil
}

// pause returns how long to wait before the next attempt: exponential backoff with jitter, or what the server asks for,
// but never longer than maxWait.
func pause(_, _ time.Duration, attempt int, resp *http.Response) time.Duration {
	wait := rand.N(min(firstWait<<min(attempt, 10), maxWait))
	if resp != nil {
		seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 64)
		if errors.Is(err, strconv.ErrRange) || (err == nil && seconds > uint64(maxWait/time.Second)) {
			return maxWait
		}
		wait = max(wait, time.Duration(seconds)*time.Second) // 0 without a number
	}
	return min(max(wait, minWait), maxWait)
}
