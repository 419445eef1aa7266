// Package oauth writes the forms and reads the answers of OAuth 2.0: tokens by client credentials (RFC 6749), their
// revocation (RFC 7009) and the metadata of an issuer (RFC 8414). It sends nothing: its callers do, each as it measures.
package oauth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Client is what an issuer knows its client by.
type Client struct {
	ID, Secret string // a public client has no secret
	InForm     bool   // client_secret_post; else client_secret_basic
}

// Request returns the headers and the body that send a form as the client (RFC 6749, section 2.3.1). The form is changed.
func (c Client) Request(form url.Values) (http.Header, []byte) {
	header := http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	switch {
	case c.Secret == "":
		form.Set("client_id", c.ID)
	case c.InForm:
		form.Set("client_id", c.ID)
		form.Set("client_secret", c.Secret)
	default:
		pair := url.QueryEscape(c.ID) + ":" + url.QueryEscape(c.Secret)
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return header, []byte(form.Encode())
}

// ClientCredentials is the form of a token request (RFC 6749, section 4.4.2).
func ClientCredentials(params map[string]string, scopes []string) url.Values {
	form := make(url.Values, len(params)+4)
	for name, v := range params {
		form.Set(name, v)
	}
	form.Set("grant_type", "client_credentials")
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	return form
}

// Revocation is the form that revokes an access token (RFC 7009, section 2.1).
func Revocation(token string) url.Values {
	return url.Values{"token": {token}, "token_type_hint": {"access_token"}}
}

// An Answer is the JSON object that an issuer answers with, with the members that the standards name. Its texts are the
// issuer's: to be used, not repeated.
type Answer map[string]json.RawMessage

// members are those that are kept: an issuer may answer with any number of others.
var members = []string{
	"access_token", "token_type", "expires_in", "refresh_token", "error",
	"issuer", "jwks_uri", "token_endpoint", "revocation_endpoint",
}

// Read reads an answer; nil if it is no JSON object.
func Read(body []byte) Answer {
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') || !json.Valid(body) {
		return nil
	}
	a := Answer{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		var other skip
		var value json.RawMessage
		if text, _ := name.(string); !slices.Contains(members, text) {
			err = d.Decode(&other)
		} else if err = d.Decode(&value); err == nil {
			a[text] = value
		}
		if err != nil {
			return nil
		}
	}
	return a
}

// skip accepts any JSON and keeps nothing of it.
type skip struct{}

func (*skip) UnmarshalJSON([]byte) error { return nil }

// Text returns a member that is a text; empty if it is none.
//
//go:noinline
func (a Answer) Text(name string) string {
	var text string
	if json.Unmarshal(a[name], &text) != nil {
		return ""
	}
	return text
}

// AccessToken returns the token (RFC 6749, section 5.1); empty if there is none.
func (a Answer) AccessToken() string { return a.Text("access_token") }

// IsBearer reports whether the token is one to be sent as it is (RFC 6750).
func (a Answer) IsBearer() bool { return strings.EqualFold(a.Text("token_type"), "Bearer") }

// ExpiresIn returns how long the token is valid; 0 if the answer does not say, or nothing that can be meant. A number in
// quotes is taken too, as some issuers write it.
func (a Answer) ExpiresIn() time.Duration {
	var number json.Number
	if json.Unmarshal(a["expires_in"], &number) != nil {
		return 0
	}
	seconds, err := strconv.ParseFloat(number.String(), 64)
	if err != nil || !(seconds > 0 && seconds < 1e9) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// errorCodes are those of RFC 6749, section 5.2, and of the standards that add to them: RFC 7009 and RFC 8707.
var errorCodes = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"unsupported_token_type", "invalid_target",
}

// ErrorCode returns the code of an error if the standards have it, and nothing otherwise: what else an issuer says may
// not be repeated.
func (a Answer) ErrorCode() string {
	if code := a.Text("error"); slices.Contains(errorCodes, code) {
		return code
	}
	return ""
}

// IsError reports whether the answer is an error, whatever its code.
func (a Answer) IsError() bool { return a.Text("error") != "" }
