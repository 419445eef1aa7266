package probes

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/timesync"
)

// grant is the request for a token, as RFC 6749 says in sections 2.3.1 and 4.4. It is made here and measured: the time
// at which a token was issued must lie between the question and the answer.
func (s *source) grant() (httpx.Request, error) {
	o := s.IAT
	password, err := o.ClientSecret.Reveal()
	if err != nil {
		return httpx.Request{}, fmt.Errorf("client_secret: %w", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	for name, value := range o.Params {
		form.Set(name, value)
	}
	if len(o.Scopes) > 0 {
		form.Set("scope", strings.Join(o.Scopes, " "))
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if o.AuthStyle == "params" {
		form.Set("client_id", o.ClientID)
		form.Set("client_secret", password)
	} else {
		pair := url.QueryEscape(o.ClientID) + ":" + url.QueryEscape(password)
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return httpx.Request{
		Check: "source", Method: http.MethodPost, URL: o.TokenURL, Header: header, Body: []byte(form.Encode()),
		Anonymous: true, // the request carries its own credential
		Want:      httpx.Success,
	}, nil
}

// issued reads the iat of the token that an answer holds. The signature is not verified: a clock is not told better by
// one, and who answers is known from the URL.
func (s *source) issued(a *httpx.Answer) (timesync.Sample, *trouble) {
	var body struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(a.Body, &body) != nil || len(body.Token) < secret.Shortest {
		return timesync.Sample{}, troubled(probe.Schema, "the token endpoint did not answer as RFC 6749 says")
	}
	secret.Learn("clock "+s.name+" "+a.URL+" "+s.IAT.ClientID, body.Token)
	parts := strings.Split(body.Token, ".")
	if len(parts) != 3 {
		return timesync.Sample{}, troubled(probe.Schema, "the token is no JWT, and tells no time")
	}
	var claims struct {
		IssuedAt *float64 `json:"iat"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.IssuedAt == nil || !(math.Abs(*claims.IssuedAt) < 1<<32) {
		return timesync.Sample{}, troubled(probe.Schema, "the token has no iat that is a time")
	}
	at := time.Unix(int64(math.Floor(*claims.IssuedAt)), 0)
	return timesync.Sample{Earliest: at, Latest: at.Add(time.Second)}, nil
}
