package token

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

func TestRevocation_responses(t *testing.T) {
	const ms = probe.Duration(time.Millisecond)
	for name, c := range map[string]struct {
		issuer func(*idp)
		within probe.Duration
		want   string
	}{
		"it takes a while":    {func(i *idp) { i.slow = 250 * time.Millisecond }, 10 * 1000 * ms, "revocation pass(ok): the revoked token was rejected after *"},
		"it is never refused": {func(i *idp) { i.forgetful = true }, 300 * ms, "revocation fail(revoked_accepted): expected a revoked token to be rejected within 300ms, got it still accepted after *"},
		"revoking fails":      {func(i *idp) { i.paths["/revoke"] = probetest.Respond(500, "text/plain", "") }, 300 * ms, "revocation fail(status): the token could not be revoked: expected 200, got 500"},
		"revoking is not for such tokens": {func(i *idp) {
			i.paths["/revoke"] = probetest.Respond(400, "application/json", `{"error":"unsupported_token_type"}`)
		}, 300 * ms,
			"revocation fail(status): the token could not be revoked: expected 200, got 400 (unsupported_token_type)"},
		"tokens are not accepted to begin with": {func(i *idp) { i.paths["/me"] = probetest.Respond(401, "text/plain", "") }, 300 * ms,
			"revocation inconclusive(control_failed): a fresh token is not accepted before it is revoked: got 401"},
		"what takes tokens is broken": {func(i *idp) { i.paths["/me"] = probetest.Respond(500, "text/plain", "") }, 300 * ms,
			"revocation inconclusive(control_failed): a fresh token is not accepted before it is revoked: expected 2xx, got 500"},
		"one revocation ends all tokens": {func(i *idp) {
			i.paths["/me"] = func(w http.ResponseWriter, _ *http.Request) {
				i.mu.Lock()
				defer i.mu.Unlock()
				w.WriteHeader(map[bool]int{true: 401, false: 200}[len(i.revoked) > 0])
			}
		}, 300 * ms, "revocation fail(valid_rejected): a token that was not revoked is rejected as well: got 401"},
		"what takes tokens breaks meanwhile": {func(i *idp) {
			i.paths["/me"] = func(w http.ResponseWriter, q *http.Request) {
				i.mu.Lock()
				broken := len(i.revoked) > 0
				i.mu.Unlock()
				if broken {
					w.WriteHeader(503)
					return
				}
				i.serveMe(w, q)
			}
		}, 300 * ms, "revocation inconclusive(control_failed): whether the revoked token is rejected within 300ms is inconclusive: expected 2xx, got 503"},
		"what takes tokens hangs up": {func(i *idp) {
			i.paths["/me"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		}, 300 * ms, "revocation inconclusive(control_failed): a fresh token is not accepted before it is revoked: *"},
		"another token breaks what takes tokens": {func(i *idp) {
			i.paths["/me"] = func(w http.ResponseWriter, q *http.Request) {
				i.mu.Lock()
				broken := len(i.revoked) > 0 && i.revoked[strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")].IsZero()
				i.mu.Unlock()
				if broken {
					w.WriteHeader(503)
					return
				}
				i.serveMe(w, q)
			}
		}, 300 * ms, "revocation inconclusive(control_failed): the revoked token is rejected, but whether another one still works is inconclusive: expected 2xx, got 503"},
		"what takes tokens is not asked, a cache answers": {func(i *idp) {
			i.paths["/me"] = func(w http.ResponseWriter, q *http.Request) { w.Header().Set("Age", "7"); i.serveMe(w, q) }
		}, 300 * ms, "revocation inconclusive(control_failed): a fresh token is not accepted before it is revoked: the answer may come out of a cache (Age: 7)"},
		"one token for all": {func(i *idp) {
			token := unsecured(`{"alg":"RS256","kid":"x"}`)
			i.grant = map[string]any{"access_token": token}
		}, 300 * ms, "revocation inconclusive(control_failed): the issuer returned the same token twice, so there is no control"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t, c.issuer)
			p := i.probe(t, func(p *Probe) {
				p.Opaque, p.Audience, p.WrongSecret = true, "", false
				p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}, Within: c.within, Every: 100 * ms}
			})
			r := probetest.Run(t, Kind(), p)
			probetest.WantLines(t, r, r.Verdict().String(), issued, discovered, c.want)
			measured := false
			for _, s := range r.Samples {
				measured = measured || s.Measure == revocationGauge
			}
			if passed := strings.Contains(c.want, " pass("); measured != passed {
				t.Errorf("the time until the refusal was measured: %t", measured)
			}
		})
	}
}

