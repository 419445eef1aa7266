package httpx

import (
	"net/http"

	"prober/internal/probe"
)

// A Class is what an answer means to any kind of probe.
type Class int

// The classes, in the order in which they are looked for.
const (
	ClassIncomplete   Class = iota // no complete answer
	ClassRateLimited               // 429
	ClassCached                    // 304, or headers that say that a cache answered
	ClassExpected                  // an expected status
	ClassUnauthorized              // 401 or 403
	ClassRedirect                  // 3xx
	ClassServerError               // 5xx
	ClassUnexpected                // any other status
)

// String returns the class in a word or two.
func (c Class) String() string {
	return [...]string{"incomplete", "rate limited", "cached", "expected", "unauthorized", "redirect", "server error", "unexpected"}[c]
}

// ClassifyOptions are what Classify has to know beside the answer. The zero value expects nothing.
type ClassifyOptions struct {
	Want        Statuses // the expected statuses; an expected 429, 401 or 503 is ClassExpected like any other
	AllowCached bool     // an answer out of a cache is as good as any other
	AnyDate     bool     // an old Date is no sign of a cache: it may be what the target's clock says
	Credential  bool     // the request carried a credential; it decides how a 401 is explained
	Public      bool     // what was asked for is open to everybody: a refusal is the target's fault unless it may be due to the prober's rate
}

// A Classification is the class of an answer with the reason and the sentence for it, which a kind may replace by its
// own. Only ClassExpected has the reason probe.OK.
type Classification struct {
	Class Class
	probe.Outcome
}

// Classify says what an answer means, before a kind looks at its content. An answer that says more about the prober
// than about the target is inconclusive: one that limits the rate of the prober's requests or does not accept its
// credential, and one that may come out of a cache.
func (a *Answer) Classify(o ClassifyOptions) Classification {
	expected := "expected " + o.Want.String() + ", "
	if o.Want.IsZero() {
		expected = ""
	}
	outcome := func(class Class, why probe.Reason, more string) Classification {
		return Classification{class, probe.Outcomef(why, "%sgot %d%s", expected, a.Status, more)}
	}
	wanted := o.Want.Contains(a.Status)
	switch {
	case a.Reason != probe.OK:
		return Classification{ClassIncomplete, probe.Outcome{Reason: a.Reason, Detail: a.Detail}}
	case a.Status == http.StatusTooManyRequests && !wanted && o.Public && !a.askedToWait:
		return outcome(ClassRateLimited, probe.Status, ": no credential was sent, and no Retry-After asks for less, so anybody may get it")
	case a.Status == http.StatusTooManyRequests && !wanted:
		return outcome(ClassRateLimited, probe.RateLimited, ": the target limits the rate of the prober's requests")
	case a.Status == http.StatusNotModified && !wanted:
		return outcome(ClassCached, probe.StaleOrCached, " to a request that holds no copy")
	case a.Cached != "" && !o.AllowCached && !(o.AnyDate && a.oldDate):
		return Classification{ClassCached, probe.Outcomef(probe.StaleOrCached, "the answer may come out of a cache (%s), which proves nothing about the origin", a.Cached)}
	case wanted:
		return Classification{ClassExpected, probe.Outcomef(probe.OK, "got %d", a.Status)}
	case (a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden) && o.Public:
		return outcome(ClassUnauthorized, probe.Status, ": no credential was sent, so anybody gets it")
	case (a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden) && o.Credential && a.unasked:
		return outcome(ClassUnauthorized, probe.Credential, ": the target did not ask for the probe's certificate in the TLS handshake, and the prober shows it at no other time")
	case (a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden) && o.Credential:
		return outcome(ClassUnauthorized, probe.Credential, ": the target does not accept the probe's credential")
	case a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden:
		return outcome(ClassUnauthorized, probe.Credential, ": the target requires a credential and the probe has none")
	case a.Redirected():
		return outcome(ClassRedirect, probe.Redirect, ": redirects are not followed")
	case a.Status >= http.StatusInternalServerError:
		return outcome(ClassServerError, probe.Status, "")
	}
	return outcome(ClassUnexpected, probe.Status, "")
}
