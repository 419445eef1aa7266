package importer

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxDepth bounds how deep messages of text protobuf may be nested.
const maxDepth = 30

// parseTextpb reads a file of text protobuf as the same tree as YAML has: a message is a mapping, a field that occurs several times a
// sequence. Texts may have templates of Go in them, {{env "NAME"}}, quotes included. There is no schema: whoever asks for a field says
// what it must be. With a mistake there is no source.
func (d *draft) parseTextpb(f File) (s *source, ok bool) {
	r := &textpb{rest: string(f.Data), line: 1}
	root := r.message(0, "")
	if r.wrong != "" {
		d.refuse(f.Name, r.line, r.wrong)
	}
	return &source{draft: d, file: f.Name, node: root, used: map[string]bool{}}, r.wrong == ""
}

// textpb reads text protobuf. The first mistake ends it.
type textpb struct {
	rest  string
	line  int
	wrong string
}

func (r *textpb) fail(wrong string) {
	if r.wrong == "" {
		r.wrong = wrong
	}
	r.rest = ""
}

// space skips white space and comments.
func (r *textpb) space() {
	for r.rest != "" {
		switch c := r.rest[0]; {
		case c == '\n':
			r.line++
		case c == '#':
			end := strings.IndexByte(r.rest, '\n')
			if end < 0 {
				end = len(r.rest)
			}
			r.rest = r.rest[end:]
			continue
		case c != ' ' && c != '\t' && c != '\r':
			return
		}
		r.rest = r.rest[1:]
	}
}

// take takes one of some bytes, if it is next.
func (r *textpb) take(of string) (taken byte) {
	r.space()
	if r.rest == "" || !strings.Contains(of, r.rest[:1]) {
		return 0
	}
	taken = r.rest[0]
	r.rest = r.rest[1:]
	return taken
}

// word takes a name, a number or a value of an enumeration.
func (r *textpb) word() string {
	r.space()
	n := 0
	for n < len(r.rest) && (r.rest[n] == '_' || r.rest[n] == '.' || r.rest[n] == '-' || r.rest[n] == '+' || '0' <= r.rest[n] && r.rest[n] <= '9' || 'a' <= r.rest[n]|0x20 && r.rest[n]|0x20 <= 'z') {
		n++
	}
	word := r.rest[:n]
	r.rest = r.rest[n:]
	return word
}

// message reads fields until the end, which is that of the file for the outermost message.
func (r *textpb) message(depth int, end string) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Line: r.line}
	if depth > maxDepth {
		r.fail("messages are nested too deep")
	}
	at := map[string]int{}
	for {
		r.space()
		if r.rest == "" && (end != "" || r.wrong != "") {
			r.fail("expected the end of a message")
			return m
		}
		if r.rest == "" || end != "" && r.take(end) != 0 {
			return m
		}
		began := r.line
		name := r.word()
		if r.take("[") != 0 { // an extension, or a type of Any
			if end := strings.IndexByte(r.rest[:min(len(r.rest), maxExtension)], ']'); end > 0 && !strings.Contains(r.rest[:end], "\n") {
				name, r.rest = r.rest[:end], r.rest[end+1:]
			}
		}
		if strings.HasPrefix(r.rest, "{{") || name == "" {
			r.fail("expected the name of a field; templates between fields are not expanded here, cloudprober --dumpconfig does")
			return m
		}
		colon := r.take(":") != 0
		v := r.value(depth, colon)
		if r.wrong != "" {
			return m
		}
		r.take(",;")
		i, again := at[name]
		switch {
		case !again:
			at[name] = len(m.Content)
			m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: began}, v)
			continue
		case m.Content[i+1].Kind != yaml.SequenceNode:
			m.Content[i+1] = &yaml.Node{Kind: yaml.SequenceNode, Line: m.Content[i+1].Line, Content: []*yaml.Node{m.Content[i+1]}}
		}
		all := m.Content[i+1]
		if v.Kind == yaml.SequenceNode {
			all.Content = append(all.Content, v.Content...)
		} else {
			all.Content = append(all.Content, v)
		}
	}
}

