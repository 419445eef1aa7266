package command

import (
	"context"
	"io"
)

// An output is what a program writes to one of its two outputs.
type output struct {
	text  []byte
	ended bool // all that could write to it have closed it
	stop  context.CancelCauseFunc
}

// ReadFrom reads until nobody holds the output any more, or stops the program once it has written too much. It is what io.Copy
// calls, which would not tell an end from an error.
func (o *output) ReadFrom(r io.Reader) (int64, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxOutput+1))
	o.text, o.ended = text, err == nil
	if len(text) > MaxOutput {
		o.text, o.ended = text[:MaxOutput], false
		o.stop(ErrOutput)
	}
	return int64(len(text)), err
}

// Write is never called: io.Copy prefers ReadFrom.
func (o *output) Write([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
