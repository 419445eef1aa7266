package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// An Answer says what an answer is known by: a status and what its headers or its body have. All of it must hold.
type Answer struct {
	Status         httpx.Statuses `yaml:"status" doc:"200, 403 or a list of these"`
	expect.Content `yaml:",inline"`
}

// match reports whether a complete answer is this one.
func (w *Answer) match(a *httpx.Answer) bool {
	return a.Reason == probe.OK && w.Status.Contains(a.Status) && w.Mismatch(a).Passed()
}

// String says what is expected, for a sentence. It repeats nothing but the status: the words may be long.
func (w *Answer) String() string {
	if w.IsZero() {
		return w.Status.String()
	}
	return w.Status.String() + " with the words of the settings"
}

// ran says whether an answer is the result of a query that was run; why not, if it is not.
func (p *Probe) ran(a *httpx.Answer) (why string, ok bool) {
	switch {
	case !p.Accepted.Status.Contains(a.Status):
		return fmt.Sprintf("got %d", a.Status), false
	case databaseError(a):
		return fmt.Sprintf("got %d with an error of the database inside", a.Status), false
	case !p.Accepted.match(a):
		return fmt.Sprintf("got %d with another content", a.Status), false
	case p.Rows.IsZero():
		return "", true
	}
	doc, err := a.JSON()
	if err != nil || len(p.Rows.Find(doc)) == 0 {
		return fmt.Sprintf("got %d without rows at %s", a.Status, p.Rows.String()), false
	}
	return "", true
}

// ClickHouse sends the status before it has run a query. What goes wrong then stands at the end of the body.
var exception = regexp.MustCompile(`Code: ?\d+\b.*Exception|__exception__`)

// lastBytes is how much of a body is searched for an error.
const lastBytes = 8 << 10

// databaseError reports whether an answer has an error of the database inside, whatever its status.
func databaseError(a *httpx.Answer) bool {
	if code := a.Header.Get("X-Clickhouse-Exception-Code"); code != "" && code != "0" {
		return true
	}
	if exception.Match(bytes.ReplaceAll(a.Body[max(0, len(a.Body)-lastBytes):], []byte("\n"), []byte(" "))) {
		return true
	}
	var body struct{ Exception, Error, Errors any }
	return json.Unmarshal(a.Body, &body) == nil && slices.ContainsFunc([]any{body.Exception, body.Error, body.Errors}, says)
}

// says reports whether the value of a member that holds errors has one.
func says(value any) bool {
	switch value := value.(type) {
	case nil:
		return false
	case bool:
		return value
	case float64:
		return value != 0
	case string:
		return value != ""
	case []any:
		return len(value) > 0
	case map[string]any:
		return len(value) > 0
	}
	return true
}

// showsForeign reports whether any part of an answer has a row of another org: the foreign canary, in any form, or the name of
// another org as that of a row. No query has the canary in it, so an answer that repeats the query does not show it.
func (r *run) showsForeign(a *httpx.Answer) bool {
	if haystack(a).Find(r.foreign) != "" {
		return true
	}
	if r.p.OrgOfRows.IsZero() {
		return false
	}
	if _, ok := r.p.ran(a); !ok {
		return false
	}
	doc, err := a.JSON()
	if err != nil {
		return false
	}
	for _, v := range r.p.OrgOfRows.Find(doc) {
		if org := v.Text(); (v.Kind() == "string" || v.Kind() == "number") && org != "" && !strings.EqualFold(org, r.p.Orgs.Own.ID) {
			return true
		}
	}
	return false
}

// haystack is all of an answer that may show a text.
func haystack(a *httpx.Answer) *canary.Haystack {
	text := bytes.NewBuffer(slices.Clone(a.Body))
	for _, fields := range append([]http.Header{a.Header, a.Trailer}, a.Interim...) {
		for _, values := range fields {
			fmt.Fprintf(text, "\n%s", strings.Join(values, "\n"))
		}
	}
	fmt.Fprintf(text, "\n%s", a.StatusText)
	return canary.NewHaystack(text.Bytes())
}
