package guard

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/canary"
	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/internal/text"
	"prober/probes/internal/breach"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// TestGuard_sound: a guard that rejects everything but the scoped query passes, and that is a proof.
func TestGuard_sound(t *testing.T) {
	t.Parallel()
	s := &api{}
	p := newProbe(t, s)
	r := run1(t, p)
	if got := probetest.NotPassed(r); got != "pass" {
		t.Errorf("got %s", got)
	}
	if len(r.Checks) != len(p.Checks()) {
		t.Errorf("expected the checks %v, got %s", p.Checks(), probetest.Lines(r))
	}
	if _, ok := value(r, breach.LastProven, "analytics"); !ok {
		t.Error("nothing is proven")
	}
	if _, ok := value(r, fullPass); !ok {
		t.Error("expected a full pass")
	}
	if n, _ := value(r, caseCount, "rejected"); n != float64(len(p.cases)) {
		t.Errorf("expected %d cases rejected, got %v", len(p.cases), n)
	}
	if got, _ := value(r, requestCount); int(got) != len(s.sent()) || len(s.sent()) != len(p.cases)+controls {
		t.Errorf("sent %d requests and counted %v, for %d cases", len(s.sent()), got, len(p.cases))
	}
	for _, x := range r.Exchanges {
		if want := probe.BoolValue(x.Check != checkMistake); probe.BoolValue(x.Expected) != want || !slices.Contains(p.Checks(), x.Check) {
			t.Errorf("%s: an answer %d that is expected: %t", x.Check, x.Status, x.Expected)
		}
	}
	for _, c := range r.Checks {
		if !slices.ContainsFunc(r.Exchanges, func(x probe.Exchange) bool { return x.Check == c.Name && x.TraceID == c.TraceID && c.TraceID != "" }) {
			t.Errorf("%s is not linked to one of its requests", c.Name)
		}
	}
	if docs := fmt.Sprintf("sends %d queries", len(p.cases)); !strings.Contains(page(t), docs) {
		t.Errorf("docs/kinds/guard.md does not say %q", docs)
	}
}

// TestGuard_namesEachHole opens the guard for the cases of one way after the other. The kind names these and no others.
func TestGuard_namesEachHole(t *testing.T) {
	t.Parallel()
	testenv.WithoutRace(t)
	open := ""
	var p *Probe
	s := &api{accepts: func(query string) bool {
		return slices.ContainsFunc(p.cases, func(c testCase) bool { return c.check == open && c.query == query })
	}}
	p = newProbe(t, s)
	run1(t, p)
	for _, check := range checksOf(p.cases) {
		open = check
		var names []string
		want := map[string]string{}
		for _, c := range p.cases {
			if c.check == check {
				names, want[c.name] = append(names, c.name), "foreign_rows"
			}
		}
		r := run1(t, p)
		if got := namedCases(r); !maps.Equal(got, want) {
			t.Errorf("%s: expected %v, got %v", check, want, got)
		}
		probetest.WantLines(t, probe.Result{Checks: r.NotPassed()}, "fail",
			check+" fail(leak_list): expected the guard's rejection, got rows of another org: "+text.List(names, maxNamed))
		if n, _ := value(r, breach.Total, "analytics"); n != 1 {
			t.Errorf("%s: expected a breach, got %v", check, n)
		}
		if _, proven := value(r, breach.LastProven, "analytics"); proven {
			t.Errorf("%s: proven", check)
		}
	}
}

