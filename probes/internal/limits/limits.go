// Package limits has the numbers that limits are in the configuration.
package limits

import (
	"errors"
	"math"
	"regexp"
	"strconv"

	"prober/internal/probe"
)

// A Number is a number, or a duration that stands for its seconds.
type Number float64

// UnmarshalYAML reads 100, 0.5, 30s or 1d.
func (n *Number) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return errNumber
	}
	if v, ok := Parse(text); ok {
		*n = Number(v)
		return nil
	}
	d, err := probe.ParseDuration(text)
	if err != nil {
		return errNumber
	}
	*n = Number(d.D().Seconds())
	return nil
}

var errNumber = errors.New("a limit is a number, or a duration such as 30s, 1h or 1d for its seconds")

// JSONSchema describes the two forms.
func (Number) JSONSchema() map[string]any {
	return map[string]any{"oneOf": []any{map[string]any{"type": "number"}, probe.Duration(0).JSONSchema()}}
}

// String writes the number as messages do.
func (n Number) String() string { return Format(float64(n)) }

// Format writes a number as people do, unless it is too long for that.
func Format(v float64) string {
	if math.Abs(v) >= 1e15 {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

// decimal is how a number is written, by PostgreSQL too. NaN and Infinity are none.
var decimal = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// Parse reads a finite number.
func Parse(text string) (float64, bool) {
	if !decimal.MatchString(text) {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsInf(v, 0)
}
