package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gopkg.in/yaml.v3"
)

const marker = "hunter2-0123456789abcdef"

// keep writes a file for a secret and returns its path.
func keep(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// holder has secrets in every place in which a struct can have one.
type holder struct {
	Open    Secret
	Pointer *Secret
	List    []Secret
	Array   [2]Secret
	Values  map[string]Secret
	Keys    map[Secret]string
	Any     any
	Deep    struct{ Deeper struct{ Open, hidden Secret } }
	hidden  Secret
	pointer *Secret
	list    []Secret
	values  map[string]Secret
}

type element struct{ Open Secret }

func newHolder(s Secret) holder {
	h := holder{
		Open: s, Pointer: &s, List: []Secret{s}, Array: [2]Secret{s, s}, Values: map[string]Secret{"a": s},
		Keys: map[Secret]string{s: "a"}, Any: s, hidden: s, pointer: &s, list: []Secret{s}, values: map[string]Secret{"a": s},
	}
	h.Deep.Deeper.Open, h.Deep.Deeper.hidden = s, s
	return h
}

func TestSecret_neverPrinted(t *testing.T) {
	for name, s := range map[string]Secret{"file": File(keep(t, marker)), "env": envSecret(t)} {
		t.Run(name, func(t *testing.T) {
			if value, err := s.Reveal(); err != nil || value != marker {
				t.Fatalf("%q, %v: without a value nothing is tested", value, err)
			}
			h := newHolder(s)
			outputs := map[string]string{}
			for _, verb := range strings.Split("v +v #v q x X d s t p e c U T b o 08.3f -20s", " ") {
				outputs["%"+verb+" of the secret"] = fmt.Sprintf("%"+verb, s)
				outputs["%"+verb+" of a pointer"] = fmt.Sprintf("%"+verb, &s)
				outputs["%"+verb+" of a struct"] = fmt.Sprintf("%"+verb, h)
				outputs["%"+verb+" of a pointer to a struct"] = fmt.Sprintf("%"+verb, &h)
			}
			outputs["Sprint"] = fmt.Sprint(s, h)
			outputs["String"] = s.String()
			outputs["error"] = fmt.Errorf("with %v and %w", s, fmt.Errorf("%+v", h)).Error()
			for name, encode := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal, "xml": xml.Marshal} {
				for what, v := range map[string]any{"secret": s, "pointer": &s, "struct": h} {
					if name == "xml" && what == "struct" {
						v = element{s} // it knows no maps
					}
					b, err := encode(v)
					if err != nil {
						t.Errorf("%s of the %s: %v", name, what, err)
					}
					outputs[name+" of the "+what] = string(b)
				}
			}
			var text, js bytes.Buffer
			for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&text, nil)), slog.New(slog.NewJSONHandler(&js, nil))} {
				log.With("with", s, "struct", h).WithGroup("group").Info("hello", "secret", s, "pointer", &s, "struct", h, "list", h.List, "any", slog.AnyValue(s))
			}
			outputs["slog text"], outputs["slog json"] = text.String(), js.String()
			for how, out := range outputs {
				if out == "" {
					t.Errorf("%s: nothing was printed", how)
				}
				for form, f := range forms {
					if got := leak(f.read(out), marker); got != "" {
						t.Errorf("%s: the piece %q can be read (as %s) in %q", how, got, form, out)
					}
				}
			}
			for _, how := range []string{"%v of the secret", "%x of the secret", "%d of the secret", "%q of the secret", "json of the secret", "xml of the secret", "slog text", "slog json"} {
				if !strings.Contains(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", "&lt;", "<", "&gt;", ">").Replace(outputs[how]), hidden) {
					t.Errorf("%s: %q does not say that a secret is there", how, outputs[how])
				}
			}
		})
	}
}

func envSecret(t *testing.T) Secret {
	t.Setenv("PROBER_TEST_TOKEN", marker)
	return Env("PROBER_TEST_TOKEN")
}

