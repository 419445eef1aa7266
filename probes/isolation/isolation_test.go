package isolation

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// foreign reports whether the request is for another org's note.
func (q *apiRequest) foreign() bool { return q.org != "" && q.owner != "" && q.owner != q.org }

// interceptIf responds with a handler of the test if a condition holds.
func interceptIf(cond func(q *apiRequest) bool, then http.HandlerFunc) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
	return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if cond(q) {
			then(w, q.Request)
			return
		}
		next(w, q.Request)
	}
}

// namesOwnOrg reports whether a request names the caller's own org in the header.
func (q *apiRequest) namesOwnOrg() bool {
	return q.org != "" && slices.Equal(q.Header.Values("X-Org-Id"), []string{q.org})
}

// operation holds for an operation with the right org, for any note.
func operation(op string) func(*apiRequest) bool {
	return func(q *apiRequest) bool { return q.op == op && (q.namesOwnOrg() || op == "whoami") }
}

func foreignOperation(op string) func(*apiRequest) bool {
	return func(q *apiRequest) bool { return q.op == op && q.foreign() }
}

func respondStatus(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reply(w, code, `{"error":"x"}`) }
}

// TestIsolated covers every way to name the org and every row of the matrix, and expects no orphans.
func TestIsolated(t *testing.T) {
	for _, style := range []string{"header", "path", "token"} {
		t.Run(style, func(t *testing.T) {
			api := newNotesAPI(style)
			r := api.runProbe(t)
			expectDecisive(t, r, "pass")
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
			if got := measuredValue(r, "probe_isolation_matrix_rows", "tested"); got != 14 {
				t.Errorf("expected all 14 rows of the matrix to be tested, got %g\n%s", got, probetest.Lines(r))
			}
			if got := measuredValue(r, "probe_isolation_leak_rate_bound_ratio"); got != 3.0/32 {
				t.Errorf("expected 3/n of the 32 reads that were not cancelled, got %g", got)
			}
			if got, all := measuredValue(r, "probe_isolation_requests"), float64(api.requests.Load()); got != all || got > 440 { // with 100 interleaved reads, as by default, 500
				t.Errorf("reported %g requests, the API got %g", got, all)
			}
		})
	}
}

