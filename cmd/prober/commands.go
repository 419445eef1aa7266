package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prober/internal/text"
)

const (
	about = "Asks running systems what an on-call engineer asks, continuously or once, and says why an answer is wrong."

	aboutExamples = `prober demo                            the sample system, on http://localhost:9798/
prober init https://shop.example/      a first configuration, prober.yaml
prober import blackbox.yml             what another monitor asks, as a configuration
prober check shop.yaml                 what would be asked, or what is wrong with the file
prober --config.file=shop.yaml         probe and serve the metrics
prober --once --probe=up               one question, answered by the exit status
prober rules shop.yaml                 alerts for Prometheus`

	runExamples = `prober --config.file=/etc/prober       all the time; http://localhost:9798/ shows the results
prober --once                          once; exits 0 only if all pass
prober --once --probe=up -v            one probe, and what its checks saw
prober --once --wait=5m --hold=30s     after a fix: until all pass, and keep passing
prober --once --output=junit=r.xml     for a CI system`

	demoExamples = `prober demo                            break it at http://localhost:9798/
prober demo --list                     the faults
prober demo --once --fault=auth-down   how a fault is reported`

	checkExamples = `prober check                           prober.yaml
prober check shop.yaml auth.yaml
prober check --rules=alerts.yml        also whether contracts cover what the alerts read`

	rulesExamples = `prober rules > prober.rules.yml
prober rules --test > prober.test.yml  unit tests for "promtool test rules"
prober rules --alertmanager            routes and inhibitions
prober rules --counter=shop=http_requests_total`

	dashboardExamples = `prober dashboard > prober.json         to be imported into Grafana`

	schemaExamples = `prober schema > prober.schema.json`
)

// An action does what a command is for and returns the exit status.
type action func(context.Context) int

// endable makes an action that signals end at once, as they end other programs: it leaves nothing at a target.
func endable(do func() int) action {
	return func(context.Context) int {
		signal.Reset(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		return do()
	}
}

// commands returns the command line. To execute it sets the options and the action that is to be done, or prints help.
func (o *options) commands() *cobra.Command {
	root := o.runCommand(&cobra.Command{Use: "prober [flags] [COMMAND]", Long: about, Example: aboutExamples})
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	commonFlags(root.PersistentFlags(), o)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(o.stdout, cmd) })
	root.SetHelpCommand(o.helpCommand(root))
	root.AddCommand(
		o.runCommand(&cobra.Command{
			Use:     "run [flags]",
			Example: runExamples,
			Short:   "Probe continuously and serve the metrics; with --once, probe once and exit 0 (all pass), 1 (some fail), 2 (usage) or 3 (inconclusive).",
		}),
		o.demoCommand(), o.initCommand(), o.importCommand(), o.checkCommand(), o.schemaCommand(), o.rulesCommand(), o.dashboardCommand(), o.publicCommand(),
		o.versionCommand(), o.completionCommand(root),
	)
	return root
}

// does makes a command one that does something. A command that sets no Args takes none.
//
//go:noinline
func (o *options) does(cmd *cobra.Command, do action) *cobra.Command {
	cmd.DisableFlagsInUseLine = true
	if cmd.Args == nil {
		cmd.Args = expectNoArgs
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.version {
			o.action = o.printVersion
			return nil
		}
		o.action, o.args = do, args
		if err := expectValues(cmd.Flags()); err != nil {
			return err
		}
		return o.validateFlags(cmd.Flags())
	}
	return cmd
}

// configured returns an action that is done only with a configuration.
func (o *options) configured(do action) action {
	return func(ctx context.Context) int {
		if err := o.resolveConfig(); err != nil {
			fmt.Fprintln(o.stderr, "prober:", err)
			return exitUsage
		}
		return do(ctx)
	}
}

// runCommand makes a command the one that probes as configured: run, and the default without a command.
func (o *options) runCommand(cmd *cobra.Command) *cobra.Command {
	group(cmd.Flags(), "Configuration", func(f *pflag.FlagSet) { configFlag(f, o); allowFlag(f, o) })
	listener := probeFlags(cmd.Flags(), o, ":9798")
	return o.does(cmd, o.configured(func(ctx context.Context) int {
		o.serve.listener = *listener
		return o.runConfigured(ctx)
	}))
}

