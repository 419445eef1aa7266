package sandbox

import (
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// reissue makes a token anew out of the claims of the one that is issued.
func reissue(anew func(s *Sandbox, signs jose.JSONWebKey, c claims) (string, error)) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		editJSON(func(body any) any {
			answer, _ := body.(object)
			token, _ := answer["access_token"].(string)
			if c, err := at.host.verifier.parseSigned(token); err == nil {
				if answer["access_token"], err = anew(at.host.sandbox, at.host.issuer.keys[0], c); err != nil {
					return object{"error": "server_error"}
				}
			}
			return body
		})(at, w, r)
	}
}

// wrongAudience is a token that is none of the caller's business.
func wrongAudience(_ *Sandbox, signs jose.JSONWebKey, c claims) (string, error) {
	c.Audience = jwt.Audience{"http://other.demo.test"}
	return sign(signs, c)
}

// withoutExpiry is a token that never expires.
func withoutExpiry(_ *Sandbox, signs jose.JSONWebKey, c claims) (string, error) {
	c.Expiry = nil
	return sign(signs, c)
}

// unpublishedKey is a token that a key signed which is in no key set.
func unpublishedKey(s *Sandbox, _ jose.JSONWebKey, c claims) (string, error) {
	key, err := s.keyring.unpublished()
	if err != nil {
		return "", err
	}
	return sign(key, c)
}

// skipSecretCheck forgets to ask for the client's secret.
func skipSecretCheck(at target, w http.ResponseWriter, r *http.Request) {
	admitted := r.Clone(r.Context())
	admitted.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(at.host.sandbox.credentials.clientSecret))
	at.next(w, admitted)
}
