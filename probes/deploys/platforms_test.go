package deploys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

const notSuspended = "suspended pass(ok): the service is not suspended"

// TestRender: each status of a deploy, as the latest of three.
func TestRender(t *testing.T) {
	t.Parallel()
	const well = "stuck pass(ok): no deploy is in progress"
	for status, want := range map[string][2]string{
		"live":                   {"latest pass(ok): deploy dep-3 of 3f2a91c03f2a, live", well},
		"deactivated":            {"latest pass(ok): live is deploy dep-2 of 91bc04d791bc, which replaced deploy dep-3 of 3f2a91c03f2a", well},
		"canceled":               {"latest pass(ok): deploy dep-2 of 91bc04d791bc, live", well},
		"created":                {"latest pass(ok): deploy dep-3 of 3f2a91c03f2a, created", "stuck pass(ok): deploy dep-3 of 3f2a91c03f2a, created, started 5m*"},
		"queued":                 {"latest pass(ok): deploy dep-3 of 3f2a91c03f2a, queued", "stuck pass(ok): deploy dep-3 *"},
		"build_in_progress":      {"latest pass(ok): deploy dep-3 of 3f2a91c03f2a, build_in_progress", "stuck pass(ok): deploy dep-3 *"},
		"pre_deploy_in_progress": {"latest pass(ok): deploy dep-3 of 3f2a91c03f2a, pre_deploy_in_progress", "stuck pass(ok): deploy dep-3 *"},
		"update_in_progress":     {"latest pass(ok): deploy dep-3 of 3f2a91c03f2a, update_in_progress", "stuck pass(ok): deploy dep-3 *"},
		"build_failed":           {"latest fail(deploy_failed): expected the latest deploy to be live, got deploy dep-3 of 3f2a91c03f2a, build_failed; live is deploy dep-2 of 91bc04d791bc", well},
		"pre_deploy_failed":      {"latest fail(deploy_failed): expected the latest deploy to be live, got deploy dep-3 of 3f2a91c03f2a, pre_deploy_failed; *", well},
		"update_failed":          {"latest fail(deploy_failed): expected the latest deploy to be live, got deploy dep-3 of 3f2a91c03f2a, update_failed; *", well},
		marker:                   {"latest inconclusive(unknown_state): expected a state that the prober knows, got deploy dep-3 of 3f2a91c03f2a with another, or with none", "stuck inconclusive(unknown_state): deploy dep-3 *"},
		"LIVE":                   {"latest inconclusive(unknown_state): *", "stuck inconclusive(unknown_state): *"},
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			p := ofRender(renderEntry("dep-3", status, commitA, 5*time.Minute), renderEntry("dep-2", "live", commitB, time.Hour), renderEntry("dep-1", "deactivated", commitC, 2*time.Hour)).render(t)
			probetest.WantLines(t, run(t, p), verdictOf(want[0]), notSuspended, want[0], want[1])
		})
	}
}

// verdictOf is the verdict in a line.
func verdictOf(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	verdict, _, _ := strings.Cut(rest, "(")
	return verdict
}

