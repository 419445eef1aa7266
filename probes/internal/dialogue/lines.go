package dialogue

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Bounds of what a server may send.
const (
	maxLine  = 4096 // bytes in a line; SMTP and IMAP servers stay below 1,000
	maxLines = 500  // in one reply
)

var (
	errLineTooLong = errors.New("line too long")
	errLineCut     = errors.New("end within a line")
)

// lines reads lines, each without its end.
type lines struct{ in *bufio.Reader }

func newLines(r io.Reader) *lines { return &lines{bufio.NewReaderSize(r, maxLine+2)} }

// next returns the next line. A line without an end is none.
func (l *lines) next() (string, error) {
	line, err := l.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errLineTooLong
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "", errLineCut
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
}

// buffered is how many bytes have been received and not been read.
func (l *lines) buffered() int { return l.in.Buffered() }
