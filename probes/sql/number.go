package sql

import (
	"errors"
	"math"
	"regexp"
	"strconv"

	"prober/internal/postgres"
	"prober/internal/probe"
)

// A Number is a limit: a number, or a duration that stands for its seconds.
type Number float64

// UnmarshalYAML reads 100, 0.5, 30s or 1d.
func (n *Number) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return errNumber
	}
	if v, ok := parseNumber(text); ok {
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
func (n Number) String() string { return format(float64(n)) }

// format writes a number as people do, unless it is too long for that.
func format(v float64) string {
	if math.Abs(v) >= 1e15 {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

// decimal is how PostgreSQL writes a number. NaN and Infinity are none.
var decimal = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// parseNumber reads a number of the answer, or of the configuration.
func parseNumber(text string) (float64, bool) {
	if !decimal.MatchString(text) {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// number reads a value of the answer as a number; true is 1 and false is 0.
func number(v postgres.Value) (float64, bool) {
	switch {
	case !v.Valid:
		return 0, false
	case v.Text == "t":
		return 1, true
	case v.Text == "f":
		return 0, true
	}
	return parseNumber(v.Text)
}