// TestRender_optionalFields removes each field in turn from a recording that has all. Nothing may turn into a pass that rests
// on a field that is missing, and nothing of a service that is well may fail.
func TestRender_optionalFields(t *testing.T) {
	t.Parallel()
	get := func(status string) world {
		w := world{renderService(), renderEntry("dep-2", status, commitA, 5*time.Minute)}
		w.entry["deploy"].(object)["image"] = object{"ref": "registry.example/shop:1.4.2", "sha": "sha256:" + strings.Repeat("9a", 32)}
		return w
	}
	live, failed, going := get("live"), get("update_failed"), get("update_in_progress")
	var paths []string
	var walk func(prefix string, o object)
	walk = func(prefix string, o object) {
		for name, v := range o {
			paths = append(paths, prefix+name)
			if inner, ok := v.(object); ok {
				walk(prefix+name+".", inner)
			}
		}
	}
	walk("service.", live.service)
	walk("entry.", live.entry)
	slices.Sort(paths)
	if len(paths) < 20 {
		t.Fatalf("expected the fields of the API, got %q", paths)
	}
	// What is not here changes no verdict: pass, fail and pass.
	want := map[string][3]string{
		"service.id":             {"suspended inconclusive(schema)"},
		"service.suspended":      {"suspended inconclusive(schema)"},
		"entry.deploy":           {"latest inconclusive(schema)", "latest inconclusive(schema)", "latest inconclusive(schema)"},
		"entry.deploy.id":        {"latest inconclusive(schema)", "latest inconclusive(schema)", "latest inconclusive(schema)"},
		"entry.deploy.status":    {"latest inconclusive(unknown_state) stuck inconclusive(unknown_state)", "latest inconclusive(unknown_state) stuck inconclusive(unknown_state)", "latest inconclusive(unknown_state) stuck inconclusive(unknown_state)"},
		"entry.deploy.createdAt": {}, // startedAt says it
		"entry.deploy.startedAt": {}, // createdAt says it
	}
	for _, null := range []bool{false, true} {
		for _, path := range paths {
			t.Run(fmt.Sprintf("%s, null=%t", path, null), func(t *testing.T) {
				t.Parallel()
				for i, w := range []world{live.without(path, null), failed.without(path, null), going.without(path, null)} {
					c := ofRender(w.entry)
					c.answers["/v1/services/srv-1"] = w.service
					var notPassed []string
					for _, check := range run(t, c.render(t)).Checks {
						if check.Verdict != probe.Pass {
							notPassed = append(notPassed, fmt.Sprintf("%s %s(%s)", check.Name, check.Verdict, check.Reason))
						}
					}
					expected := strings.TrimSpace(want[path][i])
					if strings.HasPrefix(path, "service.") && want[path][0] != "" {
						expected = want[path][0]
					}
					if i == 1 && !strings.Contains(expected, "latest") {
						expected = strings.TrimSpace(expected + " latest fail(deploy_failed)")
					}
					if got := strings.Join(notPassed, " "); got != expected {
						t.Errorf("%d: expected %q, got %q", i, expected, got)
					}
				}
			})
		}
	}
	t.Run("no time at all", func(t *testing.T) {
		w := get("update_in_progress")
		delete(w.entry["deploy"].(object), "createdAt")
		delete(w.entry["deploy"].(object), "startedAt")
		probetest.WantLines(t, run(t, ofRender(w.entry).render(t)), "inconclusive", notSuspended, "latest pass(ok): *", "stuck inconclusive(no_time): deploy dep-2 of 3f2a91c03f2a is in progress, and since when is unknown")
	})
}

// A world is what the API of Render says of a service and of its latest deploy.
type world struct{ service, entry object }

// without returns a copy of a world in which one field is missing, or null.
func (w world) without(path string, null bool) world {
	text, _ := json.Marshal(map[string]object{"service": w.service, "entry": w.entry})
	var copied map[string]object
	_ = json.Unmarshal(text, &copied)
	names := strings.Split(path, ".")
	at, last := copied[names[0]], names[len(names)-1]
	for _, name := range names[1 : len(names)-1] {
		at = at[name].(object)
	}
	if at[last] = nil; !null {
		delete(at, last)
	}
	return world{copied["service"], copied["entry"]}
}

