package main

import (
	"fmt"

	"prober/internal/manifests"
	"prober/internal/text"
)

// checkManifests lists the mistakes in the health checks of manifests.
func (o *options) checkManifests() int {
	status := exitPass
	for _, path := range o.manifests {
		data, err := readFile(path)
		if err != nil {
			fmt.Fprintf(o.stderr, "prober: %s: %s\n", path, err)
			return exitUsage
		}
		report := manifests.Lint(data)
		for _, m := range report.Mistakes {
			fmt.Fprintf(o.stdout, "%s:%d: %s\n", path, m.Line, m.Text)
		}
		fmt.Fprintf(o.stdout, "%s: %s with pods, %s\n", path, text.Count(report.Workloads, "object"), text.Count(len(report.Mistakes), "mistake"))
		if len(report.Mistakes) > 0 || report.Workloads == 0 {
			status = exitFail
		}
	}
	return status
}
