package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// format is the version of the file. A file of another one is not read.
const format = 1

// largestFile is more than a hundred systems in which all fails; what is larger is neither written nor read.
const largestFile = 64 << 20

type file struct {
	Format  int                `json:"format"`
	Systems map[string]*system `json:"systems"`
}

// Load reads what an earlier process kept at path, before the first Observe. A file that is not there is no error;
// one that cannot be read or understood is, and the Tracker goes on without it.
func (t *Tracker) Load(path string) error {
	text, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var f file
	if json.Unmarshal(text, &f) != nil {
		return fmt.Errorf("%s: not a file that prober kept, or a damaged one", path)
	}
	if f.Format != format {
		return fmt.Errorf("%s: wanted format %d, got %d", path, format, f.Format)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, s := range f.Systems {
		if s != nil {
			t.systems[name] = s.whole()
		}
	}
	return nil
}

func read(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, largestFile+1))
	if err == nil && len(text) > largestFile {
		err = fmt.Errorf("larger than %d bytes", largestFile)
	}
	return text, err
}

// SetAside renames a file that Load refused, so that Save does not replace what somebody may still make sense of. It
// returns the new path: that of the file and ".damaged", where it replaces an earlier one. What is no plain file stays.
func SetAside(path string) (string, error) {
	at, err := os.Lstat(path)
	if err == nil && !at.Mode().IsRegular() {
		err = fmt.Errorf("%s: wanted a plain file", path)
	}
	if err != nil {
		return "", err
	}
	aside := path + ".damaged"
	return aside, os.Rename(path, aside)
}

// whole makes good what a file written by hand may lack, and forgets what was true only of the process that wrote it.
func (s *system) whole() *system {
	if s.Versions == nil {
		s.Versions = map[string]string{}
	}
	if s.Good == nil {
		s.Good = map[string]string{}
	}
	if s.Breached == nil {
		s.Breached = map[string]breached{}
	}
	if i := s.Incident; i != nil {
		if i.Symptoms == nil {
			i.Symptoms = map[string]symptom{}
		}
		if i.Severity == nil {
			i.Severity = map[string]string{}
		}
		order := i.Order[:0]
		for _, p := range i.Order {
			if _, known := i.Symptoms[p]; known {
				order = append(order, p)
			}
		}
		i.Order = order
		i.Checked, i.Held = time.Time{}, time.Time{} // until now nobody looked
	}
	s.Changes = s.Changes[max(0, len(s.Changes)-mostChanges):]
	return s
}

// Save writes what is remembered to path, all of it or nothing: a crash in between leaves the file as it was.
func (t *Tracker) Save(path string) error {
	t.mu.Lock()
	text, err := json.MarshalIndent(file{Format: format, Systems: t.systems}, "", " ")
	t.mu.Unlock()
	if err == nil && len(text) >= largestFile {
		err = fmt.Errorf("%s: larger than %d bytes, and would not be read again", path, largestFile)
	}
	if err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = out.Write(append(text, '\n'))
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		os.Remove(out.Name())
	}
	return err
}

// settle is how long Keep waits for more news before it writes: a wave of failures is one file.
const settle = time.Second

// Keep writes what is remembered to path whenever there is news, and once more when ctx is done. It tells report of
// every attempt, with nil after one that succeeded; probing never waits for the disk.
func (t *Tracker) Keep(ctx context.Context, path string, report func(error)) {
	for {
		select {
		case <-t.changed:
			wait := time.NewTimer(settle)
			select {
			case <-wait.C:
			case <-ctx.Done():
			}
			wait.Stop()
			report(t.Save(path))
		case <-ctx.Done():
			report(t.Save(path))
			return
		}
	}
}