// value reads a message, a list, texts that are one, or a word.
func (r *textpb) value(depth int, colon bool) *yaml.Node {
	switch open := r.take("{<["); {
	case open == '{':
		return r.message(depth+1, "}")
	case open == '<':
		return r.message(depth+1, ">")
	case open == '[':
		list := &yaml.Node{Kind: yaml.SequenceNode, Line: r.line}
		for first := true; r.take("]") == 0; first = false {
			if !first && r.take(",") == 0 || depth > maxDepth {
				r.fail("expected , or the end of a list")
				return list
			}
			v := r.value(depth+1, true)
			if r.wrong != "" {
				return list
			}
			list.Content = append(list.Content, v)
		}
		return list
	}
	v := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Line: r.line}
	if !colon {
		r.fail("expected : and a value, or a message")
		return v
	}
	texts := 0
	for r.space(); r.rest != "" && (r.rest[0] == '"' || r.rest[0] == '\''); r.space() {
		v.Value += r.quoted()
		texts++
	}
	if texts > 0 || r.wrong != "" {
		return v
	}
	switch v.Value = r.word(); {
	case v.Value == "":
		r.fail("expected a value")
	case v.Value == "true" || v.Value == "false":
		v.Tag = "!!bool"
	default:
		if _, err := strconv.ParseFloat(v.Value, 64); err == nil {
			v.Tag = "!!int"
		}
	}
	return v
}

// quoted reads a text in quotes. In a template its quotes do not end it.
func (r *textpb) quoted() string {
	quote := r.rest[0]
	var b strings.Builder
	for i := 1; i < len(r.rest); i++ {
		c := r.rest[i]
		switch {
		case templateLength(r.rest[i:]) > 0:
			n := templateLength(r.rest[i:])
			b.WriteString(r.rest[i : i+n])
			i += n - 1
		case c == quote:
			r.rest = r.rest[i+1:]
			return b.String()
		case c == '\n':
			r.fail("a text has no end on its line")
			return ""
		case c == '\\':
			value, n, ok := unescape(r.rest[i+1:])
			if !ok {
				r.fail("an escape in a text is not known")
				return ""
			}
			b.WriteString(value)
			i += n
		default:
			b.WriteByte(c)
		}
	}
	r.fail("a text has no end")
	return ""
}

// maxExtension bounds the name of an extension, in bytes.
const maxExtension = 500

// maxTemplate bounds a template in a text, in bytes.
const maxTemplate = 200

// templateLength returns how long the template is with which a text begins; 0 if it begins with none.
func templateLength(s string) int {
	if !strings.HasPrefix(s, "{{") {
		return 0
	}
	if end := strings.Index(line(s[:min(len(s), maxTemplate)]), "}}"); end > 0 {
		return end + len("}}")
	}
	return 0
}

func line(s string) string {
	before, _, _ := strings.Cut(s, "\n")
	return before
}

// unescape reads what follows a backslash, and says how many bytes that is.
func unescape(s string) (value string, n int, ok bool) {
	if s == "" {
		return "", 0, false
	}
	if i := strings.IndexByte(`abfnrtv\'"?`, s[0]); i >= 0 {
		return "\a\b\f\n\r\t\v\\'\"?"[i : i+1], 1, true
	}
	base, from, most := 8, 0, 3
	switch s[0] {
	case 'x', 'X':
		base, from, most = 16, 1, 2
	case 'u':
		base, from, most = 16, 1, 4
	case 'U':
		base, from, most = 16, 1, 8
	}
	n = from
	for n < len(s) && n < from+most {
		if _, err := strconv.ParseUint(s[n:n+1], base, 8); err != nil {
			break
		}
		n++
	}
	number, err := strconv.ParseUint(s[from:n], base, 32)
	switch {
	case err != nil:
		return "", 0, false
	case most > 3:
		return string(rune(number)), n, true
	case number > 255:
		return "", 0, false
	}
	return string([]byte{byte(number)}), n, true
}
