package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// document returns the node below the one document, nil if there is none, and refuses a second one, which yaml.v3 would leave
// unread.
func document(data []byte) (*yaml.Node, *Mistake) {
	first, second, err := parse(data)
	switch {
	case err != nil:
		m := syntaxMistake(err, data)
		return nil, &m
	case first == nil:
		return nil, nil
	case second != nil:
		return nil, &Mistake{Line: second.Line, Text: "a second document begins here; one file holds one"}
	}
	return first.Content[0], nil
}

var errParser = errors.New("the file cannot be read as YAML")

// parse returns the documents of a file, which are nil if there are none.
func parse(data []byte) (first, second *yaml.Node, err error) {
	defer func() {
		if recover() != nil { // a bug of the parser, which is no longer maintained
			first, second, err = nil, nil, errParser
		}
	}()
	var docs [2]*yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(data))
	for i := range docs {
		var doc yaml.Node
		if err := in.Decode(&doc); err == io.EOF {
			break
		} else if err != nil {
			return nil, nil, err
		}
		if len(doc.Content) > 0 {
			docs[i] = &doc
		}
	}
	return docs[0], docs[1], nil
}

var (
	syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	// wrongLine are the problems for which the parser names the beginning of what they are in, or no line at all.
	wrongLine = regexp.MustCompile(`^(did not find expected ('-'|key|',' or|node content|<document start>)|control characters|unknown anchor|found undefined tag)`)
)

// hints say in a person's words what the parser means most of the time. All its texts are constants but the one
// that repeats an anchor, and a password may begin with "*".
var hints = map[string]string{
	"mapping values are not allowed":   `a ": " within a value that needs quotes, a key indented too far, or no space behind ":" or "-" above`,
	"did not find expected key":        "this does not go on with the keys above: it is indented unevenly, or the value needs quotes",
	"did not find expected '-'":        "this does not go on with the list above: it is indented unevenly",
	"did not find expected ',' or '}'": "a brace that was opened is not closed, or a value in braces needs quotes",
	"did not find expected ',' or ']'": "a bracket that was opened is not closed, or a value in brackets needs quotes",
	"did not find expected node":       "a value begins with a character that means something else; put the value in quotes",
	"found character that cannot":      "this character begins no value; put the value in quotes",
	"found unexpected end of stream":   "the quotes that open here are never closed",
	"could not find expected ':'":      `a key and its value are parted by ": "`,
	"did not find expected <docu":      "the document ended above, and this does not belong to it",
	"found unknown escape character":   `in double quotes "\" begins an escape such as \n; put the value in single quotes`,
	"control characters are":           "a character that cannot be in a text file; save the file as UTF-8",
	"unknown anchor":                   `a value that begins with "*" stands for an anchor, and there is none of this name; put the value in quotes`,
}

// syntaxMistake says what the parser refused.
func syntaxMistake(err error, data []byte) Mistake {
	if line := tabIndent(data); line > 0 {
		return Mistake{Line: line, Text: "this line is indented by a tab; YAML is indented by spaces"}
	}
	line, text := parserProblem(err)
	if wrongLine.MatchString(text) {
		line = firstLineWith(text, data)
	}
	for start, hint := range hints {
		if strings.HasPrefix(text, start) {
			text = hint
		}
	}
	return Mistake{Line: line, Text: text}
}

// parserProblem takes a parser's error apart.
func parserProblem(err error) (line int, text string) {
	m := syntaxError.FindStringSubmatch(err.Error())
	if m == nil {
		return 0, errParser.Error()
	}
	line, _ = strconv.Atoi(m[1])
	return max(line, 1), m[2]
}

// firstLineWith returns the first line up to which a file must be read for the problem to show.
func firstLineWith(text string, data []byte) int {
	lines := bytes.SplitAfter(data, []byte{'\n'})
	return 1 + sort.Search(len(lines)-1, func(i int) bool {
		_, _, err := parse(bytes.Join(lines[:i+1], nil))
		if err == nil {
			return false
		}
		_, found := parserProblem(err)
		return found == text
	})
}

var tabbed = regexp.MustCompile(`^ *\t[ \t]*[^ \t\r\n#]`)

// tabIndent returns the line that keeps the file from being read, if it is indented by a tab; else 0. Tabs in a text of
// several lines do no harm.
func tabIndent(data []byte) int {
	lines := bytes.SplitAfter(data, []byte{'\n'})
	at := sort.Search(len(lines)-1, func(i int) bool {
		_, _, err := parse(bytes.Join(lines[:i+1], nil))
		return err != nil
	})
	if tabbed.Match(lines[at]) {
		return at + 1
	}
	return 0
}
