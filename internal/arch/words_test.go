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
)

// A bannedWord is one that only people who wrote this code would understand, and what to write instead. A glossary of
// the words that are in use is in docs/contributing.md.
type bannedWord struct{ pattern, instead string }

// bannedWords are matched in identifiers, comments, messages and documents, without regard to case. CamelCase and
// snake_case count as words of their own, so "old" also finds oldName and old_name. A space in a pattern is a space,
// a hyphen, an underscore, the start of a new word in an identifier, or the line break of a wrapped comment.
var bannedWords = []bannedWord{
	// The third verdict has one name.
	{"(nobody|no one) can tell", "inconclusive, or say who cannot know what"},
	{"(could|can) not tell|cannot tell", "is inconclusive"},
	{"untold", "inconclusive, unknown"},

	// Turns of phrase.
	{"none that", "no ... that, or: is not a valid ..."},
	{"that is none", "that is not one, or: an invalid ..."},
	{"what is (told|kept|said)", "name the thing: the message, the saved state, the setting"},
	{"stands there", "is there, is published"},
	{"unless said", "by default"},
	{"anew", "again, from scratch"},
	{"of late", "recently, in the last ..."},
	{"awake", "unless in maintenance, active"},
	{"cry wolf|cries wolf", "raise a false alarm"},

	// Metaphors.
	{"exams?", "run"},
	{"lessons?", "observed, observation"},
	{"census", "inventory"},
	{"liars?", "falseticker (clocks), forgery caller (tokens)"},
	{"trespass(es)?", "cross-tenant write, or for imports: forbidden import"},
	{"smuggled?", "cross-tenant create"},
	{"knocks?", "send"},
	{"decoys?", "catch-all check"},
	{"garbles?", "UDP fault"},
	{"twist(s|ed)?", "interceptor"},
	{"babbles?", "not HTTP"},
	{"mend(s|ed|ing)?", "clear (a fault), fix"},
	{"misverified", "signed by another key"},
	{"lexicon", "reason table"},
	{"homeward", "redirect"},
	{"foresee(s)?", "predict, next"},
	{"hollow", "empty"},
	{"imprint", "hash"},
	{"lifeless", "stuck"},
	{"blanket", "catch-all"},
	{"conceals?|whosever|tidier", "mask, whatever its ..., normalizer"},
	{"tally", "counter, totals"},
	{"strays|crowded|leftovers", "orphans, too many, unmatched"},
	{"unfit", "failed, unusable"},
	{"readiness lies|ready lies", "ready despite dependency down"},
	{"prober blind|location blind", "all inconclusive"},
}

// bannedNames are matched in Go code as they are written.
var bannedNames = []bannedWord{
	{`\b(most|longest|largest)[A-Z]\w*`, "max..."},
	{`\b(least|shortest)[A-Z]\w*`, "min..."},
}

// wordsAllowedIn are files that must name the old words.
var wordsAllowedIn = []string{
	"CHANGELOG.md", // the table of what was renamed
	"internal/arch/words_test.go",
}

// wordFiles are the names of files that people read, by their end.
var wordFiles = []string{
	".go", ".md", ".yaml", ".yml", ".html", ".css", ".txtar", ".tmpl", ".golden", ".err", ".txt", ".json", "Makefile", "Dockerfile",
}

// A wordText is a text as lower-case words with one space between them. A word's line is found by its offset.
type wordText struct {
	text   strings.Builder
	starts []int // offset of each word in text
	lines  []int // line of each word in the file
}

func (w *wordText) add(word string, line int) {
	if word == "" {
		return
	}
	if w.text.Len() > 0 {
		w.text.WriteByte(' ')
	}
	w.starts, w.lines = append(w.starts, w.text.Len()), append(w.lines, line)
	w.text.WriteString(strings.ToLower(word))
}

// line returns the line of the word at an offset.
func (w *wordText) line(offset int) int {
	i, found := slices.BinarySearch(w.starts, offset)
	if !found {
		i--
	}
	return w.lines[i]
}

// splitWords takes a text apart. Quotes, comment signs and line breaks separate words; other punctuation separates
// sentences and stays in the text, so that no pattern matches across it.
func splitWords(text string) *wordText {
	w, word, line := &wordText{}, []rune(nil), 1
	flush := func() { w.add(string(word), line); word = word[:0] }
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case unicode.IsLetter(r):
			startsWord := unicode.IsUpper(r) && len(word) > 0 &&
				(unicode.IsLower(word[len(word)-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
			if startsWord {
				flush()
			}
			word = append(word, r)
		case r == '\'' && len(word) > 0, unicode.IsDigit(r):
			word = append(word, r)
		default:
			flush()
			if r == '\n' {
				line++
			} else if !unicode.IsSpace(r) && !strings.ContainsRune("_-/#*`\"«»“”", r) {
				w.add(string(r), line)
			}
		}
	}
	flush()
	return w
}

// oldSettings are tags with the old names of settings, which may be banned.
var oldSettings = regexp.MustCompile(`renamed:"[^"\n]*"`)

// findBanned returns a complaint for each banned word of a file.
func findBanned(name, text string) (wrong []string) {
	complain := func(line int, found, instead string) {
		wrong = append(wrong, fmt.Sprintf("%s:%d: %q: write %q", name, line, found, instead))
	}
	words := splitWords(oldSettings.ReplaceAllString(text, ""))
	joined := words.text.String()
	for _, b := range bannedWords {
		for _, at := range regexp.MustCompile(`\b(?:`+b.pattern+`)\b`).FindAllStringIndex(joined, -1) {
			complain(words.line(at[0]), joined[at[0]:at[1]], b.instead)
		}
	}
	if !strings.HasSuffix(name, ".go") {
		return wrong
	}
	for _, b := range bannedNames {
		for _, at := range regexp.MustCompile(b.pattern).FindAllStringIndex(text, -1) {
			complain(1+strings.Count(text[:at[0]], "\n"), text[at[0]:at[1]], b.instead)
		}
	}
	return wrong
}

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
		{"a name in Go", "x.go", "package x\n\nconst mostThings = 3\n", `x.go:3: "mostThings": write "max..."`},
		{"the old name of a setting", "x.go", "package x\n\ntype T struct {\n\tF int `renamed:\"exam\"`\n}\n", ""},
		{"two words in prose", "x.md", "most Things", ""},
	} {
		t.Run(test.name, func(t *testing.T) { expectComplaint(t, findBanned(test.file, test.text), test.want) })
	}
	for _, b := range slices.Concat(bannedWords, bannedNames) {
		if _, err := regexp.Compile(b.pattern); err != nil || b.instead == "" {
			t.Errorf("%q: expected a pattern and a replacement, got %v", b.pattern, err)
		}
	}
}