// TestPollUntilRejected_limit counts, in fake time, how often a revoked token is used and when.
func TestPollUntilRejected_limit(t *testing.T) {
	for name, c := range map[string]struct {
		refusedAfter time.Duration
		timeout      time.Duration
		want         string
		looks        int
	}{
		"at once":                {0, time.Hour, "ok: the revoked token was rejected after 0s", 3},
		"at the limit":           {10 * time.Second, time.Hour, "ok: the revoked token was rejected after 10s", 7},
		"after the limit":        {10*time.Second + 1, time.Hour, "revoked_accepted: expected a revoked token to be rejected within 10s, got it still accepted after 10s", 5},
		"the run is too short":   {time.Hour, 7 * time.Second, "control_failed: the revoked token was not rejected after 6s (got 200), when the run's time was up; the limit is 10s: give the probe a longer timeout", 3},
		"the run is long enough": {9 * time.Second, 10500 * time.Millisecond, "ok: the revoked token was rejected after 9s", 6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				v := &Revocation{Within: probe.Duration(10 * time.Second), Every: probe.Duration(3 * time.Second)}
				begun, looks, rejections := time.Now(), 0, 0
				found, took := v.pollUntilRejected(ctx, func(context.Context) acceptance {
					looks++
					if time.Since(begun) >= c.refusedAfter {
						if rejections++; rejections > 1 {
							time.Sleep(100 * time.Millisecond) // the first counts
						}
						return acceptance{rejected, "got 401"}
					}
					return acceptance{accepted, "got 200"}
				})
				if got := fmt.Sprintf("%s: %s", found.Reason, found.Detail); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				if looks != c.looks || ctx.Err() != nil {
					t.Errorf("looked %d times, expected %d; ended with the run: %v", looks, c.looks, ctx.Err())
				}
				if found.Reason != probe.OK {
					if took > 0 {
						t.Errorf("took %s", took)
					}
				} else if all := time.Since(begun); took != c.refusedAfter || all != took+200*time.Millisecond {
					t.Errorf("took %s, and %s to be sure; expected %s, and to be used twice more without a pause", took, all, c.refusedAfter)
				}
			})
		})
	}
	t.Run("a run that is cancelled ends at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			begun := time.Now()
			v := &Revocation{Within: probe.Duration(time.Minute), Every: probe.Duration(time.Minute)}
			v.pollUntilRejected(ctx, func(context.Context) acceptance { return acceptance{accepted, "got 200"} })
			if took := time.Since(begun); took != time.Second {
				t.Errorf("took %s", took)
			}
		})
	})
}

// TestToken_runTooShort has an issuer that takes most of the run for each token.
func TestToken_runTooShort(t *testing.T) {
	i := newIDP(t, nil)
	i.paths["/token"] = func(w http.ResponseWriter, q *http.Request) {
		select {
		case <-time.After(3500 * time.Millisecond):
			i.serveToken(w, q)
		case <-q.Context().Done():
		}
	}
	p := i.probe(t, func(p *Probe) { p.Revocation = &Revocation{Use: Use{URL: i.url + "/me"}} })
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Probe: p, Interval: time.Minute, Timeout: 6500 * time.Millisecond}
	probetest.WantLines(t, probetest.Do(t.Context(), job), "inconclusive", issued, discovered, signed, claimed, timely,
		"wrong_secret inconclusive(timeout): not requested: issuing a token took *", "revocation inconclusive(timeout): not requested: *")
}

