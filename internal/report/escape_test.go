package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"prober/internal/probe"
)

// hostile are texts that mean something to one format or another.
var hostile = []string{
	"a\nnot ok 9 - b\r\n::error::c", "\x1b[31mred\x00\x7f\u0085", "]]><script>alert(1)</script>", `"quoted" 'and' \ back`,
	"a|b\\|c", "`code`", "<!-- -->&amp;<br>", "[text](javascript:alert(1))", "**bold** _it_ ~~no~~ $x$", "50% %0A %25",
	"# SKIP", "# TODO later", "::set-output name=x::y", "##[error]x", "\u202etxt.exe\u2066", "\ufffe\uffff\ufffd\xff\xfe", "---", "...",
	"=2+5+cmd|' /C calc'!A0",
}

// hostileReport has the text wherever a text can be, past every cleaning that the vocabulary does.
func hostileReport(text string) Report {
	id := probe.ID{System: text, Name: text, Type: text, Runbook: text, Severity: text}
	x := probe.Exchange{
		Check: text, Target: text, Method: text, URL: "https://ibex.example/" + text, Addr: text, Status: 500, Proto: text,
		TraceID: text, TargetTraceID: text + "2", Version: text, Reason: probe.OK, Denied: "",
	}
	fails := probe.Result{ID: id, Took: time.Second, Exchanges: []probe.Exchange{x, {Check: "other", Reason: probe.Reason{Word: text}, Denied: text}}, Checks: []probe.Check{
		{Name: text, Target: text, Verdict: probe.Fail, Reason: probe.Reason{Word: text}, Detail: text},
		{Name: "other", Verdict: probe.Inconclusive, Reason: probe.Timeout, Detail: text},
	}}
	return Report{
		Jobs:    []probe.Job{{ID: id, RunbookURL: "https://docs.example/" + text + "?token=hunter2-query"}},
		Results: []probe.Result{fails}, Reason: text, Version: text, Started: begin, Ended: begin.Add(time.Second),
	}
}

func TestWrite_hostileText(t *testing.T) {
	readers := map[string]func(string) error{
		"text": readLines, "json": readJSON, "junit": readXML, "tap": readTAP, "github": readCommands, "markdown": readMarkdown,
	}
	for _, text := range hostile {
		for _, format := range Formats() {
			got := write(t, format, hostileReport(text))
			if err := readers[format](got); err != nil {
				t.Errorf("%s with %q: %v\n%s", format, text, err, got)
			}
			for _, c := range got {
				if c != '\n' && (unicode.IsControl(c) || c == '\u2028' || c == '\u202e' || c == '\u2066' || c == '\ufffe') {
					t.Errorf("%s with %q: a control character %U got through", format, text, c)
				}
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("%s shows a query", format)
			}
		}
	}
}

// readLines reads the table: one line that begins with a mark, what belongs to it indented, and the summary.
func readLines(text string) error {
	table, summary, _ := strings.Cut(text, "\n\n")
	for i, line := range strings.Split(table, "\n") {
		if (i == 0) != strings.HasPrefix(line, "FAIL  ") || (i > 0 && !strings.HasPrefix(line, "      ")) {
			return fmt.Errorf("a line of its own: %q", line)
		}
	}
	if !strings.HasPrefix(summary, "0 of 1 passed, 1 failed: ") || !strings.HasSuffix(strings.Join(strings.Fields(summary), " "), "Not healthy.") {
		return fmt.Errorf("the summary is %q", summary)
	}
	return nil
}

func readJSON(text string) error {
	var doc struct {
		Verdict string
		Probes  []struct{ Verdict string }
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return err
	}
	if doc.Verdict != "fail" || len(doc.Probes) != 1 || doc.Probes[0].Verdict != "fail" {
		return fmt.Errorf("read as %+v", doc)
	}
	return nil
}

func readXML(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	open := map[string]int{}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if start, ok := token.(xml.StartElement); ok {
			open[start.Name.Local]++
		}
	}
	if open["testcase"] != 1 || open["failure"] != 1 || open["script"] != 0 || open["br"] != 0 {
		return fmt.Errorf("elements %v", open)
	}
	return nil
}

// readTAP reads the stream as the specification says: tests, and a YAML block after each.
func readTAP(text string) error {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "TAP version 14" || lines[1] != "1..1" || !strings.HasPrefix(lines[2], "not ok 1 - ") || lines[3] != "  ---" {
		return fmt.Errorf("it does not begin as it should")
	}
	if at := strings.Index(strings.ReplaceAll(lines[2], `\\`, ""), "#"); at > 0 && strings.ReplaceAll(lines[2], `\\`, "")[at-1] != '\\' {
		return fmt.Errorf("a directive: %s", lines[2])
	}
	for i, line := range lines[4 : len(lines)-2] {
		_, value, found := strings.Cut(line, ": ")
		if item, ok := strings.CutPrefix(line, "    - "); ok {
			value, found = item, true
		}
		if line == "  explanation:" {
			continue
		}
		var v any
		if !found || json.Unmarshal([]byte(value), &v) != nil {
			return fmt.Errorf("line %d is no YAML of one line: %s", i+5, line)
		}
	}
	if lines[len(lines)-2] != "  ..." || !strings.HasPrefix(lines[len(lines)-1], "# ") {
		return fmt.Errorf("it does not end as it should")
	}
	return nil
}

