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

// fileFormat is the version of the file. Files of other versions are not read.
const fileFormat = 1

// maxFileSize is more than a hundred systems need if everything fails. A larger file is neither written nor read.
const maxFileSize = 64 << 20

type file struct {
	Format  int                `json:"format"`
	Systems map[string]*system `json:"systems"`
}

// Load reads what an earlier process saved at path. Call it before the first Observe. A missing file is no error. A file
// that cannot be read or parsed is, and the Tracker stays empty.
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
		return fmt.Errorf("%s: not a file that prober wrote, or a damaged one", path)
	}
	if f.Format != fileFormat {
		return fmt.Errorf("%s: expected format %d, got %d", path, fileFormat, f.Format)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, s := range f.Systems {
		if s != nil {
			t.systems[name] = s.fillDefaults()
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
	text, err := io.ReadAll(io.LimitReader(in, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = fmt.Errorf("larger than %d bytes", maxFileSize)
	}
	return text, err
}

// SetAside renames a file that Load refused to path.damaged, so that Save does not overwrite it, and returns the new
// path. It replaces an earlier path.damaged, and refuses what is not a regular file.
func SetAside(path string) (string, error) {
	at, err := os.Lstat(path)
	if err == nil && !at.Mode().IsRegular() {
		err = fmt.Errorf("%s: expected a regular file", path)
	}
	if err != nil {
		return "", err
	}
	aside := path + ".damaged"
	return aside, os.Rename(path, aside)
}

// fillDefaults creates what a file edited by hand may lack, and clears what is true only of the process that wrote it.
func (s *system) fillDefaults() *system {
	if s.Versions == nil {
		s.Versions = map[string]string{}
	}
	if s.LastGoodVersions == nil {
		s.LastGoodVersions = map[string]string{}
	}
	if s.Breaches == nil {
		s.Breaches = map[string]breach{}
	}
	if s.FailingSince == nil {
		s.FailingSince = map[string]time.Time{}
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
		i.LastChecked, i.PassingSince = time.Time{}, time.Time{} // unobserved until now
	}
	s.Changes = s.Changes[max(0, len(s.Changes)-maxChanges):]
	return s
}

// Save writes the state to path atomically: a crash leaves the file as it was.
func (t *Tracker) Save(path string) error {
	t.mu.Lock()
	text, err := json.MarshalIndent(file{Format: fileFormat, Systems: t.systems}, "", " ")
	t.mu.Unlock()
	if err == nil && len(text) >= maxFileSize {
		err = fmt.Errorf("%s: larger than %d bytes, so it could not be loaded", path, maxFileSize)
	}
	if err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(path), temporary(path))
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

// persistDelay is how long Persist waits for more changes before it writes: a wave of failures is one write.
const persistDelay = time.Second

// Persist saves the state to path after every change, and once more when ctx is done. It reports the result of every
// attempt. Probing never waits for the disk.
func (t *Tracker) Persist(ctx context.Context, path string, report func(error)) {
	for {
		select {
		case <-t.changed:
			wait := time.NewTimer(persistDelay)
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
