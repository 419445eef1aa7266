package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/promslog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/report"
	"prober/internal/sandbox"
	"prober/probes"
)

// shells are those that completion is written for.
var shells = map[string]func(root *cobra.Command, o *options) error{
	"bash": func(root *cobra.Command, o *options) error { return root.GenBashCompletionV2(o.stdout, true) },
	"zsh":  func(root *cobra.Command, o *options) error { return root.GenZshCompletion(o.stdout) },
	"fish": func(root *cobra.Command, o *options) error { return root.GenFishCompletion(o.stdout, true) },
}

func (o *options) completionCommand(root *cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that completes commands, flags, and the names of probes, runbooks and faults in a shell.",
		Example: `prober completion bash > /etc/bash_completion.d/prober   for every user; needs the package bash-completion
source <(prober completion zsh)                          for this shell
prober completion fish > ~/.config/fish/completions/prober.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || shells[args[0]] == nil {
			return fmt.Errorf("completion: expected bash, zsh or fish")
		}
		return nil
	}
	return o.does(cmd, func(context.Context) int {
		if err := shells[o.args[0]](root, o); err != nil {
			fmt.Fprintln(o.stderr, "prober:", err)
			return exitFail
		}
		return exitPass
	})
}

// completeValues adds what completes the values of flags. Only a shell that asks needs it.
func (o *options) completeValues(root *cobra.Command) {
	fixed := map[string][]string{
		"format": report.Formats(), "color": colors, "log.level": promslog.LevelFlagOptions, "log.format": promslog.FormatFlagOptions,
	}
	for _, cmd := range append(root.Commands(), root) {
		cmd.InheritedFlags()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			names := func() []string { return fixed[f.Name] }
			switch {
			case f.Name == "probe":
				names = func() []string { return o.names(cmd, func(j probe.Job) string { return j.Name }) }
			case f.Name == "runbook":
				names = func() []string { return o.names(cmd, func(j probe.Job) string { return j.Runbook }) }
			case f.Name == "fault":
				names = faultNames
			case fixed[f.Name] == nil:
				return
			}
			_ = cmd.RegisterFlagCompletionFunc(f.Name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return names(), cobra.ShellCompDirectiveNoFileComp
			})
		})
	}
}

// names lists a name of each job that a command would run, as far as its configuration can be read.
func (o *options) names(cmd *cobra.Command, name func(probe.Job) string) []string {
	var files []config.File
	if cmd.Name() == "demo" {
		sample, err := sandbox.Start(sandbox.Options{})
		if err != nil {
			return nil
		}
		defer sample.Close()
		files = demoFiles(sample)
	} else {
		if o.resolveConfig() != nil {
			return nil
		}
		files = config.Read(o.configFiles...)
	}
	cfg, err := config.Parse(probes.Kinds(), files...)
	if err != nil {
		return nil
	}
	var names []string
	for _, j := range cfg.Jobs {
		if n := name(j); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

func faultNames() []string {
	sample, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		return nil
	}
	defer sample.Close()
	var names []string
	for _, f := range sample.Faults() {
		names = append(names, f.Name+"\t"+f.Summary)
	}
	return names
}

// completing reports whether a shell asks for completions.
func completing(args []string) bool {
	return len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd)
}
