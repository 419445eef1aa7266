package alerts

import (
	"regexp"
	"strconv"
)

// A grade is how bad something is, in the words of a runbook: P1 to P3, or sev1 to sev3. One table serves both, since
// both count from what cannot wait.
type grade struct {
	word  string // as the runbook says it
	level int    // 1 to 3; 0 if the word is in neither vocabulary
}

var gradeWord = regexp.MustCompile(`^(?i:(p|sev)-?)([1-9])$`)

func gradeOf(word string) grade {
	m := gradeWord.FindStringSubmatch(word)
	if m == nil {
		return grade{word: word}
	}
	n, _ := strconv.Atoi(m[2])
	return grade{word, min(n, 3)}
}

// at returns the grade of that level in the same vocabulary.
func (g grade) at(level int) grade {
	if g.level == 0 {
		return g
	}
	return grade{g.word[:len(g.word)-1] + strconv.Itoa(level), level}
}

// eased is one level less, for news that is not the outage itself: that nobody can tell, or that a part is broken.
func (g grade) eased() grade { return g.at(min(g.level+1, 3)) }

// atMost is the grade, but no worse than the level.
func (g grade) atMost(level int) grade { return g.at(max(g.level, level)) }

// worse orders grades for sorting: the worst first, unknown words last.
func (g grade) worse(o grade) int {
	rank := func(g grade) int { return (g.level + 9) % 10 }
	return rank(g) - rank(o)
}

// severity is the word that the rules and routes of other people know.
func (g grade) severity() string {
	switch g.level {
	case 1:
		return "critical"
	case 3:
		return "info"
	}
	return "warning"
}

// The deadlines of the playbook: «immediate», «within 1 hour», «within 24 hours».
var respondWithin = [...]string{1: "immediately", 2: "within 1 hour", 3: "within 24 hours"}

// escalation is the playbook's: «For a sev1, escalate to the first-tier contact within 5 minutes → if there is no
// response, escalate to the second-tier contact after 15 minutes.» The 15 minutes are counted from the first contact.
const escalation = "to the first-tier contact within 5 minutes; without a response to the second-tier contact 15 minutes later, 20 after the start"

// annotate adds the deadlines.
func (g grade) annotate(annotations map[string]string) {
	if g.level > 0 {
		annotations["respond"] = respondWithin[g.level]
	}
	if g.level == 1 {
		annotations["escalate"] = escalation
	}
}
