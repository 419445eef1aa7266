package sandbox

import (
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// reissues makes a token anew out of the claims of the one that is issued.
func reissues(anew func(s *Sandbox, signs jose.JSONWebKey, c claims) (string, error)) twist {
	return func(at place, w http.ResponseWriter, r *http.Request) {
		edits(func(body any) any {
			answer, _ := body.(object)
			token, _ := answer["access_token"].(string)
			if c, err := at.host.verifier.signed(token); err == nil {
				if answer["access_token"], err = anew(at.host.sandbox, at.host.issuer.keys[0], c); err != nil {
					return object{"error": "server_error"}
				}
			}
			return body
		})(at, w, r)
	}
}

// forAnother is a token that is none of the caller's business.
func forAnother(_ *Sandbox, signs jose.JSONWebKey, c claims) (string, error) {
	c.Audience = jwt.Audience{"http://other.demo.test"}
	return sign(signs, c)
}

// forEver is a token that never expires.
func forEver(_ *Sandbox, signs jose.JSONWebKey, c claims) (string, error) {
	c.Expiry = nil
	return sign(signs, c)
}

// unpublished is a token that a key signed which is in no key set.
func unpublished(s *Sandbox, _ jose.JSONWebKey, c claims) (string, error) {
	key, err := s.keyring.unpublished()
	if err != nil {
		return "", err
	}
	return sign(key, c)
}

// withTheRightSecret forgets to ask for the client's secret.
func withTheRightSecret(at place, w http.ResponseWriter, r *http.Request) {
	admitted := r.Clone(r.Context())
	admitted.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(at.host.sandbox.credentials.clientSecret))
	at.next(w, admitted)
}
