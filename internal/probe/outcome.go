package probe

import "fmt"

// An Outcome is what one check came to: OK and what was seen, or why it did not pass and what was expected and got.
// Code that judges an answer returns one; Result.Note writes it down.
type Outcome struct {
	Reason Reason
	Detail string
}

// Outcomef returns an outcome whose detail is formatted as by fmt.Sprintf.
//
//go:noinline
func Outcomef(why Reason, format string, args ...any) Outcome {
	return Outcome{Reason: why, Detail: fmt.Sprintf(format, args...)}
}

// Passed reports whether the check passed. The zero Outcome did not.
func (o Outcome) Passed() bool { return o.Reason == OK }

// Note writes the outcome of a check, with the verdict that its reason has by itself.
//
//go:noinline
func (r *Result) Note(check string, o Outcome) { r.Report(check, o.Reason, "%s", o.Detail) }
