package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A position is a line and a column, both from 1.
type position struct{ line, column int }

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.line, q.line), cmp.Compare(p.column, q.column))
}

// A block is a stretch of code that the tests run as a whole, or not at all.
type block struct {
	from, to position
	run      bool
}

// A coverage has the blocks of each file, by its base name: all files are of one package.
type coverage map[string][]block

// readCoverage reads a profile as `go test -coverprofile` writes it.
func readCoverage(path string) (coverage, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := coverage{}
	for line := range strings.Lines(string(text)) {
		at := strings.LastIndexByte(line, ':')
		if at < 0 || strings.HasPrefix(line, "mode:") {
			continue
		}
		var b block
		var statements, count int
		if _, err := fmt.Sscanf(line[at+1:], "%d.%d,%d.%d %d %d", &b.from.line, &b.from.column, &b.to.line, &b.to.column, &statements, &count); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		b.run = count > 0
		file := filepath.Base(line[:at])
		c[file] = append(c[file], b)
	}
	return c, nil
}

// neverRun reports whether no test runs the code of a mutant, so that none can notice it.
func (c coverage) neverRun(m mutant) bool {
	start := bytes.LastIndexByte(m.text[:m.from], '\n') + 1
	at := position{m.line, m.from - start + 1}
	inside := false
	for _, b := range c[filepath.Base(m.file)] {
		if b.from.compare(at) <= 0 && at.compare(b.to) < 0 {
			if b.run {
				return false
			}
			inside = true
		}
	}
	return inside
}