// TestRender_suspended: a field that is missing is not "not suspended".
func TestRender_suspended(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change object
		want   string
	}{
		"by a user":         {object{"suspended": "suspended", "suspenders": []any{"user"}}, "fail(service_suspended): expected a service that is not suspended, got one that is suspended by a user"},
		"by billing":        {object{"suspended": "suspended", "suspenders": []any{"billing", "user"}}, "fail(service_suspended): expected a service that is not suspended, got one that is suspended by billing"},
		"by somebody new":   {object{"suspended": "suspended", "suspenders": []any{marker}}, "fail(service_suspended): * by one that the prober does not know"},
		"by nobody":         {object{"suspended": "suspended", "suspenders": []any{}}, "fail(service_suspended): expected a service that is not suspended, got one that is suspended by nobody that is named"},
		"crash looping":     {object{"suspended": "suspended", "suspenders": []any{"stuck_crashlooping"}}, "fail(crash_loop): expected a service that runs, got one that crashes whenever it is started (stuck_crashlooping)"},
		"only looping":      {object{"suspended": "not_suspended", "suspenders": []any{"stuck_crashlooping"}}, "fail(crash_loop): *"},
		"it contradicts":    {object{"suspended": "not_suspended", "suspenders": []any{"user"}}, "inconclusive(schema): the answer says that the service is not suspended, and by whom it is"},
		"null":              {object{"suspended": nil}, "inconclusive(schema): expected suspended or not_suspended, got none"},
		"another word":      {object{"suspended": marker}, "inconclusive(unknown_state): expected suspended or not_suspended, got something else"},
		"a boolean":         {object{"suspended": false}, "inconclusive(schema): expected an answer in the form of the platform's API, got other JSON"},
		"another service":   {object{"id": "srv-2"}, "inconclusive(schema): expected the service srv-1, got another one, or no id"},
		"suspenders, a map": {object{"suspenders": object{}}, "inconclusive(schema): expected an answer in the form *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ofRender(renderEntry("dep-2", "live", commitA, time.Hour))
			service := renderService()
			for k, v := range test.change {
				service[k] = v
			}
			c.answers["/v1/services/srv-1"] = service
			want, suffix, _ := strings.Cut(test.want, "* by")
			if suffix != "" {
				want += "*"
			}
			probetest.WantLines(t, run(t, c.render(t)), verdictOf("suspended "+test.want), "suspended "+want, "latest pass(ok): *", "stuck pass(ok): *")
		})
	}
}

// TestStuck: a deploy may be in progress for 15 minutes, or as long as is configured.
func TestStuck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		age, limit time.Duration
		want       string
	}{
		{14 * time.Minute, 0, "pass(ok): deploy dep-2 of 3f2a91c03f2a, build_in_progress, started 14m*"},
		{16 * time.Minute, 0, "fail(deploy_stuck): expected a deploy to end within 15m, got deploy dep-2 of 3f2a91c03f2a, build_in_progress, started 16m*"},
		{16 * time.Minute, 20 * time.Minute, "pass(ok): *"},
		{100 * 24 * time.Hour, 0, "fail(deploy_stuck): *"},
		{-30 * time.Second, 0, "pass(ok): deploy dep-2 of 3f2a91c03f2a, build_in_progress, started *"},
		{-time.Hour, 0, "inconclusive(no_time): *"}, // it lies in the future
	} {
		p := ofRender(renderEntry("dep-2", "build_in_progress", commitA, test.age), renderEntry("dep-1", "live", commitB, 200*24*time.Hour)).render(t)
		p.Stuck = probe.Duration(test.limit)
		entry := p
		probetest.WantLines(t, run(t, entry), verdictOf("stuck "+test.want), notSuspended, "latest pass(ok): *", "stuck "+test.want)
	}
}

