package guard

import (
	"context"
	"net/http"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// judge says what the answer to an unscoped query means. A row of another org is one wherever it stands.
func (r *run) judge(a *httpx.Answer) verdict {
	v := verdict{outcome: inconclusive, traceID: a.TraceID}
	class := a.Classify(httpx.ClassifyOptions{Credential: r.p.Authenticates()})
	why, ran := r.p.ran(a)
	switch {
	case r.showsForeign(a):
		v.outcome, v.reason, v.detail = foreignRows, leak, "got a row of another org"
	case class.Class == httpx.ClassIncomplete, class.Class == httpx.ClassRateLimited, class.Class == httpx.ClassCached:
		v.reason, v.detail = class.Reason, class.Detail
	case r.p.Rejected.match(a):
		v.outcome, v.reason, v.detail = rejected, probe.OK, "rejected by the guard"
	case ran:
		v.outcome, v.reason, v.detail = accepted, unscopedAccepted, "accepted"
	case a.Status == http.StatusUnauthorized:
		v.reason, v.detail = probe.Credential, "got 401: the target does not accept the probe's credential"
	default:
		v.reason, v.detail = rejectedByOther, why
	}
	return v
}

// askScoped sends the scoped query. It reports whether the target is sick or does not let the probe in, so that it makes no
// sense to ask it for more.
func (r *run) askScoped(ctx context.Context, t template) (v verdict, sick bool) {
	a := r.send(ctx, checkScoped, t.fill(scoped))
	v = verdict{outcome: inconclusive, traceID: a.TraceID}
	class := a.Classify(httpx.ClassifyOptions{Want: r.p.Accepted.Status, Credential: r.p.Authenticates()})
	why, ran := r.p.ran(a)
	switch {
	case r.showsForeign(a):
		v.outcome, v.reason, v.detail = foreignRows, leak, "expected rows of the own org alone, got one of another"
	case class.Class == httpx.ClassIncomplete, class.Class == httpx.ClassRateLimited, class.Class == httpx.ClassCached:
		v.reason, v.detail, sick = class.Reason, class.Detail, class.Class != httpx.ClassCached
	case r.p.Rejected.match(a):
		v.reason, v.detail = probe.ControlFailed, "expected the guard to accept it, got its rejection: that it rejects others proves nothing"
	case class.Class == httpx.ClassUnauthorized, class.Class == httpx.ClassServerError, class.Class == httpx.ClassRedirect:
		v.reason, v.detail, sick = unproven(class.Reason), class.Detail, true
	case !ran:
		v.reason, v.detail = probe.ControlFailed, "expected "+r.p.Accepted.String()+" and rows, "+why
	case haystack(a).Find(r.own) != "":
		v.outcome, v.reason, v.detail = rejected, probe.OK, "accepted, and the own canary is there"
	default:
		v.reason, v.detail = probe.ControlFailed, "accepted, and the own canary is not among the rows: if it is not found, neither is that of another org"
	}
	return v, sick
}

// judgeMistake says whether the database's own refusal of a query can be told from the guard's, and from rows.
func (r *run) judgeMistake(a *httpx.Answer) verdict {
	v := verdict{outcome: inconclusive, traceID: a.TraceID}
	class := a.Classify(httpx.ClassifyOptions{Credential: r.p.Authenticates()})
	_, ran := r.p.ran(a)
	switch {
	case r.showsForeign(a):
		v.outcome, v.reason, v.detail = foreignRows, leak, "got a row of another org"
	case class.Class == httpx.ClassIncomplete, class.Class == httpx.ClassRateLimited, class.Class == httpx.ClassCached, class.Class == httpx.ClassRedirect,
		a.Status == http.StatusUnauthorized: // not from the database
		v.reason, v.detail = class.Reason, class.Detail
	case r.p.Rejected.match(a):
		v.reason, v.detail = probe.ControlFailed, "a scoped query with a column that does not exist is rejected in the words of the guard: "+
			"they may be those of any error; expect others, or set knows_columns if it is the guard that says so"
	case ran:
		v.reason, v.detail = probe.ControlFailed, "a query with a column that does not exist is answered like one that was run: an error may pass for an answer"
	default:
		v.outcome, v.reason, v.detail = rejected, probe.OK, "an error of the database is not taken for a rejection by the guard"
	}
	return v
}

// unproven is the reason of an answer that proves nothing of the guard.
func unproven(why probe.Reason) probe.Reason {
	if why.Verdict == probe.Inconclusive {
		return why
	}
	return probe.ControlFailed
}
