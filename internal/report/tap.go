package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"prober/internal/probe"
)

// writeTAP writes TAP 14. An inconclusive probe is a plain "not ok": consumers read one with TODO or SKIP as
// good, and an empty plan too, so there is always a test.
func writeTAP(b *bytes.Buffer, r Report) error {
	entries := r.testCases()
	fmt.Fprintf(b, "TAP version 14\n1..%d\n", len(entries))
	for i, e := range entries {
		word := "not ok"
		if e.verdict == probe.Pass {
			word = "ok"
		}
		fmt.Fprintf(b, "%s %d - %s\n", word, i+1, tapText(e.title()))
		b.WriteString("  ---\n")
		for _, field := range [][2]string{
			{"verdict", e.verdict.String()},
			{"reason", e.decisive.Reason.Word},
			{"message", e.sentence(e.decisive)},
			{"severity", e.Severity},
			{"runbook", e.Runbook},
			{"runbook_url", e.RunbookURL},
			{"trace_id", e.traces()},
			{"version", e.version()},
		} {
			if field[1] != "" {
				fmt.Fprintf(b, "  %s: %s\n", field[0], yamlQuoted(field[1]))
			}
		}
		if e.ran {
			ms := strconv.FormatFloat(e.result.Took.Seconds()*1000, 'f', 3, 64)
			fmt.Fprintf(b, "  duration_ms: %s\n", ms)
		}
		if lines := e.explanation(); len(lines) > 0 {
			b.WriteString("  explanation:\n")
			for _, line := range lines {
				fmt.Fprintf(b, "    - %s\n", yamlQuoted(line))
			}
		}
		b.WriteString("  ...\n")
	}
	fmt.Fprintf(b, "# %s\n", r.Summary())
	return nil
}

// tapText escapes what would start a directive.
func tapText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `#`, `\#`).Replace(text)
}

// yamlQuoted writes a text as YAML in double quotes, which equals JSON.
func yamlQuoted(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
