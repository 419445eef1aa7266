package webconfig

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"prober/internal/file"
)

// A File is a web configuration that may change while it is served.
type File struct {
	path string // empty: plain HTTP for everybody

	// Refused, if it is not nil, is called when somebody is refused. By is the request without a password that is right; it is nil where
	// somebody is refused for what the file says, and not for what they sent: it cannot be
	// used, as its certificates, or its limit on requests is exceeded. It is set before Serve.
	Refused func(by *http.Request)

	mu     sync.Mutex
	text   []byte
	config *config // the last one without mistakes
	err    error   // the mistakes of text
}

// Open reads a file, with the certificates that it names, and returns all its mistakes, each with its line. An empty path is
// plain HTTP for everybody.
func Open(path string) (*File, error) {
	f := &File{path: path}
	if path == "" {
		return f, nil
	}
	var err error
	if f.text, err = read(path); err != nil {
		return nil, err
	}
	f.config, err = parse(path, f.text)
	_, unusable := f.config.serverTLS()
	return f, errors.Join(err, unusable)
}

// read returns a file up to one byte more than it may have. An empty file asks for no password: what is no file must not look like one.
func read(path string) ([]byte, error) { return file.Read(path, maxSize) }

// current returns what the file says now. It is read each time, and parsed if it is not what it was.
func (f *File) current() (*config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := read(f.path)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(data, f.text) {
		f.text, f.err = data, f.change(data)
	}
	if f.err != nil {
		return nil, f.err
	}
	return f.config, nil
}

func (f *File) change(data []byte) error {
	next, err := parse(f.path, data)
	if err != nil {
		return err
	}
	if lost := f.config.lost(next); lost != "" {
		return fmt.Errorf("%s: %s is no longer there; to serve without it, restart", f.path, lost)
	}
	f.config = next
	return nil
}

//go:noinline
func (f *File) refused(by *http.Request) {
	if f.Refused != nil {
		f.Refused(by)
	}
}
