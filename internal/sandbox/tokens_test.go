package sandbox

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"prober/internal/secret"
	"prober/internal/testenv"
)

// completions asks a replica for what it protects.
func completions(t *testing.T, s *Sandbox, replica, token string) response {
	t.Helper()
	return s.mustDo(t, request{host: replica, method: "POST", path: "/v1/chat/completions", token: token})
}

// me asks the login API who the bearer of a token is.
func me(t *testing.T, s *Sandbox, token string) int {
	t.Helper()
	return s.mustDo(t, request{host: onepass, method: "GET", path: "/api/v1/me", token: token}).status
}

// revoke takes a token back.
func revoke(t *testing.T, s *Sandbox, host, token string) {
	t.Helper()
	answer := s.mustDo(t, request{host: host, method: "POST", path: "/oauth/revoke", body: url.Values{"token": {token}}.Encode(),
		header: basic(clientID, s.Env()["PROBER_DEMO_CLIENT_SECRET"])})
	if answer.status != http.StatusOK || answer.body != "" {
		t.Fatalf("expected 200 and no body, got %d %s", answer.status, answer.body)
	}
}

func TestStoredTokens_differInOneProperty(t *testing.T) {
	s := start(t, Options{})
	read := func(name string) (object, string) {
		token, err := jwt.ParseSigned(s.Env()["PROBER_DEMO_TOKEN_"+name], []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		var said object
		if err := token.Claims(s.keyring.ibex[0].Public().Key, &said); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return said, token.Headers[0].KeyID
	}
	at := func(said object, claim string) time.Duration {
		seconds, _ := said[claim].(float64)
		return time.Until(time.Unix(int64(seconds), 0))
	}
	valid, _ := read("VALID")
	if left := at(valid, "exp"); left < 29*24*time.Hour || left > 30*24*time.Hour {
		t.Errorf("the valid token expires in %s", left)
	}
	for name, differs := range map[string]string{"VALID": "", "EXPIRED": "exp", "REVOKED": "jti", "SUSPENDED": "org"} {
		said, kid := read(name)
		if kid != s.Env()["PROBER_DEMO_KID"] {
			t.Errorf("%s is signed by %s", name, kid)
		}
		if issued := at(said, "iat"); issued > -time.Hour {
			t.Errorf("%s was issued %s ago", name, -issued)
		}
		for claim := range valid {
			if same := jsonText(t, said[claim]) == jsonText(t, valid[claim]); same == (claim == differs) {
				t.Errorf("%s of %s: the same as that of the valid one: %t", claim, name, same)
			}
		}
		if len(said) != len(valid) {
			t.Errorf("%s has other claims than the valid one", name)
		}
	}
	if ended, _ := read("EXPIRED"); at(ended, "exp") > -time.Hour || at(ended, "exp") < at(ended, "iat") {
		t.Errorf("the expired token expired %s ago", -at(ended, "exp"))
	}
}

func jsonText(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEnv_stable(t *testing.T) {
	s := start(t, Options{})
	before := s.Env()
	for _, f := range s.Faults() {
		if err := s.Inject(f.Name); err != nil {
			t.Fatal(err)
		}
	}
	if !maps.Equal(before, s.Env()) {
		t.Error("injecting everything changed it")
	}
	s.ClearAll()
	if !maps.Equal(before, s.Env()) {
		t.Error("clearing everything changed it")
	}
}

func TestEnv_publicKeysPEM(t *testing.T) {
	s := start(t, Options{})
	text := s.Env()["PROBER_DEMO_PUBLIC_KEYS_PEM"]
	if strings.Contains(text, "\n") {
		t.Error("a line break is not escaped")
	}
	rest := []byte(strings.ReplaceAll(text, `\n`, "\n"))
	for _, key := range s.keyring.ibex {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "PUBLIC KEY" || len(block.Headers) > 0 {
			t.Fatal("expected a block for each key")
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil || !key.Public().Key.(*ecdsa.PublicKey).Equal(public) {
			t.Errorf("%s: another key, or none: %v", key.KeyID, err)
		}
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes too many", len(rest))
	}
}

// No key id, client id or org is part of a secret, so redaction leaves them readable.
func TestEnv_namesAreNotSecret(t *testing.T) {
	s := start(t, Options{})
	for name, value := range s.Env() {
		if !strings.HasSuffix(name, "KID") && !strings.HasSuffix(name, "PEM") {
			secret.Learn("sandbox "+name, value)
		}
	}
	for _, host := range []string{auth, onepass} {
		secret.Learn("sandbox "+host, issue(t, s, host))
	}
	for _, name := range []string{
		ibexKid, ibexOldKid, ibexRevokedKid, logiKid, logiOldKid, unpublishedKid, "ibex-w1", "ibex-pq",
		clientID, activeOrg, suspendedOrg, "access_token", "org_suspended", "missing_token", "ES256", "RS256",
	} {
		if got := secret.Redact(name); got != name {
			t.Errorf("%s became %s", name, got)
		}
	}
	// A configuration may name one of them as a secret. It must not redact the others: pieces of a secret are redacted
	// from eight letters on, so the ids are shorter.
	for _, kid := range []string{ibexKid, ibexOldKid, ibexRevokedKid, logiKid, logiOldKid, unpublishedKid} {
		if len(kid) >= 8 {
			t.Errorf("%s is too long", kid)
		}
	}
}

func TestRevocation(t *testing.T) {
	s := start(t, Options{})
	good := basic(clientID, s.Env()["PROBER_DEMO_CLIENT_SECRET"])
	for _, host := range []string{auth, onepass} {
		token := issue(t, s, host)
		for _, c := range []struct {
			name   string
			header http.Header
			body   string
			status int
			err    string
		}{
			{"no client", form, "token=" + token, 401, "invalid_client"},
			{"wrong secret", basic(clientID, "wrong"), "token=" + token, 401, "invalid_client"},
			{"no token", good, "", 400, "invalid_request"},
			{"unreadable", good, "%zz", 400, "invalid_request"},
			{"an unknown token", good, "token=garbage", 200, ""},
			{"a token that is not a JWT", good, "token=" + s.Env()["PROBER_DEMO_ORG_A"], 200, ""},
		} {
			answer := s.mustDo(t, request{host: host, method: "POST", path: "/oauth/revoke", header: c.header, body: c.body})
			if answer.status != c.status || (c.err != "" && answer.json(t)["error"] != c.err) {
				t.Errorf("%s at %s: expected %d %s, got %d %s", c.name, host, c.status, c.err, answer.status, answer.body)
			}
		}
	}
	i := s.host(onepass).issuer
	revoke(t, s, onepass, mustSign(t, i.keys[0], i.claims("another-client")))
	if len(i.revoked) > 0 {
		t.Errorf("expected no revocation by another client or of an invalid token, got %d", len(i.revoked))
	}
}

func TestRevocation_immediateAtIssuer(t *testing.T) {
	s := start(t, Options{})
	token, other := issue(t, s, onepass), issue(t, s, onepass)
	if got := me(t, s, token); got != 200 {
		t.Fatalf("expected 200 before, got %d", got)
	}
	revoke(t, s, onepass, token)
	if got := me(t, s, token); got != 401 {
		t.Errorf("expected 401 after, got %d", got)
	}
	if got := me(t, s, other); got != 200 {
		t.Errorf("expected 200 with another token, got %d", got)
	}
	if err := s.Inject("revocation-ignored"); err != nil {
		t.Fatal(err)
	}
	if got := me(t, s, token); got != 200 {
		t.Errorf("revocation ignored: expected 200, got %d", got)
	}
}

func TestRevocation_reachesEveryReplica(t *testing.T) {
	s := start(t, Options{})
	token, other := issue(t, s, auth), issue(t, s, auth)
	replicas := []string{proxy1, proxy2, proxy3}
	for _, replica := range replicas {
		if got := completions(t, s, replica, token).status; got != 501 {
			t.Fatalf("%s: expected 501 before, got %d", replica, got)
		}
	}
	revoke(t, s, auth, token)
	for _, replica := range replicas {
		testenv.Eventually(t, answerTimeout, func(context.Context) error {
			if answer := completions(t, s, replica, token); answer.status != 401 || answer.json(t)["error"] != "revoked" {
				return fmt.Errorf("%s: expected 401 revoked, got %d %s", replica, answer.status, answer.body)
			}
			return nil
		})
		if got := completions(t, s, replica, other).status; got != 501 {
			t.Errorf("%s: expected 501 with another token, got %d", replica, got)
		}
	}
	if err := s.Inject("revoked-accepted"); err != nil {
		t.Fatal(err)
	}
	if got := completions(t, s, proxy1, token).status; got != 501 {
		t.Errorf("revoked accepted: expected 501, got %d", got)
	}
}

func TestRevocation_forgottenAfterExpiry(t *testing.T) {
	i := newTestIssuer(t)
	old, fresh := i.claims(clientID), i.claims(clientID)
	old.Expiry = jwt.NewNumericDate(time.Now().Add(-time.Minute))
	i.revoke(old)
	i.revoke(fresh)
	if got := slices.Collect(maps.Keys(i.revoked)); len(got) != 1 || got[0] != fresh.ID {
		t.Errorf("expected only the unexpired token to be remembered, got %d", len(got))
	}
}

// The API's answer to a token that was issued while a fault was active.
func TestTokenFaults(t *testing.T) {
	s := start(t, Options{})
	for name, want := range map[string]int{
		"issuance-wrong-aud":      401,
		"issuance-no-exp":         200,
		"unpublished-signing-key": 401,
		"keyset-down":             200,
	} {
		if err := s.Inject(name); err != nil {
			t.Fatal(err)
		}
		if got := me(t, s, issue(t, s, onepass)); got != want {
			t.Errorf("%s: expected %d, got %d", name, want, got)
		}
		if err := s.Clear(name); err != nil {
			t.Fatal(err)
		}
		if got := me(t, s, issue(t, s, onepass)); got != 200 {
			t.Errorf("%s cleared: expected 200, got %d", name, got)
		}
	}
}

// The unpublished key is generated once, on first use.
func TestKeyring_oneUnpublishedKey(t *testing.T) {
	s := start(t, Options{})
	first, err := s.keyring.unpublished()
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.keyring.unpublished()
	if err != nil || first.Key != second.Key || first.KeyID != unpublishedKid {
		t.Errorf("expected one key, got %s and %s (%v)", first.KeyID, second.KeyID, err)
	}
}

// Two faults of the same key set add up, and so do two of the same route.
func TestKeyFaults_combined(t *testing.T) {
	s := start(t, Options{})
	for _, name := range []string{"kid-missing-replica", "weak-key", "unknown-kty"} {
		if err := s.Inject(name); err != nil {
			t.Fatal(err)
		}
	}
	var set struct{ Keys []struct{ Kid string } }
	answer := s.mustDo(t, request{host: proxy2, method: "GET", path: "/.well-known/jwks.json"})
	if err := json.Unmarshal([]byte(answer.body), &set); err != nil {
		t.Fatal(err)
	}
	var kids []string
	for _, key := range set.Keys {
		kids = append(kids, key.Kid)
	}
	if want := []string{ibexOldKid, "ibex-w1", "ibex-pq"}; !slices.Equal(kids, want) {
		t.Errorf("expected %v, got %v", want, kids)
	}
	for name, want := range map[string]string{proxy1: "not_implemented", proxy2: "invalid"} {
		if got := completions(t, s, name, s.Env()["PROBER_DEMO_TOKEN_VALID"]).json(t)["error"]; got != want {
			t.Errorf("%s: expected %s, got %s", name, want, got)
		}
	}
}

// The effect of faults on keys, by their thumbprints.
func TestKeyFaults_keyMaterial(t *testing.T) {
	s := start(t, Options{})
	prints := func(host string) map[string]string {
		var set jose.JSONWebKeySet
		answer := s.mustDo(t, request{host: host, method: "GET", path: "/.well-known/jwks.json"})
		if err := json.Unmarshal([]byte(answer.body), &set); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, key := range set.Keys {
			print, err := key.Thumbprint(crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			all[key.KeyID] = string(print)
		}
		return all
	}
	whole := prints(auth)
	for _, host := range []string{proxy1, proxy2, proxy3} {
		if !maps.Equal(whole, prints(host)) {
			t.Errorf("%s knows other keys than auth", host)
		}
	}
	private := prints(onepass)
	for _, name := range []string{"kid-conflict", "private-key-published"} {
		if err := s.Inject(name); err != nil {
			t.Fatal(err)
		}
	}
	conflict := prints(proxy2)
	if conflict[ibexKid] == whole[ibexKid] || conflict[ibexKid] == "" || conflict[ibexOldKid] != whole[ibexOldKid] {
		t.Error("kid-conflict: expected another key under the same kid, and the other untouched")
	}
	if conflict[ibexKid] != prints(proxy2)[ibexKid] || !maps.Equal(whole, prints(proxy3)) {
		t.Error("kid-conflict: expected the same other key each time, and at the second replica only")
	}
	if !maps.Equal(private, prints(onepass)) {
		t.Error("private-key-published: expected the same keys")
	}
}
