package alerts

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
)

// ruleTexts are texts of each style, and those at its borders.
var ruleTexts = []string{
	"", " ", "a", "a b", " a", "a ", "a: b", "a:", "a:b", ":", ": a", ":a", "a #b", "a#b", "#a", "it's", "'", `"`, `a "b" \c`, "-", "- a", "-a", "--- a", "...", "a---",
	"~", "~a", "1", "1m", "15s", "1h30m", "0x1f", "1_000", "1:30", "190:20:30", "2026-01-02", "1e3", ".5", ".inf", "+1", "-1", "0o7", "0b1", "=", "<<", "< 1", "> 1", "?", "? a", "?a", "a?", ",a", "[a]", "{a}", "{{ $value }}",
	"&a", "*a", "!a", "|", "%a", "@a", "`a`", "y", "Y", "n", "yes", "Yes", "YES", "no", "on", "ON", "off", "Off", "true", "True", "tRue", "false", "null", "NULL", "nULL", "nulls", "http", "up",
	"\t\n", "\n\u2028 ", "\r\n", "a\nb", "a\n\nb", "a\n  b", "  a\nb", "\na", "a\n", "a\n\n", "\n", "\n\n", "a \nb", "a\n b", "a\n \nb", "a\nb ", "# a\nb", "a: b\nc #d", "- a\n- b", "1\n2", "'a\n\"b", "a\tb", "\ta", "a\n\tb", "a\rb", "a\r\nb", "a\x00b", "a\x7fb",
	"käse", "日本: 語", "a\u0085b", "a\u2028b", "a\n\u2028b", "a\u00a0", "\u00a0a", "a\ufeffb", "\ufeff", "a\ufffdb", "😀", "a\n😀", "a\xffb", "\xff\n", "\u2026",
	"sum by (a) (b{c=\"d\"}) > 0\nunless on (system, probe) e == 1", "{{ range query `a{b=\"c\"}` }}{{ .Labels.x }}, {{ end }}d: e",
}

// asYAML is a file as yaml.v3 writes it.
func asYAML(t *testing.T, f *File) string {
	t.Helper()
	text, err := yamlText(f)
	if err != nil {
		t.Fatal(err)
	}
	return "# " + rulesHeader + "\n" + string(text)
}

// checkWritten compares a file with what yaml.v3 writes, unless that has a text that it would not read again, and with what yaml.v3 reads
// from it.
func checkWritten(t *testing.T, f *File, texts ...string) {
	t.Helper()
	got, want := written(t, f), asYAML(t, f)
	read := func(text string) *File {
		var read File
		if err := yaml.Unmarshal([]byte(text), &read); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		return &read
	}
	if !slices.ContainsFunc(texts, inQuotes) && got != want {
		t.Fatalf("got\n%s\nexpected\n%s", got, want)
	}
	if read := read(got); !reflect.DeepEqual(read.Groups, f.Groups) {
		t.Fatalf("got %+v, expected %+v, of\n%s", read.Groups, f.Groups, got)
	}
}

// fileOf has a text in every place of a file that may have any.
func fileOf(key, text string) *File {
	return &File{Groups: []Group{
		{Name: "prober-" + text, Interval: "15s", Rules: []Rule{
			{Record: "a:b", Expr: text, Labels: map[string]string{"system": text, "zone": "eu"}},
			{Alert: "A", Expr: text, For: "1m", Labels: map[string]string{"severity": text, key: "x", "type": "http"}, Annotations: map[string]string{"summary": text, "description": text + text, "impact": "y " + text}},
		}},
		{Name: text, Interval: text, Rules: []Rule{{Alert: "B", Expr: text, For: text, Annotations: map[string]string{key: text}}}},
	}}
}

// TestWrite writes rules as yaml.v3 does, to the byte, but for texts that it would not read again.
func TestWrite(t *testing.T) {
	t.Parallel()
	for _, text := range ruleTexts {
		checkWritten(t, fileOf("env", text), text)
	}
	for _, key := range []string{"env", "a_b", "_", "y", "n", "on", "off", "yes", "no", "true", "false", "null", "type", "Env", "zone2", "zone10", "a1_", "a1b", "", "a b", "é", "1"} {
		checkWritten(t, fileOf(key, "text"))
		checkWritten(t, &File{Groups: []Group{{Name: "a", Interval: "1m", Rules: []Rule{{Alert: "A", Expr: "b", Labels: map[string]string{key: "a\nb", "zone9": "x\n\n\ty", "zone11": "", "zone_1": "c"}}}}}})
	}
}

// TestWrite_manyOddTexts has more of them than are remembered.
func TestWrite_manyOddTexts(t *testing.T) {
	t.Parallel()
	f := &File{Groups: []Group{{Name: "a", Interval: "1m"}}}
	for i := range 3 * maxSeen {
		f.Groups[0].Rules = append(f.Groups[0].Rules, Rule{Alert: "A", Expr: strings.Repeat("1", i+1) + "s", Labels: map[string]string{"odd": "1m"}})
	}
	checkWritten(t, f)
	w := newWriter(&strings.Builder{})
	for _, r := range f.Groups[0].Rules {
		w.rule(&r)
	}
	if len(w.seen) > maxSeen {
		t.Errorf("%d texts are remembered, expected at most %d", len(w.seen), maxSeen)
	}
}

// TestWriteRules writes each rule as it is made: the first reach the reader before the last are there, and all are those of Rules.
func TestWriteRules(t *testing.T) {
	t.Parallel()
	jobs, o := []probe.Job{up, leaf, closed, proxy, gate, keys, tenants, clock, servers, sonar, odd}, Options{Kinds: kinds()}
	var parts []string
	err := WriteRules(writerFunc(func(p []byte) (int, error) {
		parts = append(parts, string(p))
		return len(p), nil
	}), jobs, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(parts, ""), written(t, Rules(jobs, o)); got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
	if longest := len(slices.MaxFunc(parts, func(a, b string) int { return len(a) - len(b) })); len(parts) < 3 || longest > 8<<10 {
		t.Errorf("%d parts of up to %d bytes, expected several small ones", len(parts), longest)
	}
	full := errors.New("no space left")
	if err := WriteRules(writerFunc(func([]byte) (int, error) { return 0, full }), jobs, o); !errors.Is(err, full) {
		t.Errorf("got the error %v, expected %v", err, full)
	}
}

// FuzzWrite: what is written is what yaml.v3 writes, and yaml.v3 reads the same from it.
func FuzzWrite(f *testing.F) {
	for i, text := range ruleTexts {
		f.Add([]string{"env", "zone2", "type", "on"}[i%4], text)
	}
	f.Fuzz(func(t *testing.T, key, text string) {
		if utf8.ValidString(key) || !inQuotes(text) { // no label has such a name
			checkWritten(t, fileOf(key, text), key, text)
		}
	})
}
