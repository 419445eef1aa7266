package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// maxNames bounds how many probes a summary names, and how many addresses an explanation.
const maxNames = 10

// Summary is the report in one or two sentences: how many passed, which did not, and what that proves.
func (r Report) Summary() string {
	entries := r.entries()
	reason := strings.TrimSuffix(text.Line(r.Reason), ".")
	if len(r.Results) == 0 {
		if reason == "" {
			reason = "none was selected"
		}
		return "0 probes ran: " + reason + "."
	}
	t := r.totals(entries)
	sentences := []string{r.counts(t, entries, reason)}
	if r.Repeat > 0 {
		sentences = append(sentences, r.repeatBound())
	}
	switch {
	case t.verdict == probe.Fail && r.Awaited:
		sentences = append(sentences, "Not fixed.")
	case t.verdict == probe.Fail:
		sentences = append(sentences, "Not healthy.")
	case t.verdict != probe.Pass:
		sentences = append(sentences, "Not proven.")
	}
	return strings.Join(sentences, " ")
}

// counts is the sentence that counts the probes by verdict.
func (r Report) counts(t totals, entries []entry, reason string) string {
	var b strings.Builder
	if t.pass == t.all && t.all > 1 {
		fmt.Fprintf(&b, "All %d passed", t.all)
	} else {
		fmt.Fprintf(&b, "%d of %d passed", t.pass, t.all)
	}
	if t.pass == t.all {
		b.WriteString(r.elapsed())
	}
	several := len(systems(entries)) > 1
	separator := ", "
	for _, group := range []struct {
		words string
		in    func(entry) bool
	}{
		{"failed", func(e entry) bool { return e.ran && e.verdict == probe.Fail }},
		{"inconclusive", func(e entry) bool { return e.ran && e.verdict == probe.Inconclusive }},
		{"did not run", func(e entry) bool { return !e.ran }},
	} {
		if names := namesOf(entries, group.in, several); len(names) > 0 {
			fmt.Fprintf(&b, "%s%d %s: %s", separator, len(names), group.words, text.List(names, maxNames))
			separator = "; "
		}
	}
	if t.pass < t.all && r.roundsText() != "" {
		b.WriteString("; " + r.roundsText() + " in " + text.Duration(r.Ended.Sub(r.Started)))
	}
	if reason != "" {
		b.WriteString("; ended early: " + reason)
	}
	return b.String() + "."
}

// elapsed says how long it took until all passed, and for how long they kept passing.
func (r Report) elapsed() string {
	out := ""
	if took := r.Ended.Sub(r.Started); took > 0 && !r.Started.IsZero() {
		out = " in " + text.Duration(took)
	}
	if asked := r.roundsText(); asked != "" {
		out += ", " + asked
	}
	if r.Held > 0 {
		out += ", held for " + probe.Duration(r.Held.Round(time.Second)).String()
	}
	return out
}

// roundsText says how often the probes ran, if that was more than once and no other sentence says so.
func (r Report) roundsText() string {
	if r.Rounds < 2 || r.Repeat > 0 {
		return ""
	}
	return fmt.Sprintf("ran %d times", r.Rounds)
}

// repeatBound says what clean runs prove. By the rule of three, N runs without a fault leave, with 95 % confidence, room
// for faults in at most 3/N of all runs. The share is rounded up, so that it never claims more than that.
func (r Report) repeatBound() string {
	switch {
	case r.Clean < r.Repeat && r.Rounds < r.Repeat:
		return fmt.Sprintf("%d of %d runs clean, expected %d.", r.Clean, r.Rounds, r.Repeat)
	case r.Clean < r.Repeat:
		return fmt.Sprintf("%d of %d runs clean.", r.Clean, r.Repeat)
	case r.Repeat <= 3:
		return fmt.Sprintf("%d of %d runs clean: too few to say how rare a fault would be.", r.Clean, r.Repeat)
	}
	digits, unit := 1, 10
	if r.Repeat > 3000 {
		digits, unit = 3, 1000
	}
	share := float64((300*unit+r.Repeat-1)/r.Repeat) / float64(unit)
	return fmt.Sprintf("%d of %d runs clean: a fault in more than %s %% of runs would have shown with 95 %% confidence (3/N).",
		r.Clean, r.Repeat, strconv.FormatFloat(share, 'f', digits, 64))
}

func namesOf(entries []entry, in func(entry) bool, several bool) []string {
	var names []string
	for _, e := range entries {
		switch {
		case !in(e):
		case several:
			names = append(names, e.title())
		default:
			names = append(names, e.Name)
		}
	}
	return names
}