// TestRender_pages: further pages are asked for until a deploy is live, by a cursor and within bounds.
func TestRender_pages(t *testing.T) {
	t.Parallel()
	failed := func(from, to int) (page []any) {
		for n := from; n > to; n-- {
			page = append(page, renderEntry(fmt.Sprintf("dep-%d", n), "build_failed", commitB, time.Duration(2000-n)*time.Minute))
		}
		return page
	}
	const list = "/v1/services/srv-1/deploys"
	t.Run("live on the second", func(t *testing.T) {
		c := ofRender()
		c.answers[list+"?limit=10"] = failed(100, 90)
		c.answers[list+"?cursor=cursor-dep-91&limit=10"] = append(failed(90, 88), renderEntry("dep-88", "live", commitA, 1912*time.Minute))
		probetest.WantLines(t, run(t, c.render(t)), "fail", notSuspended, "latest fail(deploy_failed): *", "stuck pass(ok): *")
		if len(c.asked) != 3 {
			t.Errorf("expected the service and two pages, got %q", c.asked)
		}
	})
	t.Run("live on none", func(t *testing.T) {
		c := ofRender()
		c.answers[list] = failed(100, 90) // the same again and again
		probetest.WantLines(t, run(t, c.render(t)), "fail", notSuspended, "latest fail(deploy_failed): expected the latest deploy to be live, got deploy dep-100 of 91bc04d791bc, build_failed", "stuck pass(ok): *")
		if len(c.asked) != 1+renderPages {
			t.Errorf("expected at most %d pages, got %q", renderPages, c.asked)
		}
	})
	t.Run("more than was asked for", func(t *testing.T) {
		c := ofRender()
		c.answers[list] = failed(100, 0)
		r := run(t, c.render(t))
		if n := len(r.Samples); n != 2*maxMeasured {
			t.Errorf("expected %d series, got %d", 2*maxMeasured, n)
		}
	})
	t.Run("the second is refused", func(t *testing.T) {
		c := ofRender()
		c.answers[list+"?limit=10"] = failed(100, 90)
		c.answers[list+"?cursor=cursor-dep-91&limit=10"] = respond(410, `{"message":"gone"}`)
		probetest.WantLines(t, run(t, c.render(t)), "inconclusive", notSuspended, "latest inconclusive(status): expected 200, got 410")
	})
}

