package alerts

import (
	"cmp"
	"math"
	"strconv"

	"prober/internal/probe"
)

// A severity is a word of one of the vocabularies that probe.SeverityLevel knows. In each of them a lower level is more
// urgent.
type severity struct {
	word  string // of the runbook
	level int    // 0 to 5, or noLevel
}

// noLevel is the level of a severity that the configuration does not state.
const noLevel = -1

func parseSeverity(word string) severity {
	if level, ok := probe.SeverityLevel(word); ok {
		return severity{word, level}
	}
	return severity{word, noLevel}
}

// withLevel returns the severity of that level in the same vocabulary.
func (g severity) withLevel(level int) severity {
	if g.level == noLevel || g.level == level {
		return g
	}
	last := len(g.word) - 1
	if digit := g.word[last]; digit >= '0' && digit <= '9' {
		return severity{g.word[:last] + strconv.Itoa(level), level}
	}
	return severity{severity{level: level}.label(), level}
}

// lowered is one level less urgent, for alerts on something less than an outage. What is not urgent stays as it is.
//
//go:noinline
func (g severity) lowered() severity { return g.withLevel(max(g.level, min(g.level+1, 3))) }

// cappedAt is the severity, but no more urgent than the level.
//
//go:noinline
func (g severity) cappedAt(level int) severity { return g.withLevel(max(g.level, level)) }

// atLeast is the severity, but no less urgent than the level, even if the configuration states none.
//
//go:noinline
func (g severity) atLeast(level int) severity {
	if g.level == noLevel {
		return severity{level: level}
	}
	return g.withLevel(min(g.level, level))
}

// compare orders severities for sorting: the most urgent first, those without a level last.
func (g severity) compare(o severity) int {
	rank := func(g severity) int {
		if g.level == noLevel {
			return math.MaxInt
		}
		return g.level
	}
	return cmp.Compare(rank(g), rank(o))
}

// label is the value of the label severity, with the words that most rules and routes use.
func (g severity) label() string {
	switch g.level {
	case 0, 1:
		return "critical"
	case 2, noLevel:
		return "warning"
	}
	return "info"
}

// annotate adds what the configuration asks of people at this severity.
func (g severity) annotate(annotations map[string]string, asked map[int]probe.Response) {
	r := asked[g.level]
	for name, text := range map[string]string{"respond": r.Respond, "escalate": r.Escalate} {
		if text != "" {
			annotations[name] = escapeTemplate(text)
		}
	}
}