// TestGuard_answers: what the answers to unscoped queries mean. Every case but no_where is rejected.
func TestGuard_answers(t *testing.T) {
	t.Parallel()
	written := func(status int, body string, header ...string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, query string) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			respond(w, status, strings.ReplaceAll(body, "QUERY", jsonEscaped(query)))
		}
	}
	rowsOf := func(rows string) string { return `{"data": [` + rows + `]}` }
	const inconclusive, fail = "inconclusive\nmissing inconclusive(", "fail\nmissing fail("
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, string)
		want   string
		breach bool
	}{
		"accepted, with a foreign row":  {written(200, rowsOf(ownRow+","+foreignRow)), fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"accepted, with its own rows":   {written(200, rowsOf(ownRow)), fail + "unscoped_accepted): expected the guard's rejection, got an answer without a row of another org: no_where", false},
		"accepted, without rows":        {written(200, rowsOf("")), fail + "unscoped_accepted): expected the guard's rejection, got an answer without a row of another org: no_where", false},
		"the name of another org":       {written(200, rowsOf(`{"org_id": "org-c", "text": "x"}`)), fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"rejected, and shown":           {written(403, `{"error": "query_not_scoped", "row": `+foreignRow+`}`), fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"shown in an error":             {written(500, foreignRow), fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"shown in a header":             {written(403, guardsWords, "X-Debug", foreignCanary), fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"shown in base64":               {written(200, rowsOf(`{"x": "`+base64.StdEncoding.EncodeToString([]byte(foreignCanary))+`"}`)), fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"rows, and then an error":       {written(200, `{"data": [`+foreignRow+`, Code: 395. DB::Exception: x`), fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"shown, out of a cache":         {written(200, rowsOf(foreignRow), "Age", "60"), fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"an answer that repeats it":     {written(200, `{"data": [], "query": "QUERY"}`), fail + "unscoped_accepted): expected the guard's rejection, got an answer without a row of another org: no_where", false},
		"an error that repeats it":      {written(400, `{"error": "syntax", "query": "QUERY org-b"}`), inconclusive + "rejected_by_other): expected the guard's rejection, got 400: no_where", false},
		"no such table":                 {written(404, `{"error": "Code: 60. DB::Exception"}`), inconclusive + "rejected_by_other): expected the guard's rejection, got 404: no_where", false},
		"the status alone":              {written(403, `<html>Forbidden</html>`), inconclusive + "rejected_by_other): expected the guard's rejection, got 403: no_where", false},
		"the words alone":               {written(500, guardsWords), inconclusive + "rejected_by_other): expected the guard's rejection, got 500: no_where", false},
		"an error inside a 200":         {written(200, `{"data": [], "exception": "Code: 395. DB::Exception: x"}`), inconclusive + "rejected_by_other): expected the guard's rejection, got 200 with an error of the database inside: no_where", false},
		"an error after rows":           {written(200, `{"data": [`+ownRow+"\nCode: 395. DB::\nException: x\n"), inconclusive + "rejected_by_other): expected the guard's rejection, got 200 with an error of the database inside: no_where", false},
		"an error in a header":          {written(200, rowsOf(""), "X-ClickHouse-Exception-Code", "60"), inconclusive + "rejected_by_other): expected the guard's rejection, got 200 with an error of the database inside: no_where", false},
		"an error of GraphQL":           {written(200, `{"errors": [{"message": "x"}]}`), inconclusive + "rejected_by_other): expected the guard's rejection, got 200 with an error of the database inside: no_where", false},
		"a page":                        {written(200, `<html>Log in</html>`, "Content-Type", "text/html"), inconclusive + "rejected_by_other): expected the guard's rejection, got 200 without rows at $.data: no_where", false},
		"JSON without rows":             {written(200, `{"message": "log in"}`), inconclusive + "rejected_by_other): expected the guard's rejection, got 200 without rows at $.data: no_where", false},
		"JSON that is cut off":          {written(200, `{"data": [{"org_id"`), inconclusive + "rejected_by_other): expected the guard's rejection, got 200 without rows at $.data: no_where", false},
		"a redirect":                    {written(302, ``, "Location", "/login"), inconclusive + "rejected_by_other): expected the guard's rejection, got 302: no_where", false},
		"rejected, out of a cache":      {written(403, guardsWords, "Age", "60"), inconclusive + "stale_or_cached): expected the guard's rejection, the answer may come out of a cache (Age: 60), which proves nothing about the origin: no_where", false},
		"not accepted any more":         {written(401, `{}`), inconclusive + "credential): expected the guard's rejection, got 401: the target does not accept the probe's credential: no_where", false},
		"a body that is cut off":        {written(403, guardsWords[:5], "Content-Length", "500"), inconclusive + "truncated): *", false},
		"a body without end":            {func(w http.ResponseWriter, _ string) { endless(w, "{") }, inconclusive + "too_large): *", false},
		"a body without end, and a row": {func(w http.ResponseWriter, _ string) { io.WriteString(w, foreignRow); endless(w, "{") }, fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
		"a row in gzip":                 {gzipped, fail + "leak_list): expected the guard's rejection, got rows of another org: no_where", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const noWhere = "SELECT org_id, text FROM events LIMIT 20 SETTINGS max_execution_time = 5"
			s := &api{before: func(w http.ResponseWriter, _ int, query string) bool {
				if query != noWhere {
					return false
				}
				c.answer(w, query)
				return true
			}}
			p := newProbe(t, s)
			p.OrgOfRows, p.MaxBody = probetest.Path(t, "$.data[*].org_id"), 64<<10
			onlyCheck(p, "missing")
			r := run1(t, p)
			probetest.WantLines(t, probe.Result{Checks: r.NotPassed()}, strings.Split(c.want, "\n")...)
			for _, check := range r.NotPassed() {
				if !strings.Contains(s.traces[noWhere], check.TraceID) || check.TraceID == "" {
					t.Errorf("the trace %s is not that of the query", check.TraceID)
				}
			}
			if n, _ := value(r, breach.Total, "analytics"); (n == 1) != c.breach {
				t.Errorf("expected a breach %t, counted %v", c.breach, n)
			}
			if _, proven := value(r, breach.LastProven, "analytics"); proven {
				t.Error("this proves nothing")
			}
		})
	}
}

// onlyCheck leaves out the cases of other checks.
func onlyCheck(p *Probe, check string) {
	p.Exempt = map[string]string{}
	for _, c := range append(classics(), clickhouse()...) {
		if c.check != check {
			p.Exempt[c.name] = "another check"
		}
	}
}

func endless(w http.ResponseWriter, part string) {
	for range 200 << 10 {
		if _, err := io.WriteString(w, part); err != nil {
			return
		}
	}
}

func gzipped(w http.ResponseWriter, _ string) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	fmt.Fprintf(z, `{"data": [%s]}`, foreignRow)
	z.Close()
}

// TestGuard_controls: without its controls no rejection proves anything, and nothing passes.
func TestGuard_controls(t *testing.T) {
	t.Parallel()
	scopedIs := func(status int, body string) *api {
		return &api{before: func(w http.ResponseWriter, _ int, query string) bool {
			if query != scopedQuery {
				return false
			}
			respond(w, status, body)
			return true
		}}
	}
	mistakeIs := func(status int, body string) *api {
		return &api{before: func(w http.ResponseWriter, n int, _ string) bool {
			if n == 2 {
				respond(w, status, body)
			}
			return n == 2
		}}
	}
	leaks := func(when func(n int, query string) bool) *api {
		return &api{before: func(w http.ResponseWriter, n int, query string) bool {
			if when(n, query) {
				respond(w, 200, `{"data": [`+ownRow+","+foreignRow+`]}`)
				return true
			}
			return false
		}}
	}
	const unproven = "missing inconclusive(control_failed): the guard rejected 7 cases, which proves nothing: the control does not hold with "
	for name, c := range map[string]struct {
		api  *api
		want []string // the first lines
		more bool     // the cases are asked all the same
	}{
		"everything is rejected": {scopedIs(403, guardsWords), []string{
			"scoped inconclusive(control_failed): expected the guard to accept it, got its rejection: that it rejects others proves nothing",
			"mistake pass(ok): an error of the database is not taken for a rejection by the guard", unproven + "the scoped query"}, true},
		"the canary is gone": {&api{hiddenOwn: true}, []string{
			"scoped inconclusive(control_failed): accepted, and the own canary is not among the rows: if it is not found, neither is that of another org",
			"mistake pass(ok): *", unproven + "the scoped query"}, true},
		"an error inside a 200": {scopedIs(200, `{"data": [`+ownRow+`], "exception": "Code: 241. DB::Exception: x"}`), []string{
			"scoped inconclusive(control_failed): expected 200 and rows, got 200 with an error of the database inside", "mistake pass(ok): *", unproven + "the scoped query"}, true},
		"the scoped query leaks": {scopedIs(200, `{"data": [`+ownRow+","+foreignRow+`]}`), []string{
			"scoped fail(leak_list): expected rows of the own org alone, got one of another", "mistake pass(ok): *", unproven + "the scoped query"}, true},
		"the credential is not accepted": {scopedIs(401, `{}`), []string{
			"scoped inconclusive(credential): expected 200, got 401: *", "missing inconclusive(not_all_asked): 7 of 7 cases had no turn yet: nothing else was asked"}, false},
		"the service is broken": {scopedIs(503, `{}`), []string{
			"scoped inconclusive(control_failed): expected 200, got 503", "missing inconclusive(not_all_asked): 7 of 7 cases had no turn yet: nothing else was asked"}, false},
		"the rate is limited": {scopedIs(429, `{}`), []string{
			"scoped inconclusive(rate_limited): expected 200, got 429: *", "missing inconclusive(not_all_asked): 7 of 7 cases had no turn yet: nothing else was asked"}, false},
		"any error has the guard's words": {&api{before: func(w http.ResponseWriter, _ int, query string) bool {
			if query == scopedQuery {
				return false
			}
			respond(w, 403, guardsWords)
			return true
		}}, []string{
			"scoped pass(ok): accepted, and the own canary is there", "mistake inconclusive(control_failed): a scoped query with a column that does not exist is rejected in the words of the guard: *",
			unproven + "the query with a mistake"}, true},
		"everything has the same answer": {&api{before: func(w http.ResponseWriter, _ int, query string) bool {
			fmt.Fprintf(w, `{"data": [%s]}`, ownRow)
			return true
		}}, []string{
			"scoped pass(ok): *", "mistake inconclusive(control_failed): a query with a column that does not exist is answered like one that was run: an error may pass for an answer",
			"missing fail(unscoped_accepted): *"}, true},
		"the query with a mistake leaks": {leaks(func(n int, query string) bool { return n == 2 }), []string{
			"scoped pass(ok): *", "mistake fail(leak_list): got a row of another org", unproven + "the query with a mistake"}, true},
		"the query with a mistake is not let in":    {mistakeIs(401, `{}`), []string{"scoped pass(ok): *", "mistake inconclusive(credential): *", unproven + "the query with a mistake"}, true},
		"the query with a mistake is led elsewhere": {mistakeIs(302, ``), []string{"scoped pass(ok): *", "mistake inconclusive(redirect): *", unproven + "the query with a mistake"}, true},
		"the query with a mistake is one too many":  {mistakeIs(429, `{}`), []string{"scoped pass(ok): *", "mistake inconclusive(rate_limited): *", unproven + "the query with a mistake"}, true},
		"the query with a mistake is known already": {&api{before: func(w http.ResponseWriter, n int, _ string) bool {
			if n == 2 {
				w.Header().Set("Age", "60")
				respond(w, 500, columnAbsent)
			}
			return n == 2
		}}, []string{"scoped pass(ok): *", "mistake inconclusive(stale_or_cached): *", unproven + "the query with a mistake"}, true},
		"the scoped query leaks at last": {leaks(func(n int, query string) bool { return n > 2 && query == scopedQuery }), []string{
			"scoped fail(leak_list): expected rows of the own org alone, got one of another", "mistake pass(ok): *", unproven + "the scoped query"}, true},
		"the query with a mistake has no answer": {&api{before: func(_ http.ResponseWriter, n int, _ string) bool {
			if n == 2 {
				panic(http.ErrAbortHandler)
			}
			return false
		}}, []string{"scoped pass(ok): *", "mistake inconclusive(reset): *", unproven + "the query with a mistake"}, true},
		"the guard locks the prober out": {&api{before: func(w http.ResponseWriter, n int, _ string) bool {
			if n < 20 {
				return false
			}
			respond(w, 403, guardsWords)
			return true
		}}, []string{
			"scoped inconclusive(control_failed): it was accepted before the others, and not after them: expected the guard to accept it, got its rejection: *",
			"mistake pass(ok): *", unproven + "the scoped query"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProbe(t, c.api)
			p.Corpus = []string{corpusClassics}
			r := run1(t, p)
			lines := strings.Split(probetest.Lines(r), "\n")
			for i, want := range c.want {
				prefix, starred := strings.CutSuffix(want, "*")
				if got := lines[i+1]; got != want && !(starred && strings.HasPrefix(got, prefix)) {
					t.Errorf("line %d:\n got  %s\n want %s", i+1, got, want)
				}
			}
			if r.Verdict() == probe.Pass {
				t.Error("it passes")
			}
			if _, proven := value(r, breach.LastProven, "analytics"); proven {
				t.Error("nothing is proven")
			}
			if n, _ := value(r, breach.Total, "analytics"); (n == 1) != strings.Contains(probetest.Lines(r), "(leak_list)") {
				t.Errorf("counted %v breaches", n)
			}
			if asked := len(c.api.sent()); (asked > controls) != c.more {
				t.Errorf("sent %d requests", asked)
			}
		})
	}
}

// TestGuard_knowsColumns: a guard that knows the columns rejects others in its own words, if the settings say so.
func TestGuard_knowsColumns(t *testing.T) {
	t.Parallel()
	p := newProbe(t, &api{before: func(w http.ResponseWriter, _ int, query string) bool {
		if query == scopedQuery {
			return false
		}
		respond(w, 403, guardsWords)
		return true
	}})
	p.KnowsColumns = true
	if r := run1(t, p); r.Verdict() != probe.Pass || slices.Contains(p.Checks(), checkMistake) {
		t.Errorf("got %s", probetest.NotPassed(r))
	}
}

// TestGuard_limited: a target that limits the rate, or gives no more answers, is not asked for more.
func TestGuard_limited(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter)
		maximum int
		want    string
	}{
		"429":       {func(w http.ResponseWriter) { respond(w, 429, `{}`) }, 12, "inconclusive(rate_limited)"},
		"no answer": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 15, ": the target gave no more answers after 11 cases"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &api{before: func(w http.ResponseWriter, n int, query string) bool {
				if n > 10 && query != scopedQuery {
					c.answer(w)
					return true
				}
				return false
			}}
			p := newProbe(t, s)
			p.Connection = ""
			r := run1(t, p)
			if got := len(s.sent()); got > c.maximum {
				t.Errorf("sent %d requests", got)
			}
			if r.Verdict() != probe.Inconclusive || !strings.Contains(probetest.Lines(r), c.want) {
				t.Errorf("got %s", probetest.NotPassed(r))
			}
		})
	}
}

// TestGuard_lostAtFirst: two answers that are lost are no sign that the others will be too.
func TestGuard_lostAtFirst(t *testing.T) {
	t.Parallel()
	s := &api{before: func(_ http.ResponseWriter, n int, _ string) bool {
		if n == 3 || n == 4 {
			panic(http.ErrAbortHandler)
		}
		return false
	}}
	p := newProbe(t, s)
	p.Connection, p.Corpus = "", []string{corpusClassics}
	if run1(t, p); len(s.sent()) != len(p.cases)+controls {
		t.Errorf("%d of %d queries were sent", len(s.sent()), len(p.cases)+controls)
	}
}

// TestGuard_repeated: however often each case is asked, a run sends no more requests than it may, and asks each case as often.
func TestGuard_repeated(t *testing.T) {
	t.Parallel()
	s := &api{}
	p := newProbe(t, s)
	p.Repeat, p.MaxRequests = 3, 23 // 6 cases a run
	run1(t, p)
	asked := map[string]int{}
	for _, query := range s.sent() {
		asked[query]++
	}
	if len(s.sent()) != 6*3+controls || len(asked) != 6+2 || asked[p.cases[0].query] != 3 {
		t.Errorf("sent %d requests for %d queries", len(s.sent()), len(asked))
	}
}

// TestGuard_content: what an answer must have, beside its status, to count as that of a query that was run.
func TestGuard_content(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(p *Probe)
		answer string
		want   string
	}{
		"other words":             {func(p *Probe) { p.Accepted.Body = &expect.Match{Contains: "\"rows\""} }, `{"data": []}`, "missing inconclusive(rejected_by_other): expected the guard's rejection, got 200 with another content: no_where"},
		"the words":               {func(p *Probe) { p.Accepted.Body = &expect.Match{Contains: "\"rows\""} }, `{"data": [], "rows": 0}`, "missing fail(unscoped_accepted): *"},
		"rows need not be known":  {func(p *Probe) { p.Rows = jsonpath.Path{} }, `1`, "missing fail(unscoped_accepted): *"},
		"no JSON":                 {func(p *Probe) { p.Rows, p.OrgOfRows = jsonpath.Path{}, probetest.Path(t, "$.data[*].org_id") }, `org_id`, "missing fail(unscoped_accepted): *"},
		"an org that is a number": {func(p *Probe) { p.OrgOfRows = probetest.Path(t, "$.data[*].org_id") }, `{"data": [{"org_id": 7}]}`, "missing fail(leak_list): *"},
		"the own org, in capitals": {func(p *Probe) { p.OrgOfRows = probetest.Path(t, "$.data[*].org_id") },
			`{"data": [{"org_id": "ORG-A"}, {"org_id": ""}, {"org_id": null}, {"org_id": ["x"]}]}`, "missing fail(unscoped_accepted): *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProbe(t, &api{before: func(w http.ResponseWriter, _ int, query string) bool {
				unscoped := query == "SELECT org_id, text FROM events LIMIT 20 SETTINGS max_execution_time = 5"
				switch {
				case unscoped:
					io.WriteString(w, c.answer)
				case query == scopedQuery:
					fmt.Fprintf(w, `{"data": [%s], "rows": 1}`, ownRow)
				}
				return unscoped || query == scopedQuery
			}})
			onlyCheck(p, "missing")
			c.change(p)
			probetest.WantLines(t, probe.Result{Checks: run1(t, p).NotPassed()}, strings.Split(strings.Split(c.want, " ")[1], "(")[0], c.want)
		})
	}
}

