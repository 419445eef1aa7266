package alerts

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// promTime writes a duration as Prometheus reads it, without parts that are zero.
func promTime(d time.Duration) string {
	d = d.Round(time.Second)
	var b strings.Builder
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			d -= n * unit.size
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// roundUp rounds a duration up to whole units.
func roundUp(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

// equal is a matcher for one value.
func equal(label, value string) string { return label + "=" + strconv.Quote(value) }

// oneOf is a matcher for several values.
func oneOf(label string, values []string) string {
	if len(values) == 1 {
		return equal(label, values[0])
	}
	return label + "=~" + anyOf(values)
}

// noneOf is a matcher for all but these values.
func noneOf(label string, values []string) string { return label + "!~" + anyOf(values) }

// anyOf is a regular expression that matches the values.
func anyOf(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range slices.Sorted(slices.Values(values)) {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return strconv.Quote(strings.Join(quoted, "|"))
}

// selector is the series of a metric with the matchers.
//
//go:noinline
func selector(metric string, matchers ...string) string {
	return metric + "{" + strings.Join(matchers, ",") + "}"
}

// lastKnownFor is how long the last value of a series replaces one that a lost scrape took away. It is shorter than every
// `for:`, so that one bad sample of a prober that then disappears never becomes an alert.
const lastKnownFor = 45 * time.Second

// lastKnown is the selector, or for a while its last value after a lost scrape. The selector comes first: it reaches back
// as far as scrapes may be apart.
//
//go:noinline
func lastKnown(selector string) string {
	return selector + " or last_over_time(" + selector + "[" + promTime(lastKnownFor) + "])"
}

// lines joins parts of an expression, one on each line.
//
//go:noinline
func lines(parts ...string) string { return strings.Join(parts, "\n") }

// escapeTemplate makes a template that expands to the text.
//
//go:noinline
func escapeTemplate(text string) string { return strings.ReplaceAll(text, "{{", escaped) }

// templateString writes a query as a string in a template: raw, which is easier to read, if the query allows it.
func templateString(query string) string {
	if strings.Contains(query, "`") {
		return strconv.Quote(query)
	}
	return "`" + query + "`"
}

// unescapeTemplate undoes escapeTemplate.
func unescapeTemplate(template string) string { return strings.ReplaceAll(template, escaped, "{{") }

const escaped = `{{"{{"}}`