// respond answers with a status and headers, pairs of a name and a value.
func respond(status int, body string, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// TestRender_order: the order is that of when deploys were created. One that failed before it started is no older than one that
// was created at the same time, or before, and started later.
func TestRender_order(t *testing.T) {
	t.Parallel()
	for _, createdAfter := range []time.Duration{0, time.Second} {
		live, failed := renderEntry("dep-2", "live", commitA, time.Hour), renderEntry("dep-3", "build_failed", commitB, time.Hour)
		created := time.Now().Add(-2 * time.Hour).UTC()
		live["deploy"].(object)["createdAt"] = created.Format(time.RFC3339)
		failed["deploy"].(object)["createdAt"] = created.Add(createdAfter).Format(time.RFC3339)
		delete(failed["deploy"].(object), "startedAt")
		probetest.WantLines(t, run(t, ofRender(failed, live).render(t)), "fail", notSuspended, "latest fail(deploy_failed): *", "stuck pass(ok): *")
	}
	// A list that is not in order is put in order.
	old := renderEntry("dep-1", "build_failed", commitB, 3*time.Hour)
	probetest.WantLines(t, run(t, ofRender(old, renderEntry("dep-2", "live", commitA, time.Hour)).render(t)), "pass", notSuspended, "latest pass(ok): deploy dep-2 *", "stuck pass(ok): *")
}

// TestHostile: whatever is wrong with the platform's API says nothing of the service.
func TestHostile(t *testing.T) {
	t.Parallel()
	inMinutes := func(n int) string { return fmt.Sprint(time.Now().Add(time.Duration(n) * time.Minute).Unix()) }
	for name, test := range map[string]struct {
		answer any
		want   string
	}{
		"401":                       {respond(401, `{"message":"`+marker+`"}`), "credential): expected 200, got 401: the target does not accept the probe's credential"},
		"403":                       {respond(403, `{"message":"`+marker+`"}`), "credential): expected 200, got 403: *"},
		"403, rate limited":         {respond(403, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", inMinutes(10)), "rate_limited): expected 200, got 403: the platform limits the rate of requests, for another *"},
		"403, a secondary limit":    {respond(403, `{}`, "Retry-After", "60"), "rate_limited): expected 200, got 403: the platform limits the rate of requests, for another 1m0s"},
		"403, not used up":          {respond(403, `{}`, "X-RateLimit-Remaining", "4999", "X-RateLimit-Reset", inMinutes(10)), "credential): *"},
		"404":                       {respond(404, `{}`), "status): expected 200, got 404: there is no such thing at the platform, or the credential may not see it"},
		"410":                       {respond(410, `{}`), "status): expected 200, got 410"},
		"429":                       {respond(429, `{}`), "rate_limited): expected 200, got 429: the platform limits the rate of requests"},
		"429, Retry-After":          {respond(429, `{}`, "Retry-After", "30"), "rate_limited): expected 200, got 429: the platform limits the rate of requests, for another 30s"},
		"429, the draft's headers":  {respond(429, `{}`, "RateLimit-Remaining", "0", "RateLimit-Reset", "45"), "rate_limited): expected 200, got 429: the platform limits the rate of requests, for another 45s"},
		"429, a year":               {respond(429, `{}`, "Retry-After", "31536000"), "rate_limited): expected 200, got 429: the platform limits the rate of requests, for another 1h0m0s"},
		"429, the far future":       {respond(429, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1099511627775"), "rate_limited): expected 200, got 429: the platform limits the rate of requests, for another 1h0m0s"},
		"429, no number":            {respond(429, `{}`, "Retry-After", marker, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "-1"), "rate_limited): expected 200, got 429: the platform limits the rate of requests"},
		"500":                       {respond(500, `{}`), "status): expected 200, got 500"},
		"302":                       {respond(302, "", "Location", "/elsewhere"), "redirect): *"},
		"cached":                    {respond(200, `[]`, "Age", "60"), "stale_or_cached): *"},
		"not JSON":                  {"<html>" + marker, "schema): the answer is not JSON: *"},
		"empty body":                {respond(200, ""), "schema): the answer is not JSON: *"},
		"an empty list":             {"[]", "no_deploys): expected the deploys of the service, got none: *"},
		"null":                      {"null", "no_deploys): *"},
		"an object":                 {object{"deploys": []any{}}, "schema): expected an answer in the form of the platform's API, got other JSON"},
		"a list of texts":           {[]any{marker}, "schema): *"},
		"a list of nulls":           {[]any{nil}, "schema): expected the id of each deploy, got one without, or in another form"},
		"a key twice":               {`[{"deploy":{"id":"dep-1","status":"live","status":"build_failed"}}]`, "schema): the answer is not JSON: *"},
		"an id with blanks":         {[]any{renderEntry(marker, "live", commitA, time.Hour)}, "schema): expected the id of each deploy, *"},
		"an id that is a link":      {[]any{renderEntry("https://evil.example/", "live", commitA, time.Hour)}, "schema): *"},
		"an id without end":         {[]any{renderEntry(strings.Repeat("a", 1000), "live", commitA, time.Hour)}, "schema): *"},
		"an id that is a number":    {`[{"deploy":{"id":7,"status":"live"}}]`, "schema): *"},
		"a status that is a number": {`[{"deploy":{"id":"dep-1","status":7}}]`, "schema): *"},
		"a commit that is a text":   {`[{"deploy":{"id":"dep-1","status":"live","commit":"` + marker + `"}}]`, "schema): *"},
		"larger than any list":      {`[{"deploy":{"id":"dep-1","status":"live","x":"` + strings.Repeat("x", 2<<20) + `"}}]`, "too_large): *"},
		"deeper than any list":      {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "self_limit): *"},
		"only canceled":             {[]any{renderEntry("dep-1", "canceled", commitA, time.Hour)}, "no_live_deploy): expected a deploy that is live, got 1 that are waiting for an approval or were canceled"},
		"only deactivated":          {[]any{renderEntry("dep-1", "deactivated", commitA, time.Hour)}, "no_live_deploy): expected a deploy that is live, got none: the latest is deploy dep-1 of 3f2a91c03f2a, deactivated"},
		"nothing of the newest one": {[]any{object{"deploy": object{"id": "dep-2"}}, renderEntry("dep-1", "live", commitA, time.Hour)}, "unknown_state): expected a state that the prober knows, got deploy dep-2 of an unknown version *"},
		"the connection is cut off": {func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, "reset): *"},
		"the answer is cut off":     {respond(200, `[{"deploy":`, "Content-Length", "1000"), "truncated): *"},
		"a login page":              {respond(200, "<html>", "Content-Type", "text/html"), "schema): *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ofRender()
			c.answers["/v1/services/srv-1/deploys"] = test.answer
			r := run(t, c.render(t))
			if r.Verdict() != probe.Inconclusive || len(r.Checks) < 2 {
				t.Fatalf("expected an inconclusive run, got\n%s", probetest.Lines(r))
			}
			line := strings.Split(probetest.Lines(r), "\n")[2]
			want, prefix := strings.CutSuffix("latest inconclusive("+test.want, "*")
			if line != want && !(prefix && strings.HasPrefix(line, want)) {
				t.Errorf("expected %s, got %s", want, line)
			}
		})
	}
}

// TestRateLimit: a platform that asks for less is left alone until then, also where that is no 429.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	c := ofRender(renderEntry("dep-2", "live", commitA, time.Hour))
	service := c.answers["/v1/services/srv-1"]
	c.answers["/v1/services/srv-1"] = respond(403, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Minute).Unix()))
	p := c.render(t)
	r := run(t, p)
	probetest.WantLines(t, r, "inconclusive", "suspended inconclusive(rate_limited): expected 200, got 403: *", "latest inconclusive(rate_limited): the platform limits the rate of requests; it is not asked before *")
	if len(c.asked) != 1 {
		t.Errorf("expected one request, got %q", c.asked)
	}
	p.limit.wait(-time.Second)
	c.answers["/v1/services/srv-1"] = service
	if r := run(t, p); r.Verdict() != probe.Pass {
		t.Errorf("after the limit:\n%s", probetest.Lines(r))
	}
}

