package sandbox

import (
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// reissue makes a new token from the claims of the issued one.
//
//go:noinline
func reissue(sign func(s *Sandbox, key jose.JSONWebKey, c claims) (string, error)) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		editJSON(func(body any) any {
			answer, _ := body.(object)
			token, _ := answer["access_token"].(string)
			if c, err := at.host.verifier.parseSigned(token); err == nil {
				if answer["access_token"], err = sign(at.host.sandbox, at.host.issuer.keys[0], c); err != nil {
					return object{"error": "server_error"}
				}
			}
			return body
		})(at, w, r)
	}
}

// wrongAudience is a token for another audience.
func wrongAudience(_ *Sandbox, signs jose.JSONWebKey, c claims) (string, error) {
	c.Audience = jwt.Audience{"http://other.demo.test"}
	return sign(signs, c)
}

// withoutExpiry is a token without exp.
func withoutExpiry(_ *Sandbox, signs jose.JSONWebKey, c claims) (string, error) {
	c.Expiry = nil
	return sign(signs, c)
}

// unpublishedKey is a token signed with a key that is in no key set.
func unpublishedKey(s *Sandbox, _ jose.JSONWebKey, c claims) (string, error) {
	key, err := s.keyring.unpublished()
	if err != nil {
		return "", err
	}
	return sign(key, c)
}

// generateUnpublishedKey generates the key, which can take seconds on a busy machine.
func generateUnpublishedKey(s *Sandbox) error {
	_, err := s.keyring.unpublished()
	return err
}

// skipSecretCheck accepts any client secret.
func skipSecretCheck(at target, w http.ResponseWriter, r *http.Request) {
	admitted := r.Clone(r.Context())
	admitted.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(at.host.sandbox.credentials.clientSecret))
	at.next(w, admitted)
}
