package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
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

func (e *evaluation) fail(format string, args ...any) { panic(errQuery{fmt.Sprintf(format, args...)}) }
func (e *evaluation) next()                           { e.token = e.scan.Scan() }
func (e *evaluation) text() string                    { return e.scan.TokenText() }

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

// combine calculates with two numbers, or with the samples of two vectors that have the same labels.
func combine(operator rune, a, b vector) vector {
	out := vector{scalar: a.scalar && b.scalar}
	for _, x := range a.samples {
		for _, y := range b.samples {
			labels := withoutName(x.labels)
			if a.scalar {
				labels = withoutName(y.labels)
			}
			if a.scalar || b.scalar || maps.Equal(labels, withoutName(y.labels)) {
				out.samples = append(out.samples, vectorSample{labels, calculate(operator, x.value, y.value)})
			}
		}
	}
	return out
}

func calculate(operator rune, x, y float64) float64 {
	switch operator {
	case '+':
		return x + y
	case '-':
		return x - y
	case '*':
		return x * y
	}
	return x / y
}

func withoutName(labels map[string]string) map[string]string {
	labels = maps.Clone(labels)
	delete(labels, "__name__")
	return labels
}

func number(x float64) vector {
	return vector{scalar: true, samples: []vectorSample{{map[string]string{}, x}}}
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

var aggregations = map[string]func([]float64) float64{
	"sum":   total,
	"min":   slices.Min[[]float64],
	"max":   slices.Max[[]float64],
	"avg":   func(all []float64) float64 { return total(all) / float64(len(all)) },
	"count": func(all []float64) float64 { return float64(len(all)) },
}

func total(all []float64) (sum float64) {
	for _, x := range all {
		sum += x
	}
	return sum
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

// windowFunctions calculate with the first and the last sample in a window.
var windowFunctions = map[string]func(first, last float64, window time.Duration, samples int) float64{
	"increase": func(first, last float64, _ time.Duration, _ int) float64 { return last - first },
	"rate": func(first, last float64, window time.Duration, _ int) float64 {
		return (last - first) / window.Seconds()
	},
	"resets":          func(_, _ float64, _ time.Duration, _ int) float64 { return 0 },
	"changes":         func(first, last float64, _ time.Duration, _ int) float64 { return math.Abs(last - first) },
	"count_over_time": func(_, _ float64, _ time.Duration, samples int) float64 { return float64(samples) },
}

// A matcher selects series by a label.
type matcher struct {
	label, operator, value string
	pattern                *regexp.Regexp
}

func (m matcher) matches(value string) bool {
	switch m.operator {
	case "=":
		return value == m.value
	case "!=":
		return value != m.value
	case "=~":
		return m.pattern.MatchString(value)
	}
	return !m.pattern.MatchString(value)
}

// selector reads the labels behind a name and returns the series.
func (e *evaluation) selector(name string) []series {
	matchers := []matcher{}
	if e.accept('{') {
		for e.token != '}' {
			matchers = append(matchers, e.matcher())
			if !e.accept(',') {
				break
			}
		}
		e.expect('}')
	}
	return slices.DeleteFunc(e.witness.scraped(), func(s series) bool {
		return s.name != name || slices.ContainsFunc(matchers, func(m matcher) bool { return !m.matches(s.labels[m.label]) })
	})
}

func (e *evaluation) matcher() matcher {
	m := matcher{label: e.ident()}
	for e.token == '=' || e.token == '!' || e.token == '~' {
		m.operator += string(e.token)
		e.next()
	}
	value, err := strconv.Unquote(e.text())
	if !slices.Contains([]string{"=", "!=", "=~", "!~"}, m.operator) || err != nil {
		e.fail("expected a label matcher at %s", e.scan.Pos())
	}
	m.value = value
	e.next()
	if m.pattern, err = regexp.Compile("^(?:" + m.value + ")$"); err != nil {
		e.fail("expected a regular expression at %s", e.scan.Pos())
	}
	return m
}

// window reads a duration in brackets.
func (e *evaluation) window() time.Duration {
	text := ""
	if e.token != '[' {
		e.fail("expected type range vector, got instant vector")
	}
	for e.next(); e.token != ']' && e.token != scanner.EOF; e.next() {
		text += e.text()
	}
	e.expect(']')
	digits := strings.TrimRight(text, "smhdw")
	unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[text[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || unit == 0 || n == 0 {
		e.fail("expected a window such as 5m")
	}
	return time.Duration(n) * unit
}

// instant is the last sample of each series, unless it is too old.
func (e *evaluation) instant(selected []series) (v vector) {
	for _, s := range selected {
		last := e.witness.lastScrape(s, e.at)
		if e.at.Sub(last) < lookback && !last.Before(e.witness.since()) {
			labels := maps.Clone(s.labels)
			labels["__name__"] = s.name
			v.samples = append(v.samples, vectorSample{labels, s.at(last)})
		}
	}
	return v
}

func (e *evaluation) timestamps(selected []series) (v vector) {
	v = e.instant(selected)
	for i, s := range selected[:len(v.samples)] {
		v.samples[i] = vectorSample{s.labels, float64(e.witness.lastScrape(s, e.at).Unix())}
	}
	return v
}

// over calculates with the samples of each series in a window, if there are two.
func (e *evaluation) over(selected []series, window time.Duration, with func(first, last float64, window time.Duration, samples int) float64) (v vector) {
	for _, s := range selected {
		first := e.at.Add(-window)
		if since := e.witness.since(); first.Before(since) {
			first = since
		}
		last := e.witness.lastScrape(s, e.at)
		samples := int(last.Sub(first)/scrapeInterval) + 1
		if last.Sub(first) < scrapeInterval {
			continue
		}
		v.samples = append(v.samples, vectorSample{s.labels, with(s.at(first), s.at(last), window, samples)})
	}
	return v
}
