package httpx

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/http/httpguts"

	"prober/internal/memory"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/text"
)

// A Request is one question to a server.
type Request struct {
	Check     string      // the check that it is made for
	Target    string      // which of several targets; empty: that of the result
	Method    string      // GET if empty
	URL       string      // what to ask
	Header    http.Header // to send beside, or in place of, those of the settings
	Body      []byte
	Addr      string   // dial this IP:port; Host and SNI stay those of URL. Empty: resolve the URL's host
	Anonymous bool     // without any credential of the settings: bearer, basic, oauth2, secret headers, client certificate
	Secret    bool     // Body or URL hold a secret, which an anonymous request sends too
	Want      Statuses // the expected statuses, for Exchange.Expected; they also apply to an abandoned answer

	// Learn is called with the complete answer before anything of it is recorded. It makes secrets in the answer, such as
	// an issued token, known to the redactor; the answer's headers might repeat them.
	Learn func(*Answer)
	// Hides reports whether a text must not be shown: the answer's trace id and version are dropped then.
	Hides func(text string) bool
	// Show is recorded in place of URL, if that must not be shown.
	Show string
	// Abandon, if above zero, is how many bytes of the body to read before the connection is closed in the middle of the
	// answer, like a caller that goes away. The reason is then probe.Cancelled; a shorter body is complete as usual.
	Abandon int
	// Upgrade, if set, asks for another protocol in place of a body.
	Upgrade *Upgrade
}

// Do makes exactly one measured request and returns by ctx's deadline. It records the exchange on r, unless no request
// could be sent because a credential is missing. Fetching an access token is neither measured nor recorded.
func (c *Client) Do(ctx context.Context, r *probe.Result, q Request) *Answer {
	a := &Answer{run: memory.Run(ctx)}
	a.Check, a.Target, a.Method = q.Check, q.Target, cmp.Or(q.Method, http.MethodGet)
	x := c.begin(ctx, 1)
	if x.upgrades = q.Upgrade != nil; x.upgrades {
		x.reuses = false
	}
	req, token, f := c.request(ctx, x, a, &q)
	if f != nil {
		a.fail(*f)
		return a
	}
	sent := c.settings.sentCredentials(req, &q, token)
	lateness := probe.LatenessOf(ctx)
	before := lateness.Total()
	a.Started = x.Start()
	resp, err := x.roundTrip(req)
	a.Interim = x.interims()
	ended := probe.Outcome{Reason: probe.OK}
	switch {
	case err != nil:
	case x.upgrades && resp.StatusCode == http.StatusSwitchingProtocols:
		ended, err = q.Upgrade.speak(a, x, resp)
	default:
		err = c.read(a, x, resp, q.Abandon)
	}
	spoke := ended.Reason == probe.OK
	a.waited = x.meter.waited
	x.Pause(a.waited)
	end := time.Now()
	a.Took, a.Late = end.Sub(a.Started)-a.waited, lateness.Total()-before
	if err != nil {
		memory.Exceeded(ctx, a.TraceID, err)
		ended = x.explain(err)
	} else if refused := x.refusedByProxy(a.Status); refused != nil {
		ended = *refused
	} else if x.gaveUp(a.Status) && !q.Want.Contains(a.Status) {
		ended = x.idleClosed()
	}
	a.fail(ended)
	a.unasked = x.conn != nil && x.conn.unasked
	a.Expected = q.Want.Contains(a.Status) && (err == nil && spoke || errors.Is(err, errAbandoned))
	x.finish(end, a.Reason)
	x.Fill(&a.Exchange, err)
	a.Reflected, a.SoughtCredential = a.reflected(req.URL.Path, sent, &c.finders)
	if a.Coding(c.settings.Compression) != Identity && len(a.Body) == 0 && a.Reflected == "" {
		a.SoughtCredential = false // the body was not decoded
	}
	if q.Learn != nil && err == nil {
		q.Learn(a)
	}
	if q.Learn == nil || err == nil { // a partial token cannot be learned
		c.describe(a, &q)
	}
	a.SoughtVersion = c.settings.Version != nil
	a.askedToWait = c.waits.excused(a, &q)
	if token != "" && a.Status == http.StatusUnauthorized {
		c.tokens.refused(token)
	}
	r.Exchanged(a.Exchange)
	return a
}

