package public

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// How often Export writes, and how old a temporary file is that nobody writes any more.
const (
	exportEvery = 30 * time.Second
	orphanAge   = 10 * time.Minute
)

// Export writes the page to a directory until ctx ends, and reports the outcome of each time. A disk that is slow keeps it, and
// nothing else.
func (s *Site) Export(ctx context.Context, dir string) {
	tick := time.NewTicker(exportEvery)
	defer tick.Stop()
	w := writer{dir: dir, written: map[string]wrote{}}
	for {
		s.report("export", w.write(s.current().documents))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Write writes the page to a directory once.
func (s *Site) Write(dir string) error {
	w := writer{dir: dir, written: map[string]wrote{}}
	return w.write(s.current().documents)
}

// Page returns the page as HTML; nil if none is configured.
func (s *Site) Page() []byte {
	d, ok := s.document(pageName)
	if !ok {
		return nil
	}
	page, _ := io.ReadAll(d.open()) // from memory: it cannot fail
	return page
}

// A writer writes documents as files, each whole or not at all.
type writer struct {
	dir     string
	written map[string]wrote // what is there already
	cleared bool
}

// A wrote is a document that was written, and its file.
type wrote struct {
	document
	file fs.FileInfo
}

// isAt reports whether the file is still there as it was written: nobody else has replaced or changed it.
func (o wrote) isAt(path string) bool {
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(now, o.file) && now.ModTime().Equal(o.file.ModTime()) && now.Size() == o.file.Size()
}

// write writes the documents that changed. The page is the last one: what it names is there before it. A directory that is
// missing is created, its parent is not: a disk that is not mounted must not be written to in silence.
func (w *writer) write(all []document) error {
	if all == nil {
		return errors.New("there is no section public in the configuration")
	}
	if err := os.Mkdir(w.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !w.cleared {
		w.removeOrphans()
		w.cleared = true
	}
	changed := false
	for _, d := range all {
		if was, ok := w.written[d.name]; ok && bytes.Equal(was.plain, d.plain) && bytes.Equal(was.zip, d.zip) && was.isAt(filepath.Join(w.dir, d.name)) {
			continue
		}
		delete(w.written, d.name)
		file, err := w.replace(d)
		if err != nil {
			return err
		}
		w.written[d.name], changed = wrote{d, file}, true
	}
	if !changed {
		return nil
	}
	return syncDir(w.dir)
}

const temporary = ".prober-"

// replace writes a file beside the one that it replaces, since a rename is whole or not at all. Everybody may read it: another
// process serves it.
func (w *writer) replace(d document) (file fs.FileInfo, err error) {
	f, err := os.CreateTemp(w.dir, temporary+"*.tmp")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = io.Copy(f, d.open())
	err = errors.Join(err, f.Chmod(0o644), f.Sync())
	file, failed := f.Stat()
	if err = errors.Join(err, failed, f.Close()); err != nil {
		return nil, err
	}
	return file, os.Rename(f.Name(), filepath.Join(w.dir, d.name))
}

// removeOrphans removes the temporary files of a process that was killed.
func (w *writer) removeOrphans() {
	entries, _ := os.ReadDir(w.dir)
	for _, e := range entries {
		about, err := e.Info()
		if err == nil && about.Mode().IsRegular() && strings.HasPrefix(e.Name(), temporary) && strings.HasSuffix(e.Name(), ".tmp") && time.Since(about.ModTime()) > orphanAge {
			os.Remove(filepath.Join(w.dir, e.Name()))
		}
	}
}

// syncDir makes the renames last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
