package sandbox

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/scanner"
	"time"

	"prober/internal/drop"
)

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
	return drop.If(e.witness.scraped(), func(s series) bool {
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
