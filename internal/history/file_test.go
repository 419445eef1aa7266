package history

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestOpen_earlierVersion takes over what an earlier version wrote, once, and keeps it readable at all times.
func TestOpen_earlierVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	old, err := os.ReadFile("testdata/incidents-format-1.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, old, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadState(path); err != nil || !bytes.Equal(got, old) {
		t.Errorf("%v: read %q of the old file", err, got)
	}
	var loads []string
	load := func(state []byte) error { loads = append(loads, string(state)); return nil }
	for range 2 {
		s, err := Open(path, load, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadState(path); err != nil || !bytes.Equal(got, old) {
			t.Errorf("%v: read %q while it is open", err, got)
		}
		s.Close()
	}
	if len(loads) != 2 || loads[0] != string(old) || loads[1] != string(old) {
		t.Errorf("got %q", loads)
	}
	if at, err := os.Stat(path); err != nil || at.Mode().Perm() != 0o600 {
		t.Errorf("%v: expected a file for its owner only, got %v", err, at.Mode())
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 { // and the lock
		t.Errorf("%v: left are %q", err, left)
	}
}

// TestOpen_unusable sets what is damaged aside and begins again; what it may not touch it leaves alone.
func TestOpen_unusable(t *testing.T) {
	t.Parallel()
	refuse := func([]byte) error { return errors.New("expected format 1, got 7") }
	for name, c := range map[string]struct {
		text  string
		load  func([]byte) error
		aside bool
	}{
		"cut off":          {text: `{"format":1,"sys`, aside: true},
		"of another":       {text: "#!/bin/sh\n", aside: true},
		"another format":   {text: `{"format":7}`, load: refuse, aside: true},
		"zeros":            {text: strings.Repeat("\x00", 65536), aside: true},
		"empty":            {text: "", aside: false},
		"of an older self": {text: `{"format":1}`, aside: false},
	} {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, c.load, Options{})
		if s == nil || (err != nil) != c.aside || err != nil && (!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "set aside as "+path+".damaged")) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if kept, _ := os.ReadFile(path + ".damaged"); c.aside && string(kept) != c.text {
			t.Errorf("%s: it is not set aside", name)
		}
		s.SetJobs(jobs("up"))
		see(s, "up", start, probe.Pass)
		s.write(true)
		s.now = func() time.Time { return start.Add(time.Minute) }
		if past := pastOf(t, s, "up"); len(past.Days) != 90 || past.Days[89].Pass != 1 {
			t.Errorf("%s: got %+v", name, past)
		}
		s.Close()
	}
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe") // with nobody at its other end
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe, filepath.Join(dir, "missing", "state")} {
		if s, err := Open(path, nil, Options{}); s != nil || err == nil {
			t.Errorf("%s: got %v", path, err)
		}
		if _, err := ReadState(path); err == nil && path == pipe {
			t.Errorf("%s: has a state", path)
		}
	}
	if state, err := ReadState(filepath.Join(dir, "none")); state != nil || err != nil {
		t.Errorf("no file yet: got %q, %v", state, err)
	}
}

// TestOpen_twice: a file belongs to one process at a time.
func TestOpen_twice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	first := open(t, path, start, "up")
	if second, err := Open(path, nil, Options{}); second != nil || !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, expected %v", err, ErrInUse)
	}
	first.Close()
	third, err := Open(path, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	third.Close()
}

