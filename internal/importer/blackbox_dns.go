package importer

import (
	"regexp"
	"slices"
)

// readDNS translates the settings of the prober dns.
func (m *module) readDNS(s *source) {
	c, e := m.common, &mapping{}
	for _, key := range []string{"query_name", "query_class"} {
		if v := s.text(key); v != "" {
			c.set(key, v)
		}
	}
	kind := s.text("query_type")
	if kind == "" {
		kind = "ANY"
	}
	c.set("query_type", kind)
	if !s.flag("recursion_desired", true) {
		c.set("recursion_desired", false)
	}
	transport := s.text("transport_protocol")
	t := s.inner("tls_config").readTLS(c, false)
	if s.flag("dns_over_tls", false) {
		transport = "tls"
		if len(t.entries) > 0 {
			c.set("tls", t)
		}
	}
	if transport != "" && transport != "udp" {
		c.set("transport", transport)
	}
	codes := s.texts("valid_rcodes")
	if len(codes) > 0 {
		e.set("rcode", list(codes))
	}
	refuses := slices.ContainsFunc(codes, func(code string) bool { return code != "NOERROR" })
	for _, section := range []string{"answer", "authority", "additional"} {
		refuses = s.inner("validate_"+section+"_rrs").readRecords(e, section) || refuses
	}
	c.expect(e)
	if refuses {
		s.ask(c, "control", "a refusal alone proves nothing: name a record that must be there, see docs/kinds/dns.md")
	}
}

// readRecords translates what the records of a section must be. It says whether that is only what they must not be.
func (s *source) readRecords(e *mapping, section string) (refuses bool) {
	rules := &mapping{}
	for _, rule := range [][2]string{
		{"fail_if_none_matches_regexp", "match"}, {"fail_if_not_matches_regexp", "every"},
		{"fail_if_matches_regexp", "not_match"}, {"fail_if_all_match_regexp", "not_every"},
	} {
		var kept []string
		for _, p := range s.texts(rule[0]) {
			re, err := regexp.Compile(p)
			switch {
			case err != nil:
				s.wrong(rule[0], "a regular expression")
			case re.MatchString(""):
				s.without(e, s.at(rule[0]), "a pattern matches the empty text too")
			default:
				kept = append(kept, p)
			}
		}
		if len(kept) > 0 {
			rules.set(rule[1], list(kept))
		}
	}
	s.rest(e, noEquivalent)
	if len(rules.entries) == 0 {
		return false
	}
	e.set(section, rules)
	return !rules.has("match") && !rules.has("every")
}
