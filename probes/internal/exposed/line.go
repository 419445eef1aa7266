package exposed

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// A line is one of an exposition, in the older format.
type line struct {
	text   string // empty if it says nothing
	name   string // of the metric
	kind   string // that it is said to be, in a line that says so
	sample bool
	old    bool // the sample states a time that is not now
	end    bool // the last one of OpenMetrics
}

// parseLine reads the name in a line, and turns OpenMetrics into the older format. It says what is wrong with the line.
func parseLine(text string, openMetrics bool) (line, string) {
	switch {
	case text == "":
		return line{}, ""
	case strings.HasPrefix(text, "#"):
		return parseComment(text, openMetrics), ""
	}
	head, rest, ok := cutSample(text)
	if !ok {
		return line{}, "is not of the text format: Prometheus takes nothing of the exposition"
	}
	l := line{text: text, name: head, sample: true}
	if name, labels, quoted := cutQuotedName(head); quoted {
		l.name = name
		if model.LegacyValidation.IsValidMetricName(name) {
			l.text = name + "{" + labels + rest // the parser knows names without quotes better
		}
	} else if i := strings.IndexByte(head, '{'); i >= 0 {
		l.name = strings.TrimRight(head[:i], " \t")
	}
	value, unit := rest, time.Millisecond
	if openMetrics {
		value, _, _ = strings.Cut(rest, " # ") // the exemplar
		unit = time.Second
	}
	fields := strings.Fields(value)
	malformed := len(fields) == 0 || len(fields) > 2
	if len(fields) == 2 {
		at, err := strconv.ParseFloat(fields[1], 64)
		malformed = malformed || err != nil
		ago := float64(time.Now().UnixMilli())/1000 - at*unit.Seconds()
		l.old = !(ago <= maxAge.Seconds() && ago >= -maxAhead.Seconds()) // or no number
	}
	switch {
	case !openMetrics:
		return l, "" // the parser refuses it
	case malformed:
		return line{}, "is not of the format OpenMetrics: Prometheus takes nothing of the exposition"
	}
	l.text = l.text[:len(l.text)-len(rest)] + " " + fields[0] // a time is in seconds here, and in milliseconds there
	return l, ""
}

// parseComment reads a line that is no sample.
func parseComment(text string, openMetrics bool) line {
	fields := strings.Fields(text)
	if openMetrics && text == "# EOF" {
		return line{end: true}
	}
	if len(fields) < 3 || fields[0] != "#" || fields[1] != "TYPE" && (fields[1] != "HELP" || openMetrics) {
		return line{} // the help of OpenMetrics is that of another name
	}
	name := fields[2]
	if unquoted, err := strconv.Unquote(name); err == nil {
		name = unquoted
	}
	kind := ""
	if fields[1] == "TYPE" && len(fields) == 4 {
		kind = fields[3]
	}
	if !openMetrics || kind == "" {
		return line{text: text, name: name, kind: strings.ToLower(kind)}
	}
	suffix := ""
	switch kind {
	case "counter":
		suffix = "_total"
	case "info":
		suffix, kind = "_info", "gauge"
	case "stateset":
		kind = "gauge"
	case "unknown":
		kind = "untyped"
	}
	if !strings.HasSuffix(name, suffix) {
		name += suffix
	}
	shown := name
	if !model.LegacyValidation.IsValidMetricName(name) {
		shown = strconv.Quote(name)
	}
	return line{text: "# TYPE " + shown + " " + kind, name: name, kind: kind}
}

// cutSample cuts a line behind its labels, or behind its name if it has none.
func cutSample(text string) (head, rest string, ok bool) {
	quoted, inside := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			inside = true
		case c == '}':
			return text[:i+1], text[i+1:], inside
		case (c == ' ' || c == '\t') && !inside:
			next := i + len(text[i:]) - len(strings.TrimLeft(text[i:], " \t"))
			if next == len(text) || text[next] != '{' {
				return text[:i], text[i:], i > 0
			}
			i = next - 1
		}
	}
	return "", "", false
}

// cutQuotedName reads the name in labels such as {"name",label="value"}, and returns the labels without it.
func cutQuotedName(head string) (name, labels string, ok bool) {
	inner, ok := strings.CutPrefix(head, "{")
	inner = strings.TrimLeft(inner, " \t")
	if !ok || !strings.HasPrefix(inner, `"`) {
		return "", "", false
	}
	for i := 1; i < len(inner); i++ {
		switch inner[i] {
		case '\\':
			i++
		case '"':
			name, err := strconv.Unquote(inner[:i+1])
			labels = strings.TrimLeft(inner[i+1:], " \t,")
			return name, labels, err == nil
		}
	}
	return "", "", false
}