// filled writes a file with thirty days of five probes, and an incident.
func filled(t *testing.T, path string) (now time.Time) {
	t.Helper()
	names := []string{"a", "b", "c", "d", "e"}
	s := open(t, path, start, names...)
	for day := range 30 {
		for hour := range 24 {
			now = start.Add(time.Duration(day*24+hour) * time.Hour)
			for _, name := range names {
				see(s, name, now, probe.Verdict(1+hour%2))
			}
		}
		s.write(true)
		s.backend.retain(now)
	}
	if err := s.SaveState([]byte(`{"format":1}`), []probe.IncidentRecord{{System: "shop", Start: now, Note: strings.Repeat("note ", 1000)}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	return now
}

// TestOpen_damagedBytes damages a file in random places. Whatever is there, the prober starts, and shows no number that is not so.
func TestOpen_damagedBytes(t *testing.T) {
	testenv.Slow(t, "opens a damaged file 120 times")
	t.Parallel()
	dir := t.TempDir()
	now := filled(t, filepath.Join(dir, "whole"))
	whole, err := os.ReadFile(filepath.Join(dir, "whole"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	outcomes := map[string]int{}
	for n := range 120 {
		if !testenv.Sampled(n, 9) {
			continue
		}
		text := bytes.Clone(whole)
		switch n % 4 {
		case 0: // one byte
			text[random.IntN(len(text))] ^= byte(1 + random.IntN(255))
		case 1: // a page that was not written, or one that belongs elsewhere
			page, other := 4096*random.IntN(len(text)/4096), 4096*random.IntN(len(text)/4096)
			copy(text[page:page+4096], whole[other:])
		case 2:
			page := 4096 * random.IntN(len(text)/4096)
			clear(text[page : page+1+random.IntN(4096)])
		case 3: // cut off
			text = text[:random.IntN(len(text))]
		}
		outcomes[openDamaged(t, dir, text, now)]++
	}
	if outcomes["set aside"] == 0 || outcomes["read"] == 0 {
		t.Errorf("got %v", outcomes)
	}
	t.Log(outcomes)
}

// openDamaged uses a damaged file as a prober would.
func openDamaged(t *testing.T, dir string, text []byte, now time.Time) (outcome string) {
	t.Helper()
	path := filepath.Join(dir, "damaged")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _ = ReadState(path)
	s, err := Open(path, nil, Options{})
	switch {
	case s == nil:
		t.Fatal(err)
	case err != nil:
		outcome = "set aside"
	default:
		outcome = "read"
	}
	s.backend.(*file).db.Load().NoSync = true
	s.now = func() time.Time { return now.Add(time.Minute) }
	s.SetJobs(jobs("a", "b", "c", "d", "e"))
	for _, name := range []string{"a", "e"} {
		past, err := s.Past(id(name))
		for i, d := range past.Days {
			if n := d.Pass + d.Fail; n > 24 || d.Pass > 12 || d.Fail > 12 || d.Inconclusive > 0 {
				t.Errorf("day %d is %+v", i, d)
			}
		}
		if err != nil {
			outcome = "found damaged later"
		}
		see(s, name, now.Add(time.Hour), probe.Pass)
	}
	_, _ = s.Incidents(time.Time{})
	s.write(true)
	for range 3 {
		s.backend.retain(now.Add(time.Hour))
	}
	see(s, "a", now.Add(2*time.Hour), probe.Pass)
	s.write(true)
	s.Close()
	return outcome
}

// TestStore_damagedInUse cuts the file off while it is in use: it is replaced, and the prober goes on.
func TestStore_damagedInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	now := filled(t, path)
	var found, written error
	s, err := Open(path, nil, Options{Damaged: func(err error) { found = err }, Written: func(err error) { written = err }})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now.Add(3 * time.Minute) }
	s.SetJobs(jobs("a"))
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	if past, err := s.Past(id("a")); err == nil {
		t.Errorf("got %+v", past)
	}
	see(s, "a", now.Add(time.Minute), probe.Pass)
	s.write(true)
	if found == nil || !strings.Contains(found.Error(), "set aside as "+path+".damaged") {
		t.Errorf("got %v", found)
	}
	see(s, "a", now.Add(2*time.Minute), probe.Pass)
	s.write(true)
	if past := pastOf(t, s, "a"); written != nil || past.Days[89].Pass != 2 {
		t.Errorf("%v: got %+v", written, past.Days)
	}
	s.Close()
}
