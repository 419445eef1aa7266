package jwks

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

// TestJWKS_oneKidForTwoTypes: RFC 7517, section 4.5, allows it. Verifiers may list the two in any order, and a token
// belongs to the one that could have signed it.
func TestJWKS_oneKidForTwoTypes(t *testing.T) {
	rs, ec, other := newJWK(t, "k1", "RS256"), newJWK(t, "k1", "ES256"), newJWK(t, "k1", "ES256")
	for name, c := range map[string]struct {
		second  []any
		signer  jose.JSONWebKey
		verdict probe.Verdict
		want    string
	}{
		"in another order":      {[]any{ec, rs}, ec, probe.Pass, ""},
		"signed by the other":   {[]any{ec, rs}, rs, probe.Pass, ""},
		"another of one type":   {[]any{rs, other}, rs, probe.Fail, `agreement fail(kid_conflict): the kid "k1" stands for 2 different keys (one at `},
		"two of one type":       {[]any{rs, ec, other}, rs, probe.Fail, `two different keys of one type have the kid "k1"`},
		"signed by a third key": {[]any{ec, rs}, other, probe.Fail, "signing fail(kid_conflict): "},
	} {
		t.Run(name, func(t *testing.T) {
			url := probetest.Serve(t, map[string]http.HandlerFunc{
				"/a":     probetest.Respond(200, "application/json", keysetOf(t, rs, ec)),
				"/b":     probetest.Respond(200, "application/json", keysetOf(t, c.second...)),
				"/token": issues(t, c.signer),
			})
			p := jwks([]string{url + "/a", url + "/b"}, "k1")
			p.Issuance, p.Revoked, p.Grace = freshFrom(t, url+"/token"), literals("k0"), probe.Duration(time.Hour)
			r := probetest.Run(t, Kind(), p)
			if got := probetest.Lines(r); r.Verdict() != c.verdict || !strings.Contains(got, c.want) {
				t.Errorf("got\n%swant %s with %s", got, c.verdict, c.want)
			}
			if again := probetest.Run(t, Kind(), p); again.Verdict() != c.verdict || strings.Contains(probetest.Lines(again), "kid_reused") {
				t.Errorf("in the next run got\n%s", probetest.Lines(again))
			}
		})
	}
}

// TestAgreement_noTypeInCommon: whatever signs, a verifier that has the kid for a key of another type rejects it.
func TestAgreement_noTypeInCommon(t *testing.T) {
	rs, ec, k2 := newJWK(t, "k1", "RS256"), newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	const conflict = `agreement fail(kid_conflict): %s stands for 2 different keys (one at A, one at B): tokens are rejected at random`
	for name, c := range map[string]struct {
		a, b []any
		kid  string
		want string
	}{
		"a key that is wanted": {[]any{rs, k2}, []any{ec, k2}, "k1", strings.Replace(conflict, "%s", `the kid "k1"`, 1)},
		"another":              {[]any{rs, k2}, []any{ec, k2}, "k2", strings.Replace(conflict, "%s", "another kid", 1)},
		"one has both":         {[]any{rs, ec}, []any{ec}, "k1", "agreement inconclusive(settling): the verifiers do not have the same keys, for 1 run (0s): B lacks 1; "},
		"one cannot be used":   {[]any{rs, k2}, []any{entry(t, ec, "use", "enc"), k2}, "k2", "agreement inconclusive(settling): "},
	} {
		t.Run(name, func(t *testing.T) {
			url := probetest.Serve(t, map[string]http.HandlerFunc{
				"/a": probetest.Respond(200, "application/json", keysetOf(t, c.a...)),
				"/b": probetest.Respond(200, "application/json", keysetOf(t, c.b...)),
			})
			r := probetest.Run(t, Kind(), jwks([]string{url + "/a", url + "/b"}, c.kid))
			got := strings.NewReplacer(url+"/a", "A", url+"/b", "B").Replace(probetest.Lines(r))
			if !strings.Contains(got, c.want) || strings.Contains(c.want, "conflict") != (stateOf(t, r) == "kid_conflict") {
				t.Errorf("got %s\n%swant %s", stateOf(t, r), got, c.want)
			}
		})
	}
}

