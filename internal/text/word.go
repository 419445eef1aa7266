package text

import "regexp"

var wordLike = regexp.MustCompile(`^([a-z]{1,16}(_[a-z0-9]{1,8}){0,3}|[0-9]{1,6}(\.[0-9]{1,3})? ?[a-zA-Z%]{0,8})$`)

// Word returns a value in front of a space, as a message may repeat it: a plain word, or a number with its unit. What might
// be a secret in the wrong place becomes "".
func Word(value string) string {
	if wordLike.MatchString(value) {
		return value + " "
	}
	return ""
}