func (o *options) demoCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "demo [flags]", Example: demoExamples, Short: "Start the embedded sample system and probe it."}
	group(cmd.Flags(), "Sample system", func(f *pflag.FlagSet) {
		f.StringArrayVar(&o.demo.faults, "fault", nil, "Inject `FAULT` into the sample system. Repeatable.")
		f.BoolVar(&o.demo.list, "list", false, "List the faults and exit.")
	})
	listener := probeFlags(cmd.Flags(), o, "127.0.0.1:9798") // whoever reaches it may inject faults
	return o.does(cmd, func(ctx context.Context) int {
		o.serve.listener = *listener
		return o.runDemo(ctx)
	})
}

func (o *options) checkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check [flags] [FILE|DIR ...]", Example: checkExamples, Short: "Validate the configuration and print what would be probed.", Args: cobra.ArbitraryArgs}
	group(cmd.Flags(), "Configuration", func(f *pflag.FlagSet) {
		configFlag(f, o)
		allowFlag(f, o)
		f.StringArrayVar(&o.covered, "rules", nil, "Also list the series that `FILE`, of Prometheus rules, reads and no contract covers, and exit 1 if there are any. Repeatable.")
		f.StringArrayVar(&o.manifests, "manifests", nil, "Also list the mistakes in the health checks of the Kubernetes manifests in `FILE`, and exit 1 if there are any, or no pods. Needs no configuration. Repeatable.")
	})
	check := o.configured(endable(o.check))
	return o.does(cmd, func(ctx context.Context) int {
		if len(o.manifests) == 0 {
			return check(ctx)
		}
		status := exitPass
		if len(o.configFiles)+len(o.args)+len(o.covered) > 0 {
			status = check(ctx)
		}
		return max(status, endable(o.checkManifests)(ctx))
	})
}

func (o *options) schemaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "schema", Example: schemaExamples, Short: "Print a JSON Schema of the configuration, for editors."}
	return o.does(cmd, endable(o.schema))
}

func (o *options) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rules [flags] [FILE|DIR ...]", Example: rulesExamples, Short: "Print alert rules for Prometheus, generated from the configuration.", Args: cobra.ArbitraryArgs}
	group(cmd.Flags(), "Configuration", func(f *pflag.FlagSet) { configFlag(f, o) })
	group(cmd.Flags(), "Rules", func(f *pflag.FlagSet) { rulesFlags(f, &o.rules) })
	return o.does(cmd, o.configured(endable(o.printRules)))
}

func (o *options) dashboardCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dashboard [flags] [FILE|DIR ...]", Example: dashboardExamples, Short: "Print a dashboard for Grafana, generated from the configuration.", Args: cobra.ArbitraryArgs}
	group(cmd.Flags(), "Configuration", func(f *pflag.FlagSet) { configFlag(f, o) })
	group(cmd.Flags(), "Dashboard", func(f *pflag.FlagSet) {
		jobFlag(f, &o.rules)
		f.StringArrayVar(&o.serve.external, "web.external-url", nil, "`URL` under which people reach the prober: the dashboard links to the pages of its probes. The first one counts.")
	})
	return o.does(cmd, o.configured(endable(o.printDashboard)))
}

func (o *options) helpCommand(root *cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: "help [COMMAND]", Short: "Show the help of a command."}
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		about, rest, err := root.Find(args)
		if err == nil && about == root {
			err = expectNoArgs(root, rest)
		}
		if err != nil {
			return err
		}
		printHelp(o.stdout, about)
		return nil
	}
	return cmd
}

// expectNoArgs refuses arguments. What stands where a command could is taken for one.
func expectNoArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasParent() {
		return fmt.Errorf("unexpected %s", args[0])
	}
	if strings.ContainsAny(args[0], "./") {
		return fmt.Errorf("unexpected %s; --config.file=%s reads a file", args[0], args[0])
	}
	var names []string
	for _, c := range cmd.Commands() {
		if names = append(names, c.Name()); c.Name() == args[0] {
			return fmt.Errorf("unexpected %s: a command stands before --", args[0])
		}
	}
	return fmt.Errorf("unexpected %s, which is no command%s", args[0], text.DidYouMean(args[0], names))
}