func TestReveal(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(keep(t, marker), link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROBER_TEST_SET", marker+"\n")
	t.Setenv("PROBER_TEST_EMPTY", "")
	tests := []struct {
		name   string
		secret Secret
		want   string
		err    string
	}{
		{"plain", File(keep(t, marker)), marker, ""},
		{"newline", File(keep(t, marker+"\n")), marker, ""},
		{"CRLF", File(keep(t, marker+"\r\n")), marker, ""},
		{"several line ends", File(keep(t, marker+"\r\n\n\n")), marker, ""},
		{"blanks stay", File(keep(t, " "+marker+"\t \n")), " " + marker + "\t ", ""},
		{"shortest", File(keep(t, "abcd")), "abcd", ""},
		{"largest", File(keep(t, strings.Repeat("x", maxFileBytes-1)+"\n")), strings.Repeat("x", maxFileBytes-1), ""},
		{"through a link", File(link), marker, ""},
		{"variable", Env("PROBER_TEST_SET"), marker, ""},
		{"too short", File(keep(t, "abc\n")), "", "is shorter than 4 bytes"},
		{"empty", File(keep(t, "")), "", "is empty"},
		{"only line ends", File(keep(t, "\r\n\n")), "", "is empty"},
		{"two lines", File(keep(t, marker+"\n"+marker+"\n")), "", "contains a line break or a NUL"},
		{"NUL", File(keep(t, marker+"\x00")), "", "contains a line break or a NUL"},
		{"huge", File(keep(t, strings.Repeat("x", maxFileBytes+1))), "", "is larger than 65536 bytes"},
		{"missing", File(filepath.Join(dir, "none")), "", "no such file or directory"},
		{"directory", File(dir), "", "not a regular file"},
		{"FIFO", File(fifo), "", "not a regular file"},
		{"device", File("/dev/zero"), "", "not a regular file"},
		{"variable not set", Env("PROBER_TEST_UNSET"), "", "secret from env PROBER_TEST_UNSET: the variable is not set"},
		{"variable empty", Env("PROBER_TEST_EMPTY"), "", "secret from env PROBER_TEST_EMPTY is empty"},
		{"none", Secret{}, "", "has no source"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.secret.Reveal()
			if got != tt.want {
				t.Errorf("got %.60q, want %.60q", got, tt.want)
			}
			_, errCheck := tt.secret.Check()
			for _, err := range []error{err, errCheck} {
				switch {
				case tt.err == "" && err != nil:
					t.Error(err)
				case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
					t.Errorf("got error %v, want one that says %q", err, tt.err)
				case tt.err != "" && tt.secret.file != "" && !strings.Contains(err.Error(), tt.secret.file):
					t.Errorf("the error %q does not name the source", err)
				case err != nil && (strings.Contains(err.Error(), "abc") || leak(err.Error(), marker) != ""):
					t.Errorf("the error %q holds the value", err)
				}
			}
			if tt.err == "" && Redact("("+tt.want+")") != "("+redacted+")" {
				t.Errorf("a revealed value is not redacted: %.60q", Redact("("+tt.want+")"))
			}
		})
	}
}