// TestDenial_needsControls: a rejected credential, a failing service and an owner that sees nothing all look like a
// denial without their controls.
func TestDenial_needsControls(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range testenv.Sample(map[string]struct {
		intercept func(http.ResponseWriter, *apiRequest, http.HandlerFunc)
		want      string
	}{
		"the intruder's credential expires": {interceptIf(foreignOperation("read"), respondStatus(401)), "isolated@notes/read inconclusive(credential)"},
		"the service fails":                 {interceptIf(foreignOperation("read"), respondStatus(500)), "isolated@notes/read inconclusive(control_failed)"},
		"the gateway fails":                 {interceptIf(foreignOperation("read"), respondStatus(502)), "isolated@notes/read inconclusive(control_failed)"},
		"the answer is cut off": {interceptIf(foreignOperation("read"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			reply(w, 404, `{}`)
		}), "isolated@notes/read inconclusive(control_failed)"},
		"the rate is limited": {interceptIf(foreignOperation("read"), respondStatus(429)), "control@notes/read inconclusive(rate_limited)"},
		"an unrequested content coding": {interceptIf(foreignOperation("read"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			reply(w, 404, `{}`)
		}), "isolated@notes/read inconclusive(control_failed)"},
		"the owner gets 200 and an error": {interceptIf(operation("list"), func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, `{"error":"internal"}`)
		}), "isolated@notes/list inconclusive(nothing_checked)"},
		"an anonymous caller is redirected to a login": {interceptIf(func(q *apiRequest) bool { return q.op == "read" && q.org == "" }, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		}), "authenticated@notes/read inconclusive(control_failed)"},
		"it redirects": {interceptIf(foreignOperation("read"), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		}), "isolated@notes/read inconclusive(control_failed)"},
		"it comes out of a cache": {interceptIf(foreignOperation("read"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Age", "60")
			reply(w, 404, `{}`)
		}), "isolated@notes/read inconclusive(stale_or_cached)"},
		"a status that is no denial":    {interceptIf(foreignOperation("read"), respondStatus(418)), "isolated@notes/read inconclusive(control_failed)"},
		"the owner cannot read its own": {interceptIf(operation("read"), respondStatus(404)), "control@notes/read inconclusive(control_failed)"},
		"one owner cannot": {interceptIf(func(q *apiRequest) bool { return q.op == "read" && q.org == "red" }, respondStatus(404)),
			"control@notes/read inconclusive(control_failed)"},
		"the owner is shown something else": {interceptIf(operation("read"), respondStatus(200)), "control@notes/read inconclusive(control_failed)"},
		"nothing can be created":            {interceptIf(operation("create"), respondStatus(503)), "control@notes/read inconclusive(control_failed)"},
		"everything is down":                {interceptIf(func(*apiRequest) bool { return true }, respondStatus(500)), "identity@ inconclusive(control_failed)"},
		"every token is refused":            {interceptIf(func(*apiRequest) bool { return true }, respondStatus(401)), "identity@ inconclusive(credential)"},
		"everything is limited":             {interceptIf(func(*apiRequest) bool { return true }, respondStatus(429)), "identity@ inconclusive(rate_limited)"},
		"no org may update":                 {interceptIf(operation("update"), respondStatus(403)), "isolated@notes/update inconclusive(control_failed)"},
		"no org may delete":                 {interceptIf(operation("delete"), respondStatus(403)), "isolated@notes/delete inconclusive(control_failed)"},
		"the path of delete is wrong":       {interceptIf(operation("delete"), respondStatus(404)), "isolated@notes/delete inconclusive(control_failed)"},
		"a body too large to be searched": {interceptIf(operation("export"), func(w http.ResponseWriter, _ *http.Request) {
			w.Write(bytes.Repeat([]byte("x"), 2<<20))
		}), "isolated@notes/export inconclusive(too_large)"},
		"the list is empty, also of one's own": {interceptIf(operation("list"), func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, `{"notes":[],"next":""}`)
		}), "isolated@notes/list inconclusive(nothing_checked)"},
		"a list without an end": {interceptIf(operation("list"), func(w http.ResponseWriter, r *http.Request) {
			reply(w, 200, `{"notes":[],"next":"`+r.URL.Query().Get("cursor")+`1"}`)
		}), "isolated@notes/list inconclusive(too_large)"},
		"a list that begins again": {interceptIf(operation("list"), func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, `{"notes":[],"next":"7"}`)
		}), "isolated@notes/list inconclusive(control_failed)"},
		"a count that never grows": {interceptIf(operation("count"), func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"count":5}`) }),
			"isolated@notes/count inconclusive(nothing_checked)"},
	}, 10) {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = c.intercept
			r := api.runProbe(t)
			expectDecisive(t, r, c.want)
			for _, c := range r.Checks {
				if c.Verdict == probe.Fail {
					t.Errorf("an innocent check fails: %s on %s (%s): %s", c.Name, c.Target, c.Reason, c.Detail)
				}
			}
		})
	}
}

// TestBreaches breaks the API in one place at a time.
func TestBreaches(t *testing.T) {
	testenv.WithoutRace(t)
	api := &notesAPI{}
	unscoped := func(op string) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
		return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op == op && q.org != "" && slices.Equal(api.orgs(q), []string{q.org}) {
				api.serve(w, q, anyNote)
				return
			}
			next(w, q.Request)
		}
	}
	for name, c := range testenv.Sample(map[string]struct {
		intercept func(http.ResponseWriter, *apiRequest, http.HandlerFunc)
		want      string
	}{
		"read":                           {unscoped("read"), "isolated@notes/read fail(leak_body)"},
		"list":                           {unscoped("list"), "isolated@notes/list fail(leak_list)"},
		"search":                         {unscoped("search"), "isolated@notes/search fail(leak_list)"},
		"export":                         {unscoped("export"), "isolated@notes/export fail(leak_list)"},
		"count":                          {unscoped("count"), "isolated@notes/count fail(leak_list)"},
		"update":                         {unscoped("update"), "isolated@notes/update fail(foreign_write)"},
		"delete":                         {unscoped("delete"), "isolated@notes/delete fail(foreign_delete)"},
		"a delete that does nothing":     {interceptIf(foreignOperation("delete"), respondStatus(204)), "isolated@notes/delete fail(misleading_success)"},
		"an update that does nothing":    {interceptIf(foreignOperation("update"), respondStatus(200)), "isolated@notes/update fail(misleading_success)"},
		"a read that shows another page": {interceptIf(foreignOperation("read"), respondStatus(200)), "isolated@notes/read fail(misleading_success)"},
		"a delete that denies and deletes": {func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op == "delete" && q.foreign() {
				api.mu.Lock()
				if i := api.index(q.id); i >= 0 {
					api.notes = slices.Delete(api.notes, i, i+1)
				}
				api.mu.Unlock()
			}
			next(w, q.Request)
		}, "isolated@notes/delete fail(foreign_delete)"},
		"the org in the body decides": {func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			var sent struct {
				Text string
				Org  string `json:"org_id"`
			}
			if q.op != "create" || q.org == "" {
				next(w, q.Request)
				return
			}
			json.NewDecoder(q.Body).Decode(&sent)
			if sent.Org == "" {
				sent.Org = q.org
			}
			id := "by-body-" + sent.Org + "-" + sent.Text // one for each org: two of them may have the same text
			api.add(sent.Org, id, sent.Text)
			reply(w, 201, `{"id":"`+id+`"}`)
		}, "isolated@notes/create fail(foreign_write)"},
		"a list holds another's id and no content": {func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op == "list" {
				for _, m := range api.list() {
					if m.org != q.org {
						w.Header().Add("X-Hidden", "1")
						reply(w, 200, marshal(map[string]any{"notes": append(notesOf(api, q.org), note{ID: m.ID}), "next": ""}))
						return
					}
				}
			}
			next(w, q.Request)
		}, "isolated@notes/list fail(leak_list)"},
		"an anonymous caller is accepted": {interceptIf(func(q *apiRequest) bool { return q.op == "read" && q.org == "" }, respondStatus(200)),
			"authenticated@notes/read fail(auth_bypass)"},
		"a made-up credential is accepted": {interceptIf(func(q *apiRequest) bool {
			return q.op == "list" && q.org == "" && q.Header.Get("Authorization") != ""
		}, respondStatus(200)), "authenticated@notes/list fail(auth_bypass)"},
		"the status distinguishes another's id": {interceptIf(foreignOperation("read"), respondStatus(403)), "oracle@notes/read fail(existence_oracle)"},
		"a header does": {interceptIf(foreignOperation("read"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Cache-Tag", "note")
			reply(w, 404, `{"error":"not_found"}`)
		}), "oracle@notes/read fail(existence_oracle)"},
		"that a cookie is set does": {interceptIf(foreignOperation("read"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "visit="+rand.Text())
			reply(w, 404, `{"error":"not_found"}`)
		}), "oracle@notes/read fail(existence_oracle)"},
		"the length of the body does": {interceptIf(foreignOperation("read"), func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 404, `{"error":"not_found", "detail":"you may not see this"}`)
		}), "oracle@notes/read fail(existence_oracle)"},
	}, 10) {
		t.Run(name, func(t *testing.T) {
			api = newNotesAPI("header")
			api.intercept = c.intercept
			r := api.runProbe(t)
			expectDecisive(t, r, c.want)
			surface := c.want[strings.Index(c.want, "@")+1 : strings.Index(c.want, " ")]
			breach := !strings.Contains(c.want, "misleading") && !strings.Contains(c.want, "oracle")
			if got := measuredValue(r, "probe_isolation_breach_total", surface); (got == 1) != breach {
				t.Errorf("the counter of breaches grew by %g, expected a breach: %t", got, breach)
			}
			if got := measuredValue(r, "probe_isolation_last_proven_timestamp_seconds", surface); got != -1 {
				t.Errorf("a failed surface was reported as proven at %g", got)
			}
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
		})
	}
}

func notesOf(api *notesAPI, org string) []note {
	return slices.DeleteFunc(api.list(), func(m note) bool { return m.org != org })
}

// TestLeak_encoded finds canaries in bodies, headers and status lines, in plain and encoded.
func TestLeak_encoded(t *testing.T) {
	testenv.WithoutRace(t)
	body := func(write func(text string) string) func(w http.ResponseWriter, text string) {
		return func(w http.ResponseWriter, text string) { reply(w, 404, `{"error":"`+write(text)+`"}`) }
	}
	header := func(name string, write func(text string) string) func(w http.ResponseWriter, text string) {
		return func(w http.ResponseWriter, text string) {
			w.Header().Set(name, write(text))
			reply(w, 404, `{}`)
		}
	}
	each := func(format string) func(string) string {
		return func(text string) string {
			var b strings.Builder
			for _, c := range text {
				fmt.Fprintf(&b, format, c)
			}
			return b.String()
		}
	}
	plain := func(text string) string { return text }
	b64 := func(before string) func(string) string {
		return func(text string) string { return base64.StdEncoding.EncodeToString([]byte(before + text + "~")) }
	}
	for name, c := range testenv.Sample(map[string]struct {
		leak func(w http.ResponseWriter, text string)
		want probe.Reason
	}{
		"in an error's text":        {body(func(s string) string { return "no access to " + s }), leakBody},
		"in capitals":               {body(strings.ToUpper), leakBody},
		"in base64":                 {body(b64("")), leakBody},
		"in base64, one byte later": {body(b64("~")), leakBody},
		"in base64, two bytes":      {body(b64("~~")), leakBody},
		"in hex":                    {body(func(s string) string { return hex.EncodeToString([]byte(s)) }), leakBody},
		"escaped as in a URL":       {body(each("%%%02X")), leakBody},
		"escaped as in JSON":        {body(each(`\u%04x`)), leakBody},
		"escaped as in HTML":        {body(func(s string) string { return html.EscapeString(each("&#%d;")(s)) }), leakBody},
		"in UTF-16": {func(w http.ResponseWriter, text string) {
			w.WriteHeader(404)
			for _, u := range utf16.Encode([]rune(text)) {
				w.Write([]byte{byte(u), byte(u >> 8)})
			}
		}, leakBody},
		"compressed": {func(w http.ResponseWriter, text string) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(404)
			z := gzip.NewWriter(w)
			z.Write([]byte(text))
			z.Close()
		}, leakBody},
		"as a slug":          {body(func(s string) string { return strings.ReplaceAll(s, "-", "_") }), leakBody},
		"without its head":   {body(func(s string) string { return s[20:] }), leakBody},
		"without its end":    {body(func(s string) string { return s[:24] + "..." }), leakBody},
		"in UTF-32 and JSON": {body(func(s string) string { return strings.Join(strings.Split(s, ""), "\x00\x00\x00") }), leakBody},
		"quoted-printable":   {body(func(s string) string { return s[:20] + "\r\n" + s[20:] }), leakBody},
		"in a header":        {header("X-Debug", plain), leakHeader},
		"in a cookie":        {header("Set-Cookie", func(s string) string { return "last=" + url.QueryEscape(s) }), leakHeader},
		"in a Location":      {header("Location", func(s string) string { return "/notes?q=" + s }), leakHeader},
		"in an ETag":         {header("Etag", func(s string) string { return `"` + hex.EncodeToString([]byte(s)) + `"` }), leakHeader},
		"in a file name":     {header("Content-Disposition", func(s string) string { return `attachment; filename="` + s + `.txt"` }), leakHeader},
		"in the status line": {func(w http.ResponseWriter, text string) {
			c, _, _ := http.NewResponseController(w).Hijack()
			fmt.Fprintf(c, "HTTP/1.1 404 not your %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", text)
			c.Close()
		}, leakHeader},
		// A documented limit: pieces of its digits are not a canary.
		"in pieces": {func(w http.ResponseWriter, text string) {
			reply(w, 404, marshal([]string{text[:20], text[20:30], text[30:]}))
		}, existenceOracle},
	}, 10) {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == "read" && q.foreign() {
					c.leak(w, q.note.Text)
					return
				}
				next(w, q.Request)
			}
			r := api.runProbe(t)
			if why := r.Decisive(); why.Verdict != probe.Fail || why.Reason != c.want {
				t.Errorf("got %s, want fail(%s)\n%s", why.Reason, c.want, probetest.Lines(r))
			}
		})
	}
}

// TestContext has the API accept one missing or forged org at a time, and expects each to be found.
func TestContext(t *testing.T) {
	testenv.WithoutRace(t)
	var api *notesAPI
	// lets has the API respond as an org if a condition on the named orgs holds.
	lets := func(holds func(said []string) bool, as func(q *apiRequest) string) func(http.ResponseWriter, *apiRequest, http.HandlerFunc) {
		return func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			said := api.orgs(q)
			if q.op == "whoami" || q.org == "" || slices.Equal(said, []string{q.org}) || !holds(said) {
				next(w, q.Request)
				return
			}
			org := as(q)
			q.org = org
			api.serve(w, q, func(m note) bool { return m.org == org })
		}
	}
	own := func(q *apiRequest) string { return q.org }
	other := func(q *apiRequest) string {
		return map[string]string{"red": "blue", "blue": "red"}[q.org]
	}
	one := func(is func(string) bool) func([]string) bool {
		return func(said []string) bool { return len(said) == 1 && is(said[0]) }
	}
	for name, c := range testenv.Sample(map[string]struct {
		holds func([]string) bool
		as    func(*apiRequest) string
		want  probe.Reason
	}{
		"none, and the response is for the token's own": {func(s []string) bool { return len(s) == 0 }, own, mismatchNotRejected},
		"none, and the response is for another's":       {func(s []string) bool { return len(s) == 0 }, other, leakBody},
		"empty":                                   {one(func(s string) bool { return s == "" }), own, mismatchNotRejected},
		"two of them, the first counts":           {func(s []string) bool { return len(s) == 2 }, own, mismatchNotRejected},
		"two of them, the other counts":           {func(s []string) bool { return len(s) == 2 }, other, leakBody},
		"another's, and the token's own counts":   {one(func(s string) bool { return s == "red" || s == "blue" }), own, mismatchNotRejected},
		"another's, and the response is for that": {one(func(s string) bool { return s == "red" || s == "blue" }), other, leakBody},
		"a nonexistent one":                       {one(func(s string) bool { return strings.Contains(s, "-") }), own, mismatchNotRejected},
		"another's in capitals":                   {one(func(s string) bool { return s == "RED" || s == "BLUE" }), other, leakBody},
		"SQL":                                     {one(func(s string) bool { return strings.Contains(s, "OR") }), other, leakBody},
		"8 KiB of it":                             {one(func(s string) bool { return len(s) > 1000 }), other, leakBody},
	}, 8) {
		t.Run(name, func(t *testing.T) {
			api = newNotesAPI("header")
			api.intercept = lets(c.holds, c.as)
			r := api.runProbe(t)
			if why := r.Decisive(); why.Verdict != probe.Fail || why.Reason != c.want || why.Name != "context" {
				t.Errorf("got %s(%s), want context(%s)\n%s", why.Name, why.Reason, c.want, probetest.Lines(r))
			}
		})
	}
	t.Run("another's, and the object is created in the token's own", func(t *testing.T) {
		api = newNotesAPI("header")
		api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if q.op != "create" {
				next(w, q.Request)
				return
			}
			lets(one(func(s string) bool { return s == "red" || s == "blue" }), own)(w, q, next)
		}
		expectDecisive(t, api.runProbe(t), "context@notes/create fail(mismatch_not_rejected)")
	})
	t.Run("an undocumented header", func(t *testing.T) {
		api = newNotesAPI("token")
		api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
			if org := q.Header.Get("X-Org-Id"); org != "" && q.org != "" {
				q.org = org
			}
			next(w, q.Request)
		}
		if why := api.runProbe(t).Decisive(); why.Reason != leakBody || why.Name != "context" {
			t.Errorf("got %s(%s), want context(leak_body)", why.Name, why.Reason)
		}
	})
	t.Run("ignored, where the settings allow it", func(t *testing.T) {
		api = newNotesAPI("header")
		api.intercept = lets(func([]string) bool { return true }, own)
		expectDecisive(t, api.runProbe(t, "visibility_delay: 300ms", "visibility_delay: 300ms\n    mismatch: ignore"), "pass")
	})
	t.Run("a gateway that finds 8 KiB too much has denied them", func(t *testing.T) {
		api = newNotesAPI("header")
		api.intercept = interceptIf(func(q *apiRequest) bool { return len(q.Header.Get("X-Org-Id")) > 1000 }, respondStatus(431))
		expectDecisive(t, api.runProbe(t), "pass")
	})
}

// TestInterleave_crossTalk mixes up one answer in twenty, and only on connections that both use.
func TestInterleave_crossTalk(t *testing.T) {
	for name, c := range map[string]struct {
		wrong func(api *notesAPI, q *apiRequest) string
		want  string
	}{
		"another org's":    {func(api *notesAPI, q *apiRequest) string { return marshal(notesOfOthers(api, q.org)) }, "interleave@notes/interleave fail(cross_talk)"},
		"an unknown one's": {func(*notesAPI, *apiRequest) string { return `{"id":"x","text":"somebody's"}` }, "interleave@notes/interleave fail(cross_talk)"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			own := 0
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				wrong := false
				if q.op == "read" && q.owner == q.org && q.namesOwnOrg() {
					api.mu.Lock()
					own++
					wrong = own%21 == 0
					api.mu.Unlock()
				}
				if wrong {
					reply(w, 200, c.wrong(api, q))
					return
				}
				next(w, q.Request)
			}
			r := api.runProbe(t, "requests: 40", "requests: 200")
			i := slices.IndexFunc(r.Checks, func(c probe.Check) bool { return c.Name == "interleave" })
			if i < 0 {
				t.Fatalf("got\n%s", probetest.Lines(r))
			}
			if got := r.Checks[i]; got.Reason != crossTalk {
				t.Errorf("got %s(%s), want %s\n%s", got.Name, got.Reason, c.want, probetest.Lines(r))
			}
		})
	}
}

func notesOfOthers(api *notesAPI, org string) []note {
	return slices.DeleteFunc(api.list(), func(m note) bool { return m.org == org })
}

// TestOracle_statusText: some servers say in words what their status does not.
func TestOracle_statusText(t *testing.T) {
	denial := func(text string) *httpx.Answer { return &httpx.Answer{StatusText: text} }
	for want, foreign := range map[string]string{"": "404 no note-2", "the words of the status": "404 Hidden"} {
		d := denialSamples{ids: []string{"note-1", "note-2"}, foreign: []*httpx.Answer{denial(foreign)}, nonexistent: []*httpx.Answer{denial("404 no note-1"), denial("404 no note-1")}}
		if got := d.distinguisher(); got != want {
			t.Errorf("%s: got %q, want %q", foreign, got, want)
		}
	}
}

// TestOracle_noise: a difference between two responses of the same kind is not an oracle.
func TestOracle_noise(t *testing.T) {
	api := newNotesAPI("header")
	n := 0
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op == "read" && q.org != "" && q.org != q.owner {
			api.mu.Lock()
			n++
			id, left := fmt.Sprintf("%d-%d", n, time.Now().UnixNano()), fmt.Sprint(1000-n)
			api.mu.Unlock()
			w.Header().Set("X-Request-Id", id)
			w.Header().Set("X-Ratelimit-Remaining", left)
			reply(w, 404, `{"error":"no note `+q.id+`","request":"`+id+`"}`)
			return
		}
		next(w, q.Request)
	}
	expectDecisive(t, api.runProbe(t), "pass")
}

// TestLeak_echoedRequest: an id or a text that the intruder itself sent is not a leak.
func TestLeak_echoedRequest(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op == "search" && slices.Equal(api.orgs(q), []string{q.org}) {
			w.Header().Set("X-Query", q.URL.Query().Get("q"))
		}
		if q.op == "read" && q.foreign() || q.op == "read" && q.owner == "" {
			reply(w, 404, `{"error":"there is no note `+q.id+`"}`)
			return
		}
		next(w, q.Request)
	}
	expectDecisive(t, api.runProbe(t), "pass")
}

// TestIdentity_testOrgsOnly: nothing but the identity is requested of an org without the marker.
func TestIdentity_testOrgsOnly(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	api.testOrgs = false
	r := api.runProbe(t)
	expectDecisive(t, r, "identity@ inconclusive(credential)")
	if api.writes.Load() != 0 || api.requests.Load() > 2 {
		t.Errorf("%d requests, %d of them writing", api.requests.Load(), api.writes.Load())
	}
}

// TestIdentity_differentOrgs: one org under two names is refused in the settings if they show it, and otherwise the run
// is inconclusive.
func TestIdentity_differentOrgs(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	settings := api.start(t)
	for change, want := range map[string]string{
		"red:  {bearer: {env: TEST_ISO_RED}}|red:  {bearer: {env: TEST_ISO_BLUE}}":                     "has the credential of blue",
		"red:  {bearer: {env: TEST_ISO_RED}}|red:  {id: blue, bearer: {env: TEST_ISO_RED}}":            "has the id of blue",
		"red:  {bearer: {env: TEST_ISO_RED}}|red:  {id: BLUE, bearer: {env: TEST_ISO_RED}}":            "has the id of blue",
		"red:  {bearer: {env: TEST_ISO_RED}}|":                                                         "expected 2 to 5",
		"red:  {bearer: {env: TEST_ISO_RED}}|red:  {id: red}":                                          "has no credential",
		`, test_org: {"$.test_org": true}|`:                                                            "orgs.blue: is not marked as a test org",
		`{"$.test_org": true}|{"$.test_org": {absent: true}}`:                                          "any org would count as a test org",
		`delete: "/notes/{id}"|`:                                                                       "needs delete",
		`read:   "/notes/{id}"|read: /notes/1`:                                                         "does not contain {id}",
		`read:   "/notes/{id}"|read: "/notes/{ID}{id}{nonsense}"`:                                      "{nonsense} is not one of",
		`read:   "/notes/{id}"|read: "https://elsewhere.example/{id}"`:                                 "credentials are sent nowhere else",
		`number: $.count|max_pages: 3`:                                                                 "count: needs create",
		`next:   $.next|max_pages: 3`:                                                                  "next: goes with {cursor}",
		`visibility_delay: 300ms|denied: 401`:                                                          "proves nothing",
		`visibility_delay: 300ms|denied: [200, 404]`:                                                   "a success is one only with empty or json",
		`visibility_delay: 300ms|connection: fresh`:                                                    "connection: expected reuse",
		`visibility_delay: 300ms|bearer: {env: TEST_ISO_RED}`:                                          "belongs to the orgs",
		`visibility_delay: 300ms|max_requests: 3`:                                                      "max_requests: expected",
		`org: $.org, test_org: {"$.test_org": true}|subject: $.org`:                                    "identity: expected org or test_org",
		`create: {url: "/notes", json: {text: "{canary}"}}|create: {url: "/notes", json: {text: "x"}}`: "does not contain {canary}",
	} {
		before, after, _ := strings.Cut(change, "|")
		if !strings.Contains(settings, before) {
			t.Fatalf("the settings hold no %q", before)
		}
		if err := validationError(strings.Replace(settings, before, after, 1)); !strings.Contains(err, want) {
			t.Errorf("%s: got %q, want a refusal with %q", after, err, want)
		}
	}
	api.intercept = interceptIf(operation("whoami"), func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"org":"red","test_org":true}`) })
	expectDecisive(t, api.runProbe(t), "identity@ inconclusive(credential)")
	swapped := func(w http.ResponseWriter, r *http.Request) {
		org := map[string]string{"red": "blue", "blue": "red"}[tokens[r.Header.Get("Authorization")]]
		reply(w, 200, `{"org":"`+org+`","test_org":true}`)
	}
	api.intercept = interceptIf(operation("whoami"), swapped)
	expectDecisive(t, api.runProbe(t), "identity@ inconclusive(credential)")
	api.intercept = interceptIf(operation("whoami"), func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, `{"org":"`+tokens[r.Header.Get("Authorization")]+`","user":"the-same","test_org":true}`)
	})
	expectDecisive(t, api.runProbe(t, "org: $.org,", "org: $.org, subject: $.user,"), "identity@ inconclusive(credential)")
}

