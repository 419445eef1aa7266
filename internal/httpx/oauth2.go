package httpx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/net/http/httpguts"

	"prober/internal/dial"
	"prober/internal/jsonpath"
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
	answer, f := t.fetch(ctx)
	if f != nil {
		return "", f
	}
	now, token := time.Now(), answer.AccessToken()
	life := cmp.Or(answer.ExpiresIn(), tokenDefault)
	secret.Learn(t.key, token)
	t.value, t.fetched, t.until = token, now, now.Add(life-min(tokenMargin, life/4))
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

// Grant makes q the token request that the settings describe (RFC 6749, section 4.4.2). The client's secret is read at its
// source; the error names that.
func (o *OAuth2) Grant(q Request) (Request, error) {
	clientSecret, err := o.ClientSecret.Reveal()
	if err != nil {
		return q, fmt.Errorf("client_secret: %w", err)
	}
	q.URL = o.TokenURL
	client := oauth.Client{ID: o.ClientID, Secret: clientSecret, InForm: o.AuthStyle == "params"}
	return Post(q, client, oauth.ClientCredentials(o.Params, o.Scopes)), nil
}

// Post makes q a request that sends a form as the client.
func Post(q Request, client oauth.Client, form url.Values) Request {
	q.Method = http.MethodPost
	q.Header, q.Body = client.Request(form)
	return q
}

// maxTokenBody bounds the answer of a token endpoint, in bytes.
const maxTokenBody = 1 << 20

func (t *tokens) fetch(ctx context.Context) (oauth.Answer, *probe.Outcome) {
	q, err := t.oauth.Grant(Request{})
	if err != nil {
		return nil, failed(probe.Credential, "oauth2.%s", err)
	}
	x := &exchange{client: &t.client, host: t.host, address: net.JoinHostPort(t.host, t.port), maxConns: maxAttempts, sendsLeft: maxAttempts}
	answer, o := t.send(x, ctx, q)
	x.finish(time.Now(), o.Reason)
	if !o.Passed() {
		return nil, noToken(o)
	}
	return answer, nil
}

// send sends the token request, more than once if need be, and reads the answer.
func (t *tokens) send(x *exchange, ctx context.Context, q Request) (oauth.Answer, probe.Outcome) {
	req, err := retryablehttp.NewRequestWithContext(x.bind(ctx), q.Method, q.URL, q.Body)
	if err != nil {
		return nil, x.explain(err)
	}
	req.Header = q.Header
	req.Header.Set("User-Agent", userAgent())
	resp, err := t.retry.Do(req)
	if err != nil {
		return nil, x.explain(err)
	}
	defer resp.Body.Close()
	body, err := readBody(resp, maxTokenBody)
	_, strict := jsonpath.Decode(body)
	answer := oauth.Read(body)
	token := answer.AccessToken()
	switch {
	case errors.Is(err, errTooLarge):
		return nil, probe.Outcomef(probe.Protocol, "the answer of the token endpoint is larger than %d bytes", maxTokenBody)
	case err != nil:
		return nil, x.explain(err)
	case resp.StatusCode/100 != 2 || answer.IsError():
		return nil, probe.Outcomef(probe.Credential, "%s", refusal(resp.StatusCode, answer))
	case strict != nil || token == "":
		return nil, probe.Outcomef(probe.Protocol, "the answer of the token endpoint is not valid (RFC 6749)")
	case answer.Text("token_type") != "" && !answer.IsBearer():
		return nil, probe.Outcomef(probe.Credential, "the token endpoint issued another type of token than Bearer")
	case !httpguts.ValidHeaderFieldValue(token) || len(token) < secret.MinBytes:
		return nil, probe.Outcomef(probe.Credential, "the token endpoint issued an invalid token")
	}
	return answer, probe.Outcome{Reason: probe.OK}
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
		seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 64)
		if errors.Is(err, strconv.ErrRange) || (err == nil && seconds > uint64(maxWait/time.Second)) {
			return maxWait
		}
		wait = max(wait, time.Duration(seconds)*time.Second) // 0 without a number
	}
	return min(max(wait, minWait), maxWait)
}
