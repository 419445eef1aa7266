package kubernetes

import (
	"encoding/json"
	"net/http"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// Reasons of whoever asks Kubernetes. A kind that uses this package lists them in its descriptor. Only NotFound says something of
// what was asked for.
var (
	NotFound = probe.Reason{Word: "not_found", Verdict: probe.Fail, Text: "no such object",
		Action: "Check name and namespace: the object was deleted or renamed, or the probe is wrong."}
	Forbidden = probe.Reason{Word: "forbidden", Verdict: probe.Inconclusive, Text: "the API may not be read",
		Action: "Give the prober's service account the Role of config/deploy/role.yaml in this namespace."}
	Expired = probe.Reason{Word: "expired", Verdict: probe.Inconclusive, Text: "a list that changed too fast to be read",
		Action: "Wait for the next run; if it stays, the API server is overloaded."}
	NoCluster = probe.Reason{Word: "no_cluster", Verdict: probe.Inconclusive, Text: "no API server is known",
		Action: "Run the prober in the cluster, or set the URL of the API server."}
)

// Reasons lists the reasons of this package.
func Reasons() []probe.Reason { return []probe.Reason{NotFound, Forbidden, Expired, NoCluster} }

// Note writes the outcome of a check that asked the API server. Whatever is wrong with the server says nothing of what was asked
// for, so only that an object does not exist is a failure.
func Note(r *probe.Result, check string, o probe.Outcome) {
	if o.Passed() || o.Reason == NotFound {
		r.Note(check, o)
		return
	}
	r.Inconclusive(check, o.Reason, "%s", o.Detail)
}

// A status is what the API server says when it has no object.
type status struct {
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`
	Details struct {
		Name string `json:"name"`
	} `json:"details"`
}

// explain says why an answer is not what was asked for. Nothing of the server's text is repeated.
func (c *Client) explain(a *httpx.Answer, q request) probe.Outcome {
	class := a.Classify(httpx.ClassifyOptions{Want: httpx.Codes(http.StatusOK), Credential: true})
	said := readStatus(a)
	switch {
	case class.Passed(), class.Class == httpx.ClassCached, class.Class == httpx.ClassRateLimited, class.Class == httpx.ClassRedirect:
		return class.Outcome
	case class.Class == httpx.ClassIncomplete:
		return c.incomplete(class.Outcome, a.Status)
	case a.Status == http.StatusUnauthorized:
		return probe.Outcomef(probe.Credential, "got 401: the API server does not accept %s", c.identity)
	case said.Kind != "Status":
		return probe.Outcomef(class.Reason, "%s, and not in the words of an API server of Kubernetes: expected one at api", class.Detail)
	case a.Status == http.StatusForbidden:
		return probe.Outcomef(Forbidden, "got 403: %s lacks the verb %s of %s in %s", c.identity, q.verb(), q.resource, q.place())
	case a.Status == http.StatusNotFound && said.Reason == "NotFound" && q.name != "" && said.Details.Name == q.name:
		return probe.Outcomef(NotFound, "expected %s %s in %s, got 404: it does not exist", q.kind, q.name, q.place())
	case a.Status == http.StatusNotFound:
		return probe.Outcomef(probe.Status, "got 404: the API server does not serve %s of %s", q.resource, q.group())
	case a.Status == http.StatusGone:
		return probe.Outcomef(Expired, "got 410: the API server no longer has the list of %s as it was", q.resource)
	case a.Status == http.StatusServiceUnavailable, a.Status == http.StatusGatewayTimeout:
		return probe.Outcomef(probe.Status, "got %d: the API server, or its store, is overloaded or not ready", a.Status)
	}
	return class.Outcome
}

// incomplete adds to a credential that cannot be read where it should come from.
func (c *Client) incomplete(o probe.Outcome, status int) probe.Outcome {
	if o.Reason == probe.Credential && status == 0 && c.api == "" {
		o.Detail += "; a pod has it with a service account and its token mounted"
	}
	return o
}

func readStatus(a *httpx.Answer) (said status) {
	if len(a.Body) == 0 || len(a.Body) > maxStatus {
		return said
	}
	if _, err := a.JSON(); err != nil || json.Unmarshal(a.Body, &said) != nil {
		return status{}
	}
	return said
}

// maxStatus is longer than any status that names one object.
const maxStatus = 64 << 10