func (a *Answer) fail(o probe.Outcome) { a.Reason, a.Detail = o.Reason, secret.Redact(o.Detail) }

// failed returns an outcome, for functions that return none where nothing failed.
//
//go:noinline
func failed(why probe.Reason, format string, args ...any) *probe.Outcome {
	o := probe.Outcomef(why, format, args...)
	return &o
}

// read reads the answer to its end, or to where it is abandoned.
func (c *Client) read(a *Answer, x *exchange, resp *http.Response, abandon int) error {
	defer resp.Body.Close()
	var err error
	if a.Proto, err = x.inspect(resp); err != nil {
		return err
	}
	a.Status, a.StatusText, a.Header = resp.StatusCode, resp.Status, resp.Header
	if abandon > 0 {
		a.Body, err = readPart(resp, c.settings.Compression, abandon)
	} else {
		a.Body, err = readBody(&x.meter, resp, c.settings.Compression, c.settings.maxBody())
	}
	if limit := x.meter.take(headBytes(sizeOf(resp.Trailer))); limit != nil {
		return limit
	}
	a.Trailer = resp.Trailer
	a.Bytes = int64(len(a.Body))
	return err
}

// describe reads the trace id, the version and the signs of a cache from an answer.
func (c *Client) describe(a *Answer, q *Request) {
	if a.Status == 0 {
		return
	}
	a.Cached, a.oldDate = cached(a.Status, a.Header, time.Now())
	if a.Status == http.StatusTooManyRequests {
		a.RetryAfter = min(max(retryAfter(a.Header, time.Now()), 0), maxRetryAfter)
	}
	a.TargetTraceID = q.clean(traceID(c.settings.readTrace(a)))
	if s := c.settings.Version; s != nil {
		a.Version = q.clean(ParseVersion(s.readOnly(a)))
	}
}

// clean drops a text that holds a secret, or what the request hides.
func (q *Request) clean(text string) string {
	if text == "" || secret.Redact(text) != text || q.Hides != nil && q.Hides(text) {
		return ""
	}
	return text
}

// request builds the request that goes over the wire. The outcome says why it cannot be sent.
func (c *Client) request(ctx context.Context, x *exchange, a *Answer, q *Request) (*http.Request, string, *probe.Outcome) {
	var body io.Reader
	if len(q.Body) > 0 {
		body = bytes.NewReader(q.Body)
	}
	req, err := http.NewRequestWithContext(x.Context(), a.Method, q.URL, body)
	if err != nil {
		return nil, "", failed(probe.Protocol, "the request cannot be written: its method or URL is not valid")
	}
	u := req.URL
	if u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return nil, "", failed(probe.Protocol, "expected a URL of http or https without credentials")
	}
	x.to(u)
	if q.Anonymous && c.settings.TLS != nil && c.settings.TLS.CertFile != "" {
		x.anonymous, x.reuses = true, false // a kept connection has shown the certificate
	}
	if q.Addr != "" {
		addr, err := netip.ParseAddrPort(q.Addr)
		if err != nil {
			return nil, "", failed(probe.Protocol, "expected IP:port as the address to dial")
		}
		x.address = addr.String()
	}
	token, f := c.headers(ctx, a, req, q)
	if a.URL = q.Show; a.URL == "" {
		a.URL = text.URL(u)
	}
	a.URL = secret.Redact(a.URL) // once every secret that is sent is known
	if f != nil {
		return nil, "", f
	}
	if x.forwards() { // among the headers, so that it is looked for in the answer
		if err := x.authorizeProxy(req); err != nil {
			return nil, "", new(x.outcome(err))
		}
	}
	if carries(req.Header) || q.Secret || c.settings.Confidential || (c.credential && !q.Anonymous) {
		if !c.settings.mayCarry(u, q.Addr) {
			return nil, "", failed(probe.Credential, "the credential is not sent: http:// would show it to anyone on the way")
		}
		x.private = u.Scheme == "http" && !c.settings.AllowPlaintext
	}
	return req, token, nil
}