// TestToken_keySetHangs: whoever would be asked after an answer that never came is not asked, and not blamed.
func TestToken_keySetHangs(t *testing.T) {
	i := newIDP(t, nil)
	i.paths["/keys"] = func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }
	verifier := probetest.Serve(t, map[string]http.HandlerFunc{"/keys": func(w http.ResponseWriter, q *http.Request) {
		t.Error("the verifier was asked")
		i.serveKeys(w, q)
	}})
	p := i.probe(t, func(p *Probe) { p.Keysets, p.WrongSecret = []string{verifier + "/keys"}, false })
	probetest.WantLines(t, probetest.RunWithin(t, 2*time.Second, Kind(), p), "fail", issued, discovered, "signature fail(timeout): *", claimed, timely,
		"keysets@"+verifier+"/keys inconclusive(control_failed): not requested: other steps had used up the run's time")
}

// TestInTime: nothing is requested in the last of a run.
func TestInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := &runState{Probe: New(), clock: probe.WatchClock()}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		time.Sleep(9500 * time.Millisecond)
		if o := run.inTime(ctx); !o.Passed() {
			t.Errorf("half a second before the end: %s", o.Detail)
		}
		time.Sleep(time.Millisecond)
		if g := run.issue(ctx, endpoints{}, "first"); g.Reason != probe.ControlFailed || g.Detail != "not requested: other steps had used up the run's time" {
			t.Errorf("got %s: %s", g.Reason, g.Detail)
		}
		if o := run.inTime(t.Context()); !o.Passed() {
			t.Errorf("a run without an end: %s", o.Detail)
		}
	})
}

// TestPollUntilRejected: a token is rejected once it is so three times in a row, from the first of them on.
func TestPollUntilRejected(t *testing.T) {
	for said, want := range map[string]struct {
		reason probe.Reason
		asked  int
		took   time.Duration
	}{
		"rrr":     {probe.OK, 3, 0},
		"arrr":    {probe.OK, 4, 100 * time.Millisecond},
		"rrarrr":  {probe.OK, 6, 100 * time.Millisecond},
		"urrr":    {probe.OK, 4, 100 * time.Millisecond},
		"aaaa":    {reasonRevokedAccepted, 4, 0},
		"rarraaa": {reasonRevokedAccepted, 7, 0},
		"aaau":    {probe.ControlFailed, 4, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			v := &Revocation{Within: probe.Duration(300 * time.Millisecond), Every: probe.Duration(100 * time.Millisecond)}
			got, took := v.pollUntilRejected(t.Context(), func(context.Context) acceptance {
				asked++
				return acceptance{verdict: map[byte]int{'a': accepted, 'r': rejected, 'u': unknown}[said[min(asked, len(said))-1]]}
			})
			if got.Reason != want.reason || asked != want.asked || took != want.took {
				t.Errorf("%s: got %s after %d requests, rejected after %s; expected %+v", said, got.Reason, asked, took, want)
			}
		})
	}
}

// TestCutOff: a request that had more than half of the run was not cut off by those before it.
func TestCutOff(t *testing.T) {
	run := &runState{clock: probe.WatchClock()}
	ctx, cancel := context.WithDeadline(t.Context(), run.clock.Began().Add(time.Minute))
	defer cancel()
	for _, c := range []struct {
		why  probe.Reason
		took time.Duration
		want bool
	}{{probe.Timeout, 29 * time.Second, true}, {probe.Timeout, 31 * time.Second, false}, {probe.Reset, time.Second, false}} {
		a := &httpx.Answer{Exchange: probe.Exchange{Reason: c.why, Took: c.took}}
		if got := run.cutOff(ctx, a); got != c.want || run.cutOff(t.Context(), a) {
			t.Errorf("%s after %s: cut off is %t", c.why, c.took, got)
		}
	}
}
