package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/term"

	"prober/internal/report"
)

// outputs are the destinations of the results, each with its format.
type outputs []output

type output struct {
	format, path string
	file         *os.File
	incidentNote string // if not empty, written instead of the results
}

// openOutputs reads --format and --output. It refuses files that cannot be written, before any probe runs.
func (o onceOptions) openOutputs() (outputs, error) {
	if o.repeat < 1 || o.wait < 0 || o.hold < 0 {
		return nil, fmt.Errorf("--repeat must be at least 1, --wait and --hold not below zero")
	}
	all := outputs{{format: o.format}}
	for _, text := range o.outputs {
		format, path, ok := strings.Cut(text, "=")
		if !ok || path == "" || path == "-" {
			return nil, fmt.Errorf("--output: expected FORMAT=PATH, got %q", text)
		}
		all = append(all, output{format: format, path: path})
	}
	for _, out := range all {
		if err := report.Write(io.Discard, out.format, report.Report{}); err != nil {
			return nil, err
		}
	}
	for i := range all {
		if all[i].path == "" {
			continue
		}
		// A FIFO that nobody reads is refused, and not waited for. One that somebody reads may be opened only once.
		var err error
		if all[i].file, err = os.OpenFile(all[i].path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NONBLOCK, 0o644); err != nil {
			return nil, fmt.Errorf("--output: %w", err)
		}
	}
	return all, nil
}

func (all outputs) write(rep report.Report, w io.Writer, color bool) error {
	for _, out := range all {
		rep.Color, rep.Width = false, 0
		if out.path == "" {
			rep.Color, rep.Width = color, terminalWidth(w)
		}
		if out.incidentNote != "" {
			if _, err := io.WriteString(w, out.incidentNote); err != nil {
				return err
			}
			continue
		}
		if out.path == "" {
			if err := report.Write(w, out.format, rep); err != nil {
				return err
			}
			continue
		}
		if err := errors.Join(report.Write(out.file, out.format, rep), out.file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// useColor reports whether text results are colored.
func (o onceOptions) useColor(w io.Writer) bool {
	switch o.color {
	case "always":
		return true
	case "never":
		return false
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth returns how many columns w has, at least minWidth; 0 if it is not a terminal.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 0
	}
	return max(width, minWidth)
}

// minWidth is how many columns are used of a terminal that has fewer.
const minWidth = 40
