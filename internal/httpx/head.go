package httpx

import "net/http"

// A head scans the head of an HTTP/1 answer for what net/http corrects silently: a message with both a length and a
// transfer coding, which two readers may understand differently (RFC 9112, section 6.3).
type head struct {
	done    bool
	first   bool // the status line is over
	interim bool // it is a 1xx, and another head follows
	column  int
	line    [18]byte // the beginning of the current line, in lower case
	length  bool     // Content-Length was seen
	coding  bool     // Transfer-Encoding was seen
}

const (
	lengthName = "content-length"
	codingName = "transfer-encoding"
	statusName = "http/"
)

// scan reads the next part of an answer, and returns how many lines of its head end there.
func (h *head) scan(p []byte) (lines int) {
	if h.done {
		return 0
	}
	for _, b := range p {
		if b == '\n' {
			lines++
		}
		switch {
		case b == '\r':
		case b != '\n':
			if b == ':' && h.first && h.column < len(h.line) {
				name := string(h.line[:h.column])
				h.length = h.length || name == lengthName
				h.coding = h.coding || name == codingName
			}
			if h.column < len(h.line) {
				if 'A' <= b && b <= 'Z' {
					b += 'a' - 'A'
				}
				h.line[h.column] = b
				h.column++
			}
		case !h.first:
			h.first = true
			h.interim = h.column > 9 && h.line[9] == '1' && string(h.line[9:12]) != "101" // after which the protocol is another one
			h.column = 0
		case h.column > 0:
			h.column = 0
		case h.interim:
			*h = head{}
		default:
			h.done = true
			return lines
		}
	}
	return lines
}

// final reports whether a part of a head was read that is not that of an interim answer.
func (h *head) final() bool {
	return h.done || h.first && !h.interim || !h.first && h.column > 9 && h.line[9] != '1'
}

// foreign reports whether the first line is not that of an answer, as far as it goes.
func (h *head) foreign() bool {
	n := min(h.column, len(statusName))
	return !h.first && string(h.line[:n]) != statusName[:n]
}

// ambiguous reports whether the answer has two lengths.
func (h *head) ambiguous() bool { return h.length && h.coding }

// fieldBytes is what a field of a head takes beside its text: a place in a table, and its name once more.
const fieldBytes = 128

// headBytes is what a head takes in memory, by the length of its text and the number of its fields.
func headBytes(text, fields int) int64 { return int64(text) + fieldBytes*int64(fields) }

// sizeOf returns the length of the text and the number of the fields of a head.
func sizeOf(header http.Header) (text, fields int) {
	for name, values := range header {
		for _, v := range values {
			text += len(name) + len(v)
		}
		fields += len(values)
	}
	return text, fields
}
