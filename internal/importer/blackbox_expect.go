package importer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// readExpect translates what a response must be, and asks for a control where that would prove nothing.
func (m *module) readExpect(s *source) {
	c, e := m.common, &mapping{}
	if s.flag("fail_if_ssl", false) {
		m.ssl = "http"
	}
	if s.flag("fail_if_not_ssl", false) {
		m.ssl = "https"
	}
	negative, redirected := s.readStatuses(e)
	m.http2 = s.readVersions(e)
	for _, h := range s.list("fail_if_header_not_matches") {
		h.headerRule(e, "match")
	}
	for _, h := range s.list("fail_if_header_matches") {
		h.headerRule(e, "not_match")
	}
	s.patterns(e, "fail_if_body_not_matches_regexp", "match")
	s.patterns(e, "fail_if_body_matches_regexp", "not_match")
	for _, key := range []string{"fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel"} {
		if s.text(key) != "" {
			s.without(e, key, "expressions are not translated; json expects values by their path")
		}
	}
	if s.flag("follow_redirects", true) && !s.flag("no_follow_redirects", false) && !redirected {
		c.set("follow", plain("10")).comment = "here to the same origin only"
	}
	c.expect(e)
	if negative || e.onlyRefuses() {
		s.ask(c, "control", "a refusal alone proves nothing: name a request that must succeed, see docs/kinds/http.md")
	}
}

// readStatuses says whether an error is expected, and whether a redirect is.
func (s *source) readStatuses(e *mapping) (refusal, redirected bool) {
	codes := s.texts("valid_status_codes")
	var all []any
	for _, code := range codes {
		n, err := strconv.Atoi(code)
		if err != nil || n < 200 || n > 599 {
			s.without(e, "valid_status_codes "+code, "is no status of a final response")
			continue
		}
		refusal, redirected = refusal || n >= 400, redirected || n/100 == 3
		if !slices.Contains(all, any(plain(code))) {
			all = append(all, plain(code))
		}
	}
	switch len(all) {
	case 0:
	case 1:
		e.set("status", all[0])
	default:
		e.set("status", all)
	}
	return refusal, redirected
}

// readVersions says whether HTTP/2 is offered.
func (s *source) readVersions(e *mapping) (offers bool) {
	names := map[string]string{"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2": "2", "HTTP/2.0": "2"}
	offers = s.flag("enable_http2", true)
	var all []any
	for _, v := range s.texts("valid_http_versions") {
		name, known := names[v]
		if !known || name == "2" && !offers {
			s.without(e, "valid_http_versions "+v, "is not spoken")
		} else if !slices.Contains(all, any(name)) {
			all = append(all, name)
		}
	}
	if len(all) > 0 {
		e.set("http_version", all)
	}
	return offers
}

// headerRule translates what one header must be, or must not be.
func (s *source) headerRule(e *mapping, condition string) {
	name, pattern, optional := s.text("header"), s.text("regexp"), s.flag("allow_missing", false)
	re, err := regexp.Compile(pattern)
	if err != nil || name == "" {
		s.wrong("regexp", "a header and a regular expression")
		return
	}
	anything := re.MatchString("") && re.MatchString("x")
	rules := e.in("headers").in(name)
	switch {
	case rules.has(condition) || rules.has("absent"):
		s.without(e, s.path+" "+name, "a second condition of the same kind for this header")
	case anything && condition == "not_match":
		rules.set("absent", true)
	case anything:
		rules.set("match", ".")
	case re.MatchString(""):
		s.without(e, s.path+" "+name, "the pattern matches the empty text too")
	default:
		rules.set(condition, pattern)
		if optional {
			s.without(e, s.path+" "+name, "allow_missing: here the header must be there")
		}
	}
	if len(rules.entries) == 0 {
		e.drop("headers", name)
	}
}

// patterns translates what the body must match, or must not match.
func (s *source) patterns(e *mapping, key, condition string) {
	var kept []string
	for _, p := range s.texts(key) {
		re, err := regexp.Compile(p)
		switch {
		case err != nil:
			s.wrong(key, "a regular expression")
		case re.MatchString(""):
			s.without(e, key, "a pattern matches the empty text too, so it proves nothing")
		case condition == "match" && len(kept) > 0:
			s.without(e, key, "one pattern for the body; a further one is left out: "+p)
		default:
			kept = append(kept, p)
		}
	}
	switch {
	case len(kept) == 0:
	case len(kept) == 1:
		e.in("body").set(condition, kept[0])
	default:
		e.in("body").set(condition, "(?:"+strings.Join(kept, ")|(?:")+")")
	}
}

// expect writes what is expected. Comments alone stand for themselves.
func (m *mapping) expect(e *mapping) {
	for _, one := range e.entries {
		if one.key != "" {
			m.set("expect", e)
			return
		}
	}
	m.entries = append(m.entries, e.entries...)
}

// drop takes a key out of an inner mapping, and that one too if it becomes empty.
func (m *mapping) drop(outer, key string) {
	inner := m.in(outer)
	inner.remove(key)
	if len(inner.entries) == 0 {
		m.remove(outer)
	}
}

func (m *mapping) remove(key string) {
	var kept []entry
	for _, e := range m.entries {
		if e.key != key {
			kept = append(kept, e)
		}
	}
	m.entries = kept
}

// onlyRefuses reports whether something is expected that an answer from anywhere would meet too.
func (m *mapping) onlyRefuses() bool {
	rules := []any{m.get("body")}
	for _, part := range []string{"headers", "json"} {
		if all, ok := m.get(part).(*mapping); ok {
			for _, e := range all.entries {
				rules = append(rules, e.value)
			}
		}
	}
	for _, r := range rules {
		if r, ok := r.(*mapping); ok && !r.has("equals") && !r.has("contains") && !r.has("match") && !r.has("min") && !r.has("max") && !r.has("length") {
			return true
		}
	}
	return false
}
