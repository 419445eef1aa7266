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
	"os"
	"os/signal"
	"slices"
	"syscall"
	_ "time/tzdata" // maintenance windows name time zones, and an image from scratch has none

	"github.com/prometheus/common/promslog"

	"prober/config"
	"prober/internal/inbound"
	"prober/internal/probe"
	"prober/internal/schedule"
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

	action  action // of the command
	version bool   // only print it

	configFiles []string
	allowExec   bool
	args        []string
	reference   string
	filter      filter
	shard       schedule.Shard
	once        onceOptions
	serve       serveOptions
	demo        demoOptions
	withInbox   func([]probe.Job) []probe.Job // of the demo with --once; nil: nothing is received
	rules       rulesOptions
	covered     []string // files of rules that the contracts ought to cover
	manifests   []string // files of Kubernetes manifests
}

// run runs the command that the arguments name until it is done or ctx ends, and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	hangups, nohup := make(chan os.Signal, 1), signal.Ignored(syscall.SIGHUP)
	signal.Notify(hangups, syscall.SIGHUP) // from the first moment: it must not end a start
	defer signal.Stop(hangups)
	o := options{stdout: stdout, stderr: stderr, hangups: hangups, nohup: nohup}
	commands := o.commands()
	if completing(args) {
		o.completeValues(commands)
	}
	commands.SetArgs(append([]string{}, args...)) // of nil it would take those of the process
	if cmd, err := commands.ExecuteC(); err != nil {
		fmt.Fprintln(stderr, "prober:", usageError(err, cmd, args))
		return exitUsage
	}
	if o.action == nil { // help was shown
		return exitPass
	}
	return o.action(ctx)
}

// defaultConfig is read if the command line names no file.
const defaultConfig = "prober.yaml"

// resolveConfig settles which files are read. If none is named and the default one is missing, the error says what to do.
func (o *options) resolveConfig() error {
	o.configFiles = append(o.configFiles, o.args...)
	if len(o.configFiles) > 0 {
		return nil
	}
	if _, err := os.Stat(defaultConfig); errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no " + defaultConfig + " here, and --config.file names no other; \"prober init URL\" writes a first one, and \"prober demo\" shows what prober does without one")
	}
	o.configFiles = []string{defaultConfig}
	return nil
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
	cfg, err := parse(o.kinds(), config.Read(o.configFiles...))
	if err != nil {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	if err := inbound.Check(cfg.Jobs); err != nil {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	cfg, refused := checkTargets(cfg)
	if err := cfg.Plan(o.stdout, terminalWidth(o.stdout)); err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	o.warn(slices.Concat(cfg.CheckSources(cfg.Jobs), refused)) // the plan has the others
	return o.checkCoverage(cfg.Jobs)
}

// kinds returns the kinds of probe that may be run. What is read to be run, or to say whether it could be, is read with them.
func (o *options) kinds() probe.Kinds {
	kinds := probes.Kinds()
	for word, kind := range kinds {
		if kind.Traits.StartsPrograms && !o.allowExec {
			kind.Refused = "it starts programs of this machine, which only --allow-exec allows"
			kinds[word] = kind
		}
	}
	return kinds
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
	from := func() []config.File { return config.Read(o.configFiles...) }
	if o.once.once {
		ctx, cancel := o.untilHangup(ctx)
		defer cancel()
		return o.runOnce(ctx, from)
	}
	return o.serveForever(ctx, from, demoHooks{})
}
