package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/scanner"
	"time"
)

// An evaluation answers the few forms of PromQL that the probes of the demo ask: selectors, functions over a window,
// aggregations and arithmetic. It is no PromQL engine, and refuses everything else.
//
//	name{label="value",other=~"regexp"}   also !=, !~
//	rate, increase, resets, changes, count_over_time (selector[window])
//	timestamp(selector), absent(selector), time(), vector(number)
//	sum, min, max, avg, count, each with or without by (labels)
//	+ - * / between numbers and vectors with the same labels; or; parentheses
//
// There is no extrapolation at the ends of a window, as nothing is ever scraped late.
type evaluation struct {
	witness *witness
	at      time.Time

	scan  scanner.Scanner
	token rune
}

// maxQuery is the length of the longest query, which bounds how deep it is nested.
const maxQuery = 4 << 10

// errQuery is panicked within an evaluation and returned by query.
type errQuery struct{ text string }

func (e *evaluation) query(text string) (result vector, err error) {
	defer func() {
		if p := recover(); p != nil {
			bad, is := p.(errQuery)
			if !is {
				panic(p)
			}
			err = errors.New(bad.text)
		}
	}()
	if len(text) > maxQuery {
		return vector{}, errors.New("the query is too long")
	}
	e.scan.Init(strings.NewReader(text))
	e.scan.Error = func(*scanner.Scanner, string) {}
	e.scan.Mode = scanner.ScanIdents | scanner.ScanFloats | scanner.ScanInts | scanner.ScanStrings | scanner.ScanRawStrings
	e.scan.IsIdentRune = func(c rune, i int) bool {
		return c == '_' || c == ':' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9'
	}
	e.next()
	result = e.or()
	e.expect(scanner.EOF)
	for i := range result.samples {
		if e.witness.values != nil {
			result.samples[i].value = e.witness.values(result.samples[i].value)
		}
	}
	return result, nil
}

//go:noinline
func (e *evaluation) fail(format string, args ...any) { panic(errQuery{fmt.Sprintf(format, args...)}) }

//go:noinline
func (e *evaluation) next() { e.token = e.scan.Scan() }

//go:noinline
func (e *evaluation) text() string { return e.scan.TokenText() }

func (e *evaluation) accept(token rune) bool {
	if e.token != token {
		return false
	}
	e.next()
	return true
}

func (e *evaluation) expect(token rune) {
	if e.token != token {
		e.fail("the sample system cannot evaluate this: expected %s at %s", scanner.TokenString(token), e.scan.Pos())
	}
	e.next()
}

func (e *evaluation) ident() string {
	name := e.text()
	e.expect(scanner.Ident)
	return name
}

// or adds the samples of the right side whose labels the left side does not have.
func (e *evaluation) or() vector {
	left := e.sum()
	for e.token == scanner.Ident && e.text() == "or" {
		e.next()
		for _, s := range e.sum().samples {
			if !slices.ContainsFunc(left.samples, func(l vectorSample) bool { return maps.Equal(l.labels, s.labels) }) {
				left.samples = append(left.samples, s)
			}
		}
	}
	return left
}

func (e *evaluation) sum() vector {
	left := e.product()
	for e.token == '+' || e.token == '-' {
		operator := e.token
		e.next()
		left = combine(operator, left, e.product())
	}
	return left
}

func (e *evaluation) product() vector {
	left := e.operand()
	for e.token == '*' || e.token == '/' {
		operator := e.token
		e.next()
		left = combine(operator, left, e.operand())
	}
	return left
}

func (e *evaluation) operand() vector {
	switch e.token {
	case '(':
		e.next()
		inner := e.or()
		e.expect(')')
		return inner
	case scanner.Int, scanner.Float:
		x, err := strconv.ParseFloat(e.text(), 64)
		if err != nil {
			e.fail("expected a number at %s", e.scan.Pos())
		}
		e.next()
		return number(x)
	}
	name := e.ident()
	switch {
	case aggregations[name] != nil:
		return e.aggregate(aggregations[name])
	case e.token == '(':
		return e.call(name)
	}
	return e.instant(e.selector(name))
}

// aggregate groups samples by the labels that are named, before the parentheses or behind them.
func (e *evaluation) aggregate(with func([]float64) float64) vector {
	by := e.by()
	e.expect('(')
	inner := e.or()
	e.expect(')')
	by = append(by, e.by()...)
	var out vector
	groups := map[string][]float64{}
	for _, s := range inner.samples {
		labels := map[string]string{}
		for _, name := range by {
			if s.labels[name] != "" {
				labels[name] = s.labels[name]
			}
		}
		key := labelText(labels)
		if groups[key] == nil {
			out.samples = append(out.samples, vectorSample{labels: labels})
		}
		groups[key] = append(groups[key], s.value)
	}
	for i, s := range out.samples {
		out.samples[i].value = with(groups[labelText(s.labels)])
	}
	return out
}

func (e *evaluation) by() (names []string) {
	if e.token != scanner.Ident || e.text() != "by" {
		return nil
	}
	e.next()
	e.expect('(')
	for e.token != ')' {
		names = append(names, e.ident())
		if !e.accept(',') {
			break
		}
	}
	e.expect(')')
	return names
}

func (e *evaluation) call(name string) vector {
	e.expect('(')
	defer e.expect(')')
	switch name {
	case "time":
		return number(float64(e.at.UnixMilli()) / 1000)
	case "vector":
		v := e.or()
		v.scalar = false
		return v
	case "timestamp":
		return e.timestamps(e.selector(e.ident()))
	case "absent":
		if found := e.instant(e.selector(e.ident())); len(found.samples) > 0 {
			return vector{}
		}
		return vector{samples: []vectorSample{{map[string]string{}, 1}}}
	}
	over := windowFunctions[name]
	if over == nil {
		e.fail("the sample system has no function %s", name)
	}
	selected := e.selector(e.ident())
	return e.over(selected, e.window(), over)
}
