package jsonpath

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/theory/jsonpath/parser"
	"github.com/theory/jsonpath/registry"
	"github.com/theory/jsonpath/spec"
)

// Limits of a path. Together with the limits of a document they bound what one evaluation costs.
const (
	maxPath    = 1_000 // bytes
	maxWays    = 16    // ways in which one value can be selected, as in ['a','a']['b','b']
	maxFilters = 8     // filters, nested or one after the other
	maxTerms   = 10    // comparisons and tests in all filters; each may walk the values below each value
	maxPattern = 256   // instructions of a compiled regular expression
)

func parse(expr string) (query *spec.PathQuery, err error) {
	if len(expr) > maxPath {
		return nil, fmt.Errorf("a JSON path may have %d bytes, this one has %d", maxPath, len(expr))
	}
	if !utf8.ValidString(expr) {
		return nil, errors.New("a JSON path is valid UTF-8")
	}
	if !strings.HasPrefix(expr, "$") {
		return nil, errors.New("a JSON path starts with $")
	}
	defer func() {
		if recover() != nil { // an unusual path that the library panics on must not stop a reload
			query, err = nil, errors.New("JSON path: expected a path such as $.name[0]")
		}
	}()
	c := &checker{ways: 1}
	functions := standard
	if strings.Contains(expr, "(") {
		functions = c.registry()
	}
	if query, err = parser.Parse(functions, expr); err != nil {
		return nil, fmt.Errorf("JSON path: %s", strings.TrimPrefix(err.Error(), "jsonpath: "))
	}
	if at := misread.FindStringIndex(quoted.ReplaceAllStringFunc(expr, blank)); at != nil {
		return nil, fmt.Errorf("JSON path: unexpected characters at position %d", at[0]+1)
	}
	if c.query(query, false); c.err != nil {
		return nil, fmt.Errorf("JSON path: %w", c.err)
	}
	return query, nil
}

// standard serves paths that call no function. It is not changed.
var standard = registry.New()

var (
	quoted = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"`)
	// misread is what the library's parser lets pass outside of quotes, and takes for something else: [0:1 2] for
	// [0:2], [0:1:1:] for [0:1:1], length(=,@.a) and length(@.a,) for length(@.a), !1 for !@, !f.(@) for !f(@).
	misread = regexp.MustCompile(`\d[ \t\r\n]+-?\d|:[\s\d-]*:[\s\d-]*:|\(\s*[^\s\w'"@$(!)-]|,[^\w'"@$)\]]*\)|` +
		`!\s*(?:[^\s\w=@$(]|\d|\w+[^\w(])`)
)

// blank keeps the quotes and the length of a quoted string.
func blank(s string) string { return s[:1] + strings.Repeat("_", len(s)-2) + s[:1] }

// A checker walks a parsed path and keeps the first reason to refuse it.
type checker struct {
	descendants, ways, filters, terms int
	err                               error
}

func (c *checker) refuse(text string) {
	if c.err == nil {
		c.err = errors.New(text)
	}
}

func (c *checker) query(q *spec.PathQuery, filter bool) {
	if filter && q.Singular() == nil && strings.HasPrefix(q.String(), "$") {
		c.refuse("a filter may look up one value from $, not search there: it would search once for each value")
	}
	for _, segment := range q.Segments() {
		if segment.IsDescendant() {
			if filter {
				c.refuse(".. is not allowed in a filter: it would search the document once for each of its values")
			}
			if c.descendants++; c.descendants > 1 {
				c.refuse("only one .. is allowed: two would search the document once for each of its values")
			}
		}
		if c.ways *= len(segment.Selectors()); c.ways > maxWays {
			c.refuse(fmt.Sprintf("the path selects in more than %d ways", maxWays))
			return
		}
		for _, selector := range segment.Selectors() {
			if f, ok := selector.(*spec.FilterSelector); ok {
				if c.filters++; c.filters > maxFilters {
					c.refuse(fmt.Sprintf("more than %d filters", maxFilters))
				}
				c.logical(f.LogicalOr)
			}
		}
	}
}