// TestPermanentCanaries: nothing is written to a read-only API.
func TestPermanentCanaries(t *testing.T) {
	t.Setenv("TEST_ISO_TEXT_RED", "a text that only the red org has")
	t.Setenv("TEST_ISO_TEXT_BLUE", "a text that only the blue org has")
	resource := func(settings string) string {
		head, _, _ := strings.Cut(settings, "    resources:")
		return head + `    resources:
      notes:
        read: "/notes/{id}"
        list: "/notes?cursor={cursor}"
        next: $.next
        canaries:
          red:  {id: note-of-red-1, text: {env: TEST_ISO_TEXT_RED}}
          blue: {id: note-of-blue-1, text: {env: TEST_ISO_TEXT_BLUE}}
`
	}
	ask := func(api *notesAPI) probe.Result {
		api.add("red", "note-of-red-1", "a text that only the red org has")
		api.add("blue", "note-of-blue-1", "a text that only the blue org has")
		return ask(t, newJob(t, resource(api.start(t))))
	}
	api := newNotesAPI("token")
	r := ask(api)
	expectDecisive(t, r, "pass")
	if api.writes.Load() != 0 || len(api.list()) != 2 {
		t.Errorf("%d requests wrote; the notes are %v", api.writes.Load(), api.list())
	}
	if got := measuredValue(r, "probe_isolation_matrix_rows", "skipped"); got == 0 {
		t.Error("expected skipped rows, got none")
	}
	api = newNotesAPI("token")
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.foreign() {
			api.serve(w, q, anyNote)
			return
		}
		next(w, q.Request)
	}
	r = ask(api)
	expectDecisive(t, r, "isolated@notes/read fail(leak_body)")
	if got := probetest.Lines(r); !strings.Contains(got, "cache@notes/cache inconclusive(control_failed): notes shows other orgs' objects in any case") {
		t.Errorf("expected the cache check to be inconclusive, got\n%s", got)
	}
	t.Setenv("TEST_ISO_TEXT_RED", "short")
	expectDecisive(t, ask(newNotesAPI("token")), "control@notes/read inconclusive(credential)")
}

