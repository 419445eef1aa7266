// Package expect says what an answer must be and judges one.
package expect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/text"
)

// Expect is what the answer to a request must be. Only what is written is tested, the status always.
type Expect struct {
	Status      httpx.Statuses   `yaml:"status" default:"2xx" doc:"200, 2xx or a list of these"`
	Headers     map[string]Match `yaml:"headers" mask:"true" doc:"by name, what headers must be"`
	Body        *Match           `yaml:"body" mask:"true" doc:"what the body must be"`
	JSON        map[string]Match `yaml:"json" doc:"by RFC 9535 path, what values of the JSON body must be"`
	Latency     probe.Duration   `yaml:"latency" doc:"maximum duration of the exchange"`
	Certificate probe.Duration   `yaml:"certificate" doc:"minimum remaining validity of every certificate in the chain"`
}

// A Check is the outcome of one named check.
type Check struct {
	Name string
	probe.Outcome
}

// Validate reports what is wrong with the expectations. The argument says whether the answer comes over https.
func (e *Expect) Validate(https bool) error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		wrong = append(wrong, probe.InSetting("headers."+name, e.Headers[name].Validate()))
	}
	if e.Body != nil {
		wrong = append(wrong, probe.InSetting("body", e.Body.Validate()))
	}
	wrong = append(wrong, probe.InSetting("json", ValidateJSON(e.JSON)))
	if e.Latency < 0 {
		wrong = append(wrong, probe.Settingf("latency", "must be above zero"))
	}
	if e.Certificate < 0 {
		wrong = append(wrong, probe.Settingf("certificate", "must be above zero"))
	}
	if e.Certificate > 0 && !https {
		wrong = append(wrong, probe.Settingf("certificate", "the URL is not https"))
	}
	return errors.Join(wrong...)
}

// ValidateJSON reports what is wrong with expectations by JSON path.
func ValidateJSON(expected map[string]Match) error {
	var wrong []error
	for _, path := range slices.Sorted(maps.Keys(expected)) {
		if _, err := jsonpath.Parse(path); err != nil {
			wrong = append(wrong, probe.Settingf(path, "%s", err))
		}
		wrong = append(wrong, probe.InSetting(path, expected[path].Validate()))
	}
	return errors.Join(wrong...)
}

// Negative names the first expectation that a target that is down or wrong would also meet; empty if there is none.
func (e *Expect) Negative() string {
	for code := 400; code < 600; code++ {
		if e.Status.Contains(code) {
			return fmt.Sprintf("status %d", code)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		if e.Headers[name].Negative() {
			return "header " + name
		}
	}
	if e.Body != nil && e.Body.Negative() {
		return "body"
	}
	for _, path := range slices.Sorted(maps.Keys(e.JSON)) {
		if e.JSON[path].Negative() {
			return "json " + path
		}
	}
	return ""
}

// Checks names the checks beyond the status, in the order of Judge.
func (e *Expect) Checks() []string {
	var names []string
	for _, c := range []struct {
		name  string
		wants bool
	}{
		{"headers", len(e.Headers) > 0},
		{"body", e.Body != nil},
		{"json", len(e.JSON) > 0},
		{"latency", e.Latency > 0},
		{"certificate", e.Certificate > 0},
	} {
		if c.wants {
			names = append(names, c.name)
		}
	}
	return names
}

// Judge returns the outcome of every check beyond the status.
func (e *Expect) Judge(answer *httpx.Answer, now time.Time) []Check {
	var found []Check
	for _, check := range e.Checks() {
		why, detail := probe.OK, ""
		switch check {
		case "headers":
			why, detail = e.checkHeaders(answer)
		case "body":
			why, detail = e.checkBody(answer)
		case "json":
			why, detail = e.CheckJSON(answer)
		case "latency":
			why, detail = e.checkLatency(answer)
		case "certificate":
			why, detail = e.checkCertificate(answer, now)
		}
		found = append(found, Check{check, probe.Outcome{Reason: why, Detail: detail}})
	}
	return found
}

// Matches reports whether an answer looks like the expected one. Latency and certificate do not count.
func (e *Expect) Matches(answer *httpx.Answer) bool {
	for _, c := range e.Judge(answer, time.Now()) {
		if !c.Passed() && c.Name != "latency" && c.Name != "certificate" {
			return false
		}
	}
	return e.Status.Contains(answer.Status)
}

func (e *Expect) checkHeaders(answer *httpx.Answer) (probe.Reason, string) {
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		values, want := answer.Header.Values(name), e.Headers[name]
		if len(values) == 0 && !want.MatchText("", false) {
			return probe.Header, fmt.Sprintf("header %s: expected %s, got none", name, want)
		}
		// If a header occurs twice, clients may use either: each must be right.
		if slices.ContainsFunc(values, func(v string) bool { return !want.MatchText(v, true) }) {
			return probe.Header, fmt.Sprintf("header %s: expected %s, got another value", name, want)
		}
	}
	return probe.OK, text.Count(len(e.Headers), "header") + " as expected"
}

