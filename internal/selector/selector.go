// Package selector reads the selectors of series that PromQL has: one alone, or all that an expression reads.
package selector

import (
	"fmt"
	"regexp"
	"strings"
)

// A Selector picks series by their name and labels, as ibex_proxy_requests_total{code=~"5.."} does.
type Selector struct {
	Name     string // empty if the matchers say more of the name than one equality
	Matchers []Matcher
}

// A Matcher is what a selector wants of one label.
type Matcher struct {
	Label, Op, Value string

	pattern *regexp.Regexp // of =~ and !~
}

// NameLabel is the label that stands for the name of a series.
const NameLabel = "__name__"

// String writes the selector as PromQL.
func (s Selector) String() string {
	var pairs []string
	name := s.Name
	if name != "" && !isName(name) {
		pairs, name = append(pairs, fmt.Sprintf("%q", name)), ""
	}
	for _, m := range s.Matchers {
		pairs = append(pairs, fmt.Sprintf("%s%s%q", m.Label, m.Op, m.Value))
	}
	if pairs == nil {
		return name
	}
	return name + "{" + strings.Join(pairs, ",") + "}"
}

// Matches reports whether a series is selected. A label that it does not have is empty.
func (s Selector) Matches(name string, label func(string) string) bool {
	if s.Name != "" && s.Name != name {
		return false
	}
	for _, m := range s.Matchers {
		value := name
		if m.Label != NameLabel {
			value = label(m.Label)
		}
		if !m.matches(value) {
			return false
		}
	}
	return true
}

func (m Matcher) matches(value string) bool {
	switch m.Op {
	case "=":
		return value == m.Value
	case "!=":
		return value != m.Value
	case "=~":
		return m.pattern.MatchString(value)
	}
	return !m.pattern.MatchString(value)
}

// Parse reads one selector of an instant vector with a name. The error repeats nothing of the text.
func Parse(text string) (Selector, error) {
	all, err := Read(text)
	switch {
	case err != nil:
		return Selector{}, err
	case len(all) != 1 || !all[0].alone || all[0].Selector.Name == "":
		return Selector{}, fmt.Errorf(`expected the name of a series and labels, such as requests_total{code="500"}`)
	}
	return all[0].Selector, nil
}

// isName reports whether a name needs no quotes.
func isName(name string) bool {
	for i := range len(name) {
		if !isNameByte(name[i], i == 0) {
			return false
		}
	}
	return name != ""
}

func isNameByte(c byte, first bool) bool {
	return c == '_' || c == ':' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' && !first
}