// TestGitHub: a deployment has no state, but statuses. The newest one counts.
func TestGitHub(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		states []string
		want   []string
	}{
		"success":             {[]string{"success", "inactive"}, []string{"pass", "latest pass(ok): deploy 1000 of 3f2a91c03f2a, success", "stuck pass(ok): no deploy is in progress"}},
		"failure":             {[]string{"failure", "success"}, []string{"fail", "latest fail(deploy_failed): expected the latest deploy to be live, got deploy 1000 of 3f2a91c03f2a, failure; live is deploy 999 of 91bc04d791bc", "stuck pass(ok): *"}},
		"error":               {[]string{"error", "success"}, []string{"fail", "latest fail(deploy_failed): *", "stuck pass(ok): *"}},
		"in progress":         {[]string{"in_progress", "success"}, []string{"fail", "latest pass(ok): deploy 1000 of 3f2a91c03f2a, in_progress", "stuck fail(deploy_stuck): expected a deploy to end within 15m, got deploy 1000 of 3f2a91c03f2a, in_progress, started 1h0m*"}},
		"queued":              {[]string{"queued", "success"}, []string{"fail", "latest pass(ok): *", "stuck fail(deploy_stuck): *"}},
		"pending":             {[]string{"pending", "success"}, []string{"fail", "latest pass(ok): *", "stuck fail(deploy_stuck): *"}},
		"no status":           {[]string{"", "success"}, []string{"fail", "latest pass(ok): deploy 1000 of 3f2a91c03f2a, pending", "stuck fail(deploy_stuck): *"}},
		"waits for approval":  {[]string{"waiting", "success"}, []string{"pass", "latest pass(ok): deploy 999 of 91bc04d791bc, success", "stuck pass(ok): *"}},
		"only waiting":        {[]string{"waiting"}, []string{"inconclusive", "latest inconclusive(no_live_deploy): *", "stuck pass(ok): *"}},
		"rolled back":         {[]string{"inactive", "success"}, []string{"pass", "latest pass(ok): live is deploy 999 of 91bc04d791bc, which replaced deploy 1000 of 3f2a91c03f2a", "stuck pass(ok): *"}},
		"all inactive":        {[]string{"inactive", "inactive"}, []string{"inconclusive", "latest inconclusive(no_live_deploy): *", "stuck pass(ok): *"}},
		"unknown":             {[]string{marker, "success"}, []string{"inconclusive", "latest inconclusive(unknown_state): *", "stuck inconclusive(unknown_state): *"}},
		"none":                {nil, []string{"inconclusive", "latest inconclusive(no_deploys): *"}},
		"an old one is stuck": {[]string{"success", "in_progress"}, []string{"pass", "latest pass(ok): *", "stuck pass(ok): *"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			probetest.WantLines(t, run(t, ofGitHub(test.states...).github(t)), test.want...)
		})
	}
}

