package httpx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/net/http/httpguts"

	"prober/internal/dial"
	"prober/internal/jsonpath"
	"prober/internal/memory"
	"prober/internal/oauth"
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

// A tokenIssuer says how a token is fetched: OAuth2 or Login.
type tokenIssuer interface {
	name() string                            // of the setting
	endpoint() string                        // in messages: who issues the token
	url() string                             // what is asked
	key() string                             // different for each credential, for the redactor
	settings(*Settings) *Settings            // of the request, from those of the probe
	request(refresh string) (Request, error) // reads the secrets at their sources; the error names the setting
	read(context.Context, *http.Response, []byte) (grant, probe.Outcome)
	send(req *http.Request, token string) *probe.Outcome // adds the token to a request to the target
}

// issuer returns what issues the token of the settings; nil if they name a credential of another kind.
func (s *Settings) issuer() tokenIssuer {
	switch {
	case s.OAuth2 != nil:
		return s.OAuth2
	case s.Login != nil:
		return s.Login
	}
	return nil
}

// A grant is what an issuer answers with.
type grant struct {
	token   string
	life    time.Duration
	refresh string // the refresh token that replaces the one that was used; empty if it stays
}

// tokens fetches and keeps the token of one Settings.
type tokens struct {
	client Client // separate: the target's TLS name and connections are not the token endpoint's
	retry  retryablehttp.Client
	issuer tokenIssuer
	url    *url.URL
	key    string // for the redactor

	turn    chan struct{} // guards the fields below; a channel, so that waiting ends with a context
	value   string
	refresh string // the last one that the issuer sent in place of that of the settings
	fetched time.Time
	until   time.Time
}