// TestClose: the connection that is kept is closed.
func TestClose(t *testing.T) {
	t.Parallel()
	probetest.WantClosed(t, Kind(), &api{}, func(url string) probe.Probe { return probeOf(t, url) })
}

// TestGuard_byChance: a guard that rejects all but every seventh query is found by asking again.
func TestGuard_byChance(t *testing.T) {
	t.Parallel()
	n := 0
	s := &api{accepts: func(query string) bool {
		n++
		return n%7 == 0 // 6 cases fit: each is rejected when it is asked once
	}}
	p := newProbe(t, s)
	p.Corpus, p.Queries = nil, map[string]string{}
	for i := range 6 {
		p.Queries[fmt.Sprintf("q%d", i)] = fmt.Sprintf("SELECT {select}, %d FROM {table}{where} {end}", i)
	}
	if r := run1(t, p); r.Verdict() != probe.Pass {
		t.Errorf("asked once: %s", probetest.NotPassed(r))
	}
	n, p.Repeat = 0, 3
	if r := run1(t, p); r.Verdict() != probe.Fail {
		t.Errorf("asked three times: %s", probetest.NotPassed(r))
	}
}

// TestGuard_turns: with fewer requests than cases, nothing passes before each case had its turn, what was found stays found until
// the case is asked again, and a full pass is told.
func TestGuard_turns(t *testing.T) {
	t.Parallel()
	open := true
	s := &api{accepts: func(query string) bool { return open && strings.HasPrefix(query, "SELECT * FROM events") }}
	p := newProbe(t, s)
	p.Corpus, p.MaxRequests = []string{corpusClassics}, 23 // 20 cases a run
	var runs []probe.Result
	total := 0
	for range 4 {
		runs = append(runs, run1(t, p))
		if sent := len(s.sent()) - total; sent > p.MaxRequests {
			t.Errorf("sent %d requests", sent)
		}
		total = len(s.sent())
	}
	cases := len(p.cases)
	if cases <= 60 || cases > 80 {
		t.Fatalf("%d cases take another number of runs", cases)
	}
	for i, r := range runs {
		if r.Verdict() != probe.Fail {
			t.Errorf("run %d: %s", i, probetest.NotPassed(r))
		}
		if _, passed := value(r, fullPass); passed != (i == 3) {
			t.Errorf("run %d: a full pass %t", i, passed)
		}
		if n, _ := value(r, breach.Total, "analytics"); (n == 1) != (i == 0 || i == 3) { // the fourth has the first cases in it again
			t.Errorf("run %d counts %v breaches", i, n)
		}
		if named := slices.Collect(maps.Values(namedCases(r))); slices.Contains(named, "not_asked") {
			t.Errorf("run %d names cases that were not asked: %v", i, named)
		}
		if n, _ := value(r, caseCount, "not_asked"); int(n) != max(0, cases-20*(i+1)) {
			t.Errorf("run %d: %v cases are not asked", i, n)
		}
	}
	if first := probetest.Lines(runs[0]); !strings.Contains(first, "spelling inconclusive(not_all_asked): 6 of 6 cases had no turn yet") {
		t.Errorf("the first run says %s", first)
	}
	open = false
	var last probe.Result
	proven := 0
	for i := range 4 {
		last = run1(t, p)
		if _, ok := value(last, breach.LastProven, "analytics"); ok {
			proven++
		}
		if _, passed := value(last, fullPass); passed != (i == 3) { // every case once more, since the pass before
			t.Errorf("run %d of the second pass: a full pass %t", i, passed)
		}
	}
	if last.Verdict() != probe.Pass || proven != 1 {
		t.Errorf("after it was closed, proven %d times: %s", proven, probetest.NotPassed(last))
	}
}