// TestRevoked_twoTypes: a revoked kid that stood for two keys is still there while either is, under whatever name.
func TestRevoked_twoTypes(t *testing.T) {
	rs, ec, next := newJWK(t, "k0", "RS256"), newJWK(t, "k0", "ES256"), newJWK(t, "k1", "ES256")
	sets := []string{
		keysetOf(t, rs, ec, next),
		keysetOf(t, entry(t, ec, "kid", "k2"), next),
	}
	run := 0
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/a": func(w http.ResponseWriter, q *http.Request) {
		probetest.Respond(200, "application/json", sets[run])(w, q)
	}})
	p := jwks([]string{url + "/a"}, "k1")
	p.Revoked = []secret.Public{secret.Literal("k0")}
	for want := range strings.SplitSeq(`expected no "k0", got it still published|the key of "k0" is still published, under another kid`, "|") {
		if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.Contains(got, "fail(revoked_kid_present): "+want) {
			t.Errorf("got\n%swant %s", got, want)
		}
		run++
	}
}

// TestKeyset_certificate: a verifier may take the key from either place (RFC 7517, section 4.7).
func TestKeyset_certificate(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		k1, k2 := newJWK(t, "k1", alg), newJWK(t, "k2", "ES256")
		certificate := func(key jose.JSONWebKey) []string {
			template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotAfter: time.Now().Add(time.Hour)}
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public().Key, key.Key)
			if err != nil {
				t.Fatal(err)
			}
			return []string{base64.StdEncoding.EncodeToString(der)}
		}
		for of, want := range map[*jose.JSONWebKey]string{
			&k1: "pass\n",
			&k2: `keyset@URL fail(wrong_certificate): the kid "k1" comes with a certificate of another key (x5c, x5t or x5t#S256): verifiers that take it reject its tokens`,
		} {
			url := probetest.Serve(t, map[string]http.HandlerFunc{
				"/jwks": probetest.Respond(200, "application/json", keysetOf(t, entry(t, k1, "x5c", certificate(*of)), k2)),
			}) + "/jwks"
			if got := strings.ReplaceAll(probetest.Lines(probetest.Run(t, Kind(), jwks([]string{url}, "k1"))), url, "URL"); !strings.Contains(got, want) {
				t.Errorf("%s: got\n%swant %s", alg, got, want)
			}
		}
	}
}

// TestPrivate_anywhere: outside the members of a key, and outside the keys.
func TestPrivate_anywhere(t *testing.T) {
	const pem = `-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----`
	k1 := newJWK(t, "k1", "ES256")
	inKey := strings.Replace(keysetOf(t, k1), `"kid"`, `"x-pem":"`+pem+`","kid"`, 1)
	beside := strings.Replace(keysetOf(t, k1), `{"keys"`, `{"private_pem":"`+pem+`","keys"`, 1)
	for _, set := range []string{inKey, beside} {
		url := probetest.Serve(t, map[string]http.HandlerFunc{"/jwks": probetest.Respond(200, "application/json", set)}) + "/jwks"
		r := probetest.Run(t, Kind(), jwks([]string{url}, "k1"))
		if c := r.Decisive(); c.Reason != probe.PrivateKey || strings.Contains(probetest.Lines(r), "BEGIN") {
			t.Errorf("got\n%s", probetest.Lines(r))
		}
	}
}

// A token is signed with an algorithm that the published key of its kid cannot have signed with.
func TestSigning_otherType(t *testing.T) {
	published, signer := newJWK(t, "k1", "ES256"), newJWK(t, "k1", "RS256")
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/jwks":  probetest.Respond(200, "application/json", keysetOf(t, published)),
		"/token": issues(t, signer),
	})
	p := jwks([]string{url + "/jwks"}, "k1")
	p.Issuance = freshFrom(t, url+"/token")
	want := "fail\nsigning fail(alg_mismatch): " + url + "/jwks: the key with a fresh token's kid is not for the algorithm that signed it"
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestSigning_critical: the token is rightly signed, so no other key is to blame.
func TestSigning_critical(t *testing.T) {
	k1 := newJWK(t, "k1", "ES256")
	options := (&jose.SignerOptions{}).WithHeader("crit", []string{"https://a.example/x"}).WithHeader("https://a.example/x", 1)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k1}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"jti":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/jwks":  probetest.Respond(200, "application/json", keysetOf(t, k1)),
		"/token": probetest.Respond(200, "application/json", `{"access_token":"`+token+`","token_type":"Bearer"}`),
	})
	p := jwks([]string{url + "/jwks"}, "k1")
	p.Issuance = freshFrom(t, url+"/token")
	r := probetest.Run(t, Kind(), p)
	want := "signing fail(critical_header): " + url + "/jwks: a fresh token has a critical header (crit): verifiers that do not know it reject the token\n"
	if got := probetest.Lines(r); !strings.Contains(got, want) || stateOf(t, r) == "kid_conflict" {
		t.Errorf("got\n%swant %s", got, want)
	}
}
