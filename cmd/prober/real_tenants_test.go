package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// A hole is something that is opened in a real server, alone, and closed again.
type hole struct {
	name        string
	open, close func(t *testing.T)
	want        []string // the checks that must fail, with their targets and reasons, and no others
}

// testHoles runs a configuration against a sound server, and then once with each hole: many times and with all holes under
// `make test-real`, and a few times and with the first two holes otherwise.
func testHoles(t *testing.T, config string, holes []hole) {
	t.Helper()
	var out, errs strings.Builder
	if status := run(t.Context(), []string{"--once", "--repeat=" + testenv.Runs(), "--config.file=" + config}, &out, &errs); status != exitPass {
		t.Fatalf("the sound server: exit status %d\n%s%s", status, out.String(), errs.String())
	}
	if !testenv.IsReal() {
		holes = holes[:min(2, len(holes))]
	}
	for _, h := range holes {
		t.Run(h.name, func(t *testing.T) {
			h.open(t)
			defer h.close(t)
			got, details := failures(t, config)
			slices.Sort(h.want)
			if !slices.Equal(got, h.want) {
				t.Errorf("got  %q\nwant %q\n%s", got, h.want, strings.Join(details, "\n"))
			}
		})
	}
	if got, details := failures(t, config); len(got) > 0 {
		t.Errorf("with all holes closed again:\n%s", strings.Join(details, "\n"))
	}
}

// failures runs a configuration once and returns the checks that fail, as "probe check@target reason", and the details
// of all that do not pass.
func failures(t *testing.T, config string) (failed, details []string) {
	t.Helper()
	failed = []string{}
	for name, lines := range onceChecks(t, config) {
		for _, line := range lines {
			check, rest, _ := strings.Cut(line, " ")
			verdict, _, _ := strings.Cut(rest, ": ")
			if reason, fails := strings.CutPrefix(verdict, "fail("); fails {
				failed = append(failed, name+" "+check+" "+strings.TrimSuffix(reason, ")"))
			}
			if verdict != "pass(ok)" {
				details = append(details, name+" "+line)
			}
		}
	}
	slices.Sort(failed)
	return failed, details
}

// example returns the configuration of a system that a document shows, with other texts in place of some.
func example(t *testing.T, system string, replaced ...string) string {
	t.Helper()
	for _, block := range fencedBlocks(t, "yaml") {
		if strings.HasPrefix(block, "system: "+system+"\n") {
			for i := 0; i < len(replaced); i += 2 {
				if !strings.Contains(block, replaced[i]) {
					t.Fatalf("the example of %s does not contain %s", system, replaced[i])
				}
			}
			return strings.NewReplacer(replaced...).Replace(block)
		}
	}
	t.Fatalf("no document has an example of %s", system)
	return ""
}

// call sends JSON to a server that a test sets up and returns its JSON answer. Anything but a success ends the test.
func call(t *testing.T, method, url, token string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		t.Fatalf("%s %s: got %d\n%s", method, url, resp.StatusCode, answer)
	}
	var object map[string]any
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &object); err != nil {
			t.Fatalf("%s %s: %v\n%s", method, url, err, answer)
		}
	}
	return object
}

// writeSecrets writes a file for each secret and returns their folder.
func writeSecrets(t *testing.T, secrets map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range secrets {
		writeFile(t, dir, name, text)
	}
	return filepath.Clean(dir)
}
