package main

import (
	"context"
	"fmt"

	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"
)

// versionInfo is what --version prints, as Prometheus does. version.Print is not used: it executes a template, and a template
// calls methods by their names, so that the linker keeps every method of the program.
func versionInfo() string {
	return fmt.Sprintf(`prober, version %s (branch: %s, revision: %s)
  build user:       %s
  build date:       %s
  go version:       %s
  platform:         %s/%s
  tags:             %s
`, version.Version, version.Branch, version.GetRevision(), version.BuildUser, version.BuildDate,
		version.GoVersion, version.GoOS, version.GoArch, version.GetTags())
}

func (o *options) versionCommand() *cobra.Command {
	return o.does(&cobra.Command{Use: "version", Short: "Show the version, like --version."}, o.printVersion)
}

func (o *options) printVersion(context.Context) int {
	fmt.Fprint(o.stdout, versionInfo())
	return exitPass
}
