package exec

import (
	"context"
	"errors"
	"math"
	"regexp"
	"strings"

	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/exposed"
	"prober/probes/internal/limits"
)

// read returns the values that the program wrote, by their names in the configuration.
func (p *Probe) read(ctx context.Context, output []byte) (map[string][]float64, error) {
	if p.Format == openMetrics {
		return p.readMetrics(ctx, output)
	}
	written := map[string][]float64{}
	for label, values := range readPerformance(string(output)) {
		if _, wanted := p.Values[label]; wanted {
			written[label] = values
		}
	}
	return written, nil
}

// readMetrics reads OpenMetrics.
func (p *Probe) readMetrics(ctx context.Context, output []byte) (map[string][]float64, error) {
	x, err := exposed.Read(ctx, output, true, func(string) bool { return true })
	if errors.Is(err, exposed.ErrCut) {
		return nil, errors.New("expected OpenMetrics that ends with # EOF, got less")
	}
	if err != nil {
		return nil, errors.New("expected OpenMetrics: " + err.Error())
	}
	written := map[string][]float64{}
	for _, family := range x.Families {
		exposed.Each(family, func(name string, label func(string) string, value float64) {
			for wanted, series := range p.selectors {
				if series.Matches(name, label) {
					written[wanted] = append(written[wanted], value)
				}
			}
		})
	}
	if x.Old > 0 && len(written) < len(p.selectors) {
		return nil, errors.New("expected values of now, got " + text.Count(x.Old, "sample") + " with another time")
	}
	return written, nil
}

// only returns the one value that there must be.
func only(values []float64) (float64, error) {
	switch {
	case len(values) == 0:
		return 0, errors.New("expected a value, got none")
	case len(values) > 1:
		return 0, errors.New("expected one value, got " + text.Count(len(values), "value"))
	case math.IsNaN(values[0]) || math.IsInf(values[0], 0):
		return 0, errors.New("expected a number, got none")
	}
	return values[0], nil
}

// judge compares a value with its limits.
func (l Limit) judge(name string, value float64) probe.Outcome {
	got := limits.Format(value)
	switch {
	case l.Min != nil && value < float64(*l.Min):
		return probe.Outcomef(reasonRange, "%s: expected at least %s, got %s", name, l.Min, got)
	case l.Max != nil && value > float64(*l.Max):
		return probe.Outcomef(reasonRange, "%s: expected at most %s, got %s", name, l.Max, got)
	}
	return probe.Outcome{Reason: probe.OK}
}

// readPerformance reads the performance data of a plugin: what stands behind the first | of the first line, and of the lines
// behind it. A value that is unknown, or that is no number, is not a number.
func readPerformance(output string) map[string][]float64 {
	first, rest, _ := strings.Cut(output, "\n")
	_, data, _ := strings.Cut(first, "|")
	_, more, _ := strings.Cut(rest, "|")
	written := map[string][]float64{}
	for data = strings.TrimLeft(data+" "+more, blanks); data != ""; data = strings.TrimLeft(data, blanks) {
		var label string
		label, data = cutLabel(data)
		end := strings.IndexAny(data, blanks)
		if end < 0 {
			end = len(data)
		}
		value, _, _ := strings.Cut(data[:end], ";")
		if data = data[end:]; label != "" {
			written[label] = append(written[label], readValue(value))
		}
	}
	return written
}

const blanks = " \t\r\n"

// cutLabel reads a label and the = behind it. The label may stand in quotes, in which two quotes stand for one. It is empty for
// what is none.
func cutLabel(data string) (label, rest string) {
	quoted, ok := strings.CutPrefix(data, "'")
	if !ok {
		word := data
		if end := strings.IndexAny(data, blanks); end >= 0 {
			word = data[:end]
		}
		label, _, ok = strings.Cut(word, "=")
		if !ok {
			return "", data[len(word):]
		}
		return label, data[len(label)+1:]
	}
	for {
		part, behind, ends := strings.Cut(quoted, "'")
		label += part
		switch {
		case !ends:
			return "", ""
		case strings.HasPrefix(behind, "'"):
			label, quoted = label+"'", behind[1:]
		case strings.HasPrefix(behind, "="):
			return label, behind[1:]
		default:
			return "", behind
		}
	}
}

// units are what a value may be written in, and how much of the base unit each is: seconds and bytes. The plugins of Nagios mean
// powers of 1024.
var units = []struct {
	suffix string
	factor float64
}{
	{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1},
	{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}, {"PB", 1 << 50}, {"B", 1},
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
}

// Units of which nobody knows how much they are, such as m, which is minutes or a million to some, and numbers in which a comma
// may stand for thousands. Such a value as it stands would be within limits that it is far beyond.
var (
	unclearUnit   = regexp.MustCompile(`^([kKmMgGtTpP]i?(b|B|bit|bits|bps|hz|Hz)?|min(ute)?s?|hr?s?|hours?|d(ay)?s?|w(eek)?s?)$`)
	unclearNumber = regexp.MustCompile(`^[+-]?[1-9][0-9]{0,2},[0-9]{3}$`)
)

// readValue reads a number with its unit, of which what stands behind a / is passed over. Any other unit than those above counts
// as 1.
func readValue(value string) float64 {
	digits := strings.TrimRightFunc(value, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
	n, ok := limits.Parse(strings.Replace(digits, ",", ".", 1))
	if !ok || unclearNumber.MatchString(digits) {
		return math.NaN()
	}
	unit, _, _ := strings.Cut(value[len(digits):], "/")
	for _, u := range units {
		if unit == u.suffix {
			return n * u.factor
		}
	}
	if unclearUnit.MatchString(unit) {
		return math.NaN()
	}
	return n
}
