package isolation

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// withUnauthorized adds three unauthorized credentials to the settings.
func withUnauthorized(t *testing.T) []string {
	return []string{"    identity:", `    unauthorized_credentials:
      expired:   {bearer: {env: TEST_ISO_EXPIRED}}
      homeless:  {bearer: {env: TEST_ISO_HOMELESS}}
      suspended: {headers: {X-Api-Key: {env: TEST_ISO_SUSPENDED}}, status: 423}
    identity:`}
}

// forCredential responds with a handler of the test to requests with a token or key.
func forCredential(token string, then http.HandlerFunc) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
	return interceptIf(func(q *apiRequest) bool {
		return q.Header.Get("Authorization") == "Bearer "+token || q.Header.Get("X-Api-Key") == token
	}, then)
}

// TestUnauthorizedCredentials: an unauthorized credential is rejected by any of its statuses.
func TestUnauthorizedCredentials(t *testing.T) {
	testenv.WithoutRace(t)
	const read, list = "authenticated@notes/read ", "authenticated@notes/list "
	red := func(w http.ResponseWriter, r *http.Request) { reply(w, 200, `{"notes":[]}`) }
	for name, c := range testenv.Sample(map[string]struct {
		intercept func(http.ResponseWriter, *apiRequest, http.HandlerFunc)
		want      string
	}{
		"rejected":                          {nil, "pass"},
		"rejected as forbidden":             {forCredential("tttttttt-without-home", respondStatus(403)), "pass"},
		"rejected by its own status":        {forCredential("kkkkkkkk-of-org-three", respondStatus(423)), "pass"},
		"rejected by the status of another": {forCredential("tttttttt-over", respondStatus(423)), read + "inconclusive(control_failed)"},
		"rejected as not found":             {forCredential("tttttttt-over", respondStatus(404)), read + "inconclusive(control_failed)"},
		"rate limited":                      {forCredential("tttttttt-over", respondStatus(429)), "control@notes/read inconclusive(rate_limited)"},
		"failing":                           {forCredential("tttttttt-over", respondStatus(500)), read + "inconclusive(control_failed)"},
		"an expired one is accepted":        {forCredential("tttttttt-over", red), read + "fail(auth_bypass)"},
		"one without an org is accepted":    {forCredential("tttttttt-without-home", red), read + "fail(auth_bypass)"},
		"a suspended one may list": {interceptIf(func(q *apiRequest) bool {
			return q.op == "list" && q.Header.Get("X-Api-Key") != ""
		}, red), list + "fail(auth_bypass)"},
		"an expired one is rejected with another's data": {func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op == "read" && strings.HasSuffix(q.Header.Get("Authorization"), "over") {
				reply(w, 401, marshal(q.note))
				return
			}
			next(w, q.Request)
		}, read + "fail(leak_body)"},
	}, 8) {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = c.intercept
			r := api.runProbe(t, withUnauthorized(t)...)
			expectDecisive(t, r, c.want)
			if said := probetest.Lines(r); strings.Contains(said, "tttttttt") || strings.Contains(said, "kkkkkkkk") {
				t.Errorf("a credential is shown:\n%s", said)
			}
			if why := r.Decisive(); why.Reason == probe.AuthBypass && !strings.Contains(why.Detail, "by the unauthorized credential ") {
				t.Errorf("expected the caller that was accepted, got: %s", why.Detail)
			}
		})
	}
	t.Run("expected statuses", func(t *testing.T) {
		job := newJob(t, strings.NewReplacer(withUnauthorized(t)...).Replace(newNotesAPI("header").start(t)))
		codes := job.Probe.(*Probe).ExpectedStatuses()["notes/read"]
		for _, code := range []int{401, 403, 404, 423} {
			if !slices.Contains(codes, code) {
				t.Errorf("%d is not expected, only %d", code, codes)
			}
		}
	})
	t.Run("names in the summary", func(t *testing.T) {
		want := "without a credential, with a made-up one, and with the unauthorized credentials expired, homeless, suspended"
		if r := newNotesAPI("header").runProbe(t, withUnauthorized(t)...); !strings.Contains(probetest.Lines(r), want) {
			t.Errorf("want %q in\n%s", want, probetest.Lines(r))
		}
	})
}

