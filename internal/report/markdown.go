package report

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"

	"prober/internal/text"
)

// writeMarkdown writes a table for a ticket, in the dialect that GitHub, GitLab and most trackers read.
func writeMarkdown(b *bytes.Buffer, r Report) error {
	fmt.Fprintf(b, "**%s**\n", mdText(r.Summary()))
	if entries := r.entries(); len(entries) > 0 {
		b.WriteString("\n| | probe | severity | latency | version | what did not pass |\n|---|---|---|--:|---|---|\n")
		for _, e := range entries {
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n",
				e.verdict.Mark(), mdText(e.title()), mdText(e.Severity), e.latency(), mdCode(e.version()), mdExplanation(e))
		}
	}
	var origin []string
	if !r.Started.IsZero() {
		origin = append(origin, "Started "+r.Started.UTC().Format(time.RFC3339))
		if r.Ended.After(r.Started) {
			origin = append(origin, "ended "+r.Ended.UTC().Format(time.RFC3339))
		}
	}
	if r.Version != "" {
		origin = append(origin, "prober "+mdCode(text.Line(r.Version)))
	}
	if len(origin) > 0 {
		fmt.Fprintf(b, "\n%s.\n", strings.Join(origin, ", "))
	}
	return nil
}

// mdExplanation is the explanation in one cell, with a link to the runbook.
func mdExplanation(e entry) string {
	var cell []string
	for _, told := range e.failureLines() {
		cell = append(cell, mdText(strings.TrimSpace(told)))
	}
	switch {
	case e.next() == "":
	case e.RunbookURL != "":
		cell = append(cell, "next: "+mdLink("runbook "+e.Runbook, e.RunbookURL))
	default:
		cell = append(cell, "next: runbook "+mdText(e.Runbook))
	}
	return strings.Join(cell, "<br>")
}

// mdText escapes what is special in Markdown, its tables and HTML.
func mdText(text string) string {
	var b strings.Builder
	for _, c := range text {
		switch c {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '\\', '`', '*', '_', '[', ']', '|', '~', '#', '$':
			b.WriteByte('\\')
			b.WriteRune(c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// mdCode shows text from a target as code, so that it cannot be a link or mention a user.
func mdCode(text string) string {
	if text == "" {
		return ""
	}
	// A backslash is literal in code, but an escape in the surrounding table.
	return "`" + strings.NewReplacer("`", "'", `\`, "/", "|", `\|`).Replace(text) + "`"
}

// mdLink writes a link, or only its text if the address is not http or https.
func mdLink(text, address string) string {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return mdText(strings.TrimSpace(text))
	}
	safe := strings.NewReplacer("(", "%28", ")", "%29", "|", "%7C", "<", "%3C", ">", "%3E", " ", "%20", "`", "%60", `\`, "%5C")
	return "[" + mdText(strings.TrimSpace(text)) + "](" + safe.Replace(u.String()) + ")"
}
