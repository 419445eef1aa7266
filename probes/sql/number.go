package sql

import (
	"prober/internal/postgres"
	"prober/probes/internal/limits"
)

// A Number is a limit: a number, or a duration that stands for its seconds.
type Number = limits.Number

// format writes a number as people do.
//
//go:noinline
func format(v float64) string { return limits.Format(v) }

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
	return limits.Parse(v.Text)
}
