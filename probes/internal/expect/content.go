package expect

import (
	"errors"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

// Content is what an answer must hold beside its status. Only what is written is tested.
type Content struct {
	Headers map[string]*Match `yaml:"headers" mask:"true" doc:"by name, what headers must be"`
	Body    *Match            `yaml:"body" mask:"true" doc:"what the body must be"`
	JSON    map[string]*Match `yaml:"json" doc:"by RFC 9535 path, what values of the JSON body must be"`
}

// IsZero reports whether any content will do.
func (c *Content) IsZero() bool { return len(c.Headers) == 0 && c.Body == nil && len(c.JSON) == 0 }

// Validate reports what is wrong with the expectations.
func (c *Content) Validate() error {
	var wrong []error
	seen := map[string]string{}
	for _, name := range sorted.Keys(c.Headers) {
		at, want := "headers."+name, c.Headers[name]
		wrong = append(wrong, probe.InSetting(at, httpx.ValidateHeaderName(name)), probe.InSetting(at, want.Validate()))
		if want.ofList() {
			wrong = append(wrong, probe.Settingf(at, "has no items; every, any and length are for json"))
		}
		if want.Null {
			wrong = append(wrong, probe.Settingf(at, "has no value; only JSON has null"))
		}
		if other := sameHeader(seen, name); other != "" {
			wrong = append(wrong, probe.Settingf(at, "is the same header as %s", other))
		}
		wrong = append(wrong, probe.InSetting(at, want.headerContradiction()))
	}
	if c.Body != nil {
		wrong = append(wrong, probe.InSetting("body", c.Body.Validate()))
		if c.Body.ofList() {
			wrong = append(wrong, probe.Settingf("body", "has no items; every, any and length are for json"))
		}
		if c.Body.Absent {
			wrong = append(wrong, probe.Settingf("body.absent", "every answer has a body, if only an empty one: expect \"\""))
		}
	}
	return errors.Join(append(wrong, probe.InSetting("json", ValidateJSON(c.JSON)))...)
}

// ValidateJSON reports what is wrong with expectations by JSON path.
func ValidateJSON(expected map[string]*Match) error {
	var wrong []error
	seen := map[string]string{}
	for _, path := range sorted.Keys(expected) {
		if parsed, err := jsonpath.Parse(path); err != nil {
			wrong = append(wrong, probe.Settingf(path, "%s", err))
		} else if other := samePath(seen, parsed); other != "" {
			wrong = append(wrong, probe.Settingf(path, "is the same path as %s", other))
		} else if expected[path].onlyEmpty() && !parsed.Singular() {
			wrong = append(wrong, probe.Settingf(path, "a path that finds nothing fails, so nothing can match; expect the length of the list itself"))
		}
		wrong = append(wrong, probe.InSetting(path, expected[path].Validate()))
	}
	return errors.Join(wrong...)
}

// Negative names the first expectation that an answer without the expected content would also meet; empty if there is
// none.
func (c *Content) Negative() string {
	for _, name := range sorted.Keys(c.Headers) {
		if c.Headers[name].Negative() {
			return "header " + name
		}
	}
	if c.Body != nil && c.Body.Negative() {
		return "body"
	}
	for _, path := range sorted.Keys(c.JSON) {
		if c.JSON[path].Negative() {
			return "json " + path
		}
	}
	return ""
}

// Checks names the checks of the content, in the order of Judge.
func (c *Content) Checks() []string {
	var names []string
	if len(c.Headers) > 0 {
		names = append(names, "headers")
	}
	if c.Body != nil {
		names = append(names, "body")
	}
	if len(c.JSON) > 0 {
		names = append(names, "json")
	}
	return names
}

// Judge returns the outcome of every check of the content.
func (c *Content) Judge(answer *httpx.Answer) []Check {
	judges := map[string]func(*httpx.Answer) probe.Outcome{
		"headers": c.checkHeaders, "body": c.checkBody, "json": c.CheckJSON,
	}
	var found []Check
	for _, name := range c.Checks() {
		found = append(found, Check{name, judges[name](answer)})
	}
	return found
}

// Mismatch returns the first of these outcomes that does not pass, or one that does.
func (c *Content) Mismatch(answer *httpx.Answer) probe.Outcome {
	for _, check := range c.Judge(answer) {
		if !check.Passed() {
			return check.Outcome
		}
	}
	return probe.Outcomef(probe.OK, "the content is as expected")
}

func (c *Content) checkHeaders(answer *httpx.Answer) probe.Outcome {
	for _, name := range sorted.Keys(c.Headers) {
		values, want := headerValues(name, answer.Header), c.Headers[name]
		read := 0
		for _, v := range values {
			read += len(v)
			if limit := want.limit(read); limit != "" {
				return probe.Outcomef(probe.SelfLimit, "header %s: %s", name, limit)
			}
		}
		switch {
		case want.matchHeader(name, values):
		case len(values) == 0:
			return probe.Outcomef(probe.Header, "header %s: expected %s, got none", name, want)
		default:
			return probe.Outcomef(probe.Header, "header %s: expected %s, got another value", name, want)
		}
	}
	return probe.Outcomef(probe.OK, "%s as expected", text.Count(len(c.Headers), "header"))
}

func (c *Content) checkBody(answer *httpx.Answer) probe.Outcome {
	if limit := c.Body.limit(len(answer.Body)); limit != "" {
		return probe.Outcomef(probe.SelfLimit, "the body: %s", limit)
	}
	if !c.Body.MatchText(string(answer.Body), true) {
		return probe.Outcomef(probe.Body, "expected %s, got another body of %s", c.Body, text.Count(len(answer.Body), "byte"))
	}
	return probe.Outcomef(probe.OK, "the body is as expected")
}

// CheckJSON compares the values of the JSON body with those expected.
func (c *Content) CheckJSON(answer *httpx.Answer) probe.Outcome {
	doc, err := answer.JSON()
	if err != nil {
		return httpx.NotJSON(err)
	}
	for _, expr := range sorted.Keys(c.JSON) {
		path, err := jsonpath.Parse(expr)
		if err != nil {
			return probe.Outcomef(probe.Schema, "%s", err)
		}
		want := c.JSON[expr]
		if want.ofList() {
			if o := want.checkList(path, doc); !o.Passed() {
				return o
			}
			continue
		}
		found := path.Find(doc)
		if len(found) == 0 && !want.MatchText("", false) {
			return probe.Outcomef(probe.Schema, "%s: expected %s, got nothing", expr, want)
		}
		read := 0
		for _, value := range found {
			read += len(value.Text())
			if limit := want.limit(read); limit != "" {
				return probe.Outcomef(probe.SelfLimit, "%s: %s", expr, limit)
			}
			if !want.MatchValue(value) {
				return probe.Outcomef(probe.Body, "%s: expected %s, got %s", expr, want, shown(value))
			}
		}
	}
	return probe.Outcomef(probe.OK, "%s as expected", text.Count(len(c.JSON), "JSON value"))
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
