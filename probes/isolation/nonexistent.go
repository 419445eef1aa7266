package isolation

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/canary"
)

// A service rejects what cannot be one of its ids differently from an id that no object has. So the ids of nonexistent
// objects keep what the ids of objects have in common: the prefix of a type, the version of a UUID, the alphabet.

// unusedID returns an id that no object of the resource has.
func (r *run) unusedID(obj seededObject) string {
	rr := obj.resourceRun
	if rr.ID.Text != "" && rr.Create != nil {
		return rr.chosenID(obj.owner, canary.Mint(r.p.Replica, time.Now()))
	}
	var known []string
	r.mu.Lock()
	for _, text := range r.protected {
		if text.kind == "id" && text.resource == rr {
			known = append(known, text.text)
		}
	}
	r.mu.Unlock()
	return nonexistentID(obj.id, known)
}

var (
	uuidPattern = regexp.MustCompile(`^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	typePattern = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9]*[_:.])+|^(?:[A-Za-z]+-)+`)
)

// nonexistentID returns an id of the same form as another, given the ids of further objects.
func nonexistentID(id string, known []string) string {
	prefix := typePattern.FindString(id)
	rest := id[len(prefix):]
	if uuidPattern.MatchString(id) {
		prefix, rest = "", id
	}
	var others []string // of the same form
	for _, other := range known {
		if other != id && len(other) == len(id) && strings.HasPrefix(other, prefix) {
			others = append(others, other[len(prefix):])
		}
	}
	for {
		made := ""
		switch {
		case uuidPattern.MatchString(rest):
			made = randomUUID(rest)
		case strings.Trim(rest, "0123456789") == "":
			made = randomNumber(rest)
		case combinations(rest, others) >= 256:
			made = combine(rest, others)
		default:
			made = randomAlike(rest)
		}
		if made != rest && !slices.Contains(others, made) {
			return prefix + made
		}
	}
}

// randomUUID returns a UUID of the same version and variant.
func randomUUID(like string) string {
	const version, variant = 14, 19
	out := []byte(like)
	for i, c := range out {
		if c == '-' || i == version || i == variant {
			continue
		}
		out[i] = "0123456789abcdef"[rand.IntN(16)]
	}
	if strings.ToUpper(like) == like {
		return strings.ToUpper(string(out))
	}
	return string(out)
}

// randomNumber returns a number that is not a customer's: of 18 digits, or, for a short one, of about two thousand million,
// which 32 bits can hold. With leading zeros the length is part of the form.
func randomNumber(like string) string {
	digits := func(n int) string {
		text := strconv.FormatUint(rand.Uint64N(900_000_000)+100_000_000, 10) + strconv.FormatUint(rand.Uint64N(900_000_000)+100_000_000, 10)
		return strings.Repeat("9", max(0, n-len(text))) + text[:min(n, len(text))]
	}
	switch n := len(like); {
	case like != "" && like[0] == '0':
		return "9" + digits(n-1)
	case n < len("2000000000"):
		return "20" + digits(8)
	case n > 18:
		return like[:1] + digits(n-1)
	}
	return "9" + digits(17)
}

// combinations is how many ids can be made by taking each character from any of the given ones, up to a bound.
func combinations(id string, others []string) int {
	n := 1
	for i := range id {
		seen := map[byte]bool{id[i]: true}
		for _, other := range others {
			seen[other[i]] = true
		}
		if n *= len(seen); n > 1<<20 {
			return n
		}
	}
	return n
}

// combine takes each character from any of the given ids, so that what all have at one place stays there.
func combine(id string, others []string) string {
	out := []byte(id)
	for i := range out {
		if n := rand.IntN(len(others) + 1); n < len(others) {
			out[i] = others[n][i]
		}
	}
	return string(out)
}

// randomAlike replaces letters by letters and digits by digits that the usual alphabets have: hex, base32, base58. The
// first character often has a meaning of its own.
func randomAlike(like string) string {
	letters := "abcdefghjkmnpqrstvwxyz"
	if strings.Trim(strings.ToLower(like), "0123456789abcdef-") == "" {
		letters = "abcdef"
	}
	out := []byte(like)
	for i, c := range out {
		letter := letters[rand.IntN(len(letters))]
		switch {
		case i == 0 && len(out) > 8:
		case '0' <= c && c <= '9':
			out[i] = "234567"[rand.IntN(6)]
		case 'a' <= c && c <= 'z':
			out[i] = letter
		case 'A' <= c && c <= 'Z':
			out[i] = letter - 'a' + 'A'
		}
	}
	return string(out)
}
