package isolation

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// emptyToStrangers answers an unauthenticated list with an empty page, as APIs do whose rules filter.
func emptyToStrangers(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
	if q.org == "" && q.op == "list" {
		reply(w, 200, `{"notes":[],"next":"","page":1}`)
		return
	}
	next(w, q.Request)
}

// TestReportsError: which bodies hold an error and no data, so that a status of success is none.
func TestReportsError(t *testing.T) {
	for body, want := range map[string]bool{
		`{"errors":[{"message":"no"}]}`: true, `{"errors":[{}],"data":null}`: true, `{"errors":[{}],"data":{"noteById":null}}`: true,
		`{"errors":[{}],"data":{"noteById":{"id":1}}}`: false, `{"errors":[{}],"data":{"a":null,"b":0}}`: false, `{"errors":[{}],"data":[]}`: false,
		`{"errors":[],"data":null}`: false, `{"data":null}`: false, `{"data":{"noteById":null}}`: false, `{}`: false, `[]`: false, `no`: false, ``: false,
		`{"error":{"code":-32001}}`: true, `{"error":{"code":-32001},"result":1}`: false, `{"error":null,"result":1}`: false,
		`{"error":"not_found"}`: true, `{"error":""}`: false, `{"error":"partial","data":[1]}`: false, `{"error":"no","data":[]}`: true,
		`{"error":"no","data":{"note":null}}`: true, `{"error":"no","data":"text"}`: false, `{"error":"no","result":[]}`: false,
		`{"error":true}`: true, `{"error":true,"data":[1]}`: false, `{"error":true,"result":1}`: false, `{"error":false}`: false, `{"error":1}`: false,
	} {
		if got := reportsError(&httpx.Answer{Body: []byte(body)}); got != want {
			t.Errorf("%s: an error without data: %t", body, got)
		}
	}
}

// TestHasSecretIDs: the id of a permanent canary may be a secret, which goes over no plain connection.
func TestHasSecretIDs(t *testing.T) {
	id := PermanentCanary{}
	id.ID.Secret = secret.Env("TEST_CANARY_ID")
	for want, canaries := range map[bool]map[string]PermanentCanary{true: {"a": {}, "b": id}, false: {"a": {}}} {
		p := New()
		p.Resources = map[string]*Resource{"notes": {Canaries: canaries}}
		if got := p.hasSecretIDs(); got != want {
			t.Errorf("%v: a secret is in a URL: %t", canaries, got)
		}
	}
}

// TestChecks: a run makes those checks that its settings ask for, and passes only with all of them.
func TestChecks(t *testing.T) {
	all := newJob(t, newNotesAPI("token").configuration("https://api.example")).Probe.Checks()
	if got, want := strings.Join(all, " "), "identity control isolated context authenticated oracle cache interleave"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := New().Checks(); len(got) > 0 {
		t.Errorf("without resources: got %v", got)
	}
}

// TestRefusals_emptyList: an empty list refuses an unauthenticated caller where the settings say so, and only if it is
// empty, and not empty for its owners too.
func TestRefusals_emptyList(t *testing.T) {
	const list = `list:   "/notes?cursor={cursor}"`
	says := func(how string) []string {
		return []string{list, `list:   {url: "/notes?cursor={cursor}", unauthenticated: ` + how + `}`}
	}
	var last atomic.Value
	for name, c := range testenv.Sample(map[string]struct {
		settings  []string
		intercept func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc)
		want      string
	}{
		"said for the list": {says(`[401, {empty: $.notes}]`), emptyToStrangers, "pass"},
		"not said":          {nil, emptyToStrangers, "authenticated@notes/list fail(auth_bypass)"},
		"said for the resource": {[]string{"        create:", "        unauthenticated: [401, {empty: $.notes}]\n        create:"},
			emptyToStrangers, "pass"},
		"said for the probe": {[]string{"    identity:", "    unauthenticated: [401, {empty: $.notes}]\n    identity:"},
			emptyToStrangers, "pass"},
		"said with another path": {says(`[401, {empty: $.items}]`), emptyToStrangers, "authenticated@notes/list fail(auth_bypass)"},
		"something is shown": {says(`[401, {empty: $.notes}]`), func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.org == "" && q.op == "list" {
				reply(w, 200, `{"notes":[{"id":17}]}`)
				return
			}
			next(w, q.Request)
		}, "authenticated@notes/list fail(auth_bypass)"},
		"a canary is shown beside the list": {says(`[401, {empty: $.notes}]`), func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.org == "" && q.op == "list" {
				reply(w, 200, `{"notes":[],"last":`+marshal(last.Load())+`}`)
				return
			}
			if q.op == "read" && q.owner == q.org && q.owner != "" {
				last.Store(q.note.Text)
			}
			next(w, q.Request)
		}, "authenticated@notes/list fail(auth_bypass)"},
		"the list is empty for its owners too": {says(`[401, {empty: $.notes}]`), func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op == "list" {
				reply(w, 200, `{"notes":[]}`)
				return
			}
			next(w, q.Request)
		}, "isolated@notes/list inconclusive(nothing_checked)"},
	}, 8) {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("token")
			api.intercept = c.intercept
			r := api.runProbe(t, c.settings...)
			expectDecisive(t, r, c.want)
			if name == "the list is empty for its owners too" {
				for _, check := range r.Checks {
					if check.Name == "authenticated" && strings.HasSuffix(check.Target, "list") && check.Verdict != probe.Inconclusive {
						t.Errorf("a list that is always empty proves nothing: %s\n%s", check.Verdict, probetest.Lines(r))
					}
				}
			}
		})
	}
}

// TestRefusals_countOfNothing: a count of 0 refuses strangers where the settings say so, though an org that has no object
// yet is answered the same. That the count grows with the owner's canary tells one from the other.
func TestRefusals_countOfNothing(t *testing.T) {
	testenv.WithoutRace(t)
	strangers := func(org string) bool { return org == "" }
	for name, c := range map[string]struct {
		who   func(org string) bool
		count string
		want  string
	}{
		"to strangers":       {strangers, `{"count":0}`, "pass"},
		"strangers are told": {strangers, `{"count":5}`, "authenticated@notes/count fail(auth_bypass)"},
		"to everybody":       {func(string) bool { return true }, `{"count":0}`, "isolated@notes/count inconclusive(nothing_checked)"},
		"with an error for a number": {func(org string) bool { return org == "red" }, `{"count":"0","error":{"code":1}}`,
			"isolated@notes/count inconclusive(nothing_checked)"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("token")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == "count" && c.who(q.org) {
					reply(w, 200, c.count)
					return
				}
				next(w, q.Request)
			}
			r := api.runProbe(t, `count:  "/notes/count"`, `count:  {url: "/notes/count", unauthenticated: [401, {json: {$.count: 0}}]}`)
			expectDecisive(t, r, c.want)
		})
	}
}
