package history

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"prober/internal/probe"
)

// formatTwo is a file as versions with format 2 leave it: two days of a probe, an hour that was not over, an incident and the
// state of incidents.
const formatTwo = "testdata/history-format-2.gz"

// writeFormatTwo writes what formatTwo has; PROBER_TEST_FORMAT=1 replaces the file.
func writeFormatTwo(t *testing.T, path string) {
	s := open(t, path, start, "up")
	for hour := range 48 {
		see(s, "up", start.Add(time.Duration(hour)*time.Hour), probe.Verdict(1+hour/47))
		s.write(true)
	}
	if err := s.SaveState([]byte(`{"format":1}`), []probe.IncidentRecord{{System: "shop", Start: start.Add(47 * time.Hour), Severity: "P1", Note: "## Incident"}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestOpen_formatTwo: an upgrade keeps the past. The file in testdata is not written again when the code changes: if this test fails,
// the prober would set aside the files of everybody.
func TestOpen_formatTwo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	if os.Getenv("PROBER_TEST_FORMAT") != "" {
		writeFormatTwo(t, path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var zip bytes.Buffer
		w, _ := gzip.NewWriterLevel(&zip, gzip.BestCompression)
		_, _ = w.Write(text)
		w.Close()
		if err := os.WriteFile(formatTwo, zip.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in, err := os.Open(formatTwo)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	zip, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var state string
	s, err := Open(path, func(text []byte) error { state = string(text); return nil }, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := start.Add(47*time.Hour + time.Minute)
	s.now = func() time.Time { return now }
	s.SetJobs(jobs("up"))
	past := pastOf(t, s, "up")
	passed, failed := 0, 0
	for _, d := range past.Days {
		passed, failed = passed+d.Pass, failed+d.Fail
	}
	if passed != 47 || failed != 1 || len(past.Changes) != 2 || past.Changes[0].Verdict != probe.Fail {
		t.Errorf("got %d passed, %d failed and the changes %+v", passed, failed, past.Changes)
	}
	if since := s.Since(id("up")); !since.At.Equal(start.Add(47 * time.Hour)) {
		t.Errorf("it failed since %+v", since)
	}
	incidents, err := s.Incidents(time.Time{})
	if err != nil || len(incidents) != 1 || incidents[0].Severity != "P1" || state != `{"format":1}` {
		t.Errorf("got %+v, %v and the state %q", incidents, err, state)
	}
}
