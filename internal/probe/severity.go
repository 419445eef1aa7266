package probe

import "regexp"

var severity = regexp.MustCompile(`^(?i:p|sev)-?([1-9])$`)

// SeverityLevel returns how urgent a severity is, whichever of two vocabularies it is of: 1 for P1 and sev1, the most
// urgent, 2 for P2 and sev2, and so on; 0 for any other word.
func SeverityLevel(word string) int {
	m := severity.FindStringSubmatch(word)
	if m == nil {
		return 0
	}
	return int(m[1][0] - '0')
}
