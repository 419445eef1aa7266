package isolation

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// scanForLeaks searches a response for texts that its caller must not be shown.
func (r *run) scanForLeaks(req request, httpReq httpx.Request, answer *httpx.Answer) {
	if req.tenant == nil && httpx.Success.Contains(answer.Status) {
		return // that an unauthorized caller was accepted is the graver violation
	}
	r.mu.Lock()
	protected := r.protected // appended to, never changed
	r.mu.Unlock()
	body, head := canary.NewHaystack(answer.Body), canary.NewHaystack(headText(answer))
	for _, text := range protected {
		// A response may echo the request.
		if text.owner == req.tenant || requestContains(httpReq, text.text) && !(req.echoesNothing && text.kind == "canary") {
			continue
		}
		where, form := "body", body.Find(text.needle)
		if form == "" {
			where, form = "header", head.Find(text.needle)
		}
		if form == "" {
			continue
		}
		if text.kind == "id" && form != canary.Plain && withinOwnID(protected, req.tenant, text.text) {
			continue // the caller's own id, encoded, as in a cursor
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
		r.violated(req.assertion, answer, rule, why, "%s was shown the %s of %s (%s, %s, in the %s; got %d): %s",
			req.caller(), text.kind, text.owner.name, canary.Hash(text.text), form, where, answer.Status, req.describe())
	}
}

// withinOwnID reports whether a text is part of an id that belongs to an org.
func withinOwnID(known []protectedText, org *tenant, text string) bool {
	return slices.ContainsFunc(known, func(h protectedText) bool {
		return h.owner == org && h.kind == "id" && strings.Contains(strings.ToLower(h.text), strings.ToLower(text))
	})
}

// requestContains reports whether a request contains a text.
func requestContains(httpReq httpx.Request, text string) bool {
	for _, values := range httpReq.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	return strings.Contains(httpReq.URL, url.PathEscape(text)) || strings.Contains(httpReq.URL, url.QueryEscape(text)) ||
		bytes.Contains(httpReq.Body, []byte(jsonEscaped(text))) || bytes.Contains(httpReq.Body, []byte(url.QueryEscape(text)))
}

// headText is the status line and the headers of a response as one text.
func headText(answer *httpx.Answer) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, answer.StatusText)
	for name, values := range answer.Header {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, "\n"))
	}
	return b.Bytes()
}

// usable passes if a response may prove something, whatever its status means for the request.
func usable(answer *httpx.Answer) probe.Outcome {
	switch c := answer.Classify(httpx.ClassifyOptions{}); c.Class {
	case httpx.ClassIncomplete, httpx.ClassRateLimited, httpx.ClassCached, httpx.ClassRedirect, httpx.ClassServerError:
		return unproven(c)
	}
	return probe.Outcome{Reason: probe.OK}
}

// expectSuccess passes if a response has one of the wanted statuses.
func expectSuccess(req request, answer *httpx.Answer, want httpx.Statuses) probe.Outcome {
	c := answer.Classify(httpx.ClassifyOptions{Want: want, Credential: true})
	if c.Class == httpx.ClassExpected {
		return probe.Outcome{Reason: probe.OK, Detail: c.Detail}
	}
	if answer.Status == http.StatusForbidden && c.Class == httpx.ClassUnauthorized {
		// The credential was accepted: identify used it before.
		return probe.Outcomef(probe.ControlFailed, "%s: expected %s, got 403", req.describe(), want)
	}
	o := unproven(c)
	return probe.Outcomef(o.Reason, "%s: %s", req.describe(), o.Detail)
}

// unproven is the outcome of a response that proves nothing of isolation. A reason that is a failure for other kinds is
// a control that failed here.
func unproven(c httpx.Classification) probe.Outcome {
	switch {
	case c.Reason == probe.TooLarge:
		return probe.Outcomef(probe.TooLarge, "%s, and could not be searched to its end", c.Detail)
	case c.Reason.Verdict == probe.Inconclusive:
		return probe.Outcome{Reason: c.Reason, Detail: c.Detail}
	}
	return probe.Outcome{Reason: probe.ControlFailed, Detail: c.Detail}
}

// expectDenied records a violation unless a response is a denial, by the given rule and reason if it is a success. It
// reports whether it is a denial.
func (r *run) expectDenied(req request, answer *httpx.Answer, want httpx.Statuses, rule violationRule, why probe.Reason) bool {
	received := answer.Reason == probe.OK || answer.Reason == probe.TooLarge || answer.Reason == probe.Truncated
	if received && httpx.Success.Contains(answer.Status) {
		r.violated(req.assertion, answer, rule, why, "expected %s, got %d: %s by %s", want, answer.Status, req.describe(), req.caller())
		return false
	}
	if o := usable(answer); !o.Passed() {
		r.inconclusive(req.assertion, answer, o.Reason, "expected a denial (%s) of %s by %s: %s", want, req.describe(), req.caller(), o.Detail)
		return false
	}
	tooLarge := req.mutation.oversized && slices.Contains(tooLargeStatuses, answer.Status)
	switch {
	case want.Contains(answer.Status) || tooLarge:
		return true
	case answer.Status == http.StatusUnauthorized:
		r.inconclusive(req.assertion, answer, probe.Credential, "expected %s, got 401: the credential of %s is not accepted, which is not a denial: %s", want, req.caller(), req.describe())
	default:
		r.inconclusive(req.assertion, answer, probe.ControlFailed, "expected %s, got %d, which is not a denial by the settings: %s by %s", want, answer.Status, req.describe(), req.caller())
	}
	return false
}

// tooLargeStatuses reject a request because of its size.
var tooLargeStatuses = []int{http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge}
