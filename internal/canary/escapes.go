package canary

import (
	"bytes"
	"html"
	"strconv"
	"unicode/utf8"
)

// percent reads the %XX of URLs. It reports whether there was any.
func percent(text []byte) ([]byte, bool) {
	return unescape(text, '%', func(rest []byte) (rune, int) { return digits(rest, 1, 2) })
}

// backslash reads the \uXXXX, \xXX and \/ of JSON and its kin. It reports whether there was any. A canary holds no
// character beyond the basic plane, so surrogates may stay as they are.
func backslash(text []byte) ([]byte, bool) {
	return unescape(text, '\\', func(rest []byte) (rune, int) {
		if len(rest) < 2 {
			return 0, 0
		}
		switch rest[1] {
		case 'u':
			return digits(rest, 2, 4)
		case 'x':
			return digits(rest, 2, 2)
		case 'n', 'r', 't':
			return ' ', 2
		}
		return rune(rest[1]), 2
	})
}

// entities reads the &#NN; and &name; of HTML. It reports whether there was any.
func entities(text []byte) ([]byte, bool) {
	if bytes.IndexByte(text, '&') < 0 {
		return nil, false
	}
	out := []byte(html.UnescapeString(string(text)))
	return out, !bytes.Equal(out, text)
}

// unescape replaces every escape sequence that begins with sign. One is read from the head of a text into the
// character that it stands for and its length, 0 if there is none.
func unescape(text []byte, sign byte, one func(rest []byte) (rune, int)) ([]byte, bool) {
	if bytes.IndexByte(text, sign) < 0 {
		return nil, false
	}
	out, any := make([]byte, 0, len(text)), false
	for len(text) > 0 {
		next := bytes.IndexByte(text, sign)
		if next < 0 {
			break
		}
		out = append(out, text[:next]...)
		text = text[next:]
		c, length := one(text)
		if length == 0 {
			out, text = append(out, sign), text[1:]
			continue
		}
		out, text, any = utf8.AppendRune(out, c), text[length:], true
	}
	return append(out, text...), any
}

// digits reads so many hex digits of a text, and returns the number and where it ends; 0, 0 if there are none.
func digits(text []byte, from, count int) (rune, int) {
	if len(text) < from+count {
		return 0, 0
	}
	n, err := strconv.ParseUint(string(text[from:from+count]), 16, 32)
	if err != nil {
		return 0, 0
	}
	return rune(n), from + count
}
