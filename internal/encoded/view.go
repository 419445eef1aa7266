package encoded

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// depth is how many kinds of escape sequences are read within each other.
const depth = 2

// A Mode says what Views reads and keeps.
type Mode uint8

// The modes, to be combined.
const (
	Gaps   Mode = 1 << iota // also read across blanks and line breaks, and across the NULs of UTF-16
	Places                  // keep the place of each byte in the original
)

// A View is a text as a reader of escape sequences sees it.
type View struct {
	Text string
	at   []int // the place of each byte and of the end; nil: the original itself
}

// Place returns the position in the original of byte i, or of the escape sequence that means it; for the length of the
// text, the end of the original. The views must have been made with Places.
func (v View) Place(i int) int {
	if v.at == nil {
		return i
	}
	return v.at[i]
}

// Views calls visit with the text, with what it becomes when escape sequences of one kind are read, and with what
// that becomes when those of another are.
func Views(text string, mode Mode, visit func(View)) { walk(View{Text: text}, mode, depth, visit) }

func walk(v View, mode Mode, times int, visit func(View)) {
	visit(v)
	if times == 0 {
		return
	}
	for _, k := range kinds {
		if k.gap && mode&Gaps == 0 {
			continue
		}
		if further, any := v.read(k, mode&Places != 0); any {
			walk(further, mode, times-1, visit)
		}
	}
}

// A kind of escape sequences: the bytes that begin one, and a function that returns the meaning and the length of the
// sequence at the head of a text, or a length of 0.
type kind struct {
	begin string
	read  func(string) (string, int)
	gap   bool
}

const blanks = "\r\n\t "

var kinds = [...]kind{
	{begin: "%", read: percent},
	{begin: `\`, read: backslash},
	{begin: "&", read: entity},
	{begin: blanks, read: nothing, gap: true},
	{begin: "\x00", read: nothing, gap: true},
}

// next returns where the next sequence may begin in a text; -1 if there is none.
func (k kind) next(text string) int {
	if len(k.begin) == 1 {
		return strings.IndexByte(text, k.begin[0])
	}
	for i := range len(text) {
		if text[i] <= ' ' && strings.IndexByte(k.begin, text[i]) >= 0 { // all blanks are below letters, and rare
			return i
		}
	}
	return -1
}

// read returns the view with one kind of escape sequences read, and whether there was any.
func (v View) read(k kind, places bool) (further View, any bool) {
	var text []byte
	done := 0 // of v.Text
	for i := 0; ; i++ {
		next := k.next(v.Text[i:])
		if next < 0 {
			break
		}
		i += next
		meaning, length := k.read(v.Text[i:])
		if length == 0 {
			continue
		}
		if text == nil {
			text = make([]byte, 0, len(v.Text))
			if places {
				further.at = make([]int, 0, len(v.Text)+1)
			}
		}
		text = append(append(text, v.Text[done:i]...), meaning...)
		if places {
			for ; done < i; done++ {
				further.at = append(further.at, v.Place(done))
			}
			for range len(meaning) {
				further.at = append(further.at, v.Place(i))
			}
		}
		done = i + length
		i = done - 1
	}
	if text == nil {
		return v, false
	}
	further.Text = string(append(text, v.Text[done:]...))
	for ; places && done <= len(v.Text); done++ {
		further.at = append(further.at, v.Place(done))
	}
	return further, true
}

func nothing(string) (string, int) { return "", 1 }

func percent(s string) (string, int) {
	if c, ok := number(s, 1, 2); ok {
		return string([]byte{byte(c)}), 3
	}
	return "", 0
}

func backslash(s string) (string, int) {
	if len(s) < 2 {
		return "", 0
	}
	switch s[1] {
	case 'x':
		if c, ok := number(s, 2, 2); ok {
			return string([]byte{byte(c)}), 4
		}
	case 'u':
		if c, ok := number(s, 2, 4); ok {
			if low, ok := number(s, 8, 4); ok && s[6:8] == `\u` && utf16.IsSurrogate(c) {
				return string(utf16.DecodeRune(c, low)), 12
			}
			return string(c), 6
		}
	case 'U':
		if c, ok := number(s, 2, 8); ok {
			return string(c), 10
		}
	default:
		if i := strings.IndexByte("abfnrtv", s[1]); i >= 0 {
			return "\a\b\f\n\r\t\v"[i : i+1], 2
		}
		return s[1:2], 2 // as JavaScript and regular expressions do
	}
	return "", 0
}

// entity reads an HTML entity, which may lack its semicolon.
func entity(s string) (string, int) {
	const longest = 12
	s = s[:min(len(s), longest)]
	if next := strings.IndexByte(s[1:], '&'); next >= 0 {
		s = s[:1+next]
	}
	read := html.UnescapeString(s)
	if read == s {
		return "", 0
	}
	rest := 0 // behind the entity, the same in both
	for rest < len(read)-1 && read[len(read)-1-rest] == s[len(s)-1-rest] {
		rest++
	}
	return read[:len(read)-rest], len(s) - rest
}

// number reads hex digits of a text.
func number(s string, from, digits int) (rune, bool) {
	if len(s) < from+digits {
		return 0, false
	}
	n, err := strconv.ParseUint(s[from:from+digits], 16, 32)
	return rune(min(n, utf8.MaxRune+1)), err == nil
}
