// Package canary makes unguessable texts, and finds them again in whatever form they come back.
//
// A canary is stored for one tenant. If another tenant receives it, in any form, there is a leak.
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

// Prefix begins every canary, so that people who find one in a test org can look it up.
const Prefix = "cnry-"

// randomDigits is how many hex digits the random part has.
const randomDigits = 32

// maxReplicaBytes bounds the replica's name in a canary.
const maxReplicaBytes = 40

// Mint returns a new canary: 128 random bits, the replica that made it, and the time. The random part comes first, so
// that it survives where only the beginning of a text is shown.
func Mint(replica string, now time.Time) string {
	return fmt.Sprintf("%s%s-%s-%d", Prefix, Random(), replica, now.Unix())
}

// writerDigits is how many of the random digits of a canary tell who wrote it.
const writerDigits = 8

// MintBy is Mint for a text that one writer sends and nobody else does. Whoever knows the writers can tell by the text alone
// which of them it was, also in another process.
func MintBy(writer, replica string, now time.Time) string {
	random := Random()[:randomDigits-writerDigits]
	return fmt.Sprintf("%s%s%s-%s-%d", Prefix, random, writerMark(random, writer), replica, now.Unix())
}

// WrittenBy reports whether a canary was minted for a writer.
func WrittenBy(writer, text string) bool {
	own := Secret(text)
	if own == text {
		return false
	}
	random, mark := own[:randomDigits-writerDigits], own[randomDigits-writerDigits:]
	return mark == writerMark(random, writer)
}

func writerMark(random, writer string) string {
	sum := sha256.Sum256([]byte(random + " " + writer))
	return hex.EncodeToString(sum[:])[:writerDigits]
}

// Random returns 128 random bits in 32 hex digits.
func Random() string {
	var b [16]byte
	rand.Read(b[:]) // never returns an error
	return hex.EncodeToString(b[:])
}

// Secret returns the random part of a canary, the only part that must not be shown. For any other text it returns all of
// it.
func Secret(text string) string {
	if marks := Find(text); len(marks) == 1 {
		return text[strings.Index(text, marks[0].Text)+len(Prefix):][:randomDigits]
	}
	return text
}

// Sibling returns another canary that follows from a canary, and does not reveal it: the same with a hash as its random
// part. Of any other text it is the hash alone.
func Sibling(text string) string {
	own := Secret(text)
	sum := sha256.Sum256([]byte(own))
	return strings.ReplaceAll(text, own, hex.EncodeToString(sum[:])[:randomDigits])
}

// Hash returns a short name for a canary or an id that must not be shown.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:4])
}

// Replica returns a host name in the form that canaries use: at most 40 lower case letters, digits and hyphens.
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
	name = name[:min(len(name), maxReplicaBytes)]
	if strings.Trim(name, "-") == "" {
		return "prober"
	}
	return name
}

// A Mark is a canary that was found, with the parts of its name.
type Mark struct {
	Text    string
	Replica string
	Made    time.Time
}

// canaryPattern matches a canary in any text. The parts around the replica contain no hyphens, so the replica may.
var canaryPattern = regexp.MustCompile(Prefix + `[0-9a-f]{32}-([a-z0-9-]{1,40})-([0-9]{9,11})`)

// Find returns the canaries in a text, of any replica.
func Find(text string) []Mark {
	var marks []Mark
	for _, m := range canaryPattern.FindAllStringSubmatch(text, -1) {
		if at, err := strconv.ParseInt(m[2], 10, 64); err == nil {
			marks = append(marks, Mark{Text: m[0], Replica: m[1], Made: time.Unix(at, 0)})
		}
	}
	return marks
}
