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

// upTo rounds a duration up to whole units.
func upTo(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

// equal is a matcher for one value.
func equal(label, value string) string { return label + "=" + strconv.Quote(value) }

// oneOf is a matcher for several values.
func oneOf(label string, values []string) string {
	if len(values) == 1 {
		return equal(label, values[0])
	}
	quoted := make([]string, len(values))
	for i, v := range slices.Sorted(slices.Values(values)) {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return label + "=~" + strconv.Quote(strings.Join(quoted, "|"))
}

// of is a selector.
func of(metric string, matchers ...string) string {
	return metric + "{" + strings.Join(matchers, ",") + "}"
}

// heldFor is how long the last value of a series stands for one that a lost scrape took away. It is shorter than every
// `for:`, so that one bad sample of a prober that then vanishes never becomes an alert.
const heldFor = 45 * time.Second

// held is the selector, and for a while its last value where a scrape was lost. The selector itself comes first, for it
// reaches back as far as scrapes may be apart.
func held(selector string) string {
	return selector + " or last_over_time(" + selector + "[" + promTime(heldFor) + "])"
}

// lines joins parts of an expression, each on a line of its own.
func lines(parts ...string) string { return strings.Join(parts, "\n") }

// verbatim makes a text stand for itself in a template.
func verbatim(text string) string { return strings.ReplaceAll(text, "{{", escaped) }

// quoted writes a query as a string of a template; as a raw one, which is easier to read, unless its text forbids that.
func quoted(query string) string {
	if strings.Contains(query, "`") {
		return strconv.Quote(query)
	}
	return "`" + query + "`"
}

// expanded is what a template that verbatim made becomes.
func expanded(template string) string { return strings.ReplaceAll(template, escaped, "{{") }

const escaped = `{{"{{"}}`
