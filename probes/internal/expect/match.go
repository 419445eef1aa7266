package expect

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"prober/internal/jsonpath"
	"prober/internal/probe"
)

// Match says what a text or a number must be. In YAML a plain value means that it must be equal; otherwise what is
// written must hold, all of it.
type Match struct {
	Equals      *string  `yaml:"equals" short:"true" doc:"the exact text or number"`
	Contains    string   `yaml:"contains" doc:"a text that it must contain"`
	Match       *Pattern `yaml:"match" doc:"a regular expression (RE2) that must match"`
	Min         *float64 `yaml:"min" doc:"the minimum number"`
	Max         *float64 `yaml:"max" doc:"the maximum number"`
	NotContains string   `yaml:"not_contains" doc:"a text that it must not contain; needs a control"`
	NotMatch    *Pattern `yaml:"not_match" doc:"a regular expression that must not match; needs a control"`
	Every       *Match   `yaml:"every" doc:"under json: what each item of a list must be; an empty list fails"`
	Any         *Match   `yaml:"any" doc:"under json: what at least one item of a list must be"`
	Length      *Match   `yaml:"length" doc:"under json: how many items a list has: a number, or min and max"`
	Null        bool     `yaml:"-"` // written as null: the JSON null, and not the text
	Absent      bool     `yaml:"absent" doc:"it must be absent; needs a control"`
}

// UnmarshalNull reads the null of a configuration.
func (m *Match) UnmarshalNull() { *m = Match{Null: true} }

// MarshalYAML writes the conditions in the form that they are read from.
func (m Match) MarshalYAML() (any, error) {
	if m.Null {
		return nil, nil
	}
	type fields Match
	return fields(m), nil
}

// Validate reports what is wrong with the conditions.
func (m Match) Validate() error {
	var wrong []error
	if m == (Match{}) {
		wrong = append(wrong, probe.Settingf("", "expected at least one condition"))
	}
	for key, p := range map[string]*Pattern{"match": m.Match, "not_match": m.NotMatch} {
		if p != nil && p.MatchString("") {
			wrong = append(wrong, probe.Settingf(key, "/%s/ matches the empty text too, so it proves nothing", p))
		}
	}
	if m.Min != nil && m.Max != nil && *m.Min > *m.Max {
		wrong = append(wrong, probe.Settingf("min", "%g is above max, so nothing can be within", *m.Min))
	}
	if m.Absent && m != (Match{Absent: true}) {
		wrong = append(wrong, probe.Settingf("absent", "leaves nothing else to expect"))
	}
	return errors.Join(append(append(wrong, m.contradictions()...), m.validateList())...)
}

// Negative reports whether an answer that has nothing to do with the question would match too.
func (m Match) Negative() bool {
	positive := (m.Equals != nil && *m.Equals != "") || m.Contains != "" || m.Match != nil || m.Min != nil || m.Max != nil || m.Null ||
		m.Every != nil && !m.Every.Negative() || m.Any != nil && !m.Any.Negative() || m.Length != nil
	return !positive
}

// MatchText reports whether a text matches; present distinguishes an empty text from an absent one.
func (m Match) MatchText(got string, present bool) bool {
	if m.limit(len(got)) != "" || m.ofList() {
		return false
	}
	if m.Absent || !present {
		return m.Absent && !present
	}
	if n, ok := jsonpath.ParseNumber(got); (m.Min != nil || m.Max != nil) && (!ok || !m.within(n)) {
		return false
	}
	return !m.Null && (m.Equals == nil || *m.Equals == got) &&
		strings.Contains(got, m.Contains) &&
		(m.Match == nil || m.Match.MatchString(got)) &&
		(m.NotContains == "" || !strings.Contains(got, m.NotContains)) &&
		(m.NotMatch == nil || !m.NotMatch.MatchString(got))
}

// limit says why a text is not searched for the expressions, or not the last of several, by how many bytes they have together;
// empty if it is. Then neither a match nor its absence is known.
func (m Match) limit(bytes int) string {
	for _, p := range []*Pattern{m.Match, m.NotMatch} {
		if p != nil && p.size > 0 && bytes > maxSteps/p.size {
			return fmt.Sprintf("/%s/ is searched for in up to %d bytes, got %d; expect a simpler text, or set max_body", p, maxSteps/p.size, bytes)
		}
	}
	return ""
}

// MatchValue reports whether a JSON value matches. Objects and arrays have no text and match nothing but their absence.
func (m Match) MatchValue(got jsonpath.Value) bool {
	switch kind := got.Kind(); {
	case m.Null:
		return kind == "null"
	case kind == "array" || kind == "object":
		return false
	}
	return m.MatchText(got.Text(), true)
}

func (m Match) within(n float64) bool {
	return (m.Min == nil || n >= *m.Min) && (m.Max == nil || n <= *m.Max)
}

// String says what is expected, for a sentence.
func (m Match) String() string {
	var want []string
	say := func(holds bool, format string, args ...any) {
		if holds {
			want = append(want, fmt.Sprintf(format, args...))
		}
	}
	say(m.Null, "null")
	if m.Equals != nil {
		say(true, "%q", *m.Equals)
	}
	say(m.Contains != "", "a text with %q", m.Contains)
	say(m.Match != nil, "a match of /%s/", m.Match)
	if m.Min != nil {
		say(true, "at least %g", *m.Min)
	}
	if m.Max != nil {
		say(true, "at most %g", *m.Max)
	}
	say(m.NotContains != "", "a text without %q", m.NotContains)
	say(m.NotMatch != nil, "no match of /%s/", m.NotMatch)
	say(m.Absent, "none")
	want = append(want, m.describeList()...)
	return strings.Join(want, " and ")
}

// A Pattern is a regular expression in the configuration. RE2 takes linear time, so no answer can make it hang, but each
// byte may take a step for each instruction.
type Pattern struct {
	*regexp.Regexp
	size int // in instructions; 0 if it was not read from a configuration
}

// Bounds of the time that one expression takes: the size of its program, and the number of steps, some tens of which take a
// microsecond.
const (
	maxPattern = 1000
	maxSteps   = 1 << 26
)

// UnmarshalYAML reads and compiles the expression.
func (p *Pattern) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return errors.New("a regular expression is a text")
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return fmt.Errorf("not a regular expression (RE2): %s", syntaxProblem(err))
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return errors.New("not a regular expression (RE2)")
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil || len(program.Inst) > maxPattern {
		return errors.New("too large a regular expression: its repetitions multiply")
	}
	p.Regexp, p.size = re, len(program.Inst)
	return nil
}

// MarshalYAML writes the expression.
func (p Pattern) MarshalYAML() (any, error) { return p.String(), nil }

// String returns the expression, also of a nil pattern.
func (p *Pattern) String() string {
	if p == nil || p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}

// syntaxProblem says what is wrong with an expression, and repeats no more of it than an operator.
func syntaxProblem(err error) string {
	problem, ok := errors.AsType[*syntax.Error](err)
	switch {
	case !ok:
		return "it cannot be read"
	case len(problem.Expr) <= 3 && (problem.Code == syntax.ErrInvalidPerlOp || problem.Code == syntax.ErrInvalidEscape):
		return fmt.Sprintf("%s: %s", problem.Code, problem.Expr)
	}
	return problem.Code.String()
}