func TestReveal_rotation(t *testing.T) {
	// As Kubernetes does it: the file is a link, and the directory behind it is changed at one stroke.
	dir := t.TempDir()
	turn := func(value string) {
		t.Helper()
		target, err := os.MkdirTemp(dir, "version")
		if err == nil {
			err = os.WriteFile(filepath.Join(target, "token"), []byte(value), 0o600)
		}
		if err == nil {
			err = os.Symlink(target, filepath.Join(dir, "next"))
		}
		if err == nil {
			err = os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "data"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := File(filepath.Join(dir, "data", "token"))
	for i := range 3 {
		want := fmt.Sprintf("%d-rotated-value-%[1]d", i)
		turn(want + "\n")
		if got, err := s.Reveal(); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if got := Redact("old 1-rotated-value-1, new 2-rotated-value-2"); strings.Contains(got, "value") {
		t.Errorf("%q still shows a value that was in use", got)
	}
}

func TestCheck_warnings(t *testing.T) {
	for mode, warns := range map[os.FileMode]bool{0o400: false, 0o600: false, 0o640: false, 0o644: true, 0o604: true, 0o602: true, 0o777: true} {
		path := keep(t, marker)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		warning, err := File(path).Check()
		if err != nil || (warning != "") != warns {
			t.Errorf("mode %04o: warning %q, error %v; want a warning: %v", mode, warning, err, warns)
		}
		if warns && (!strings.Contains(warning, path) || !strings.Contains(warning, fmt.Sprintf("%04o", mode))) {
			t.Errorf("mode %04o: the warning %q names neither the file nor its mode", mode, warning)
		}
		if leak(warning, marker) != "" {
			t.Errorf("the warning %q holds the value", warning)
		}
	}
	if warning, err := envSecret(t).Check(); warning != "" || err != nil {
		t.Errorf("a variable: %q, %v", warning, err)
	}
}

func TestYAML(t *testing.T) {
	tests := []struct {
		yaml string
		want Secret
		err  string
	}{
		{"{file: /run/secrets/a}", File("/run/secrets/a"), ""},
		{"{env: TOKEN}", Env("TOKEN"), ""},
		{"\n  file: /run/secrets/a", File("/run/secrets/a"), ""},
		{"null", Secret{}, ""},
		{marker, Secret{}, "never written here"},
		{"{value: " + marker + "}", Secret{}, "never written here"},
		{"{file: /a, env: B}", Secret{}, "never written here"},
		{"{file: /a, " + marker + ": b}", Secret{}, "never written here"},
		{"{file: {" + marker + ": a}}", Secret{}, "never written here"},
		{"[" + marker + "]", Secret{}, "never written here"},
		{"{}", Secret{}, "never written here"},
		{"{file: ''}", Secret{}, "never written here"},
		{"12345678", Secret{}, "never written here"},
		{"''", Secret{}, "never written here"},
		{"{env: Bearer " + marker + "}", Secret{}, "never written here"},
		{"{env: 'TOKEN=" + marker + "'}", Secret{}, "never written here"},
		{"{env: \"" + marker + "\\n\"}", Secret{}, "never written here"},
		{"{file: \"-----BEGIN PRIVATE KEY-----\\n" + marker + "\"}", Secret{}, "never written here"},
	}
	for _, tt := range tests {
		var got struct{ Token Secret }
		d := yaml.NewDecoder(strings.NewReader("token: " + tt.yaml))
		d.KnownFields(true)
		err := d.Decode(&got)
		if got.Token != tt.want {
			t.Errorf("%s: got %s, want %s", tt.yaml, got.Token.Source(), tt.want.Source())
		}
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v, want %q", tt.yaml, err, tt.err)
		}
		if err != nil && (leak(err.Error(), marker) != "" || strings.Contains(err.Error(), "12345678")) {
			t.Errorf("%s: the error %q repeats what was written", tt.yaml, err)
		}
		if err != nil {
			continue
		}
		b, err := yaml.Marshal(got)
		var again struct{ Token Secret }
		if err := errors.Join(err, yaml.Unmarshal(b, &again)); err != nil || again != got {
			t.Errorf("%s: written as %q and read as %s, %v", tt.yaml, b, again.Token.Source(), err)
		}
	}
}

func TestSource(t *testing.T) {
	for want, s := range map[string]Secret{"file /a/b": File("/a/b"), "env TOKEN": Env("TOKEN"), "no source": {}} {
		if got := s.Source(); got != want || s.IsZero() != (want == "no source") {
			t.Errorf("%q, zero: %v; want %q", got, s.IsZero(), want)
		}
	}
}

// Two environments may have a variable of the same name. Neither is the environment of the process, and none is printed.
func TestSecret_in(t *testing.T) {
	t.Setenv("SECRET_IN_TEST", "value-of-the-process")
	one := NewEnvironment(map[string]string{"SECRET_IN_TEST": "value-number-one"})
	two := NewEnvironment(map[string]string{"SECRET_IN_TEST": "value-number-two"})
	s := Env("SECRET_IN_TEST")
	for want, s := range map[string]Secret{"value-of-the-process": s, "value-number-one": s.In(one), "value-number-two": s.In(two)} {
		if got, err := s.Reveal(); err != nil || got != want {
			t.Errorf("expected %s, got %q (%v)", want, got, err)
		}
		if s.Source() != "env SECRET_IN_TEST" {
			t.Errorf("got the source %s", s.Source())
		}
	}
	if got := Redact("value-number-one value-number-two"); strings.Contains(got, "value") {
		t.Errorf("expected both redacted, got %s", got)
	}
	if _, err := Env("OTHER").In(one).Reveal(); err == nil {
		t.Error("expected an error for a variable that is not in the environment")
	}
	if !(Secret{}).In(one).IsZero() || File("x").In(one) != File("x") {
		t.Error("expected In to leave other secrets alone")
	}
	text, err := json.Marshal(one)
	if printed := fmt.Sprintf("%v %+v %#v %s %s", one, *one, *one, one, text) + one.LogValue().String(); err != nil || strings.Contains(printed, "number") {
		t.Errorf("printed: %s (%v)", printed, err)
	}
}
