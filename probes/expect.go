package probes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
)

// Expect is what the answer to a request must be. Only what is written is tested, the status always.
type Expect struct {
	Status      httpx.Statuses   `yaml:"status" doc:"200, 2xx or a list of such; 2xx unless said otherwise"`
	Headers     map[string]Match `yaml:"headers" mask:"true" doc:"what headers must be, by name"`
	Body        *Match           `yaml:"body" mask:"true" doc:"what the body must be"`
	JSON        map[string]Match `yaml:"json" mask:"true" doc:"what values of the JSON body must be, by RFC 9535 path"`
	Latency     probe.Duration   `yaml:"latency" doc:"the longest that the answer may take"`
	Certificate probe.Duration   `yaml:"certificate" doc:"how long every certificate of the chain must still be valid"`
}

// A finding is the outcome of one check; why is OK when it passed.
type finding struct {
	check  string
	why    probe.Reason
	detail string
}

// short reports whether the check did not pass.
func (f finding) short() bool { return f.why != probe.OK }

func (f finding) note(r *probe.Result) { r.Report(f.check, f.why, "%s", f.detail) }

func (e *Expect) validate(https bool) error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		if err := e.Headers[name].validate(); err != nil {
			wrong = append(wrong, fmt.Errorf("expect: headers: %s: %w", name, err))
		}
	}
	if e.Body != nil {
		if err := e.Body.validate(); err != nil {
			wrong = append(wrong, fmt.Errorf("expect: body: %w", err))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(e.JSON)) {
		if _, err := jsonpath.Parse(path); err != nil {
			wrong = append(wrong, fmt.Errorf("expect: json: %w", err))
		}
		if err := e.JSON[path].validate(); err != nil {
			wrong = append(wrong, fmt.Errorf("expect: json: %s: %w", path, err))
		}
	}
	if e.Latency < 0 || e.Certificate < 0 {
		wrong = append(wrong, errors.New("expect: latency and certificate must be above zero"))
	}
	if e.Certificate > 0 && !https {
		wrong = append(wrong, errors.New("expect: certificate: the url is not https"))
	}
	return errors.Join(wrong...)
}

// negative names the first expectation that a dead or a wrong target would meet as well; empty if there is none.
func (e *Expect) negative() string {
	for code := 400; code < 600; code++ {
		if e.Status.Contains(code) {
			return fmt.Sprintf("status %d", code)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		if e.Headers[name].negative() {
			return "header " + name
		}
	}
	if e.Body != nil && e.Body.negative() {
		return "body"
	}
	for _, path := range slices.Sorted(maps.Keys(e.JSON)) {
		if e.JSON[path].negative() {
			return "json " + path
		}
	}
	return ""
}

// checks names the checks beyond the status, in the order of findings.
func (e *Expect) checks() []string {
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

// findings holds the outcome of every check beyond the status.
func (e *Expect) findings(answer *httpx.Answer, now time.Time) []finding {
	var found []finding
	for _, check := range e.checks() {
		why, detail := probe.OK, ""
		switch check {
		case "headers":
			why, detail = e.headers(answer)
		case "body":
			why, detail = e.body(answer)
		case "json":
			why, detail = e.json(answer)
		case "latency":
			why, detail = e.latency(answer)
		case "certificate":
			why, detail = e.certificate(answer, now)
		}
		found = append(found, finding{check, why, detail})
	}
	return found
}

// resembles reports whether an answer looks like the expected one. When it came and from where does not count.
func (e *Expect) resembles(answer *httpx.Answer) bool {
	for _, f := range e.findings(answer, time.Now()) {
		if f.short() && f.check != "latency" && f.check != "certificate" {
			return false
		}
	}
	return e.Status.Contains(answer.Status)
}

func (e *Expect) headers(answer *httpx.Answer) (probe.Reason, string) {
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		values, want := answer.Header.Values(name), e.Headers[name]
		if len(values) == 0 && !want.text("", false) {
			return probe.Header, fmt.Sprintf("header %s: wanted %s, got none", name, want)
		}
		// Where a header stands twice, nobody knows which one counts: each must be right.
		if slices.ContainsFunc(values, func(v string) bool { return !want.text(v, true) }) {
			return probe.Header, fmt.Sprintf("header %s: wanted %s, got another value", name, want)
		}
	}
	return probe.OK, count(len(e.Headers), "header") + " as wanted"
}

func (e *Expect) body(answer *httpx.Answer) (probe.Reason, string) {
	if !e.Body.text(string(answer.Body), true) {
		return probe.Body, fmt.Sprintf("body: wanted %s, got another text of %s", e.Body, count(len(answer.Body), "byte"))
	}
	return probe.OK, "the body is as wanted"
}

func (e *Expect) json(answer *httpx.Answer) (probe.Reason, string) {
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
		if len(found) == 0 && !want.text("", false) {
			return probe.Schema, fmt.Sprintf("%s: wanted %s, got nothing", expr, want)
		}
		for _, value := range found {
			if !want.value(value) {
				return probe.Body, fmt.Sprintf("%s: wanted %s, got %s", expr, want, shown(value))
			}
		}
	}
	return probe.OK, count(len(e.JSON), "JSON value") + " as wanted"
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
		return "another text of " + count(len([]rune(v.Text())), "character")
	}
	return "an " + v.Kind()
}

func (e *Expect) latency(answer *httpx.Answer) (probe.Reason, string) {
	took := answer.Took.Round(time.Millisecond)
	if answer.Took > e.Latency.D() {
		return probe.Slow, fmt.Sprintf("wanted an answer within %s, it took %s", e.Latency, took)
	}
	return probe.OK, fmt.Sprintf("answered within %s", took)
}

func (e *Expect) certificate(answer *httpx.Answer, now time.Time) (probe.Reason, string) {
	left := answer.CertExpiry.Sub(now)
	days := int(left.Hours() / 24)
	if answer.CertExpiry.IsZero() || left < e.Certificate.D() {
		return probe.Cert, fmt.Sprintf("wanted a certificate valid for another %s, it expires in %s", e.Certificate, count(days, "day"))
	}
	return probe.OK, fmt.Sprintf("the certificate is valid for another %s", count(days, "day"))
}
