package secret

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestPublic_readAtUseAndNotRedacted is what tells them from secrets: a label must be able to show them.
func TestPublic_readAtUseAndNotRedacted(t *testing.T) {
	const id = "signing-key-of-november"
	t.Setenv("PROBER_TEST_KID", id)
	for text, want := range map[string]struct{ value, err string }{
		"written here":                       {"written here", ""},
		"2024":                               {"2024", ""},
		"{env: PROBER_TEST_KID}":             {id, ""},
		"{file: " + keep(t, id+"\n") + "}":   {id, ""},
		"{file: " + keep(t, "a\nb\n") + "}":  {"a\nb", ""},
		"{file: " + keep(t, "\n") + "}":      {"", "is empty"},
		"{env: PROBER_TEST_UNSET}":           {"", "text from env PROBER_TEST_UNSET: the variable is not set"},
		"{file: /nowhere}":                   {"", "text from file /nowhere: no such file or directory"},
		"{env: PROBER_TEST_KID, file: here}": {"", "expected a text, {file: PATH} or {env: NAME}"},
	} {
		var p Public
		err := yaml.Unmarshal([]byte(text), &p)
		var got string
		if err == nil {
			got, err = p.Read()
		}
		if got != want.value || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%s: got %q, %v; want %q, %s", text, got, err, want.value, want.err)
		}
		if Redact(got) != got {
			t.Errorf("%s is redacted", text)
		}
		if err == nil {
			var again Public
			written, _ := yaml.Marshal(p)
			if yaml.Unmarshal(written, &again) != nil || again != p {
				t.Errorf("%s: written as %s, which reads otherwise", text, written)
			}
		}
	}
	p := Env("PROBER_TEST_KID").Public()
	t.Setenv("PROBER_TEST_KID", "the-next")
	if got, _ := p.Read(); got != "the-next" {
		t.Errorf("after a rotation: got %q", got)
	}
	if p.Source() != "env PROBER_TEST_KID" || Literal("x").Source() != "" || !(Public{}).IsZero() {
		t.Error("a source is misnamed")
	}
}
