package main

import (
	"fmt"
	"io"
	"os"

	"prober/internal/coverage"
	"prober/internal/probe"
)

// maxRulesFile is the size of the largest file of rules that is read.
const maxRulesFile = 16 << 20

// checkCoverage lists what files of rules read and no contract covers.
func (o *options) checkCoverage(jobs []probe.Job) int {
	status := exitPass
	for _, path := range o.covered {
		covered, err := cover(path, jobs)
		if err != nil {
			fmt.Fprintf(o.stderr, "prober: %s: %s\n", path, err)
			return exitUsage
		}
		for _, gap := range covered.Gaps {
			fmt.Fprintf(o.stdout, "%s:%d: %s\n", path, gap.Line, gap.Text)
			status = exitFail
		}
		fmt.Fprintf(o.stdout, "%s: %s\n", path, covered)
	}
	return status
}

func cover(path string, jobs []probe.Job) (coverage.Coverage, error) {
	file, err := os.Open(path)
	if err != nil {
		return coverage.Coverage{}, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxRulesFile+1))
	switch {
	case err != nil:
		return coverage.Coverage{}, err
	case len(data) > maxRulesFile:
		return coverage.Coverage{}, fmt.Errorf("expected at most %d MiB", maxRulesFile>>20)
	}
	return coverage.Cover(data, jobs)
}
