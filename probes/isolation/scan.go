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

// look searches an answer for what its caller must not be shown.
func (x *exam) look(a asking, q httpx.Request, answer *httpx.Answer) {
	x.mu.Lock()
	known := x.known // appended to, never changed
	x.mu.Unlock()
	body, head := canary.NewHaystack(answer.Body), canary.NewHaystack(head(answer))
	granted := a.by == nil && httpx.Success.Contains(answer.Status)
	for _, h := range known {
		// What the request itself says may be said back.
		if h.owner == a.by || says(q, h.text) && !(a.unechoed && h.what == "canary") {
			continue
		}
		where, form := "body", body.Find(h.needle)
		if form == "" {
			where, form = "header", head.Find(h.needle)
		}
		if h.what == "id" && form != "" && form != canary.Plain && partOfOwn(known, a.by, h.text) {
			continue // the caller's own id, encoded, as a cursor is
		}
		if form == "" || granted { // that a stranger was answered at all is the larger news
			continue
		}
		r, why := ruleLeak, leakBody
		switch {
		case a.claim.check == checkInterleave:
			r, why = ruleCrossed, crossTalk
		case where == "header":
			why = leakHeader
		case slices.Contains([]string{"list", "search", "export", "count"}, a.op()):
			why = leakList
		}
		x.blame(a.claim, answer, r, why, "%s was shown the %s of %s (%s, %s, in the %s of an answer %d): %s",
			a.who(), h.what, h.owner.name, canary.Hash(h.text), form, where, answer.Status, a.spoken())
	}
}

// partOfOwn reports whether a text stands within an id of an org's own.
func partOfOwn(known []hidden, org *tenant, text string) bool {
	return slices.ContainsFunc(known, func(h hidden) bool {
		return h.owner == org && h.what == "id" && strings.Contains(strings.ToLower(h.text), strings.ToLower(text))
	})
}

// says reports whether a request says a text.
func says(q httpx.Request, text string) bool {
	for _, values := range q.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	return strings.Contains(q.URL, url.PathEscape(text)) || strings.Contains(q.URL, url.QueryEscape(text)) ||
		bytes.Contains(q.Body, []byte(inQuotes(text))) || bytes.Contains(q.Body, []byte(url.QueryEscape(text)))
}

// head writes the status and the headers of an answer as one text.
func head(a *httpx.Answer) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, a.StatusText)
	for name, values := range a.Header {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, "\n"))
	}
	return b.Bytes()
}

// provesNothing says why an answer proves nothing, whatever was wanted of it; ok is false if it may.
func provesNothing(answer *httpx.Answer) (why probe.Reason, detail string, ok bool) {
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

// denied notes against the claim whatever an answer is but a denial. It reports whether it is one.
func (x *exam) denied(a asking, answer *httpx.Answer, want httpx.Statuses, granted rule, why probe.Reason) bool {
	success := httpx.Success.Contains(answer.Status)
	if whole := answer.Reason == probe.OK || answer.Reason == probe.TooLarge || answer.Reason == probe.Truncated; success && whole {
		x.blame(a.claim, answer, granted, why, "wanted %s, got %d: %s by %s", want, answer.Status, a.spoken(), a.who())
		return false
	}
	if reason, detail, ok := provesNothing(answer); ok {
		x.blame(a.claim, answer, ruleUnproven, reason, "wanted a denial (%s) of %s by %s: %s", want, a.spoken(), a.who(), detail)
		return false
	}
	large := a.m.long && slices.Contains([]int{413, 414, 431}, answer.Status)
	switch {
	case want.Contains(answer.Status) || large:
		return true
	case answer.Status == http.StatusUnauthorized:
		x.blame(a.claim, answer, ruleUnproven, probe.Credential, "wanted %s, got 401: the credential of %s is not accepted, so nothing was denied to it: %s", want, a.who(), a.spoken())
	default:
		x.blame(a.claim, answer, ruleUnproven, probe.ControlFailed, "wanted %s, got %d, which is none of the denials in the settings: %s by %s", want, answer.Status, a.spoken(), a.who())
	}
	return false
}

// failed says why an answer is not the success that it had to be.
func (x *exam) failed(a asking, answer *httpx.Answer, want httpx.Statuses) (why probe.Reason, detail string, ok bool) {
	if why, detail, ok := provesNothing(answer); ok {
		return why, a.spoken() + ": " + detail, true
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
	return why, fmt.Sprintf("wanted %s, got %d from %s", want, answer.Status, a.spoken()), true
}
