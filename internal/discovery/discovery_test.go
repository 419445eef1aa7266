package discovery

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"prober/internal/probe"
)

// shown writes a list as text.
func shown(list []probe.Target, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var all []string
	for _, t := range list {
		all = append(all, fmt.Sprint(t.Address, t.Labels))
	}
	return strings.Join(all, " ")
}

func many(n int) string { return `"` + strings.Repeat(`10.0.0.1:80","`, n-1) + `10.0.0.1:80"` }

const (
	wrongGroup = "expected a JSON object with targets, a list of texts, and labels, texts by name, and no other key"
	wrongYAML  = "expected targets, a list of texts, and labels, texts by name, and no other key"
)

// TestParse reads lists as Prometheus does: what it refuses is refused.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ json, yaml, want, wantYAML string }{
		"a list": {
			`[{"targets":["a:1","b:2"],"labels":{"zone":"eu","__meta_x":"1"}},{"targets":["c"]}]`,
			"- targets: [a:1, b:2]\n  labels: {zone: eu, __meta_x: 1}\n- targets:\n  - c\n", "a:1map[__meta_x:1 zone:eu] b:2map[__meta_x:1 zone:eu] cmap[]", ""},
		"nothing":             {`[]`, `[]`, "", ""},
		"no document":         {``, "# soon\n", "error: expected a JSON list of groups of targets", "error: expected a list of groups of targets"},
		"no targets":          {`[{"labels":{"a":"b"}},{"targets":null}]`, "- labels: {a: b}\n- targets:\n", "", ""},
		"no list":             {`{"targets":["a"]}`, "targets: [a]", "error: expected a JSON list of groups of targets", "error: line 1: wants a list, got keys"},
		"a null":              {`[null]`, "- null", "error: group 1: " + wrongGroup, "error: line 1: " + wrongYAML},
		"targets twice":       {`[{"targets":["a"],"targets":["b"]}]`, "- {targets: [a], targets: [b]}", "error: group 1: " + wrongGroup, "error: line 1: *"},
		"another key":         {`[{"targets":[],"source":"x"}]`, "- {targets: [], source: x}", "error: group 1: " + wrongGroup, "error: line 1: " + wrongYAML},
		"a target, a number":  {`[{"targets":[1]}]`, "- targets: [[1]]", "error: group 1: " + wrongGroup, "error: line 1: " + wrongYAML},
		"a label, a number":   {`[{"targets":["a"],"labels":{"a":1}}]`, "- labels: {a: [1]}", "error: group 1: " + wrongGroup, "error: line 1: " + wrongYAML},
		"a name of no label":  {`[{"targets":["a"],"labels":{"a-b":"1"}}]`, `- labels: {"a-b": "1"}`, "error: group 1: expected labels whose names have letters, digits and _, and at most 1024 bytes, as their values", "error: line 1: group 1: expected labels whose names have letters, digits and _, and at most 1024 bytes, as their values"},
		"a long value":        {`[{"targets":["a"],"labels":{"a":"` + strings.Repeat("x", 1025) + `"}}]`, `- labels: {"0": "1"}`, "error: group 1: expected labels whose*", "error: line 1: group 1: expected labels whose*"},
		"a long target":       {`[{"targets":["` + strings.Repeat("x", 2049) + `"]}]`, "- targets: [" + strings.Repeat("x", 2049) + "]", "error: group 1: expected targets of at most 2048 bytes", "error: line 1: group 1: expected targets of at most 2048 bytes"},
		"too many":            {`[{"targets":[` + many(1500) + `]},{"targets":[` + many(501) + `]}]`, "- targets: [" + many(2001) + "]", "error: expected at most 2000 targets, got more", "error: line 1: expected at most 2000 targets, got more"},
		"a list without end":  {`[{"targets":["a"]}`, "- targets: [a", "error: expected a JSON list that ends", "error: line 1: *"},
		"more after the list": {`[] []`, "[]\n---\n[]", "error: expected nothing after the JSON list", "error: line 2: a second document begins here; one file holds one"},
		"no UTF-8":            {"[{\"targets\":[\"\xff\"]}]", "- targets: [\"\xff\"]", "error: expected UTF-8", "error: line 1: the file is not valid UTF-8; save it as UTF-8"},
		"deep":                {strings.Repeat("[", 1<<20), strings.Repeat("[", 1<<20), "error: group 1: *", "error: *"},
		"anchors":             {`[]`, "- &a {targets: [x], labels: {l: v}}\n- *a\n", "", "xmap[l:v] xmap[l:v]"},
		"an anchor in itself": {`[]`, "- &a {targets: [*a]}", "", "error: line 1: the anchor contains itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.wantYAML == "" {
				c.wantYAML = c.want
			}
			for _, p := range []struct{ got, want string }{{shown(ParseJSON([]byte(c.json))), c.want}, {shown(ParseYAML([]byte(c.yaml))), c.wantYAML}} {
				prefix, open := strings.CutSuffix(p.want, "*")
				if strings.TrimSpace(p.want) != p.got && !(open && strings.HasPrefix(p.got, prefix)) {
					t.Errorf("got %.300s\nexpected %s", p.got, p.want)
				}
			}
		})
	}
}