// headers writes the headers of the settings, of the request, the credential and the prober's own, in this order. It
// returns the access token that it used.
func (c *Client) headers(ctx context.Context, a *Answer, req *http.Request, q *Request) (token string, f *probe.Outcome) {
	for name, v := range c.settings.Headers {
		if q.Anonymous && !v.Secret.IsZero() {
			continue
		}
		text, err := v.Reveal()
		if err != nil {
			return "", failed(probe.Credential, "headers.%s: %s", name, err)
		}
		if f := setHeader(req, name, text, false); f != nil {
			return "", f
		}
	}
	for name, values := range q.Header {
		for i, v := range values {
			if f := setHeader(req, name, v, i > 0); f != nil {
				return "", f
			}
		}
	}
	if !q.Anonymous {
		if token, f = c.authorize(ctx, req); f != nil {
			return "", f
		}
	}
	var parent string
	a.TraceID, parent = newTrace()
	ours := [3]string{userAgent(), cmp.Or(c.settings.Compression, Gzip), parent}
	req.Header["User-Agent"] = ours[0:1:1]
	req.Header["Accept-Encoding"] = ours[1:2:2]
	req.Header["Traceparent"] = ours[2:3:3]
	if q.Upgrade != nil {
		q.Upgrade.ask(req)
	}
	if c.settings.OnlyHTTP2 {
		req.Header["Te"] = []string{"trailers"}
	}
	return token, nil
}

// setHeader sets a header or adds to it, and puts Host where it belongs. It leaves out the headers that the prober writes.
func setHeader(req *http.Request, name, value string, more bool) *probe.Outcome {
	key := http.CanonicalHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value):
		return failed(probe.Credential, "headers: %q holds a character that a header cannot carry", name)
	case slices.Contains(ourHeaders, key):
		return nil
	case key == "Host":
		req.Host = value
		return nil
	}
	if more {
		req.Header[key] = append(req.Header[key], value)
	} else {
		req.Header[key] = []string{value}
	}
	return nil
}

// authorize adds the credential of the settings. It is read now, so that a rotated one is used at once.
func (c *Client) authorize(ctx context.Context, req *http.Request) (token string, f *probe.Outcome) {
	s := c.settings
	switch {
	case !s.Bearer.IsZero():
		value, err := s.Bearer.Reveal()
		if err != nil {
			return "", failed(probe.Credential, "bearer: %s", err)
		}
		return "", setHeader(req, "Authorization", "Bearer "+value, false)
	case s.Basic != nil:
		value, err := s.Basic.Password.Reveal()
		if err != nil {
			return "", failed(probe.Credential, "basic.password: %s", err)
		}
		req.SetBasicAuth(s.Basic.Username, value)
	case c.tokens != nil:
		value, f := c.tokens.get(ctx)
		if f != nil {
			return "", f
		}
		return value, c.tokens.issuer.send(req, value)
	}
	return "", nil
}

// carries reports whether headers hold a credential.
func carries(h http.Header) bool {
	return slices.ContainsFunc(secretHeaders, func(name string) bool { return len(h[name]) > 0 })
}

// newTrace returns a new trace id and the traceparent header (W3C Trace Context) that carries it.
func newTrace() (id, parent string) {
	var random [24]byte
	rand.Read(random[:]) // never returns an error
	var text [55]byte
	copy(text[:], "00-")
	hex.Encode(text[3:35], random[:16])
	text[35] = '-'
	hex.Encode(text[36:52], random[16:])
	copy(text[52:], "-01")
	parent = string(text[:])
	return parent[3:35], parent
}