func newTokens(s *Settings, issuer tokenIssuer) (*tokens, error) {
	t := &tokens{issuer: issuer, turn: make(chan struct{}, 1)}
	t.client.init(issuer.settings(s), false, false)
	t.retry.HTTPClient = &http.Client{Transport: roundTripper{}, CheckRedirect: noRedirect}
	t.retry.RetryMax = maxAttempts - 1
	t.retry.CheckRetry = retryable
	t.retry.Backoff = pause
	t.retry.ErrorHandler = retryablehttp.PassthroughErrorHandler
	u, err := url.Parse(issuer.url())
	if err != nil {
		return nil, errors.New(issuer.name() + ": the URL cannot be read")
	}
	t.url, t.key = u, issuer.key()
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
	g, f := t.fetch(ctx)
	if f != nil {
		return "", f
	}
	now := time.Now()
	secret.Learn(t.key, g.token)
	if g.refresh != "" {
		t.refresh = g.refresh
		secret.Learn(t.key+" refresh", g.refresh)
	}
	t.value, t.fetched, t.until = g.token, now, now.Add(g.life-min(tokenMargin, g.life/4))
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

// Grants of OAuth2, besides client credentials.
const (
	passwordGrant     = "password"
	refreshTokenGrant = "refresh_token"
)

// Grant makes q the token request that the settings describe (RFC 6749, sections 4.3.2, 4.4.2 and 6). The secrets are read
// at their sources; the error names the setting.
func (o *OAuth2) Grant(q Request) (Request, error) { return o.grant(q, "") }

// grant is Grant with a refresh token that replaces that of the settings, unless it is empty.
func (o *OAuth2) grant(q Request, refresh string) (Request, error) {
	client := oauth.Client{ID: o.ClientID, InForm: o.AuthStyle == "params"}
	var err error
	if !o.ClientSecret.IsZero() {
		if client.Secret, err = o.ClientSecret.Reveal(); err != nil {
			return q, fmt.Errorf("client_secret: %w", err)
		}
	}
	form := oauth.ClientCredentials(o.Params, o.Scopes)
	switch o.GrantType {
	case passwordGrant:
		password, err := o.Password.Reveal()
		if err != nil {
			return q, fmt.Errorf("password: %w", err)
		}
		form.Set("username", o.Username)
		form.Set("password", password)
		form.Set("grant_type", passwordGrant)
	case refreshTokenGrant:
		if refresh == "" {
			if refresh, err = o.RefreshToken.Reveal(); err != nil {
				return q, fmt.Errorf("refresh_token: %w", err)
			}
		}
		form.Set("refresh_token", refresh)
		form.Set("grant_type", refreshTokenGrant)
	}
	q.URL = o.TokenURL
	return Post(q, client, form), nil
}

func (o *OAuth2) name() string     { return "oauth2" }
func (o *OAuth2) endpoint() string { return "token endpoint" }
func (o *OAuth2) url() string      { return o.TokenURL }

func (o *OAuth2) key() string {
	shown := ""
	if u, err := url.Parse(o.TokenURL); err == nil {
		shown = text.URL(u)
	}
	return strings.Join([]string{"oauth2", shown, o.ClientID, o.ClientSecret.Source(), o.Username, o.Password.Source(), o.RefreshToken.Source(), strings.Join(o.Scopes, " ")}, " ")
}

// settings are those of the token request: the socket of the target is not the way to who issues tokens.
func (o *OAuth2) settings(s *Settings) *Settings {
	own := *s
	own.Route = s.Route.toOtherHost()
	return &own
}

func (o *OAuth2) request(refresh string) (Request, error) { return o.grant(Request{}, refresh) }

func (o *OAuth2) send(req *http.Request, token string) *probe.Outcome {
	return setHeader(req, "Authorization", "Bearer "+token, false)
}

// read reads the answer of the token endpoint (RFC 6749, section 5).
func (o *OAuth2) read(ctx context.Context, resp *http.Response, body []byte) (grant, probe.Outcome) {
	_, strict := jsonpath.Decode(ctx, body)
	answer := oauth.Read(body)
	token := answer.AccessToken()
	switch {
	case resp.StatusCode/100 != 2 || answer.IsError():
		return grant{}, probe.Outcomef(probe.Credential, "%s", refusal(resp.StatusCode, answer))
	case memory.IsLimit(strict):
		return grant{}, probe.Outcomef(probe.SelfLimit, "the answer of the token endpoint: %s", strict)
	case strict != nil || token == "":
		return grant{}, probe.Outcomef(probe.Protocol, "the answer of the token endpoint is not valid (RFC 6749)")
	case answer.Text("token_type") != "" && !answer.IsBearer():
		return grant{}, probe.Outcomef(probe.Credential, "the token endpoint issued another type of token than Bearer")
	case !httpguts.ValidHeaderFieldValue(token) || len(token) < secret.MinBytes:
		return grant{}, probe.Outcomef(probe.Credential, "the token endpoint issued an invalid token")
	}
	g := grant{token: token, life: cmp.Or(answer.ExpiresIn(), tokenDefault)}
	if refresh := answer.Text("refresh_token"); o.GrantType == refreshTokenGrant && len(refresh) >= secret.MinBytes {
		g.refresh = refresh
	}
	return g, probe.Outcome{Reason: probe.OK}
}

// Post makes q a request that sends a form as the client.
func Post(q Request, client oauth.Client, form url.Values) Request {
	q.Method, q.Secret = http.MethodPost, true
	q.Header, q.Body = client.Request(form)
	return q
}

// maxTokenBody bounds the answer of a token endpoint, in bytes.
const maxTokenBody = 1 << 20

func (t *tokens) fetch(ctx context.Context) (grant, *probe.Outcome) {
	q, err := t.issuer.request(t.refresh)
	if err != nil {
		return grant{}, failed(probe.Credential, "%s.%s", t.issuer.name(), err)
	}
	x := t.client.begin(ctx, maxAttempts)
	x.to(t.url)
	x.private = !t.client.settings.AllowPlaintext
	g, o := t.send(ctx, x, q)
	x.finish(time.Now(), o.Reason)
	if !o.Passed() {
		t.refresh = "" // it may be the reason; that of the settings may be a newer one
		return grant{}, noToken(o)
	}
	return g, nil
}

// send sends the token request, more than once if need be, and reads the answer.
func (t *tokens) send(ctx context.Context, x *exchange, q Request) (grant, probe.Outcome) {
	req, err := retryablehttp.NewRequestWithContext(x.carried(), q.Method, q.URL, q.Body)
	if err != nil {
		return grant{}, x.explain(err)
	}
	req.Header = q.Header
	req.Header.Set("User-Agent", userAgent())
	resp, err := t.retry.Do(req)
	if err != nil {
		return grant{}, x.explain(err)
	}
	defer resp.Body.Close()
	body, err := readBody(&x.meter, resp, "", maxTokenBody)
	switch {
	case errors.Is(err, errTooLarge):
		return grant{}, probe.Outcomef(probe.Protocol, "the answer of the %s is larger than %d bytes", t.issuer.endpoint(), maxTokenBody)
	case err != nil:
		return grant{}, x.explain(err)
	}
	return t.issuer.read(ctx, resp, body)
}

// noToken says why there is no token. Whatever the reason, the target was not asked, so the credential is to blame; only a
// cancelled run, and what the prober has no room for, stay just that.
func noToken(o probe.Outcome) *probe.Outcome {
	if o.Reason != probe.Cancelled && o.Reason != probe.SelfLimit {
		o.Reason = probe.Credential
	}
	o.Detail = "no access token: " + o.Detail
	return &o
}

func refusal(status int, answer oauth.Answer) string {
	text := fmt.Sprintf("the token endpoint answered %d", status)
	if code := answer.ErrorCode(); code != "" {
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
		seconds, _ := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 64) // 0 without a number, the largest for a larger one
		wait = max(wait, time.Duration(min(seconds, uint64(maxWait/time.Second)))*time.Second)
	}
	return min(max(wait, minWait), maxWait)
}
