package alerts

import (
	"strconv"

	"prober/internal/probe"
)

// A severity is one of P1 to P3, or of sev1 to sev3, as the runbook has it. In both vocabularies 1 is the most urgent.
type severity struct {
	word  string // of the runbook
	level int    // 1 to 3; 0 if the word is in neither vocabulary
}

func parseSeverity(word string) severity { return severity{word, min(probe.SeverityLevel(word), 3)} }

// withLevel returns the severity of that level in the same vocabulary.
func (g severity) withLevel(level int) severity {
	if g.level == 0 {
		return g
	}
	return severity{g.word[:len(g.word)-1] + strconv.Itoa(level), level}
}

// lowered is one level less urgent, for alerts on something less than an outage.
func (g severity) lowered() severity { return g.withLevel(min(g.level+1, 3)) }

// cappedAt is the severity, but no more urgent than the level.
func (g severity) cappedAt(level int) severity { return g.withLevel(max(g.level, level)) }

// compare orders severities for sorting: the most urgent first, unknown words last.
func (g severity) compare(o severity) int {
	rank := func(g severity) int { return (g.level + 9) % 10 }
	return rank(g) - rank(o)
}

// label is the value of the label severity, with the words that most rules and routes use.
func (g severity) label() string {
	switch g.level {
	case 1:
		return "critical"
	case 3:
		return "info"
	}
	return "warning"
}

// The deadlines of the playbook: «immediate», «within 1 hour», «within 24 hours».
var responseTimes = [...]string{1: "immediately", 2: "within 1 hour", 3: "within 24 hours"}

// escalation is the playbook's: «For a sev1, escalate to the first-tier contact within 5 minutes → if there is no
// response, escalate to the second-tier contact after 15 minutes.» The 15 minutes are counted from the first contact.
const escalation = "to the first-tier contact within 5 minutes; without a response to the second-tier contact 15 minutes later, 20 after the start"

// annotate adds the response times.
func (g severity) annotate(annotations map[string]string) {
	if g.level > 0 {
		annotations["respond"] = responseTimes[g.level]
	}
	if g.level == 1 {
		annotations["escalate"] = escalation
	}
}