// TestGitHub_optionalFields: every field but the id of a deployment may be missing.
func TestGitHub_optionalFields(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		where, field string
		want         []string
	}{
		{"deployment", "id", []string{"inconclusive", "latest inconclusive(schema): expected the id of each deployment, got one without"}},
		{"deployment", "sha", []string{"fail", "latest pass(ok): deploy 1000 of an unknown version, in_progress", "stuck fail(deploy_stuck): *"}},
		{"deployment", "ref", []string{"fail", "latest pass(ok): *", "stuck fail(deploy_stuck): *"}},
		{"deployment", "created_at", []string{"inconclusive", "latest pass(ok): *", "stuck inconclusive(no_time): *"}},
		{"deployment", "environment", []string{"fail", "latest pass(ok): *", "stuck fail(deploy_stuck): *"}},
		{"deployment", "creator", []string{"fail", "latest pass(ok): *", "stuck fail(deploy_stuck): *"}},
		{"status", "state", []string{"inconclusive", "latest inconclusive(unknown_state): *", "stuck inconclusive(unknown_state): *"}},
		{"status", "created_at", []string{"fail", "latest pass(ok): *", "stuck fail(deploy_stuck): *"}},
	} {
		for _, null := range []bool{false, true} {
			c := ofGitHub("in_progress", "success")
			fields := c.answers["/repos/acme/api/deployments"].([]any)[0].(object)
			if test.where == "status" {
				fields = c.answers["/repos/acme/api/deployments/1000/statuses"].([]any)[0].(object)
			}
			if _, ok := fields[test.field]; !ok {
				t.Fatalf("the recording has no %s", test.field)
			}
			if fields[test.field] = nil; !null {
				delete(fields, test.field)
			}
			probetest.WantLines(t, run(t, c.github(t)), test.want...)
		}
	}
}

// TestGitHub_requests: the environment is asked for, statuses of the newest deployments only, and no link is followed.
func TestGitHub_requests(t *testing.T) {
	t.Parallel()
	states := slices.Repeat([]string{"failure"}, 20)
	c := ofGitHub(states...)
	list := c.answers["/repos/acme/api/deployments"]
	c.answers["/repos/acme/api/deployments?environment=production&per_page=10"] = func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Link", `<http://127.0.0.1:1/next>; rel="next"`)
		_ = json.NewEncoder(w).Encode(list)
	}
	delete(c.answers, "/repos/acme/api/deployments")
	probetest.WantLines(t, run(t, c.github(t)), "fail", "latest fail(deploy_failed): *", "stuck pass(ok): *")
	if len(c.asked) != 1+githubPage {
		t.Errorf("expected %d requests, got %q", 1+githubPage, c.asked)
	}

	c = ofGitHub(append([]string{"success"}, states...)...)
	c.answers["/repos/acme/api/deployments/998/statuses"] = respond(404, "{}")
	probetest.WantLines(t, run(t, c.github(t)), "inconclusive", "latest inconclusive(status): expected 200, got 404: *")
	if len(c.asked) != 4 {
		t.Errorf("expected to give up at the third state, got %q", c.asked)
	}
}

