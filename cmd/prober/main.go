// Command prober asks running systems the questions that an on-call engineer asks, and exports the answers as
// Prometheus metrics; or asks them once, after a fix, and answers with its exit status.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // maintenance windows name time zones, and an image from scratch has none

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"prober/config"
	"prober/probes"
)

// Exit statuses. Monitoring and CI read them; they are part of the interface.
const (
	exitPass         = 0 // everything asked passed
	exitFail         = 1 // something failed
	exitUsage        = 2 // the command line or the configuration is wrong; nothing was asked
	exitInconclusive = 3 // nothing failed, and something could not be told, was interrupted, or nothing ran
)

func main() {
	harden()
	ctx, cancel := interruptible()
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(status)
}

// options are what the command line says.
type options struct {
	stdout, stderr io.Writer
	log            promslog.Config

	configFiles []string
	reference   string
	filter      filter
	once        onceOptions
	serve       serveOptions
	demo        demoOptions
	rules       rulesOptions
}

// run does what the arguments say until it is done or ctx ends, and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := options{stdout: stdout, stderr: stderr}
	app := kingpin.New("prober", "Asks running systems what an on-call engineer asks, all the time or once, and says why when the answer is wrong.")
	app.UsageWriter(stdout).ErrorWriter(stderr).Version(version.Print("prober"))
	app.HelpFlag.Short('h')
	promslogflag.AddFlags(app, &o.log)

	probe := app.Command("run", "Probe for ever and serve the metrics; with --once, probe once and exit 0 (all pass), 1 (some fail), 2 (usage) or 3 (inconclusive).").Default()
	configFlag(probe, &o)
	probeWeb := probeFlags(probe, &o)

	check := app.Command("check", "Validate the configuration and print what would be probed.")
	configFlag(check, &o)

	rules := app.Command("rules", "Print alert rules for Prometheus, made from the configuration.")
	configFlag(rules, &o)
	rulesFlags(rules, &o)

	dashboard := app.Command("dashboard", "Print a dashboard for Grafana, made from the configuration.")
	configFlag(dashboard, &o)
	dashboard.Flag("job", "The label job that Prometheus gives to the probers.").Default("prober").StringVar(&o.rules.job)

	schema := app.Command("schema", "Print a JSON Schema of the configuration, for editors.")

	demo := app.Command("demo", "Start the embedded sample system and probe it.")
	demo.Flag("break", "Break the sample system in this way. Repeatable.").PlaceHolder("FAULT").StringsVar(&o.demo.faults)
	demo.Flag("list", "List the ways to break it.").BoolVar(&o.demo.list)
	demoWeb := probeFlags(demo, &o)

	command, err := app.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "prober: %s; see prober --help\n", err)
		return exitUsage
	}
	if err := o.contradictions(); err != nil {
		fmt.Fprintf(stderr, "prober: %s; see prober --help\n", err)
		return exitUsage
	}
	switch command {
	case check.FullCommand():
		return o.check()
	case rules.FullCommand():
		return o.printRules()
	case dashboard.FullCommand():
		return o.printDashboard()
	case schema.FullCommand():
		return o.schema()
	case demo.FullCommand():
		o.serve.web = demoWeb
		return o.runDemo(ctx)
	}
	o.serve.web = probeWeb
	return o.runConfigured(ctx)
}

// contradictions reports flags that would be ignored, or would keep the prober from probing.
func (o *options) contradictions() error {
	asksMore := o.once.wait != 0 || o.once.hold != 0 || o.once.repeat > 1 || len(o.once.outputs) > 0 || o.once.note
	if asksMore && !o.once.once {
		return errors.New("--wait, --hold, --repeat, --output and --note need --once")
	}
	if o.once.note && o.once.format != "text" {
		return errors.New("--note stands in place of the results and has no --format; --output writes them too")
	}
	if probing := o.once.format != ""; probing && o.serve.concurrency < 1 {
		return errors.New("--max-concurrency: wanted at least 1")
	}
	return nil
}

// configFlag adds the flag that names the configuration.
func configFlag(cmd *kingpin.CmdClause, o *options) {
	cmd.Flag("config.file", "Configuration: a file, or a directory of *.yaml files. Repeatable.").
		Default("prober.yaml").PlaceHolder("FILE|DIR").StringsVar(&o.configFiles)
}

