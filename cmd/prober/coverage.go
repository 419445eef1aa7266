package main

import (
	"fmt"
	"io"
	"os"

	"prober/internal/coverage"
	"prober/internal/probe"
)

// maxFile is the size of the largest file of rules, or of manifests, that is read.
const maxFile = 16 << 20

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
	data, err := readFile(path)
	if err != nil {
		return coverage.Coverage{}, err
	}
	return coverage.Cover(data, jobs)
}

// readFile reads a file of rules or manifests, which may be what another command writes into a pipe.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("expected at most %d MiB", maxFile>>20)
	}
	return data, err
}
