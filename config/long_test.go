package config_test

import (
	"fmt"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/testenv"
	"prober/probes"
)

// A file with very many probes is read in pieces. What it says, and where, is the same as if it were read as a whole, which a
// carriage return makes it be.
func TestParse_longFile(t *testing.T) {
	testenv.WithoutRace(t)
	long := func(change func(i int, entry string) string) string {
		var b strings.Builder
		b.WriteString("system: shop\nlabels: {env: prod}\nrunbooks:\n  down: {severity: P2}\n  unused: {}\nprobes:\n")
		for i := range 350 {
			b.WriteString(change(i, fmt.Sprintf("  - name: p%d\n    type: http\n    runbook: down\n    url: http://192.0.2.1/%d\n    bearer: {file: tokens/%d}\n", i, i, i)))
		}
		return b.String() + "\nmaintenance:\n  - {start: 2020-01-01T00:00:00Z, end: 2020-01-02T00:00:00Z, probes: [p340]}\n"
	}
	for name, change := range map[string]func(i int, entry string) string{
		"right": func(_ int, entry string) string { return entry },
		"mistakes of each stage": func(i int, entry string) string {
			switch i {
			case 7, 120:
				return strings.Replace(entry, "runbook", "runbok", 1)
			case 150, 349:
				return strings.Replace(entry, fmt.Sprint("p", i), "p3", 1)
			case 222:
				return strings.Replace(entry, "http://", "ftp://", 1)
			case 230:
				return strings.Replace(entry, "/230\n", "/4\n", 1)
			case 240:
				return entry + "    depends_on: [p1, p999]\n"
			}
			return entry
		},
		"null": func(i int, entry string) string {
			if i == 310 {
				return "  -\n" + entry
			}
			return entry
		},
		"an anchor": func(i int, entry string) string {
			switch i {
			case 3:
				return entry + "    labels: &l {a: b}\n"
			case 333:
				return entry + "    labels: *l\n"
			}
			return entry
		},
		"no YAML": func(i int, entry string) string {
			if i == 311 {
				return entry + "   x: 1\n"
			}
			return entry
		},
	} {
		t.Run(name, func(t *testing.T) {
			said := func(text string) string {
				cfg, err := config.Parse(probes.Kinds(), config.File{Name: "shop.yaml", Data: []byte(text)})
				if err != nil {
					return err.Error()
				}
				return strings.Join(cfg.Warnings, "\n") + "\n" + strings.Join(cfg.CheckSources(cfg.Jobs), "\n") + "\n" + string(cfg.YAML())
			}
			text := long(change)
			got, want := said(text), said(text+"#\r\n")
			if got != want {
				t.Errorf("got\n%.2000s\nwant\n%.2000s", got, want)
			}
			if !strings.Contains(got, "shop.yaml:") { // the warnings at least
				t.Errorf("no line is named:\n%.500s", got)
			}
		})
	}
}

// The bound on the values of a file is that of the whole, though it is read in pieces: what is more cannot be read again for the lines
// of mistakes.
func TestParse_longFileOfVeryManyValues(t *testing.T) {
	var b strings.Builder
	b.WriteString("system: shop\nx-a: &a [" + strings.Repeat("1,", 999) + "1]\nx-b: [" + strings.Repeat("*a,", 699) + "*a]\nprobes:\n  - {name: p7, type: http, url: 'http://192.0.2.2/'}\n")
	for i := range 250 {
		fmt.Fprintf(&b, "  - name: p%d\n    type: http\n    url: http://192.0.2.1/%d\n    expect: {status: &s [%s], x: [%s]}\n",
			i, i, strings.Repeat("200,", 44), strings.Repeat("*s,", 44))
	}
	const want = "shop.yaml:1: anchors and aliases unfold to more than 1000000 values"
	if _, err := config.Parse(probes.Kinds(), config.File{Name: "shop.yaml", Data: []byte(b.String())}); err == nil || err.Error() != want {
		t.Errorf("expected %s, got %.500v", want, err)
	}
}