// TestGuard_canaries: canaries that cannot be told apart, or that are in a query, prove nothing.
func TestGuard_canaries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		own, foreign, filter, want string
	}{
		"short":        {"short", foreignCanary, "", "control_failed): expected canaries of at least 16 bytes, which nothing has by chance"},
		"the same":     {ownCanary, ownCanary, "", "control_failed): expected two canaries, got one that is also in the other"},
		"a part":       {"zq8w4x7c2v9b1n5m3k6j", "zq8w4x7c2v9b1n5m", "", "control_failed): expected two canaries, got one that is also in the other"},
		"in the query": {ownCanary, foreignCanary, "text IN ('" + ownCanary + "', '" + foreignCanary + "')", "control_failed): a query has a canary in it, so an answer that repeats the query would show it: find the canaries by another filter"},
		"own in it":    {ownCanary, foreignCanary, "text IN ('" + ownCanary + "')", "control_failed): a query has a canary in it, so an answer that repeats the query would show it: find the canaries by another filter"},
		"other in it":  {ownCanary, foreignCanary, "text IN ('" + foreignCanary + "')", "control_failed): a query has a canary in it, so an answer that repeats the query would show it: find the canaries by another filter"},
		"own missing":  {"", foreignCanary, "", "credential): a canary cannot be read: secret from env NONE: *"},
		"missing":      {ownCanary, "", "", "credential): a canary cannot be read: secret from env NONE: *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &api{}
			p := newProbe(t, s)
			p.Orgs.Own.Canary, p.Orgs.Foreign.Canary = envSecret(c.own), envSecret(c.foreign)
			p.Filter = c.filter
			probetest.WantLines(t, run1(t, p), "inconclusive", "scoped inconclusive("+c.want)
			if len(s.sent()) > 0 {
				t.Errorf("sent %d requests", len(s.sent()))
			}
		})
	}
}

