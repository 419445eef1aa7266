package isolation

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// strangers are settings with three credentials that must be let in nowhere.
func strangers(t *testing.T) []string {
	t.Setenv("TEST_ISO_EXPIRED", "tttttttt-over")
	t.Setenv("TEST_ISO_HOMELESS", "tttttttt-without-home")
	t.Setenv("TEST_ISO_SUSPENDED", "kkkkkkkk-of-org-three")
	return []string{"    whoami:", `    strangers:
      expired:   {bearer: {env: TEST_ISO_EXPIRED}}
      homeless:  {bearer: {env: TEST_ISO_HOMELESS}}
      suspended: {headers: {X-Api-Key: {env: TEST_ISO_SUSPENDED}}, status: 423}
    whoami:`}
}

// as has the API answer whoever sends a token or a key in another way.
func as(token string, then http.HandlerFunc) func(http.ResponseWriter, *asked, http.HandlerFunc) {
	return when(func(q *asked) bool {
		return q.Header.Get("Authorization") == "Bearer "+token || q.Header.Get("X-Api-Key") == token
	}, then)
}

// TestStrangersAreLetInNowhere: whoever has a credential that is good for nothing is refused, in whatever words.
func TestStrangersAreLetInNowhere(t *testing.T) {
	const read, list = "authenticated@notes/read ", "authenticated@notes/list "
	red := func(w http.ResponseWriter, r *http.Request) { reply(w, 200, `{"notes":[]}`) }
	for name, c := range map[string]struct {
		twist func(http.ResponseWriter, *asked, http.HandlerFunc)
		want  string
	}{
		"refused":                        {nil, "pass"},
		"refused as forbidden":           {as("tttttttt-without-home", status(403)), "pass"},
		"refused in a word of its own":   {as("kkkkkkkk-of-org-three", status(423)), "pass"},
		"refused in a word of others'":   {as("tttttttt-over", status(423)), read + "inconclusive(control_failed)"},
		"refused as if it was not there": {as("tttttttt-over", status(404)), read + "inconclusive(control_failed)"},
		"too often":                      {as("tttttttt-over", status(429)), "control@notes/read inconclusive(rate_limited)"},
		"failing":                        {as("tttttttt-over", status(500)), read + "inconclusive(control_failed)"},
		"an expired one is let in":       {as("tttttttt-over", red), read + "fail(auth_bypass)"},
		"one without an org is let in":   {as("tttttttt-without-home", red), read + "fail(auth_bypass)"},
		"a suspended one may list": {when(func(q *asked) bool {
			return q.op == "list" && q.Header.Get("X-Api-Key") != ""
		}, red), list + "fail(auth_bypass)"},
		"an expired one is refused with what is another's": {func(w http.ResponseWriter, q *asked, honest http.HandlerFunc) {
			if q.op == "read" && strings.HasSuffix(q.Header.Get("Authorization"), "over") {
				reply(w, 401, marshal(q.note))
				return
			}
			honest(w, q.Request)
		}, read + "fail(leak_body)"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotebook("header")
			api.twist = c.twist
			r := api.examined(t, strangers(t)...)
			wantFirst(t, r, c.want)
			if said := probetest.Lines(r); strings.Contains(said, "tttttttt") || strings.Contains(said, "kkkkkkkk") {
				t.Errorf("a credential is shown:\n%s", said)
			}
			if why := r.Decisive(); why.Reason == probe.AuthBypass && !strings.Contains(why.Detail, "by the stranger ") {
				t.Errorf("it does not say who was let in: %s", why.Detail)
			}
		})
	}
	t.Run("whose refusals are expected", func(t *testing.T) {
		job := isolation(t, strings.NewReplacer(strangers(t)...).Replace(newNotebook("header").start(t)))
		codes := job.Probe.(*Probe).ExpectedStatuses()["notes/read"]
		for _, code := range []int{401, 403, 404, 423} {
			if !slices.Contains(codes, code) {
				t.Errorf("%d is not expected, only %d", code, codes)
			}
		}
	})
	t.Run("that are told", func(t *testing.T) {
		want := "without a credential, with a made-up one, and to the strangers expired, homeless, suspended"
		if r := newNotebook("header").examined(t, strangers(t)...); !strings.Contains(probetest.Lines(r), want) {
			t.Errorf("want %q in\n%s", want, probetest.Lines(r))
		}
	})
}

// TestAStrangerIsNobodyWeKnow: what cannot be a stranger is refused when the settings are read.
func TestAStrangerIsNobodyWeKnow(t *testing.T) {
	settings := newNotebook("header").start(t)
	six := ""
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		six += name + ": {bearer: {env: TEST_ISO_X}}, "
	}
	for strangers, want := range map[string]string{
		"expired: {bearer: {env: TEST_ISO_RED}}":                   "strangers.expired: has the credential of red, which must be accepted",
		"expired: {status: 401}":                                   "strangers.expired: has no credential",
		"expired: {headers: {X-Key: known}}":                       "strangers.expired: has no credential",
		"expired: {bearer: {env: TEST_ISO_X}, status: 200}":        "strangers.expired.status: expected statuses from 400 to 499",
		"expired: {bearer: {env: TEST_ISO_X}, status: [401, 429]}": "strangers.expired.status: expected statuses from 400 to 499",
		"expired: {bearer: {env: TEST_ISO_X}, id: org-c}":          "id",
		six: "strangers: expected at most 5, got 6",
	} {
		err := refusal(strings.Replace(settings, "    whoami:", "    strangers: {"+strangers+"}\n    whoami:", 1))
		if !strings.Contains(err, want) {
			t.Errorf("%s: got %q, want a refusal with %q", strangers, err, want)
		}
	}
}
