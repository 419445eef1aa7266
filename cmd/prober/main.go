// Command prober asks running systems the questions that an on-call engineer asks and exports the answers as Prometheus
// metrics. With --once it asks them once, after a fix, and answers with its exit status.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // maintenance windows name time zones, and an image from scratch has none

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"prober/config"
	"prober/internal/report"
	"prober/probes"
)

// Exit statuses. Monitoring and CI read them: they are part of the interface.
const (
	exitPass         = 0 // everything passed
	exitFail         = 1 // something failed
	exitUsage        = 2 // the command line or the configuration is wrong; nothing ran
	exitInconclusive = 3 // nothing failed, but something was inconclusive or interrupted, or nothing ran
)

func main() {
	disableCoreDumps()
	log.SetOutput(io.Discard) // net/http logs unsolicited responses there, past every redaction
	ctx, cancel := interruptible()
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(status)
}

// options are the flags of all commands.
type options struct {
	stdout, stderr io.Writer
	log            promslog.Config
	hangups        <-chan os.Signal // each SIGHUP
	nohup          bool             // started with nohup

	configFiles []string
	configArgs  []string
	reference   string
	filter      filter
	once        onceOptions
	serve       serveOptions
	demo        demoOptions
	rules       rulesOptions
	covered     []string // files of rules that the contracts ought to cover
}

// about is the head of --help. What is indented is not wrapped.
const about = `Asks running systems what an on-call engineer asks, continuously or once, and says why an answer is wrong.

  prober demo                                    the sample system, on http://localhost:9798/
  prober check shop.yaml                         what would be asked, or what is wrong with the file
  prober --config.file=shop.yaml                 probe and serve the metrics
  prober --config.file=shop.yaml --once --probe=up   one question, answered by the exit status
  prober rules shop.yaml > shop.rules.yml        alerts for Prometheus`

