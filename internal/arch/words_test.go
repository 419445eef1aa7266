package arch

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"prober/internal/testenv"
)

// A bannedWord is one that only people who wrote this code would understand, and what to write instead. A glossary of
// the words that are in use is in docs/contributing.md.
type bannedWord struct{ words, instead string }

// bannedWords are matched in identifiers, comments, messages and documents, without regard to case. Several are separated
// by commas. CamelCase and snake_case count as words of their own, so "old" also finds oldName and old_name. A space is a
// space, a hyphen, an underscore, the start of a new word in an identifier, or the line break of a wrapped comment.
var bannedWords = []bannedWord{
	// The third verdict has one name.
	{"nobody can tell, no one can tell", "inconclusive, or say who cannot know what"},
	{"could not tell, can not tell, cannot tell", "is inconclusive"},
	{"untold", "inconclusive, unknown"},

	// Turns of phrase.
	{"none that", "no ... that, or: is not a valid ..."},
	{"that is none", "that is not one, or: an invalid ..."},
	{"what is told, what is kept, what is said", "name the thing: the message, the saved state, the setting"},
	{"stands there", "is there, is published"},
	{"unless said", "by default"},
	{"anew", "again, from scratch"},
	{"of late", "recently, in the last ..."},
	{"awake", "unless in maintenance, active"},
	{"cry wolf, cries wolf", "raise a false alarm"},

	// Metaphors.
	{"exam, exams", "run"},
	{"lesson, lessons", "observed, observation"},
	{"census", "inventory"},
	{"liar, liars", "falseticker (clocks), forgery caller (tokens)"},
	{"trespass, trespasses", "cross-tenant write, or for imports: forbidden import"},
	{"smuggle, smuggled", "cross-tenant create"},
	{"knock, knocks", "send"},
	{"decoy, decoys", "catch-all check"},
	{"garble, garbles", "UDP fault"},
	{"twist, twists, twisted", "interceptor"},
	{"babble, babbles", "not HTTP"},
	{"mend, mends, mended, mending", "clear (a fault), fix"},
	{"misverified", "signed by another key"},
	{"lexicon", "reason table"},
	{"homeward", "redirect"},
	{"foresee, foresees", "predict, next"},
	{"hollow", "empty"},
	{"imprint", "hash"},
	{"lifeless", "stuck"},
	{"blanket", "catch-all"},
	{"conceal, conceals, whosever, tidier", "mask, whatever its ..., normalizer"},
	{"tally", "counter, totals"},
	{"strays, crowded, leftovers", "orphans, too many, unmatched"},
	{"unfit", "failed, unusable"},
	{"readiness lies, ready lies", "ready despite dependency down"},
	{"prober blind, location blind", "all inconclusive"},
}

// bannedPhrases returns the banned words, each as a list of words, by their first one.
func bannedPhrases() map[string][]bannedPhrase {
	byFirst := map[string][]bannedPhrase{}
	for _, b := range bannedWords {
		for _, phrase := range strings.Split(b.words, ", ") {
			words := strings.Fields(phrase)
			byFirst[words[0]] = append(byFirst[words[0]], bannedPhrase{words, b.instead})
		}
	}
	return byFirst
}

type bannedPhrase struct {
	words   []string
	instead string
}

// bannedName finds names in Go code that start with the wrong superlative.
var bannedName = regexp.MustCompile(`\b(most|longest|largest|least|shortest)[A-Z]\w*`)

// wordsAllowedIn are files that must name the old words.
var wordsAllowedIn = []string{
	"CHANGELOG.md", // the table of what was renamed
	"internal/arch/words_test.go",
}

// wordFiles are the names of files that people read, by their end.
var wordFiles = []string{
	".go", ".md", ".yaml", ".yml", ".html", ".css", ".txtar", ".tmpl", ".golden", ".err", ".txt", ".json", "Makefile", "Dockerfile",
}

// A word of a text, in lower case, and its line.
type word struct {
	text string
	line int
}

