package sandbox

import (
	"crypto/subtle"
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
)

// serveAuth makes a host the auth service that the proxy depends on.
func serveAuth(h *host, i *issuer) {
	h.handle("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"status": "ok", "service": "auth", "version": release})
	})
	i.serve(h)
}

// serveKeySet publishes a key set with a Cache-Control header.
func serveKeySet(h *host, keys []jose.JSONWebKey, caching string) {
	h.handle("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", caching)
		writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: keys})
	})
}

// serve adds the routes of an issuer: key set, discovery document, token endpoint and revocation endpoint.
func (i *issuer) serve(h *host) {
	h.issuer, h.verifier = i, i.verifier()
	serveKeySet(h, i.public(), "public, max-age=10")
	clientAuth := []string{"client_secret_basic", "client_secret_post"}
	h.handle("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{
			"issuer":                                i.url,
			"jwks_uri":                              i.url + "/.well-known/jwks.json",
			"token_endpoint":                        i.url + "/oauth/token",
			"revocation_endpoint":                   i.url + "/oauth/revoke",
			"grant_types_supported":                 []string{"client_credentials"},
			"token_endpoint_auth_methods_supported": clientAuth,
			"revocation_endpoint_auth_methods_supported": clientAuth,
			"id_token_signing_alg_values_supported":      []string{i.keys[0].Algorithm},
			"response_types_supported":                   []string{"token"},
			"subject_types_supported":                    []string{"public"},
		})
	})
	h.handle("POST /oauth/token", i.authenticated(i.token))
	h.handle("POST /oauth/revoke", i.authenticated(i.revocation(h.verifier)))
}

// authenticated wraps a route so that only a client with the right secret reaches it (RFC 6749, section 2.3.1).
func (i *issuer) authenticated(route func(w http.ResponseWriter, r *http.Request, client string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if err := r.ParseForm(); err != nil {
			writeJSON(w, http.StatusBadRequest, object{"error": "invalid_request"})
			return
		}
		client, ok := i.client(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", "Basic")
			writeJSON(w, http.StatusUnauthorized, object{"error": "invalid_client"})
			return
		}
		route(w, r, client)
	}
}

// token answers a client credentials request (RFC 6749, section 4.4).
func (i *issuer) token(w http.ResponseWriter, r *http.Request, client string) {
	if r.PostForm.Get("grant_type") != "client_credentials" {
		writeJSON(w, http.StatusBadRequest, object{"error": "unsupported_grant_type"})
		return
	}
	token, err := i.issue(client)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, object{"error": "server_error"})
		return
	}
	writeJSON(w, http.StatusOK, object{"access_token": token, "token_type": "Bearer", "expires_in": int(tokenLife.Seconds())})
}

// revocation revokes a token that was issued to the client. An invalid token also gets 200 (RFC 7009, section 2.2).
func (i *issuer) revocation(v *verifier) func(w http.ResponseWriter, r *http.Request, client string) {
	return func(w http.ResponseWriter, r *http.Request, client string) {
		token := r.PostForm.Get("token")
		if token == "" {
			writeJSON(w, http.StatusBadRequest, object{"error": "invalid_request"})
			return
		}
		if c, err := v.parseSigned(token); err == nil && c.Subject == client {
			i.revoke(c)
		}
		w.WriteHeader(http.StatusOK)
	}
}

// client returns the client id of a request, and whether its secret is right.
func (i *issuer) client(r *http.Request) (id string, ok bool) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, basic := r.BasicAuth(); basic {
		var wrongID, wrongSecret error
		id, wrongID = url.QueryUnescape(user)
		secret, wrongSecret = url.QueryUnescape(password)
		if wrongID != nil || wrongSecret != nil {
			return "", false
		}
	}
	return id, id == clientID && subtle.ConstantTimeCompare([]byte(secret), []byte(i.secret)) == 1
}
