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

// positionOf is where an offset of a text is.
func positionOf(text []byte, offset int) position {
	before := text[:offset]
	return position{bytes.Count(before, []byte("\n")) + 1, offset - bytes.LastIndexByte(before, '\n')}
}

// A block is a stretch of code that a test runs as a whole, or not at all.
type block struct {
	from, to position
	run      bool
}

// A coverage has the blocks of each file, by its path below the module.
type coverage map[string][]block

// readCoverage reads a profile as a test writes it. Paths lose the name of the module.
func readCoverage(path, module string) (coverage, error) {
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
		file := filepath.Clean(strings.TrimPrefix(line[:at], module+"/"))
		c[file] = append(c[file], b)
	}
	return c, nil
}

// runs reports whether the code of a mutant was run. What is in no block, such as the expression of a case, counts as
// run if anything of its function was.
func (c coverage) runs(m mutant) bool {
	at, from, to := positionOf(m.text, m.from), positionOf(m.text, m.in.from), positionOf(m.text, m.in.to)
	inside, function := false, false
	for _, b := range c[m.file] {
		if b.from.compare(at) <= 0 && at.compare(b.to) < 0 {
			if b.run {
				return true
			}
			inside = true
		}
		function = function || b.run && from.compare(b.from) <= 0 && b.to.compare(to) <= 0
	}
	return function && !inside
}
