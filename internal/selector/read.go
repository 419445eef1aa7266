package selector

import (
	"regexp"
	"slices"
	"strings"
)

// A Found is a selector in an expression.
type Found struct {
	Selector

	alone bool // it is the whole expression
}

// Bounds of what is read.
const (
	maxExpression = 64 << 10
	maxDepth      = 100
)

// Read lists the selectors of a PromQL expression, in their order. It knows how an expression is built, not which functions
// there are, nor what types they take: an expression that it accepts may still be wrong. The error is an *Error; nothing is
// listed then.
func Read(expression string) ([]Found, error) {
	if len(expression) > maxExpression {
		return nil, errorAt("", 0, "expected at most %d bytes", maxExpression)
	}
	tokens, err := scan(expression)
	if err != nil {
		return nil, err
	}
	r := &reader{source: expression, tokens: tokens}
	r.expression()
	if r.err == nil && r.now().kind != end {
		r.fail("expected an operator or the end")
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(r.found) == 1 {
		r.found[0].alone = r.operations == 1
	}
	return r.found, nil
}

// A reader walks through the tokens of an expression. After its first error it moves no further.
type reader struct {
	source     string
	tokens     []token
	at         int
	depth      int
	operations int // operands, and what stands around them
	found      []Found
	err        error
}

func (r *reader) now() token { return r.tokens[r.at] }

// next is the token behind the current one.
func (r *reader) next() token { return r.tokens[min(r.at+1, len(r.tokens)-1)] }

func (r *reader) move() {
	if r.at < len(r.tokens)-1 {
		r.at++
	}
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = errorAt(r.source, r.now().at, format, args...)
	}
	r.at = len(r.tokens) - 1
}

// is reports whether the current token is this symbol, or this keyword in any case.
func (r *reader) is(text string) bool {
	t := r.now()
	return t.kind == symbol && t.text == text || t.kind == ident && strings.EqualFold(t.text, text)
}

//go:noinline
func (r *reader) accept(texts ...string) bool {
	if slices.ContainsFunc(texts, r.is) {
		r.move()
		return true
	}
	return false
}

func (r *reader) expect(text string) {
	if !r.accept(text) {
		r.fail("expected %s", text)
	}
}

// operators stand between two operands.
var operators = []string{"+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless", "atan2"}

// expression reads operands with operators between them.
func (r *reader) expression() {
	if r.depth++; r.depth > maxDepth {
		r.fail("expected at most %d levels", maxDepth)
	}
	defer func() { r.depth-- }()
	for r.operand(); r.err == nil && r.accept(operators...); r.operand() {
		r.operations++
		r.accept("bool")
		if r.accept("on", "ignoring") {
			r.labels()
		}
		if r.accept("group_left", "group_right") && r.is("(") {
			r.labels()
		}
	}
}

// operand reads one operand and what stands behind it: a range, an offset, a time.
func (r *reader) operand() {
	for r.accept("+", "-") {
		r.operations++
	}
	r.operations++
	switch t := r.now(); {
	case t.kind == number || t.kind == quoted:
		r.move()
	case r.accept("("):
		r.expression()
		r.expect(")")
	case r.is("{"):
		r.selector("")
	case t.kind == ident && r.isAggregation():
		r.move()
		r.grouping()
		r.arguments()
		r.grouping()
	case t.kind == ident && r.next().kind == symbol && r.next().text == "(":
		r.move()
		r.arguments()
	case t.kind == ident && (strings.EqualFold(t.text, "inf") || strings.EqualFold(t.text, "nan")):
		r.move()
	case t.kind == ident:
		r.move()
		r.selector(t.text)
	default:
		r.fail("expected a series, a number, a function or a parenthesis")
	}
	r.modifiers()
}

// modifiers reads what may follow an operand.
func (r *reader) modifiers() {
	for r.err == nil {
		switch {
		case r.accept("["):
			r.operations++
			for !r.is("]") && r.now().kind != end {
				if t := r.now(); t.kind != number && t.kind != symbol {
					r.fail("expected a duration")
				}
				r.move()
			}
			r.expect("]")
		case r.accept("offset"):
			r.operations++
			r.accept("-", "+")
			r.numeral("a duration")
		case r.accept("@"):
			r.operations++
			if r.accept("start", "end") {
				r.expect("(")
				r.expect(")")
				continue
			}
			r.accept("-", "+")
			r.numeral("a time")
		default:
			return
		}
	}
}

func (r *reader) numeral(what string) {
	if r.now().kind != number {
		r.fail("expected %s", what)
	}
	r.move()
}

// aggregations are those of Prometheus 3.
var aggregations = []string{
	"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio",
}

// isAggregation reports whether an aggregation begins here. A series may be called like one.
func (r *reader) isAggregation() bool {
	next := strings.ToLower(r.next().text)
	return slices.ContainsFunc(aggregations, r.is) && (r.next().kind == symbol && next == "(" || r.next().kind == ident && (next == "by" || next == "without"))
}

func (r *reader) grouping() {
	if r.accept("by", "without") {
		r.labels()
	}
}

// labels reads a list of labels in parentheses.
func (r *reader) labels() {
	r.expect("(")
	for r.err == nil && !r.is(")") {
		if t := r.now(); t.kind != ident && t.kind != quoted {
			r.fail("expected a label")
		}
		r.move()
		if !r.accept(",") {
			break
		}
	}
	r.expect(")")
}

func (r *reader) arguments() {
	r.operations++
	r.expect("(")
	for r.err == nil && !r.is(")") {
		r.expression()
		if !r.accept(",") {
			break
		}
	}
	r.expect(")")
}

// selector reads the labels behind a name, if there are any.
func (r *reader) selector(name string) {
	s := Selector{Name: name}
	if r.accept("{") {
		for r.err == nil && !r.is("}") {
			r.matcher(&s)
			if !r.accept(",") {
				break
			}
		}
		r.expect("}")
	}
	if s.Name == "" && len(s.Matchers) == 0 {
		r.fail("expected a name or a label")
	}
	r.found = append(r.found, Found{Selector: s})
}

func (r *reader) matcher(s *Selector) {
	label := r.now()
	if label.kind != ident && label.kind != quoted {
		r.fail("expected a label")
		return
	}
	r.move()
	if label.kind == quoted && (r.is(",") || r.is("}")) { // a name in quotes
		r.name(s, label.text)
		return
	}
	op := r.now()
	if !r.accept("=", "!=", "=~", "!~") {
		r.fail("expected =, !=, =~ or !~")
		return
	}
	m := Matcher{Label: label.text, Op: op.text, Value: r.now().text}
	if r.now().kind != quoted {
		r.fail("expected a text in quotes")
		return
	}
	if strings.HasSuffix(m.Op, "~") {
		pattern, err := regexp.Compile("^(?s:" + m.Value + ")$")
		if err != nil {
			r.fail("expected a regular expression")
			return
		}
		m.pattern = pattern
	}
	r.move()
	if m.Label == NameLabel && m.Op == "=" {
		r.name(s, m.Value)
		return
	}
	s.Matchers = append(s.Matchers, m)
}

func (r *reader) name(s *Selector, name string) {
	if s.Name != "" || name == "" {
		r.fail("expected one name")
	}
	s.Name = name
}
