package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestOIDCProvider gets tokens from a certified OpenID provider with both client authentication methods, verifies them,
// revokes some, and rotates the key by a restart.
func TestOIDCProvider(t *testing.T) {
	testenv.WithoutRace(t)
	const secret = "oidc+test/secret&of%clients"
	port := testenv.FreePort(t)
	issuer := fmt.Sprintf("http://127.0.0.1:%d", port)
	provider := startOIDC(t, port, issuer, secret)

	before := fetch(t, issuer+"/jwks") // what a verifier that never looks again goes on believing
	lagging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(before) }))
	defer lagging.Close()

	dir := t.TempDir()
	right, wrong := writeFile(t, dir, "right", secret), writeFile(t, dir, "wrong", "not-the-secret-of-anybody")
	config := writeFile(t, dir, "prober.yaml", strings.NewReplacer("ISSUER", issuer, "RIGHT", right, "WRONG", wrong, "LAGGING", lagging.URL,
		"RESOURCE", testenv.OIDCResource, "BASIC", testenv.OIDCBasicClient, "POST", testenv.OIDCPostClient).Replace(`
system: oidc
timeout: 25s
probes:
  - {name: basic, type: token, issuer: ISSUER, client_id: "BASIC", client_secret: {file: RIGHT}, params: {resource: RESOURCE},
     audience: RESOURCE, scopes: [read], algs: [RS256], lifetime: {max: 5m}, latency: 20s, keysets: [ISSUER/jwks, LAGGING]}
  - {name: post, type: token, issuer: ISSUER, client_id: POST, client_secret: {file: RIGHT}, auth: post, params: {resource: RESOURCE}, audience: RESOURCE}
  - {name: opaque, type: token, issuer: ISSUER, client_id: "BASIC", client_secret: {file: RIGHT}, opaque: true,
     revocation: {use: {url: ISSUER/api, status: 200}, within: 10s}}
  - {name: jwt-revoked, type: token, issuer: ISSUER, client_id: POST, client_secret: {file: RIGHT}, auth: post, params: {resource: RESOURCE}, audience: RESOURCE,
     wrong_secret: false, revocation: {use: {url: ISSUER/jwks}, within: 10s}}
  - {name: other-audience, type: token, issuer: ISSUER, client_id: POST, client_secret: {file: RIGHT}, auth: post, params: {resource: RESOURCE}, audience: https://other.test, wrong_secret: false}
  - {name: other-resource, type: token, issuer: ISSUER, client_id: POST, client_secret: {file: RIGHT}, auth: post, params: {resource: not-a-uri}, audience: RESOURCE}
  - {name: wrong-secret, type: token, issuer: ISSUER, client_id: "BASIC", client_secret: {file: WRONG}, audience: RESOURCE}
  - {name: wrong-issuer, type: token, issuer: ISSUER/, client_id: "BASIC", client_secret: {file: RIGHT}, audience: RESOURCE}
  - {name: keys, type: jwks, urls: [ISSUER/jwks, LAGGING], algs: [RS256],
     issuance: {token_url: ISSUER/token, client_id: "BASIC", client_secret: {file: RIGHT}, params: {resource: RESOURCE}}}
`))
	const (
		discovery = "discovery pass(ok): the issuer names itself and its endpoints"
		issuance  = "issuance pass(ok): a token was issued"
		verifies  = "pass(ok): a fresh token verifies with the published key that has its kid (RS256, 2048 bits)"
		claims    = "claims pass(ok): iss and aud as expected, valid for 5m0s"
		times     = "times pass(ok): *"
		refusal   = "wrong_secret pass(ok): a wrong client_secret is rejected (401 invalid_client), the right one was accepted"
	)
	want := map[string][]string{
		"basic": {issuance, discovery, "signature " + verifies, claims, times, "keysets@" + issuer + "/jwks " + verifies, "keysets@" + lagging.URL + " " + verifies,
			refusal, "latency pass(ok): *"},
		"post":   {issuance, discovery, "signature " + verifies, claims, times, refusal},
		"opaque": {issuance, discovery, refusal, "revocation pass(ok): the revoked token was rejected after *"},
		// JWTs are only verified by their audience, so the provider is right to say that it cannot revoke them.
		"jwt-revoked":    {issuance, discovery, "signature " + verifies, claims, times, "revocation fail(status): the token could not be revoked: expected 200, got 400 (unsupported_token_type)"},
		"other-audience": {issuance, discovery, "signature " + verifies, "claims fail(wrong_audience): expected aud to contain https://other.test, got none or others", times},
		"other-resource": {"issuance inconclusive(credential): expected a token, got 400 (invalid_target): the issuer does not accept what the probe is configured with", discovery},
		"wrong-secret":   {"issuance inconclusive(credential): expected a token, got 401 (invalid_client): the issuer does not accept what the probe is configured with", discovery},
		"wrong-issuer":   {"issuance inconclusive(control_failed): *", "discovery fail(wrong_issuer): expected the issuer to name itself exactly " + issuer + "/, got another name"},
	}
	own, copied := "@"+issuer+"/jwks ", "@"+lagging.URL+" "
	want["keys"] = []string{
		"private" + own + "pass(ok): *", "private" + copied + "pass(ok): *",
		"kid" + own + "pass(ok): the kid of a fresh token in the set and fit to verify", "kid" + copied + "pass(ok): *",
		"signing pass(ok): a fresh token verifies with the published key that has its kid (RS256), at 2 of 2 verifiers",
		"agreement pass(ok): all 2 have the same keys under the same kids",
		"keyset" + own + "pass(ok): *", "keyset" + copied + "pass(ok): *", "strength" + own + "pass(ok): *", "strength" + copied + "pass(ok): *",
	}
	compareChecks(t, "before the rotation", onceChecks(t, config), want)

	if err := provider.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-provider.Ended()
	startOIDC(t, port, issuer, secret)
	want["basic"][6] = "keysets@" + lagging.URL + " fail(signing_with_unpublished_key): a fresh token names a kid that is not in the key set: verifiers reject it"
	want["keys"][3] = "kid" + copied + "fail(replica_missing_kid): expected the kid of a fresh token, got a set without it; 1 of 2 verifiers lack it"
	want["keys"][4] = "signing pass(ok): a fresh token verifies with the published key that has its kid (RS256), at 1 of 2 verifiers"
	want["keys"][5] = "agreement inconclusive(settling): the verifiers do not have the same keys, for 1 run (0s): " + issuer + "/jwks lacks 1; that may still be spreading"
	compareChecks(t, "after the rotation", onceChecks(t, config), want)
}

