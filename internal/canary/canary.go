// Package canary makes texts that nobody else can have written, and finds them again in whatever form they come back.
//
// A canary is planted with one tenant; another tenant that is shown it, or a form of it, was shown what is not its own.
package canary

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// prefix begins every canary, so that whoever meets one in a test org knows what it is.
const prefix = "cnry"

// longestReplica bounds a replica's part of a canary.
const longestReplica = 40

// Mint returns a new canary: who made it, when, and 128 random bits.
func Mint(replica string, now time.Time) string {
	return fmt.Sprintf("%s-%s-%d-%s", prefix, replica, now.Unix(), Random())
}

// Prefix is what all canaries of a replica begin with, to search for.
func Prefix(replica string) string { return prefix + "-" + replica + "-" }

// Random returns 128 random bits in 32 hex digits.
func Random() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: it would end the program
	return hex.EncodeToString(b[:])
}

// Secret returns the random part of a canary, which alone must not be shown. Of another text it is all of it.
func Secret(text string) string {
	if marks := Find(text); len(marks) == 1 {
		return text[strings.LastIndexByte(text, '-')+1:]
	}
	return text
}

// Hash is a short name for a canary or an id that must not be shown.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:4])
}

// Replica returns a host's name in the form in which it stands in canaries: lower case letters, digits and hyphens, at
// most 40 of them.
func Replica(host string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			return c
		case 'A' <= c && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, host)
	name = name[:min(len(name), longestReplica)]
	if strings.Trim(name, "-") == "" {
		return "prober"
	}
	return name
}

// A Mark is a canary that was found, with what its name tells.
type Mark struct {
	Text    string
	Replica string
	Made    time.Time
}

// marked is the form of a canary in any text. The last two parts have one length, so a replica may hold hyphens.
var marked = regexp.MustCompile(prefix + `-([a-z0-9-]{1,40})-([0-9]{9,11})-([0-9a-f]{32})`)

// Find returns the canaries in a text, whoever made them.
func Find(text string) []Mark {
	var marks []Mark
	for _, m := range marked.FindAllStringSubmatch(text, -1) {
		if at, err := strconv.ParseInt(m[2], 10, 64); err == nil {
			marks = append(marks, Mark{Text: m[0], Replica: m[1], Made: time.Unix(at, 0)})
		}
	}
	return marks
}