func (c *checker) logical(or spec.LogicalOr) {
	for _, and := range or {
		for _, expr := range and {
			if c.terms++; c.terms > maxTerms {
				c.refuse(fmt.Sprintf("more than %d comparisons and tests in filters", maxTerms))
			}
			switch e := expr.(type) {
			case *spec.ParenExpr:
				c.logical(e.LogicalOr)
			case *spec.NotParenExpr:
				c.logical(e.LogicalOr)
			case *spec.ExistExpr:
				c.query(e.PathQuery, true)
			case *spec.NonExistExpr:
				c.query(e.PathQuery, true)
			case *spec.CompExpr:
				c.comparison(e)
			case spec.NotFuncExpr:
				if e.ResultType() != spec.FuncLogical {
					c.refuse("expected a query, match() or search() after !, or parentheses")
				}
			}
		}
	}
}

// comparison refuses an ordering that the library gets wrong: it finds true > false, and does not find that two
// missing values are <= one another. Beside a number or a text it is right, and < is right everywhere.
func (c *checker) comparison(e *spec.CompExpr) {
	v := reflect.ValueOf(e).Elem()
	switch spec.CompOp(v.FieldByName("op").Uint()) {
	case spec.EqualTo, spec.NotEqualTo, spec.LessThan:
		return
	}
	for _, side := range []string{"left", "right"} {
		operand := v.FieldByName(side).Elem()
		if operand.Type() != reflect.TypeFor[*spec.LiteralArg]() {
			continue
		}
		switch literal := operand.Elem().FieldByName("literal"); literal.Elem().Kind() {
		case reflect.String, reflect.Int64, reflect.Float64:
			return
		}
	}
	c.refuse("<=, > and >= need a number or a quoted text on one side; between two queries write @.a < @.b, and == beside it")
}

// registry returns the functions of the RFC with checked arguments, and with a match() and search() of our own: the
// library compiles the pattern for each value, and takes match(@, 'a|b') for ^a or b$. A registry does not register
// a standard name again, so its entries are overwritten.
func (c *checker) registry() *registry.Registry {
	functions := registry.New()
	for _, name := range []string{"length", "count", "value", "match", "search"} {
		f := functions.Get(name)
		base := *f
		evaluate, patterns := base.Evaluate, map[string]*regexp.Regexp{}
		if base.ReturnType() == spec.FuncLogical {
			evaluate = func(args []spec.PathValue) spec.PathValue { return matches(patterns, args) }
		}
		*f = *spec.Extension(name, base.ReturnType(), func(args []spec.FuncExprArg) error {
			if err := base.Validate(args); err != nil {
				return err
			}
			if q, ok := args[0].(*spec.PathQuery); ok {
				c.query(q, true)
			}
			if base.ReturnType() != spec.FuncLogical {
				return nil
			}
			return compile(patterns, args[1], name == "match")
		}, evaluate)
	}
	return functions
}

// compile adds the pattern to the patterns. It is always a literal: one from the document would be the sender's.
func compile(patterns map[string]*regexp.Regexp, arg spec.FuncExprArg, whole bool) error {
	literal, ok := arg.(*spec.LiteralArg)
	if !ok {
		return errors.New("expects a pattern in quotes")
	}
	text, ok := literal.Value().(string)
	if !ok {
		return errors.New("expects a pattern in quotes")
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return errors.New("expects a pattern that is a regular expression")
	}
	anyButNewlines(tree)
	source := tree.String()
	if whole {
		source = `\A(?:` + source + `)\z`
	}
	pattern, err := regexp.Compile(source)
	if err != nil {
		return errors.New("expects a pattern that is a regular expression")
	}
	if prog, err := syntax.Compile(tree.Simplify()); err != nil || len(prog.Inst) > maxPattern {
		return errors.New("expects a smaller pattern")
	}
	patterns[text] = pattern
	return nil
}

// anyButNewlines gives "." the meaning of RFC 9485: any character but \n and \r.
func anyButNewlines(tree *syntax.Regexp) {
	if tree.Op == syntax.OpAnyCharNotNL {
		tree.Op, tree.Rune = syntax.OpCharClass, []rune{0, '\n' - 1, '\n' + 1, '\r' - 1, '\r' + 1, utf8.MaxRune}
	}
	for _, sub := range tree.Sub {
		anyButNewlines(sub)
	}
}

func matches(patterns map[string]*regexp.Regexp, args []spec.PathValue) spec.PathValue {
	value, pattern := spec.ValueFrom(args[0]), spec.ValueFrom(args[1])
	if value == nil {
		return spec.LogicalFalse
	}
	text, isText := value.Value().(string)
	source, _ := pattern.Value().(string)
	return spec.Logical(isText && patterns[source].MatchString(text))
}