// startOIDC starts the provider and waits for its keys.
func startOIDC(t *testing.T, port int, issuer, secret string) *testenv.Process {
	t.Helper()
	provider := testenv.OIDC(t, port, secret)
	testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, "GET", issuer+"/jwks", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	return provider
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// onceChecks runs the prober once and returns a line for each check, by probe.
func onceChecks(t *testing.T, config string) map[string][]string {
	t.Helper()
	var out, errs strings.Builder
	run(t.Context(), []string{"--once", "--format=json", "--config.file=" + config}, &out, &errs)
	var report struct {
		Probes []struct {
			Name   string
			Checks []struct{ Name, Target, Verdict, Reason, Detail string }
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatalf("%v; %s", err, errs.String())
	}
	said := map[string][]string{}
	for _, p := range report.Probes {
		for _, c := range p.Checks {
			name := c.Name
			if c.Target != "" {
				name += "@" + c.Target
			}
			said[p.Name] = append(said[p.Name], fmt.Sprintf("%s %s(%s): %s", name, c.Verdict, c.Reason, c.Detail))
		}
	}
	return said
}

// compareChecks compares the lines of the checks with the expected ones; a "*" at the end matches any rest.
func compareChecks(t *testing.T, when string, got, want map[string][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d probes ran, expected %d", when, len(got), len(want))
	}
	for name, lines := range want {
		for i := range max(len(lines), len(got[name])) {
			var g, w string
			if i < len(got[name]) {
				g = got[name][i]
			}
			if i < len(lines) {
				w = lines[i]
			}
			if start, any := strings.CutSuffix(w, "*"); g != w && !(any && strings.HasPrefix(g, start)) {
				t.Errorf("%s, %s:\n got  %s\n want %s", when, name, g, w)
			}
		}
	}
}
