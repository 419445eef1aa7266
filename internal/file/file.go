// Package file reads files that somebody named: a setting or a flag may lead to anything.
package file

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

var errIrregular = errors.New("not a regular file")

// Open opens a regular file, and nothing else: a named pipe would wait for its writer for ever, or look like an empty file. A file is asked
// for its kind before it is opened, since to open a device may do something, and again once open, since it may have been replaced. An
// error is an *fs.PathError.
func Open(path string) (*os.File, fs.FileInfo, error) {
	at, err := os.Stat(path)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: errors.Unwrap(err)}
	}
	irregular := &fs.PathError{Op: "open", Path: path, Err: errIrregular}
	if !at.Mode().IsRegular() {
		return nil, nil, irregular
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if at, err = f.Stat(); err == nil && !at.Mode().IsRegular() {
		err = irregular
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, at, nil
}

// Read returns the content of a regular file, up to one byte more than most.
func Read(path string, most int) ([]byte, error) {
	f, _, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(most)+1))
}

// Reason says why a file cannot be read, without its path.
func Reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return "cannot be read"
}