// TestGuard_goesOn: a run that is cut short, by a limit of the rate or by its time, is gone on with in the next.
func TestGuard_goesOn(t *testing.T) {
	t.Parallel()
	answered := 0
	for name, c := range map[string]struct {
		before func(w http.ResponseWriter, query string) bool
		want   string
	}{
		"rate": {func(w http.ResponseWriter, query string) bool {
			if answered++; query == scopedQuery || answered%30 != 0 {
				return false
			}
			respond(w, 429, `{}`)
			return true
		}, "unions inconclusive(rate_limited): 5 of 5 cases had no turn yet: after 27 cases: got 429: the target limits the rate of the prober's requests"},
		"time": {func(w http.ResponseWriter, _ string) bool {
			<-time.After(300 * time.Millisecond)
			return false
		}, "unions inconclusive(not_all_asked): 5 of 5 cases had no turn yet: the run's time was up after 27 cases; give the probe a longer timeout"},
	} {
		s := &api{before: func(w http.ResponseWriter, _ int, query string) bool { return c.before(w, query) }}
		url := testenv.ServeInMemory(t, s)
		testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
			p := probeOf(t, url)
			p.Connection, p.Corpus = "", []string{corpusClassics}
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second}
			var runs []probe.Result
			for range 3 {
				runs = append(runs, job.Do(dial.WithOpen(ctx, open)))
			}
			if got := probetest.Lines(runs[0]); !strings.Contains(got, c.want) {
				t.Errorf("%s: expected %q, got\n%s", name, c.want, got)
			}
			for i, r := range runs {
				if _, passed := value(r, fullPass); passed != (i == 2) {
					t.Errorf("%s: run %d: a full pass %t", name, i, passed)
				}
			}
			if got := probetest.NotPassed(runs[2]); got != "pass" {
				t.Errorf("%s: the third run says %s", name, got)
			}
		})
	}
}