// run runs the command that the arguments name until it is done or ctx ends, and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	hangups, nohup := make(chan os.Signal, 1), signal.Ignored(syscall.SIGHUP)
	signal.Notify(hangups, syscall.SIGHUP) // from the first moment: it must not end a start
	defer signal.Stop(hangups)
	o := options{stdout: stdout, stderr: stderr, hangups: hangups, nohup: nohup}
	app := kingpin.New("prober", about)
	app.UsageWriter(stdout).ErrorWriter(stderr).Version(version.Print("prober"))
	app.HelpFlag.Short('h')
	promslogflag.AddFlags(app, &o.log)

	probe := app.Command("run", "Probe continuously and serve the metrics; with --once, probe once and exit 0 (all pass), 1 (some fail), 2 (usage) or 3 (inconclusive).").Default()
	configFlag(probe, &o)
	probeWeb := probeFlags(probe, &o, ":9798")

	check := app.Command("check", "Validate the configuration and print what would be probed.")
	configFlag(check, &o)
	configArgs(check, &o)
	check.Flag("rules", "Also list the series that this file of Prometheus rules reads and no contract covers, and exit 1 if there are any. Repeatable.").
		PlaceHolder("FILE").StringsVar(&o.covered)

	rules := app.Command("rules", "Print alert rules for Prometheus, generated from the configuration.")
	configFlag(rules, &o)
	configArgs(rules, &o)
	rulesFlags(rules, &o)

	dashboard := app.Command("dashboard", "Print a dashboard for Grafana, generated from the configuration.")
	configFlag(dashboard, &o)
	configArgs(dashboard, &o)
	dashboard.Flag("job", "Value of the label job that Prometheus adds to the probers' series.").Default("prober").StringVar(&o.rules.job)

	schema := app.Command("schema", "Print a JSON Schema of the configuration, for editors.")

	demo := app.Command("demo", "Start the embedded sample system and probe it.")
	demo.Flag("fault", "Inject this fault into the sample system. Repeatable.").PlaceHolder("FAULT").StringsVar(&o.demo.faults)
	demo.Flag("list", "List the faults and exit.").BoolVar(&o.demo.list)
	demoWeb := probeFlags(demo, &o, "127.0.0.1:9798") // whoever reaches it may inject faults

	command, err := app.Parse(args)
	if err != nil {
		if old, name := renamedFlag(args); old != "" {
			err = fmt.Errorf("%s was renamed to %s", old, name)
		}
		fmt.Fprintf(stderr, "prober: %s; see prober --help\n", err)
		return exitUsage
	}
	if err := o.validateFlags(); err != nil {
		fmt.Fprintf(stderr, "prober: %s; see prober --help\n", err)
		return exitUsage
	}
	if command != schema.FullCommand() && command != demo.FullCommand() {
		if err := o.resolveConfig(); err != nil {
			fmt.Fprintln(stderr, "prober:", err)
			return exitUsage
		}
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

// renamedFlag returns the first argument that is the old name of a flag, and its new name.
func renamedFlag(args []string) (old, name string) {
	names := map[string]string{
		"--break": "--fault", "--note": "--incident-note", "--phase": "--schedule.offset", "--reference": "--network.reference",
		"--max-concurrency": "--schedule.max-concurrency", "--test.rules-file": "--rules-file",
	}
	for _, arg := range args {
		flag, _, _ := strings.Cut(arg, "=")
		if name := names[flag]; name != "" {
			return flag, name
		}
	}
	return "", ""
}

// validateFlags reports flags that would be ignored or would keep the prober from probing.
func (o *options) validateFlags() error {
	onceOnly := o.once.wait != 0 || o.once.hold != 0 || o.once.repeat > 1 || len(o.once.outputs) > 0 || o.once.incidentNote || o.once.since != ""
	if onceOnly && !o.once.once {
		return errors.New("--wait, --hold, --repeat, --output, --incident-note and --since need --once")
	}
	if o.once.since != "" {
		if _, err := parseSince(o.once.since, time.Now()); err != nil {
			return err
		}
	}
	if o.once.incidentNote && o.once.format != "text" {
		return errors.New("--incident-note replaces the results and has no --format; write the results with --output")
	}
	for _, raw := range o.serve.external {
		if u, err := url.Parse(raw); err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return errors.New("--web.external-url: expected http://HOST or https://HOST")
		}
	}
	if o.serve.concurrencySet && o.serve.concurrency < 1 {
		return errors.New("--schedule.max-concurrency: expected at least 1")
	}
	return nil
}

// defaultConfig is read if the command line names no file.
const defaultConfig = "prober.yaml"

// configFlag adds --config.file to a command.
func configFlag(cmd *kingpin.CmdClause, o *options) {
	cmd.Flag("config.file", "Configuration: a file, or a directory of *.yaml files; by default "+defaultConfig+". Repeatable.").
		PlaceHolder("FILE|DIR").StringsVar(&o.configFiles)
}

// configArgs lets a command take the files as its arguments too.
func configArgs(cmd *kingpin.CmdClause, o *options) {
	cmd.Arg("file", "Configuration, like --config.file.").StringsVar(&o.configArgs)
}

// resolveConfig settles which files are read. If none is named and the default one is missing, the error says what to do.
func (o *options) resolveConfig() error {
	o.configFiles = append(o.configFiles, o.configArgs...)
	if len(o.configFiles) > 0 {
		return nil
	}
	if _, err := os.Stat(defaultConfig); errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no " + defaultConfig + " here, and --config.file names no other; \"prober demo\" shows what prober does without one")
	}
	o.configFiles = []string{defaultConfig}
	return nil
}

