package report

import (
	"bytes"
	"fmt"
	"strings"

	"prober/internal/probe"
)

// writeGitHub writes workflow commands, which GitHub shows beside the run. It shows only the first ten of each level,
// so the summary comes first.
func writeGitHub(b *bytes.Buffer, r Report) error {
	entries := r.entries()
	command(b, level(r.totals(entries).verdict), "prober", r.Summary())
	for _, e := range entries {
		if e.verdict == probe.Pass {
			continue
		}
		title := e.title() + " failed"
		if e.verdict != probe.Fail {
			title = e.title() + " inconclusive"
		}
		if e.Severity != "" {
			title += " (" + e.Severity + ")"
		}
		command(b, level(e.verdict), title, strings.Join(e.explanation(), "\n"))
	}
	return nil
}

func level(v probe.Verdict) string {
	switch v {
	case probe.Pass:
		return "notice"
	case probe.Fail:
		return "error"
	}
	return "warning"
}

// command writes one workflow command. GitHub ends the title at a colon or comma and the command at a line end, so
// these are percent-encoded.
func command(b *bytes.Buffer, level, title, message string) {
	data := []string{"%", "%25", "\r", "%0D", "\n", "%0A"}
	property := append(data, ":", "%3A", ",", "%2C")
	fmt.Fprintf(b, "::%s title=%s::%s\n", level, strings.NewReplacer(property...).Replace(title), strings.NewReplacer(data...).Replace(message))
}