// TestBreach_showsNoSecret puts markers into every response and searches the result for them, and for canaries, ids and
// tokens.
func TestBreach_showsNoSecret(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("header")
	var secrets []string
	api.intercept = func(w http.ResponseWriter, q *apiRequest, _ http.HandlerFunc) {
		w.Header().Set("X-Mark", "mark-of-the-header")
		if q.op == "create" {
			var sent struct{ Text string }
			body := new(bytes.Buffer)
			body.ReadFrom(q.Body)
			json.Unmarshal(body.Bytes(), &sent)
			q.Body = http.NoBody
			q.Request.Body = readCloser{body}
			api.mu.Lock()
			secrets = append(secrets, canary.Secret(sent.Text))
			api.mu.Unlock()
		}
		if q.op == "whoami" || q.org == "" {
			api.answer(w, q)
			return
		}
		api.serve(w, q, anyNote)
	}
	r := api.runProbe(t)
	if r.Verdict() != probe.Fail || len(secrets) < 2 {
		t.Fatalf("the breach was not found, or no canary was created:\n%s", probetest.Lines(r))
	}
	shown := fmt.Sprintf("%s %+v %+v %+v", probetest.Lines(r), r.Exchanges, r.Samples, r)
	for _, s := range append(secrets, slices.Collect(maps.Keys(tokens))...) {
		s = strings.TrimPrefix(s, "Bearer ")
		for i := 0; i+12 <= len(s); i += 4 {
			if strings.Contains(shown, s[i:i+12]) {
				t.Errorf("a piece of a secret is shown")
			}
		}
	}
	for _, s := range []string{"mark-of-the-header", "note-0000", "x-mark"} {
		if strings.Contains(strings.ToLower(shown), s) {
			t.Errorf("%q of an answer is shown", s)
		}
	}
	if !strings.Contains(shown, "sha256:") || !strings.Contains(shown, "/notes/{id}") {
		t.Errorf("expected a hash and the path, got\n%s", probetest.Lines(r))
	}
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

func validationError(text string) string {
	_, err := parse(text)
	if err == nil {
		return ""
	}
	return err.Error()
}