// TestGuard_hangs: a case that hangs is inconclusive, and leaves time for the others.
func TestGuard_hangs(t *testing.T) {
	t.Parallel()
	url := testenv.ServeInMemory(t, &api{before: func(_ http.ResponseWriter, n int, _ string) bool {
		if n == 5 {
			<-time.After(time.Minute)
		}
		return false
	}})
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		p := probeOf(t, url)
		p.Connection = ""
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second}
		r := job.Do(dial.WithOpen(ctx, open))
		probetest.WantLines(t, probe.Result{Checks: r.NotPassed()}, "inconclusive", "missing inconclusive(timeout): expected the guard's rejection, *")
		if got := namedCases(r); !maps.Equal(got, map[string]string{"select_star": "inconclusive"}) {
			t.Errorf("got %v", got)
		}
	})
}

// TestDatabaseError: an error inside an answer is one whatever it is written as, and a member for errors that has none is not.
func TestDatabaseError(t *testing.T) {
	for body, want := range map[string]bool{
		`{"error": "x"}`: true, `{"error": 1}`: true, `{"error": true}`: true, `{"errors": ["x"]}`: true, `{"errors": {"a": "x"}}`: true, `{"exception": "x"}`: true,
		`{"error": ""}`: false, `{"error": 0}`: false, `{"error": false}`: false, `{"errors": []}`: false, `{"errors": {}}`: false, `{"exception": null}`: false,
		`{"data": []}`: false, `[]`: false, "rows\nCode: 60. DB::Exception: x": true, "__exception__": true, "the Code: 60 of a row": false,
	} {
		if got := databaseError(&httpx.Answer{Body: []byte(body)}); got != want {
			t.Errorf("%s: got %t, want %t", body, got, want)
		}
	}
	for code, want := range map[string]bool{"": false, "0": false, "60": true} {
		if got := databaseError(&httpx.Answer{Header: http.Header{"X-Clickhouse-Exception-Code": {code}}}); got != want {
			t.Errorf("code %q: got %t, want %t", code, got, want)
		}
	}
}

