package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/testenv"
)

// verifiersConfig has a probe of each of these verifiers.
func verifiersConfig(t *testing.T, url, secret, forgeries string, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("system: verifiers\ntimeout: 25s\nprobes:\n")
	for _, name := range names {
		b.WriteString(strings.NewReplacer("NAME", name, "URL", url, "SECRET", writeFile(t, dir, "secret", secret), "FORGERIES", forgeries).Replace(`
  - name: NAME
    type: protected
    url: URL/NAME
    callers: {valid: {status: 200, oauth2: {token_url: URL/token, client_id: prober, client_secret: {file: SECRET}}}}
    forgeries: {keys: URL/jwks FORGERIES}
`))
	}
	return writeFile(t, dir, "prober.yaml", b.String())
}

// customers call sound verifiers with fresh tokens while the issuer rotates its keys, until the context ends. They
// return how often they did, and every refusal.
func customers(ctx context.Context, url, secret string, verifiers []string) (calls, rotations int, refused []string) {
	do := func(method, path string, prepare func(q *http.Request)) (status int, answer struct {
		Token string `json:"access_token"`
	}) {
		q, err := http.NewRequestWithContext(context.WithoutCancel(ctx), method, url+path, nil)
		if err != nil {
			return 0, answer
		}
		prepare(q)
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			return 0, answer
		}
		defer resp.Body.Close()
		_ = json.NewDecoder(resp.Body).Decode(&answer) // most answers hold no token
		return resp.StatusCode, answer
	}
	plain := func(*http.Request) {}
	const pause = 100 * time.Millisecond // between two rounds, however long each takes: a ticker would catch up
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return calls, rotations, refused
		case <-timer.C:
		}
		switch n % 12 {
		case 0:
			do("POST", "/publish", plain)
		case 6: // more than half a minute later, as time goes there: after any copy of the set is too old
			do("POST", "/rotate", plain)
			rotations++
		}
		_, issued := do("POST", "/token", func(q *http.Request) { q.SetBasicAuth("prober", secret) })
		for _, name := range verifiers {
			calls++
			if status, _ := do("GET", "/"+name, func(q *http.Request) { q.Header.Set("Authorization", "Bearer "+issued.Token) }); status != http.StatusOK {
				refused = append(refused, fmt.Sprintf("%s answered a good token with %d after %d rotations", name, status, rotations))
			}
		}
		timer.Reset(pause)
	}
}

// TestReal_Verifiers probes verifiers of JWTs from npm. Sound ones pass, and have keys left for their customers' tokens, also
// right after a rotation; what is wrong with the others is found, and nothing else.
func TestReal_Verifiers(t *testing.T) {
	testenv.WithoutRace(t)
	const secret = "the-secret-of-the-prober"
	url := testenv.Verifiers(t, secret)
	sound := []string{"express-oauth2-jwt-bearer", "express-jwt", "jose"}

	t.Run("sound", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			calls, rotations, refused := customers(ctx, url, secret, sound)
			if calls < 10 || len(refused) > 0 {
				t.Errorf("%d of %d calls refused, %d rotations:\n%s", len(refused), calls, rotations, strings.Join(refused, "\n"))
			}
			t.Logf("%d calls of customers, %d rotations", calls, rotations)
		})
		var out, errs strings.Builder
		status := run(ctx, []string{"--once", "--repeat=" + testenv.Runs(), "--config.file=" + verifiersConfig(t, url, secret, "", sound...)}, &out, &errs)
		stop()
		wait.Wait()
		if status != exitPass {
			t.Errorf("exit status %d\n%s%s", status, out.String(), errs.String())
		}
	})

	// What the turns are for: after one run the verifier has no key left for anybody.
	t.Run("all unknown kids at once", func(t *testing.T) {
		const limited = "express-jwt-5-a-minute"
		if got, details := failures(t, verifiersConfig(t, url, secret, "", limited)); len(got) > 0 {
			t.Errorf("one at a time:\n%s", strings.Join(details, "\n"))
		}
		got, details := failures(t, verifiersConfig(t, url, secret, ", all_unknown_kids: true", limited))
		if !slices.Equal(got, []string{limited + " forgeries upstream_error"}) {
			t.Errorf("got %q\n%s", got, strings.Join(details, "\n"))
		}
	})

	for name, want := range map[string]string{
		"broken-jwt-simple": "(3 of 49): a token with alg HS256 keyed with the public key (PEM); a token with alg HS384 keyed with the public key (PEM); " +
			"a token with alg HS512 keyed with the public key (PEM)",
		"broken-jsonwebtoken": "(1 of 49): a token with alg HS256 keyed with the public key (PEM)",
		"broken-embedded":     "(1 of 49): a token with an embedded key (jwk)",
		"broken-decode":       "(41 of 49): a token with alg none; a token with alg None; ",
	} {
		t.Run(name, func(t *testing.T) {
			got, details := failures(t, verifiersConfig(t, url, secret, "", name))
			if len(details) != 1 || !slices.Equal(got, []string{name + " forgeries auth_bypass"}) || !strings.Contains(details[0], "forged tokens are accepted "+want) {
				t.Errorf("got %q\n%s\nwant %s", got, strings.Join(details, "\n"), want)
			}
		})
	}
}
