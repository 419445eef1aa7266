package httpx

import (
	"net/http"
	"testing"
	"time"

	"prober/internal/probe"
)

func TestClassify(t *testing.T) {
	const cache = "the answer may come out of a cache (Age: 60), which proves nothing about the origin"
	old := http.Header{"Age": {"60"}}
	dated := http.Header{"Date": {time.Now().Add(-73 * time.Hour).UTC().Format(http.TimeFormat)}}
	ok := ClassifyOptions{Want: Codes(200)}
	for _, test := range []struct {
		name   string
		status int
		header http.Header
		o      ClassifyOptions
		class  Class
		why    probe.Reason
		want   string
	}{
		{"expected", 200, nil, ok, ClassExpected, probe.OK, "got 200"},
		{"another success", 204, nil, ok, ClassUnexpected, probe.Status, "expected 200, got 204"},
		{"of a class", 204, nil, ClassifyOptions{Want: Success}, ClassExpected, probe.OK, "got 204"},
		{"not found", 404, nil, ok, ClassUnexpected, probe.Status, "expected 200, got 404"},
		{"not found, expected", 404, nil, ClassifyOptions{Want: Codes(404)}, ClassExpected, probe.OK, "got 404"},
		{"rate limited", 429, nil, ok, ClassRateLimited, probe.RateLimited, "expected 200, got 429: the target limits the rate of the prober's requests"},
		{"rate limited by a cache", 429, old, ok, ClassRateLimited, probe.RateLimited, "expected 200, got 429: the target limits the rate of the prober's requests"},
		{"a public page, rate limited", 429, nil, ClassifyOptions{Want: Codes(200), Public: true}, ClassRateLimited, probe.Status, "expected 200, got 429: no credential was sent, and no Retry-After asks for less, so anybody may get it"},
		{"a public page, unauthorized", 401, nil, ClassifyOptions{Want: Codes(200), Public: true}, ClassUnauthorized, probe.Status, "expected 200, got 401: no credential was sent, so anybody gets it"},
		{"a public page, forbidden", 403, nil, ClassifyOptions{Want: Codes(200), Public: true}, ClassUnauthorized, probe.Status, "expected 200, got 403: no credential was sent, so anybody gets it"},
		{"a public page, forbidden as expected", 403, nil, ClassifyOptions{Want: Codes(403), Public: true}, ClassExpected, probe.OK, "got 403"},
		{"rate limit expected", 429, nil, ClassifyOptions{Want: Codes(429)}, ClassExpected, probe.OK, "got 429"},
		{"unauthorized", 401, nil, ok, ClassUnauthorized, probe.Credential, "expected 200, got 401: the target requires a credential and the probe has none"},
		{"unauthorized with a credential", 401, nil, ClassifyOptions{Want: Codes(200), Credential: true}, ClassUnauthorized, probe.Credential, "expected 200, got 401: the target does not accept the probe's credential"},
		{"forbidden", 403, nil, ClassifyOptions{Want: Codes(200), Credential: true}, ClassUnauthorized, probe.Credential, "expected 200, got 403: the target does not accept the probe's credential"},
		{"unauthorized, expected", 401, nil, ClassifyOptions{Want: Codes(401, 403)}, ClassExpected, probe.OK, "got 401"},
		{"moved", 301, nil, ok, ClassRedirect, probe.Redirect, "expected 200, got 301: redirects are not followed"},
		{"redirect expected", 302, nil, ClassifyOptions{Want: Codes(302)}, ClassExpected, probe.OK, "got 302"},
		{"not modified", 304, nil, ok, ClassCached, probe.StaleOrCached, "expected 200, got 304 to a request that holds no copy"},
		{"not modified, caches allowed", 304, nil, ClassifyOptions{Want: Codes(200), AllowCached: true}, ClassCached, probe.StaleOrCached, "expected 200, got 304 to a request that holds no copy"},
		{"out of a cache", 200, old, ok, ClassCached, probe.StaleOrCached, cache},
		{"out of a cache, allowed", 200, old, ClassifyOptions{Want: Codes(200), AllowCached: true}, ClassExpected, probe.OK, "got 200"},
		{"an error out of a cache", 503, old, ok, ClassCached, probe.StaleOrCached, cache},
		{"an error out of a cache, allowed", 503, old, ClassifyOptions{Want: Codes(200), AllowCached: true}, ClassServerError, probe.Status, "expected 200, got 503"},
		{"a server error", 500, nil, ok, ClassServerError, probe.Status, "expected 200, got 500"},
		{"the last server error", 599, nil, ok, ClassServerError, probe.Status, "expected 200, got 599"},
		{"a server error, expected", 501, nil, ClassifyOptions{Want: Codes(501)}, ClassExpected, probe.OK, "got 501"},
		{"an old Date", 200, dated, ok, ClassCached, probe.StaleOrCached, "the answer may come out of a cache (a Date of 3 days ago), which proves nothing about the origin"},
		{"an old Date, of a clock", 200, dated, ClassifyOptions{Want: Codes(200), AnyDate: true}, ClassExpected, probe.OK, "got 200"},
		{"nothing expected", 200, nil, ClassifyOptions{}, ClassUnexpected, probe.Status, "got 200"},
		{"nothing expected of a limit", 429, nil, ClassifyOptions{}, ClassRateLimited, probe.RateLimited, "got 429: the target limits the rate of the prober's requests"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := &Answer{Header: test.header}
			a.Cached, a.oldDate = cached(test.status, test.header, time.Now())
			a.Status, a.Reason = test.status, probe.OK
			if got := a.Classify(test.o); got != (Classification{test.class, probe.Outcome{Reason: test.why, Detail: test.want}}) {
				t.Errorf("got %s, %s: %q; expected %s, %s: %q", got.Class, got.Reason, got.Detail, test.class, test.why, test.want)
			}
		})
	}
	// Without a complete answer the status counts for nothing.
	for _, why := range []probe.Reason{probe.Timeout, probe.Cancelled, probe.TooLarge} {
		a := &Answer{Detail: "no complete answer"}
		a.Status, a.Reason = 200, why
		if got := a.Classify(ok); got != (Classification{ClassIncomplete, probe.Outcome{Reason: why, Detail: "no complete answer"}}) {
			t.Errorf("%s: got %s, %s: %q", why, got.Class, got.Reason, got.Detail)
		}
	}
}

// TestClassify_inconclusive holds that only an expected answer passes, and that what says nothing about the target does
// not fail it.
func TestClassify_inconclusive(t *testing.T) {
	for status := 200; status < 600; status++ {
		a := &Answer{}
		a.Cached, _ = cached(status, nil, time.Now())
		a.Status, a.Reason = status, probe.OK
		got := a.Classify(ClassifyOptions{Want: Codes(200)})
		if (got.Class == ClassExpected) != (status == 200) || (got.Reason == probe.OK) != (status == 200) {
			t.Errorf("%d is %s, %s", status, got.Class, got.Reason)
		}
		switch got.Class {
		case ClassRateLimited, ClassCached, ClassUnauthorized:
			if got.Reason.Verdict != probe.Inconclusive {
				t.Errorf("%d is %s, and yet %s", status, got.Class, got.Reason.Verdict)
			}
		case ClassRedirect, ClassServerError, ClassUnexpected:
			if got.Reason.Verdict != probe.Fail {
				t.Errorf("%d is %s, and yet %s", status, got.Class, got.Reason.Verdict)
			}
		}
	}
}