// TestShowsForeign: a row of another org is found in any part of an answer.
func TestShowsForeign(t *testing.T) {
	fields := http.Header{"X-Row": {"a", foreignCanary}}
	for name, a := range map[string]*httpx.Answer{
		"body": {Body: []byte(foreignRow)}, "header": {Header: fields}, "trailer": {Trailer: fields}, "interim answer": {Interim: []http.Header{nil, fields}},
		"status": {StatusText: "Forbidden " + foreignCanary},
	} {
		r := &run{p: New(), own: canary.NewNeedle(ownCanary), foreign: canary.NewNeedle(foreignCanary)}
		if !r.showsForeign(a) {
			t.Errorf("not found in the %s", name)
		}
	}
}

// TestValidate_bounds: what a setting may be at least and at most.
func TestValidate_bounds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *Probe)
		wrong  string // empty if nothing is
	}{
		"the least repeat":           {func(p *Probe) { p.Repeat = 1 }, ""},
		"a lower repeat":             {func(p *Probe) { p.Repeat = 0 }, "repeat: "},
		"the most repeat":            {func(p *Probe) { p.Repeat = maxRepeat }, ""},
		"a higher repeat":            {func(p *Probe) { p.Repeat = maxRepeat + 1 }, "repeat: "},
		"one case a run":             {func(p *Probe) { p.MaxRequests = controls + 1 }, ""},
		"no case a run":              {func(p *Probe) { p.MaxRequests = controls }, "max_requests: expected 4 to "},
		"one repeated case a run":    {func(p *Probe) { p.Repeat, p.MaxRequests = 5, controls+5 }, ""},
		"not one repeated case":      {func(p *Probe) { p.Repeat, p.MaxRequests = 5, controls+4 }, "max_requests: expected 8 to "},
		"the most requests":          {func(p *Probe) { p.MaxRequests = maxRequests }, ""},
		"more requests":              {func(p *Probe) { p.MaxRequests = maxRequests + 1 }, "max_requests: "},
		"the least limit":            {func(p *Probe) { p.Limit = 1 }, ""},
		"no rows":                    {func(p *Probe) { p.Limit = 0 }, "limit: "},
		"the most limit":             {func(p *Probe) { p.Limit = maxLimit }, ""},
		"a higher limit":             {func(p *Probe) { p.Limit = maxLimit + 1 }, "limit: "},
		"no limit of time":           {func(p *Probe) { p.TimeLimit = 0 }, ""},
		"a time below zero":          {func(p *Probe) { p.TimeLimit = -probe.Duration(time.Second) }, "time_limit: "},
		"half a second":              {func(p *Probe) { p.TimeLimit = probe.Duration(time.Second / 2) }, "time_limit: "},
		"the longest time":           {func(p *Probe) { p.TimeLimit = probe.Duration(maxTimeLimit) }, ""},
		"a longer time":              {func(p *Probe) { p.TimeLimit = probe.Duration(maxTimeLimit + time.Second) }, "time_limit: "},
		"one query":                  {func(p *Probe) { p.Corpus, p.Queries = nil, map[string]string{"q": "SELECT 1 LIMIT 1"} }, ""},
		"any success":                {func(p *Probe) { p.Accepted.Status = httpx.Statuses{2} }, ""},
		"a certain success":          {func(p *Probe) { p.Accepted.Status = httpx.Codes(200, 299) }, ""},
		"a redirect for a success":   {func(p *Probe) { p.Accepted.Status = httpx.Codes(300) }, "accepted.status: "},
		"any redirect for one":       {func(p *Probe) { p.Accepted.Status = httpx.Statuses{3} }, "accepted.status: "},
		"news for a success":         {func(p *Probe) { p.Accepted.Status = httpx.Codes(199) }, "accepted.status: "},
		"a limit as rejection":       {func(p *Probe) { p.Rejected.Status = httpx.Codes(403, 429) }, "rejected.status: "},
		"any 4xx as rejection":       {func(p *Probe) { p.Rejected.Status = httpx.Statuses{4} }, "rejected.status: "},
		"any 5xx as rejection":       {func(p *Probe) { p.Rejected.Status = httpx.Statuses{5} }, "rejected.status: "},
		"two statuses of rejections": {func(p *Probe) { p.Rejected.Status = httpx.Codes(400, 403) }, ""},
		"no place for the query":     {func(p *Probe) { p.JSON = map[string]any{"sql": "SELECT 1"} }, "expected {query} once"},
		"two places for the query":   {func(p *Probe) { p.URL += "/?sql={query}" }, "expected {query} once"},
	} {
		p := probeOf(t, "http://127.0.0.1:1")
		c.change(p)
		if err := p.Validate(); (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: got %v, want %q", name, err, c.wrong)
		}
	}
}

// TestTemplate_timeLimit: each query has the limit of time, of a second at least, or none where the server has one.
func TestTemplate_timeLimit(t *testing.T) {
	for limit, want := range map[time.Duration]string{0: "LIMIT 20", time.Second: "LIMIT 20 SETTINGS max_execution_time = 1", time.Minute: "LIMIT 20 SETTINGS max_execution_time = 60"} {
		p := probeOf(t, "http://127.0.0.1:1")
		p.TimeLimit = probe.Duration(limit)
		if got := p.template().fill("{end}"); got != want {
			t.Errorf("%s: got %s, want %s", limit, got, want)
		}
	}
}

// TestExpectedStatuses: the errors among the statuses of a rejection are provoked.
func TestExpectedStatuses(t *testing.T) {
	p := New()
	p.Rejected.Status = httpx.Codes(200, 399, 400, 403)
	if got := fmt.Sprint(p.ExpectedStatuses()); got != "map[:[400 403]]" {
		t.Errorf("got %s", got)
	}
}
