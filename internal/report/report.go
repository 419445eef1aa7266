// Package report writes the results of `prober --once`: for people, scripts, CI systems and tickets.
//
// Every format has the same three verdicts, and none of them can be misread: an inconclusive probe never looks like a
// pass. This package escapes all text for its format.
package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// A Report is the outcome of one or more rounds, in each of which every job runs once. Only Jobs and Results are
// required.
type Report struct {
	Jobs []probe.Job // all that were selected, in the order in which they are shown
	// Results holds one result of each job that ran: the last one or, with Repeat, the worst.
	Results    []probe.Result
	Started    time.Time     // of the first round
	Ended      time.Time     // of the last round
	Rounds     int           // how often the jobs ran; more than once with --wait, --hold or --repeat
	Repeat     int           // how many runs were requested to bound an intermittent fault; 0: none
	Clean      int           // of these, the runs in which every probe passed
	Held       time.Duration // how long all kept passing
	Version    string        // of the prober
	Awaited    bool          // somebody waited for all to pass, as after a fix
	Color      bool          // use ANSI colors in the text format
	Width      int           // columns of the text format, as for a terminal; 0: lines as long as they are
	ShowPassed bool          // the text format lists every probe that passed, with its checks
	Reason     string        // why nothing ran, or why it ended early; a report with a reason never passes
}

// formats are the formats by name, the one for people first.
var formats = [...]struct {
	name  string
	write func(*bytes.Buffer, Report) error
}{
	{"text", writeText}, {"json", writeJSON}, {"junit", writeJUnit}, {"tap", writeTAP}, {"github", writeGitHub}, {"markdown", writeMarkdown},
}

// Formats lists the names of the formats that Write knows, the one for people first.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

// Write writes the report in one of Formats. On an error of the format it writes nothing.
func Write(w io.Writer, format string, r Report) error {
	for _, f := range formats {
		if f.name != format {
			continue
		}
		var b bytes.Buffer
		if err := f.write(&b, r); err != nil {
			return err
		}
		_, err := w.Write(b.Bytes())
		return err
	}
	return unknownFormat(format)
}

// unknownFormat lists the formats and suggests the one that was probably meant.
func unknownFormat(format string) error {
	format = text.Line(format)
	return fmt.Errorf("format %q is none of %s%s", format, strings.Join(Formats(), ", "), text.DidYouMean(format, Formats()))
}

// Verdict is fail if any probe failed, and pass only if every job ran and passed, as often as requested, and
// nothing ended the run early. Everything else is inconclusive.
func (r Report) Verdict() probe.Verdict { return r.totals(r.entries()).verdict }

// totals counts entries by verdict. Those that did not run are among the inconclusive.
type totals struct {
	all, pass, fail, inconclusive, notRun int

	verdict probe.Verdict
}

func (r Report) totals(entries []entry) totals {
	t := totals{all: len(entries)}
	for _, e := range entries {
		switch {
		case e.verdict == probe.Pass:
			t.pass++
		case e.verdict == probe.Fail:
			t.fail++
		default:
			t.inconclusive++
		}
		if !e.ran {
			t.notRun++
		}
	}
	switch {
	case t.fail > 0:
		t.verdict = probe.Fail
	case t.all > 0 && t.pass == t.all && r.Clean >= r.Repeat && r.Reason == "":
		t.verdict = probe.Pass
	default:
		t.verdict = probe.Inconclusive
	}
	return t
}

// systems lists the systems of the entries in the order of their first probes.
func systems(entries []entry) []string {
	var names []string
	for _, e := range entries {
		if !slices.Contains(names, e.System) {
			names = append(names, e.System)
		}
	}
	return names
}