func (e *Expect) checkBody(answer *httpx.Answer) (probe.Reason, string) {
	if !e.Body.MatchText(string(answer.Body), true) {
		return probe.Body, fmt.Sprintf("body: expected %s, got another text of %s", e.Body, text.Count(len(answer.Body), "byte"))
	}
	return probe.OK, "the body is as expected"
}

// CheckJSON compares the values of the JSON body with those expected; the text is the detail of a failure.
func (e *Expect) CheckJSON(answer *httpx.Answer) (probe.Reason, string) {
	doc, err := answer.JSON()
	if err != nil {
		return probe.Schema, "the answer is not JSON: " + err.Error()
	}
	for _, expr := range slices.Sorted(maps.Keys(e.JSON)) {
		path, err := jsonpath.Parse(expr)
		if err != nil {
			return probe.Schema, err.Error()
		}
		want := e.JSON[expr]
		found := path.Find(doc)
		if len(found) == 0 && !want.MatchText("", false) {
			return probe.Schema, fmt.Sprintf("%s: expected %s, got nothing", expr, want)
		}
		for _, value := range found {
			if !want.MatchValue(value) {
				return probe.Body, fmt.Sprintf("%s: expected %s, got %s", expr, want, shown(value))
			}
		}
	}
	return probe.OK, text.Count(len(e.JSON), "JSON value") + " as expected"
}

// shown describes a value without repeating text that a target chose.
func shown(v jsonpath.Value) string {
	switch v.Kind() {
	case "bool", "null":
		return v.Text()
	case "number":
		if len(v.Text()) > 9 {
			return "another number" // a long one may be what somebody wants to hide
		}
		return v.Text()
	case "string":
		return "another text of " + text.Count(len([]rune(v.Text())), "character")
	}
	return "an " + v.Kind()
}

func (e *Expect) checkLatency(answer *httpx.Answer) (probe.Reason, string) {
	took := answer.Took.Round(time.Millisecond)
	if answer.Took > e.Latency.D() {
		return probe.Slow, fmt.Sprintf("expected an answer within %s, got one after %s", e.Latency, took)
	}
	return probe.OK, fmt.Sprintf("answered within %s", took)
}

func (e *Expect) checkCertificate(answer *httpx.Answer, now time.Time) (probe.Reason, string) {
	left := answer.CertExpiry.Sub(now)
	days := int(left.Hours() / 24)
	if answer.CertExpiry.IsZero() || left < e.Certificate.D() {
		return probe.Cert, fmt.Sprintf("expected a certificate valid for another %s, got one that expires in %s", e.Certificate, text.Count(days, "day"))
	}
	return probe.OK, fmt.Sprintf("the certificate is valid for another %s", text.Count(days, "day"))
}