// probeFlags adds the flags that say what to probe, how often, and what to do with the results. It returns those of the
// exporter toolkit, which are the command's own.
func probeFlags(cmd *kingpin.CmdClause, o *options) *web.FlagConfig {
	cmd.Flag("reference", "HOST:PORT that is independent of every target. Where it cannot be reached either, the fault is the prober's own network.").StringVar(&o.reference)
	cmd.Flag("runbook", "Only probes of this runbook. Repeatable.").StringsVar(&o.filter.runbooks)
	cmd.Flag("probe", "Only this probe, by its name or system/name. Repeatable.").StringsVar(&o.filter.probes)

	once := &o.once
	cmd.Flag("once", "Ask every probe once, print the results, and exit.").BoolVar(&once.once)
	cmd.Flag("format", "Format of the results: text, json, junit, tap, github or markdown.").Default("text").StringVar(&once.format)
	cmd.Flag("output", "Also write the results to a file, as FORMAT=PATH. Repeatable.").PlaceHolder("FORMAT=PATH").StringsVar(&once.outputs)
	cmd.Flag("wait", "With --once: ask again until all pass, at most this long.").PlaceHolder("5m").DurationVar(&once.wait)
	cmd.Flag("hold", "With --once: all must keep passing this long.").PlaceHolder("30s").DurationVar(&once.hold)
	cmd.Flag("repeat", "With --once: ask this often; the first run that does not pass ends it.").Default("1").IntVar(&once.repeat)
	cmd.Flag("note", "With --once: print the incident note of the runbook in place of the results.").BoolVar(&once.note)
	cmd.Flag("color", "Colour in text results: auto, always or never. NO_COLOR is honoured.").Default("auto").EnumVar(&once.color, "auto", "always", "never")

	serve := &o.serve
	cmd.Flag("web.health-listen-address", "Also serve /-/healthy and /-/ready here, without TLS and authentication, for kubelets.").StringVar(&serve.health)
	cmd.Flag("web.enable-lifecycle", "Allow POST /-/reload.").Default("true").BoolVar(&serve.lifecycle)
	cmd.Flag("web.enable-run", "Allow a run on request: \"Run now\" on a probe's page, POST /probes/SYSTEM/NAME/run.").Default("true").BoolVar(&serve.runs)
	cmd.Flag("config.auto-reload-interval", "How often to look whether the configuration changed; 0 for never.").Default("30s").DurationVar(&serve.poll)
	cmd.Flag("max-concurrency", "How many probes may run at once; others wait, and that is not counted as latency.").Default("256").IntVar(&serve.concurrency)
	cmd.Flag("phase", "Share of an interval, 0 to 1, by which all starts are shifted, so that several probers do not ask at the same time; by default from the host's name.").
		PlaceHolder("SHARE").StringVar(&serve.phase)
	cmd.Flag("storage.path", "A file that keeps what is known of incidents over a restart; none unless said. --once reads it and leaves it as it is.").
		PlaceHolder("FILE").StringVar(&serve.storage)
	return kingpinflag.AddFlags(cmd, ":9798")
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM; the second ends the process at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
			return
		}
		<-signals
		os.Exit(1)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

// harden keeps secrets in memory from being written to disk with a core dump, and net/http from printing what a
// server sends unasked on a kept connection to the standard logger, past every redaction.
func harden() {
	log.SetOutput(io.Discard)
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}

// check validates the configuration and prints the plan.
func (o *options) check() int {
	cfg, err := config.Load(probes.Kinds(), o.configFiles...)
	if err != nil {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	if err := cfg.Plan(o.stdout); err != nil {
		return exitUsage
	}
	warnings, err := cfg.CheckSecrets()
	for _, w := range warnings {
		fmt.Fprintln(o.stderr, "warning:", w)
	}
	if err != nil {
		// Secrets are often mounted only where the prober runs, so their absence here is no mistake of the file.
		fmt.Fprintln(o.stderr, "warning:", err)
	}
	return exitPass
}

// schema prints the JSON Schema of the configuration.
func (o *options) schema() int {
	schema, err := config.Schema(probes.Kinds())
	if err == nil {
		_, err = o.stdout.Write(schema)
	}
	if err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	return exitPass
}

// runConfigured probes what the configuration says, once or for ever.
func (o *options) runConfigured(ctx context.Context) int {
	if err := web.Validate(*o.serve.web.WebConfigFile); err != nil && !o.once.once {
		fmt.Fprintln(o.stderr, "prober: web.config.file:", err)
		return exitUsage
	}
	from := func() []config.File { return config.Read(o.configFiles...) }
	if o.once.once {
		return o.askOnce(ctx, from)
	}
	return o.serveForever(ctx, from, stage{})
}