// probeFlags adds the flags of the commands that probe, which listen on an address by default. It returns those of the exporter toolkit, which each command has
// for itself.
func probeFlags(cmd *kingpin.CmdClause, o *options, address string) *web.FlagConfig {
	cmd.Flag("network.reference", "Address that is independent of every target. While it cannot be reached either, failures are attributed to the prober's own network.").PlaceHolder("HOST:PORT").StringVar(&o.reference)
	cmd.Flag("runbook", "Only probes of this runbook. Repeatable.").StringsVar(&o.filter.runbooks)
	cmd.Flag("probe", "Only this probe, by its name or system/name. Repeatable.").StringsVar(&o.filter.probes)

	once := &o.once
	cmd.Flag("once", "Run every probe once, print the results, and exit.").BoolVar(&once.once)
	cmd.Flag("format", "Format of the results: "+strings.Join(report.Formats(), ", ")+".").Default("text").StringVar(&once.format)
	cmd.Flag("output", "Also write the results to a file, as FORMAT=PATH. Repeatable.").PlaceHolder("FORMAT=PATH").StringsVar(&once.outputs)
	cmd.Flag("wait", "With --once: run again until all pass, at most this long.").PlaceHolder("DURATION").DurationVar(&once.wait)
	cmd.Flag("hold", "With --once: all must keep passing this long.").PlaceHolder("DURATION").DurationVar(&once.hold)
	cmd.Flag("repeat", "With --once: run this many times; the first run that does not pass ends it.").Default("1").IntVar(&once.repeat)
	cmd.Flag("incident-note", "With --once: print the incident note of the runbook instead of the results.").BoolVar(&once.incidentNote)
	cmd.Flag("color", "Color in text results: auto, always or never. NO_COLOR is honored.").Default("auto").EnumVar(&once.color, "auto", "always", "never")

	cmd.Flag("since", "With --once: when the incident began, as a duration such as 40m or a time (RFC 3339). Probes that compare with a baseline take the time before it.").
		PlaceHolder("TIME").StringVar(&once.since)
	serve := &o.serve
	cmd.Flag("web.health-listen-address", "Also serve /-/healthy and /-/ready here, without TLS and authentication, for kubelets.").StringVar(&serve.health)
	cmd.Flag("web.external-url", "URL under which people or Prometheus reach the prober, if its host name is a public one: requests under other such names are refused. Repeatable.").
		PlaceHolder("URL").StringsVar(&serve.external)
	cmd.Flag("web.enable-lifecycle", "Allow POST /-/reload.").Default("true").BoolVar(&serve.lifecycle)
	cmd.Flag("web.enable-run", "Allow runs on request: \"Run now\" on a probe's page, POST /probes/SYSTEM/NAME/run.").Default("true").BoolVar(&serve.runs)
	cmd.Flag("config.auto-reload-interval", "How often to check whether the configuration changed; 0 for never.").Default("30s").DurationVar(&serve.poll)
	cmd.Flag("schedule.max-concurrency", "Maximum number of probes that run at the same time, by default 256, and 8 with --once. Others wait; the wait does not count as latency.").
		PlaceHolder("N").IsSetByUser(&serve.concurrencySet).IntVar(&serve.concurrency)
	cmd.Flag("schedule.offset", "Fraction of the interval, 0 to 1, by which all starts are shifted, so that several probers do not run at the same time; by default derived from the host name.").
		PlaceHolder("FRACTION").StringVar(&serve.scheduleOffset)
	cmd.Flag("storage.path", "File that keeps the state of incidents over a restart; none by default. --once reads it and never writes it.").
		PlaceHolder("FILE").StringVar(&serve.storage)
	return kingpinflag.AddFlags(cmd, address)
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM. A second signal ends the process at once.
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

// disableCoreDumps keeps secrets in memory from being written to disk with a core dump.
func disableCoreDumps() {
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
	o.warn(cfg.CheckSources(cfg.Jobs)) // the plan has the others
	return o.checkCoverage(cfg.Jobs)
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

// runConfigured probes as configured, once or continuously.
func (o *options) runConfigured(ctx context.Context) int {
	if err := web.Validate(*o.serve.web.WebConfigFile); err != nil && !o.once.once {
		fmt.Fprintln(o.stderr, "prober: web.config.file:", err)
		return exitUsage
	}
	from := func() []config.File { return config.Read(o.configFiles...) }
	if o.once.once {
		return o.runOnce(ctx, from)
	}
	return o.serveForever(ctx, from, demoHooks{})
}
