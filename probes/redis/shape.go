package redis

import (
	"regexp"
	"slices"
	"strings"
)

// What a shape says in place of a part of a name.
const (
	shapeNumber = "N"
	shapeHex    = "HEX"
	shapeUUID   = "UUID"
	shapeOther  = "*"
)

// maxParts is how many parts of a name its shape has.
const maxParts = 6

var (
	uuid = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	word = regexp.MustCompile(`^[A-Za-z0-9_]{1,32}$`)
	hex  = regexp.MustCompile(`^[0-9a-fA-F]{8,}$`)
)

// shape says how a name looks, with none of its text but the words that the configuration allows: a name is the target's, and
// may hold a user's.
func shape(name string, words []string) string {
	name = name[:min(len(name), maxKeyLength)]
	var parts []string
	for part := range strings.SplitSeq(name, ":") {
		if len(parts) == maxParts {
			return strings.Join(append(parts, shapeOther), ":")
		}
		parts = append(parts, shapeOf(part, words))
	}
	return strings.Join(parts, ":")
}

func shapeOf(part string, words []string) string {
	switch {
	case slices.Contains(words, part):
		return part
	case part != "" && strings.Trim(part, "0123456789") == "":
		return shapeNumber
	case uuid.FindString(part) == part && part != "":
		return shapeUUID
	case hex.MatchString(part):
		return shapeHex
	}
	return shapeOther
}

// Patterns of what no name of a key may hold: everybody who may run SCAN reads it, whatever keys it has a right on.
var (
	email      = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`)
	jwt        = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}`)
	credential = regexp.MustCompile(`(^|[^A-Za-z0-9])(sk_live_[A-Za-z0-9]|sk-[A-Za-z0-9_-]{20}|gh[pousr]_[A-Za-z0-9]{20}|github_pat_|glpat-|xox[abprs]-|AKIA[0-9A-Z]{16}|[Bb]earer )`)
)

// data says what a name holds that it must not: an e-mail address, a token or a credential; empty if nothing.
func data(name string) string {
	switch {
	case strings.Contains(name, "@") && email.MatchString(name):
		return "an e-mail address"
	case strings.Contains(name, "eyJ") && jwt.MatchString(name):
		return "a token"
	case credential.MatchString(name):
		return "a credential"
	}
	return ""
}
