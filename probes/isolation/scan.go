package isolation

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// scanForLeaks searches an answer for what its caller must not be shown.
func (r *run) scanForLeaks(req request, httpReq httpx.Request, answer *httpx.Answer) {
	r.mu.Lock()
	known := r.protected // appended to, never changed
	r.mu.Unlock()
	body, head := canary.NewHaystack(answer.Body), canary.NewHaystack(headText(answer))
	granted := req.tenant == nil && httpx.Success.Contains(answer.Status)
	for _, h := range known {
		// What the request itself says may be said back.
		if h.owner == req.tenant || requestContains(httpReq, h.text) && !(req.echoesNothing && h.kind == "canary") {
			continue
		}
		where, form := "body", body.Find(h.needle)
		if form == "" {
			where, form = "header", head.Find(h.needle)
		}
		if h.kind == "id" && form != "" && form != canary.Plain && withinOwnID(known, req.tenant, h.text) {
			continue // the caller's own id, encoded, as a cursor is
		}
		if form == "" || granted { // that a stranger was answered at all is the larger news
			continue
		}
		rule, why := ruleLeak, leakBody
		switch {
		case req.assertion.check == checkInterleave:
			rule, why = ruleCrossTalk, crossTalk
		case where == "header":
			why = leakHeader
		case slices.Contains([]string{"list", "search", "export", "count"}, req.op()):
			why = leakList
		}
		r.violated(req.assertion, answer, rule, why, "%s was shown the %s of %s (%s, %s, in the %s of an answer %d): %s",
			req.caller(), h.kind, h.owner.name, canary.Hash(h.text), form, where, answer.Status, req.describe())
	}
}

// withinOwnID reports whether a text stands within an id of an org's own.
func withinOwnID(known []protectedText, org *tenant, text string) bool {
	return slices.ContainsFunc(known, func(h protectedText) bool {
		return h.owner == org && h.kind == "id" && strings.Contains(strings.ToLower(h.text), strings.ToLower(text))
	})
}

// requestContains reports whether a request says a text.
func requestContains(httpReq httpx.Request, text string) bool {
	for _, values := range httpReq.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	return strings.Contains(httpReq.URL, url.PathEscape(text)) || strings.Contains(httpReq.URL, url.QueryEscape(text)) ||
		bytes.Contains(httpReq.Body, []byte(jsonEscaped(text))) || bytes.Contains(httpReq.Body, []byte(url.QueryEscape(text)))
}

// headText writes the status and the headers of an answer as one text.
func headText(a *httpx.Answer) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, a.StatusText)
	for name, values := range a.Header {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, "\n"))
	}
	return b.Bytes()
}

// unusable says why an answer proves nothing, whatever was wanted of it; ok is false if it may.
func unusable(answer *httpx.Answer) (why probe.Reason, detail string, ok bool) {
	switch {
	case answer.Reason == probe.TooLarge:
		return probe.TooLarge, answer.Detail + ", and could not be searched to its end", true
	case answer.Reason.Verdict == probe.Inconclusive:
		return answer.Reason, answer.Detail, true
	case answer.Reason != probe.OK:
		return probe.ControlFailed, answer.Detail, true
	case answer.Status == http.StatusTooManyRequests:
		return probe.RateLimited, "got 429: the target limits the rate of the prober's requests", true
	case answer.Status >= 500:
		return probe.ControlFailed, "got " + strconv.Itoa(answer.Status), true
	case answer.Redirected():
		return probe.ControlFailed, fmt.Sprintf("got %d, which sends elsewhere; redirects are never followed", answer.Status), true
	case answer.Cached != "":
		return probe.StaleOrCached, "the answer may come out of a cache (" + answer.Cached + ")", true
	}
	return probe.Reason{}, "", false
}

// expectDenied notes against the claim whatever an answer is but a denial. It reports whether it is one.
func (r *run) expectDenied(req request, answer *httpx.Answer, want httpx.Statuses, granted violationRule, why probe.Reason) bool {
	success := httpx.Success.Contains(answer.Status)
	if whole := answer.Reason == probe.OK || answer.Reason == probe.TooLarge || answer.Reason == probe.Truncated; success && whole {
		r.violated(req.assertion, answer, granted, why, "wanted %s, got %d: %s by %s", want, answer.Status, req.describe(), req.caller())
		return false
	}
	if reason, detail, ok := unusable(answer); ok {
		r.violated(req.assertion, answer, ruleInconclusive, reason, "wanted a denial (%s) of %s by %s: %s", want, req.describe(), req.caller(), detail)
		return false
	}
	large := req.mutation.oversized && slices.Contains([]int{413, 414, 431}, answer.Status)
	switch {
	case want.Contains(answer.Status) || large:
		return true
	case answer.Status == http.StatusUnauthorized:
		r.violated(req.assertion, answer, ruleInconclusive, probe.Credential, "wanted %s, got 401: the credential of %s is not accepted, so nothing was denied to it: %s", want, req.caller(), req.describe())
	default:
		r.violated(req.assertion, answer, ruleInconclusive, probe.ControlFailed, "wanted %s, got %d, which is none of the denials in the settings: %s by %s", want, answer.Status, req.describe(), req.caller())
	}
	return false
}

// unsuccessful says why an answer is not the success that it had to be.
func (r *run) unsuccessful(req request, answer *httpx.Answer, want httpx.Statuses) (why probe.Reason, detail string, ok bool) {
	if why, detail, ok := unusable(answer); ok {
		return why, req.describe() + ": " + detail, true
	}
	switch {
	case want.Contains(answer.Status):
		return probe.Reason{}, "", false
	case answer.Status == 401 || answer.Status == 403:
		why = probe.Credential
		if answer.Status == 403 {
			why = probe.ControlFailed
		}
	default:
		why = probe.ControlFailed
	}
	return why, fmt.Sprintf("wanted %s, got %d from %s", want, answer.Status, req.describe()), true
}