// splitWords takes a text apart. Quotes, comment signs and line breaks separate words; other punctuation separates
// sentences and stays in the text, so that no pattern matches across it.
func splitWords(text string) (words []word) {
	current, line := []rune(nil), 1
	flush := func() {
		if len(current) > 0 {
			words, current = append(words, word{strings.ToLower(string(current)), line}), current[:0]
		}
	}
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case unicode.IsLetter(r):
			startsWord := unicode.IsUpper(r) && len(current) > 0 &&
				(unicode.IsLower(current[len(current)-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
			if startsWord {
				flush()
			}
			current = append(current, r)
		case r == '\'' && len(current) > 0, unicode.IsDigit(r):
			current = append(current, r)
		default:
			flush()
			if r == '\n' {
				line++
			} else if !unicode.IsSpace(r) && !strings.ContainsRune("_-/#*`\"«»“”", r) {
				words = append(words, word{string(r), line})
			}
		}
	}
	flush()
	return words
}

// startsWith reports whether a text starts with a phrase.
func startsWith(words []word, phrase []string) bool {
	return len(words) >= len(phrase) && slices.EqualFunc(words[:len(phrase)], phrase, func(w word, s string) bool { return w.text == s })
}

// oldNames are where the old names of settings and checks stand, which may be banned.
var oldNames = regexp.MustCompile(`renamed:"[^"\n]*"|RenamedChecks: map\[string\]string\{[^}]*\}`)

// findBanned returns a complaint for each banned word of a file.
func findBanned(name, text string) (wrong []string) {
	complain := func(line int, found, instead string) {
		wrong = append(wrong, fmt.Sprintf("%s:%d: %q: write %q", name, line, found, instead))
	}
	phrases, words := bannedPhrases(), splitWords(oldNames.ReplaceAllStringFunc(text, lineEndsOf))
	for i, w := range words {
		for _, b := range phrases[w.text] {
			if startsWith(words[i:], b.words) {
				complain(w.line, strings.Join(b.words, " "), b.instead)
			}
		}
	}
	if strings.HasSuffix(name, ".go") {
		for _, at := range bannedName.FindAllStringIndex(text, -1) {
			complain(1+strings.Count(text[:at[0]], "\n"), text[at[0]:at[1]], "max..., min...")
		}
	}
	return wrong
}

// lineEndsOf returns the line ends of a text, so that what follows it keeps its line.
func lineEndsOf(text string) string { return strings.Repeat("\n", strings.Count(text, "\n")) }

// readableFiles returns the repository's files that people read, by their path, and calls visit for each.
func readableFiles(t *testing.T, visit func(name, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && slices.Contains([]string{".git", "node_modules", "bin", "dist"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.ContainsFunc(wordFiles, func(end string) bool { return strings.HasSuffix(path, end) }) {
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			visit(filepath.ToSlash(name), string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWords(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	files := 0
	readableFiles(t, func(name, text string) {
		files++
		if slices.Contains(wordsAllowedIn, name) {
			return
		}
		for _, complaint := range findBanned(name, text) {
			t.Error(complaint)
		}
	})
	if files < 100 {
		t.Errorf("read %d files, expected the whole repository", files)
	}
}

func TestWords_ruleBites(t *testing.T) {
	for _, test := range []struct{ name, file, text, want string }{
		{"a phrase", "x.md", "Then nobody can tell.", `x.md:1: "nobody can tell"`},
		{"a phrase at the start of a sentence", "x.md", "Nobody can tell.", `"nobody can tell"`},
		{"a phrase over two lines of a comment", "x.go", "package x\n\n// then it could\n// not tell why\n", `x.go:3: "could not tell"`},
		{"the end of one sentence and the start of the next", "x.md", "It could. Not tell, but show.", ""},
		{"a word in an exported name", "x.go", "package x\n\nvar NewExam int\n", `x.go:3: "exam"`},
		{"a word in a name after an abbreviation", "x.go", "package x\n\nvar HTTPExam int\n", `"exam"`},
		{"a word in snake_case", "x.yaml", "old_exam: 1\n", `"exam"`},
		{"a word inside another", "x.md", "For example, an amendment.", ""},
		{"a name in Go", "x.go", "package x\n\nconst mostThings = 3\n", `x.go:3: "mostThings": write "max..., min..."`},
		{"the old name of a check", "x.go", "package x\n\nvar K = Kind{RenamedChecks: map[string]string{\"exam\": \"test\"}}\n", ""},
		{"the old names of checks", "x.go", "package x\n\nvar K = Kind{RenamedChecks: map[string]string{\n\t\"exam\": \"test\",\n}}\n\n// An exam.\n", `x.go:7: "exam"`},
		{"the old name of a setting", "x.go", "package x\n\ntype T struct {\n\tF int `renamed:\"exam\"`\n}\n", ""},
		{"two words in prose", "x.md", "most Things", ""},
	} {
		t.Run(test.name, func(t *testing.T) { expectComplaint(t, findBanned(test.file, test.text), test.want) })
	}
	for _, b := range bannedWords {
		first, _, _ := strings.Cut(b.words, ", ")
		expectComplaint(t, findBanned("x.md", "One "+first+"."), b.instead)
	}
}
