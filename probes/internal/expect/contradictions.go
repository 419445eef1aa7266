package expect

import (
	"net/http"
	"strings"

	"prober/internal/jsonpath"
	"prober/internal/probe"
)

// contradictions reports conditions that nothing can meet together with the others.
func (m Match) contradictions() (wrong []error) {
	if m.Equals != nil {
		for key, alone := range map[string]Match{
			"contains": {Contains: m.Contains}, "match": {Match: m.Match}, "min": {Min: m.Min}, "max": {Max: m.Max},
			"not_contains": {NotContains: m.NotContains}, "not_match": {NotMatch: m.NotMatch},
		} {
			if alone != (Match{}) && !alone.MatchText(*m.Equals, true) {
				wrong = append(wrong, probe.Settingf(key, "what equals says does not meet it, so nothing can match"))
			}
		}
		return wrong
	}
	if m.NotContains != "" && strings.Contains(m.required(), m.NotContains) {
		wrong = append(wrong, probe.Settingf("not_contains", "it is part of what the text must have, so nothing can match"))
	}
	if m.NotMatch != nil && m.NotMatch.String() != "" && (m.NotMatch.String() == m.Match.String() || m.required() != "" && strings.Contains(m.required(), m.NotMatch.literal())) {
		wrong = append(wrong, probe.Settingf("not_match", "it excludes what the text must have, so nothing can match"))
	}
	if (m.Min != nil || m.Max != nil) && strings.Trim(m.required(), "0123456789+-.eE") != "" {
		wrong = append(wrong, probe.Settingf("", "expected a number by min or max, and a text that no number has"))
	}
	return wrong
}

// required returns a text that each match has in it; empty if none is known.
func (m Match) required() string {
	if m.Contains != "" || m.Match == nil {
		return m.Contains
	}
	if text := m.Match.literal(); text != noLiteral {
		return text
	}
	return ""
}

// noLiteral stands for an expression that is no plain text. No text of a configuration is equal to it.
const noLiteral = "\x00"

// literal returns the plain text that an expression is.
func (p *Pattern) literal() string {
	if text, whole := p.LiteralPrefix(); whole {
		return text
	}
	return noLiteral
}

// headerContradiction says why no header can be what is expected, or nil.
func (m Match) headerContradiction() error {
	text := m.Contains
	if m.Equals != nil {
		text = *m.Equals
		if strings.TrimSpace(text) != text {
			return probe.Settingf("equals", "no header begins or ends with a space")
		}
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return probe.Settingf("", "no header has such a character")
	}
	return nil
}

// sameHeader returns the name under which a header is given before; empty if it is not. It notes the name.
func sameHeader(seen map[string]string, name string) string {
	key := http.CanonicalHeaderKey(name)
	other := seen[key]
	seen[key] = name
	return other
}

// samePath returns the other spelling of a path that is given before; empty if there is none. It notes the path.
func samePath(seen map[string]string, p jsonpath.Path) string {
	other := seen[p.Canonical()]
	seen[p.Canonical()] = p.String()
	return other
}
