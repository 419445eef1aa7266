// Package report writes what asking once saw: for people, for scripts, for CI systems and for tickets.
//
// Every format says the same in its own words: a probe that passed, one that failed, and one of which nobody can
// tell, which no reader of any format may take for a pass. All text that ends up in a report is made fit for its
// format here, whatever it was before.
package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/spell"
)

// A Report is what asking once saw. Only Jobs and Results need to be there.
type Report struct {
	Jobs []probe.Job // all that were meant to be asked, in the order in which they are shown
	// Results holds one result of each job that was asked: the last one or, if it was asked Repeat times, the worst.
	Results []probe.Result
	Started time.Time     // of the first asking
	Ended   time.Time     // of the last asking
	Rounds  int           // how often the jobs were asked; more than once while waiting, holding or repeating
	Repeat  int           // how many runs were wanted to bound a fault that comes and goes; 0: none
	Clean   int           // of these, the runs in which every probe passed
	Held    time.Duration // how long all were seen to keep passing
	Version string        // of the prober
	Color   bool          // the text may have colour
	Proof   bool          // the text says of what passed what its checks saw
	Reason  string        // why nothing ran, or why it ended early; with a reason no report is a pass
}

// Formats lists the formats that Write knows, the one for people first.
func Formats() []string { return []string{"text", "json", "junit", "tap", "github", "markdown"} }

// Write writes the report in one of Formats. What is written is whole: on an error of the format nothing is.
func Write(w io.Writer, format string, r Report) error {
	var b bytes.Buffer
	switch format {
	case "text":
		writeText(&b, r)
	case "json":
		if err := writeJSON(&b, r); err != nil {
			return err
		}
	case "junit":
		if err := writeJUnit(&b, r); err != nil {
			return err
		}
	case "tap":
		writeTAP(&b, r)
	case "github":
		writeGitHub(&b, r)
	case "markdown":
		writeMarkdown(&b, r)
	default:
		return unknown(format)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// unknown says which formats there are, and which one was probably meant.
func unknown(format string) error {
	format = line(format)
	return fmt.Errorf("format %q is none of %s%s", format, strings.Join(Formats(), ", "), spell.DidYouMean(format, Formats()))
}

// Verdict is fail if any probe failed, and pass only if every job ran and passed, as often as was wanted, and
// nothing ended the asking early. Everything else is inconclusive.
func (r Report) Verdict() probe.Verdict { return r.tally(r.entries()).verdict }

// A tally counts entries by how they ended. Those that did not run are among the inconclusive.
type tally struct {
	all, pass, fail, inconclusive, absent int

	verdict probe.Verdict
}

func (r Report) tally(entries []entry) tally {
	t := tally{all: len(entries)}
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
			t.absent++
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