// TestUnauthorized_everyOperation opens one operation at a time to callers that must be rejected.
func TestUnauthorized_everyOperation(t *testing.T) {
	var api *notesAPI
	anonymous := func(q *apiRequest) bool {
		return q.Header.Get("Authorization") == "" && q.Header.Get("X-Api-Key") == ""
	}
	callers := map[string]func(q *apiRequest) bool{
		"anonymous": anonymous,
		"made up": func(q *apiRequest) bool {
			return q.org == "" && !anonymous(q) && !strings.Contains(q.Header.Get("Authorization"), "tttttttt")
		},
		"expired": func(q *apiRequest) bool { return q.Header.Get("Authorization") == "Bearer tttttttt-over" },
	}
	// asNamed has the API treat a request as one of the org that it names.
	asNamed := func(w http.ResponseWriter, q *apiRequest) {
		q.org = q.Header.Get("X-Org-Id")
		api.serve(w, q, func(m note) bool { return m.org == q.org })
	}
	how := map[string]func(w http.ResponseWriter, q *apiRequest){
		"accepted":             asNamed,
		"rejected, and done":   func(w http.ResponseWriter, q *apiRequest) { asNamed(httptest.NewRecorder(), q); reply(w, 401, `{}`) },
		"failing, and done":    func(w http.ResponseWriter, q *apiRequest) { asNamed(httptest.NewRecorder(), q); reply(w, 500, `{}`) },
		"accepted, not done":   func(w http.ResponseWriter, q *apiRequest) { reply(w, 204, "") },
		"answered with a page": func(w http.ResponseWriter, q *apiRequest) { reply(w, 200, `{"notes":[],"count":0}`) },
	}
	cases := 0
	for _, op := range operations {
		for caller, is := range testenv.Sample(callers, 1) {
			for way, open := range testenv.Sample(how, 1) {
				writes := op == "create" || op == "update" || op == "delete"
				if !writes && strings.HasSuffix(way, "done") || caller != "anonymous" && way != "accepted" {
					continue
				}
				if cases++; !testenv.Sampled(cases, 10) {
					continue
				}
				t.Run(op+" by "+caller+", "+way, func(t *testing.T) {
					api = newNotesAPI("header")
					api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
						if q.op == op && is(q) {
							open(w, q)
							return
						}
						next(w, q.Request)
					}
					r := api.runProbe(t, append(withUnauthorized(t), "requests: 40", "requests: 4")...)
					expectDecisive(t, r, "authenticated@notes/"+op+" fail(auth_bypass)")
					if got := measuredValue(r, "probe_isolation_breach_total", "notes/"+op); got != 1 {
						t.Errorf("expected a breach to be counted, got %g", got)
					}
					if left := api.list(); len(left) > 0 {
						t.Errorf("expected no notes, got %d", len(left))
					}
				})
			}
		}
	}
}

// TestUnauthorizedCredentials_validate: invalid ones are refused with the settings.
func TestUnauthorizedCredentials_validate(t *testing.T) {
	settings := newNotesAPI("header").start(t)
	six := ""
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		six += name + ": {bearer: {env: TEST_ISO_X}}, "
	}
	for credentials, want := range map[string]string{
		"expired: {bearer: {env: TEST_ISO_RED}}":                   "unauthorized_credentials.expired: has the credential of red, which must be accepted",
		"expired: {status: 401}":                                   "unauthorized_credentials.expired: has no credential",
		"expired: {headers: {X-Key: known}}":                       "unauthorized_credentials.expired: has no credential",
		"expired: {bearer: {env: TEST_ISO_X}, status: 200}":        "unauthorized_credentials.expired.status: expected a refusal, such as 401",
		"expired: {bearer: {env: TEST_ISO_X}, status: [401, 429]}": "unauthorized_credentials.expired.status: expected a refusal, such as 401",
		"expired: {bearer: {env: TEST_ISO_X}, id: org-c}":          "id",
		six: "unauthorized_credentials: expected at most 5, got 6",
	} {
		err := validationError(strings.Replace(settings, "    identity:", "    unauthorized_credentials: {"+credentials+"}\n    identity:", 1))
		if !strings.Contains(err, want) {
			t.Errorf("%s: got %q, want a refusal with %q", credentials, err, want)
		}
	}
}
