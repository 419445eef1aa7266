package alerts

import (
	"slices"
	"time"
)

// A term is a condition of an alert on one probe, in both of its forms: an expression for Prometheus, and a function for a prober
// that sends its alerts itself. Terms are joined in both forms at once, so the two cannot come apart.
type term struct {
	expr  string
	found func(*view) []found // nil if only Prometheus knows

	dependent bool // a dependency that fails ends it
}

// A found is one thing of a probe for which a condition holds.
type found struct {
	labels map[string]string // that the series has beside those of its probe
	value  float64
	at     time.Time // when it was seen, if the condition is about something that is over
}

// foundIf is what is found if a condition of the whole probe holds.
func foundIf(holds bool) []found {
	if !holds {
		return nil
	}
	return []found{{}}
}

// is makes a term whose function says only yes or no.
//
//go:noinline
func is(expr string, holds func(*view) bool) term {
	return term{expr: expr, found: func(v *view) []found { return foundIf(holds(v)) }}
}

// holds reports whether anything is found.
func (t term) holds(v *view) bool { return len(t.found(v)) > 0 }

// and is the term while others hold too.
//
//go:noinline
func (s *system) and(t term, others ...term) term { return s.join("and", t, others) }

// unless is the term while no other holds.
//
//go:noinline
func (s *system) unless(t term, others ...term) term { return s.join("unless", t, others) }

func (s *system) join(operator string, t term, others []term) term {
	joined := term{expr: t.expr, dependent: t.dependent}
	for _, o := range others {
		joined.dependent = joined.dependent || o.dependent && operator == "and"
		joined.expr += "\n" + operator + " " + s.on() + " " + o.expr
	}
	joined.found = func(v *view) []found {
		if slices.ContainsFunc(others, func(o term) bool { return o.holds(v) == (operator == "unless") }) {
			return nil
		}
		return t.found(v)
	}
	return joined
}

// either is the condition that one of two holds.
func either(a, b term) term {
	return is("("+a.expr+" or "+b.expr+")", func(v *view) bool { return a.holds(v) || b.holds(v) })
}