// TestFreeze: a deploy that started in a freeze that is still on is a failure, unless its version is allowed.
func TestFreeze(t *testing.T) {
	t.Parallel()
	window := func(from, to time.Duration) FreezeWindow {
		now := time.Now().UTC()
		return FreezeWindow{WindowTimes: probe.WindowTimes{From: now.Add(-from).Format(time.RFC3339), To: now.Add(to).Format(time.RFC3339)}, Why: "end of year"}
	}
	weekly := func(open bool) FreezeWindow {
		day := time.Now().UTC().Weekday()
		if !open {
			day = (day + 3) % 7
		}
		return FreezeWindow{WindowTimes: probe.WindowTimes{Weekly: day.String()[:3] + " 00:00-24:00"}}
	}
	entry := func(status string, age time.Duration) object { return renderEntry("dep-2", status, commitA, age) }
	noTime := entry("live", time.Hour)
	for _, field := range []string{"createdAt", "startedAt"} {
		delete(noTime["deploy"].(object), field)
	}
	for name, test := range map[string]struct {
		freeze Freeze
		entry  object
		want   string
	}{
		"in it":             {Freeze{Windows: []FreezeWindow{window(2*time.Hour, time.Hour)}}, entry("live", time.Hour), "fail(deploy_in_freeze): expected no deploy in the freeze until *"},
		"it failed":         {Freeze{Windows: []FreezeWindow{window(2*time.Hour, time.Hour)}}, entry("build_failed", time.Hour), "fail(deploy_in_freeze): *"},
		"it was canceled":   {Freeze{Windows: []FreezeWindow{window(2*time.Hour, time.Hour)}}, entry("canceled", time.Hour), "pass(ok): no deploy in the freeze until *"},
		"before it":         {Freeze{Windows: []FreezeWindow{window(2*time.Hour, time.Hour)}}, entry("live", 3*time.Hour), "pass(ok): no deploy in the freeze until *"},
		"the freeze ended":  {Freeze{Windows: []FreezeWindow{window(2*time.Hour, -time.Minute)}}, entry("live", time.Hour), "pass(ok): deploys are not frozen now"},
		"the second of two": {Freeze{Windows: []FreezeWindow{window(5*time.Hour, -4*time.Hour), window(2*time.Hour, time.Hour)}}, entry("live", time.Hour), "fail(deploy_in_freeze): *"},
		"allowed":           {Freeze{Windows: []FreezeWindow{window(2*time.Hour, time.Hour)}, Allow: []string{commitA[:8]}}, entry("live", time.Hour), "pass(ok): no deploy in the freeze until *"},
		"another allowed":   {Freeze{Windows: []FreezeWindow{window(2*time.Hour, time.Hour)}, Allow: []string{commitC[:8]}}, entry("live", time.Hour), "fail(deploy_in_freeze): *"},
		"no time":           {Freeze{Windows: []FreezeWindow{window(2*time.Hour, time.Hour)}}, noTime, "inconclusive(no_time): deploy dep-2 of 3f2a91c03f2a may have been made in the freeze until *"},
		"weekly":            {Freeze{Windows: []FreezeWindow{weekly(true)}}, entry("live", 0), "fail(deploy_in_freeze): *"},
		"a week ago":        {Freeze{Windows: []FreezeWindow{weekly(true)}}, entry("live", 7*24*time.Hour), "pass(ok): no deploy in the freeze until *"},
		"another day":       {Freeze{Windows: []FreezeWindow{weekly(false)}}, entry("live", 0), "pass(ok): deploys are not frozen now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := ofRender(test.entry, renderEntry("dep-1", "deactivated", commitB, 30*24*time.Hour), renderEntry("dep-0", "live", commitB, 31*24*time.Hour)).render(t)
			p.Freeze = &test.freeze
			r := run(t, p)
			last := strings.Split(strings.TrimSpace(probetest.Lines(r)), "\n")
			want, _ := strings.CutSuffix("freeze "+test.want, "*")
			if got := last[len(last)-1]; !strings.HasPrefix(got, want) {
				t.Errorf("expected %s, got %s", want, got)
			}
		})
	}
}