// readCommands reads what GitHub would: at the start of a line a command, its properties and its message.
func readCommands(text string) error {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 2 {
		return fmt.Errorf("%d commands", len(lines))
	}
	for _, line := range lines {
		head, _, ok := strings.Cut(strings.TrimPrefix(line, "::"), "::")
		name, properties, _ := strings.Cut(head, " ")
		if !ok || (name != "error") || strings.Count(properties, ",") != 0 || strings.Count(properties, "=") < 1 || strings.Contains(properties, ":") {
			return fmt.Errorf("not one error command: %s", line)
		}
		for rest := line; strings.Contains(rest, "%"); {
			_, rest, _ = strings.Cut(rest, "%")
			if !strings.HasPrefix(rest, "25") && !strings.HasPrefix(rest, "0A") && !strings.HasPrefix(rest, "3A") && !strings.HasPrefix(rest, "2C") {
				return fmt.Errorf("a raw percent sign: %s", line)
			}
		}
	}
	return nil
}

// readMarkdown splits the row of the table into cells as GitHub does and looks for anything live in it.
func readMarkdown(text string) error {
	var row string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| FAIL |") {
			row = line
		}
	}
	bare := strings.NewReplacer(`\\`, "", `\|`, "", `\[`, "", `\]`, "", `\*`, "", `\_`, "", "\\`", "", `\~`, "").Replace(row)
	if n := strings.Count(bare, "|"); n != 7 {
		return fmt.Errorf("%d cells", n-1)
	}
	if strings.Count(bare, "`")%2 != 0 {
		return fmt.Errorf("an open code span: %s", bare)
	}
	outside := strings.ReplaceAll(bare, "<br>", "")
	parts := strings.Split(outside, "`")
	for i := 0; i < len(parts); i += 2 {
		link := strings.Index(parts[i], "](")
		if strings.Contains(parts[i], "<") || strings.Contains(parts[i], "**") || (link >= 0 && !strings.HasPrefix(parts[i][link:], "](https://docs.example/")) {
			return fmt.Errorf("live text: %s", parts[i])
		}
	}
	return nil
}

func TestMdLink(t *testing.T) {
	for address, want := range map[string]string{
		"https://docs.example/a(b)#c":  `[runbook x\_y](https://docs.example/a%28b%29#c)`,
		"javascript:alert(1)":          `runbook x\_y`,
		"data:text/html,<b>":           `runbook x\_y`,
		"docs/page":                    `runbook x\_y`,
		"https://docs.example/a b|c`d": `[runbook x\_y](https://docs.example/a%20b%7Cc%60d)`,
	} {
		if got := mdLink("runbook x_y", address); got != want {
			t.Errorf("%s: got %s, wanted %s", address, got, want)
		}
	}
}

func TestPublicURL(t *testing.T) {
	secretive := "https://hunter2:hunter2@ibex.example/path?token=hunter2"
	j := proxy
	j.RunbookURL = secretive + "#section"
	x := get("live", "", secretive+"#hunter2", "10.0.0.1:443", 500, time.Millisecond, "t", "t")
	r := result(j, time.Second, func(r *probe.Result) {
		r.Fail("live", probe.Status, "wanted 200, got 500")
		r.Exchanged(x)
	})
	for _, format := range Formats() {
		got := write(t, format, Report{Jobs: []probe.Job{j}, Results: []probe.Result{r}})
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s shows what may be secret:\n%s", format, got)
		}
		if !strings.Contains(got, "https://ibex.example/path") || !strings.Contains(got, "https://ibex.example/path#section") {
			t.Errorf("%s lost the addresses:\n%s", format, got)
		}
	}
}

func TestWrap(t *testing.T) {
	long := "https://ibex.example/" + strings.Repeat("x", 120)
	r := Report{Width: 100}
	got := r.wrap("  "+strings.Repeat("word ", 30)+long+" "+strings.Repeat("a ", 40)+"12 ms.", 6, 2)
	for line := range strings.Lines(got) {
		text := strings.TrimRight(line, "\n")
		if len(text) > r.Width && strings.TrimSpace(text) != long {
			t.Errorf("%d columns: %s", len(text), text)
		}
		if strings.TrimSpace(text) == "ms." {
			t.Errorf("a unit stands alone:\n%s", got)
		}
	}
	if !strings.HasPrefix(got, "        word") || !strings.Contains(got, "\n          word") {
		t.Errorf("not indented:\n%s", got)
	}
	for n := range 100 {
		for line := range strings.Lines(r.wrap(strings.Repeat("x", n)+" after 0.4 ms", 0, 0)) {
			if strings.TrimSpace(line) == "ms" {
				t.Fatalf("with a word of %d a unit stands alone", n)
			}
		}
	}
}

func TestWrite_manyTargets(t *testing.T) {
	r := result(proxy, time.Second, func(r *probe.Result) {
		for range 100 {
			r.Fail("live", probe.Refused, "nobody listens")
		}
	})
	text := write(t, "text", Report{Jobs: []probe.Job{proxy}, Results: []probe.Result{r}})
	if n := strings.Count(text, "nobody listens"); n != maxGroups || !strings.Contains(text, "and 80 more checks did not pass") {
		t.Errorf("%d checks are told of:\n%s", n, text)
	}
	if n := strings.Count(write(t, "json", Report{Jobs: []probe.Job{proxy}, Results: []probe.Result{r}}), "nobody listens"); n != 101 {
		t.Errorf("JSON has %d of 100 checks and the sentence", n)
	}
}