// TestParse_aMillionTargets ends at the bound.
func TestParse_aMillionTargets(t *testing.T) {
	t.Parallel()
	_, err := ParseJSON([]byte(`[` + strings.Repeat(`{"targets":["a"]},`, 200_000) + `{}]`))
	if !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
}

func TestReadFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := write("1.json", `[{"targets":["a"]}]`), write("2.yml", `- {targets: [b, a]}`)
	bad, large := write("bad.yaml", `- {targets: b}`), write("large.json", strings.Repeat(" ", MaxBytes+1))
	empty := write("empty.yaml", "")
	fifo, gone := filepath.Join(dir, "fifo.json"), filepath.Join(dir, "gone.json")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	full := write("full.json", `[{"targets":[`+many(2000)+`]}]`)
	for name, c := range map[string]struct {
		files      []string
		want       string
		unreadable bool
	}{
		"files":                          {[]string{two, one}, "amap[__meta_filepath:" + one + "] bmap[__meta_filepath:" + two + "] amap[__meta_filepath:" + two + "]", false},
		"a pattern":                      {[]string{filepath.Join(dir, "[12].*")}, "amap[__meta_filepath:" + one + "] bmap[__meta_filepath:" + two + "] amap[__meta_filepath:" + two + "]", false},
		"a pattern that matches nothing": {[]string{filepath.Join(dir, "x*.json")}, "", false},
		"a file twice":                   {[]string{one, filepath.Join(dir, "1*")}, "amap[__meta_filepath:" + one + "]", false},
		"no file":                        {[]string{one, gone}, "error: " + gone + ": no such file or directory", true},
		"no directory":                   {[]string{one, filepath.Join(dir, "gone", "*.json")}, "error: " + filepath.Join(dir, "gone") + "/: no such file or directory", true},
		"an empty file":                  {[]string{one, empty}, "error: " + empty + ": expected a list of groups of targets", false},
		"a FIFO":                         {[]string{fifo}, "error: " + fifo + ": not a regular file", true},
		"not a list":                     {[]string{one, bad}, "error: " + bad + ": line 1: " + wrongYAML, false},
		"a large file":                   {[]string{large}, "error: " + large + ": expected at most 4194304 bytes, all files together", true},
		"too many together":              {[]string{full, one}, "error: expected at most 2000 targets, got more", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := ReadFiles(c.files)
			if got := shown(list, err); got != c.want {
				t.Errorf("got %s\nexpected %s", got, c.want)
			}
			if e, ok := errors.AsType[*FileError](err); (ok && e.Unreadable) != c.unreadable {
				t.Errorf("unreadable %t, expected %t", !c.unreadable, c.unreadable)
			}
		})
	}
}

func TestValidatePattern(t *testing.T) {
	t.Parallel()
	for pattern, ok := range map[string]bool{
		"a.json": true, "/x/*.yml": true, "x/[ab]?.yaml": true, "x.txt": false, "x/*": false, "*/a.json": false, "x[/a.json": false, "[.json": false, "": false,
	} {
		if err := ValidatePattern(pattern); (err == nil) != ok {
			t.Errorf("%q: got %v", pattern, err)
		}
	}
}

// TestNormal puts the same targets into the same order, however they are listed.
func TestNormal(t *testing.T) {
	t.Parallel()
	target := func(address, zone string) probe.Target {
		return probe.Target{Address: address, Labels: map[string]string{"zone": zone}}
	}
	a, b, c := target("a", "1"), target("a", "2"), target("b", "1")
	want := shown([]probe.Target{a, b, c}, nil)
	for _, list := range [][]probe.Target{{a, b, c}, {c, b, a}, {b, c, a, target("a", "2"), target("b", "1")}} {
		before := slices.Clone(list)
		if got := shown(Normal(list), nil); got != want {
			t.Errorf("got %s, expected %s", got, want)
		}
		if shown(before, nil) != shown(list, nil) {
			t.Error("the list itself has changed")
		}
	}
}

func TestIsJSON(t *testing.T) {
	t.Parallel()
	for contentType, is := range map[string]bool{
		"application/json": true, "Application/JSON; charset=UTF-8": true, `application/json;charset="utf-8"`: true,
		"": false, "text/html": false, "application/json; charset=latin1": false, "application/problem+json": false, "application/jsonp": false,
	} {
		if IsJSON(contentType) != is {
			t.Errorf("%q: expected %t", contentType, is)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`[{"targets":["a:1"],"labels":{"a":"b"}}]`))
	f.Add([]byte("- targets: [a]\n  labels: {a: b}\n"))
	f.Add([]byte("- &a {targets: [x]}\n- <<: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func([]byte) ([]probe.Target, error){ParseJSON, ParseYAML} {
			list, err := parse(data)
			if err != nil && list != nil || len(list) > MaxTargets {
				t.Fatalf("got %d targets and %v", len(list), err)
			}
			if n := Normal(list); len(n) > len(list) || shown(Normal(n), nil) != shown(n, nil) {
				t.Fatal("not normal")
			}
		}
	})
}
