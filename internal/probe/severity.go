package probe

import (
	"errors"
	"regexp"
	"strings"

	"prober/internal/text"
)

// severityLevels are the words that rules and routes of Prometheus use. The other two vocabularies have numbers.
var severityLevels = map[string]int{"critical": 1, "warning": 2, "info": 3}

var numberedSeverity = regexp.MustCompile(`^(?i:p|sev)-?([0-9]+)$`)

// SeverityLevel returns how urgent a severity is, whichever of three vocabularies it is of: 0 for P0 and sev0, 1 for P1,
// sev1 and critical, 2 for P2, sev2 and warning, 3 for P3, sev3 and info, down to 5. Any other word is not ok.
func SeverityLevel(word string) (level int, ok bool) {
	if level, ok = severityLevels[strings.ToLower(word)]; ok {
		return level, true
	}
	m := numberedSeverity.FindStringSubmatch(word)
	if m == nil || len(m[1]) != 1 || m[1][0] > '5' {
		return 0, false
	}
	return int(m[1][0] - '0'), true
}

// ValidateSeverity refuses a word that SeverityLevel does not know. The message repeats what cannot be a secret.
func ValidateSeverity(word string) error {
	if _, ok := SeverityLevel(word); ok {
		return nil
	}
	shown, meant := text.Word(word), ""
	if numberedSeverity.MatchString(word) && len(word) <= 6 {
		shown = word + " "
	} else { // the nearest number is no guess at what was meant
		meant = text.DidYouMean(word, []string{"critical", "warning", "info", "P1", "P2", "P3", "sev1", "sev2", "sev3"})
	}
	return errors.New(shown + "is none of critical, warning, info, P0 to P5, sev0 to sev5" + meant)
}

// A Response is what the alerts of a severity ask of people, in the words of the configuration. An empty text asks nothing.
type Response struct {
	Respond  string `yaml:"respond" doc:"How soon somebody is to respond; becomes an annotation of the alerts."`
	Escalate string `yaml:"escalate" doc:"Whom to tell, and when, if nobody responds; becomes an annotation of the alerts."`
}
