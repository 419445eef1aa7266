package main

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/spf13/pflag"

	"prober/internal/report"
)

// In the help of a flag, the word in backquotes stands for its value.

// groupOf is the annotation of a flag that names its group in --help.
const groupOf = "group"

// group adds flags that --help shows together under a title. Every boolean flag can be negated, as --no-NAME.
func group(to *pflag.FlagSet, title string, add func(*pflag.FlagSet)) {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags, to.SortFlags = false, false
	add(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{groupOf: {title}}
		to.AddFlag(f)
		if isBool(f) {
			to.AddFlag(&pflag.Flag{Name: "no-" + f.Name, Value: negation{f}, NoOptDefVal: "true", Hidden: true})
		}
	})
}

func isBool(f *pflag.Flag) bool { return f.Value.Type() == "bool" }

// A negation is the value of a flag --no-NAME: it sets the flag NAME to the opposite.
type negation struct{ flag *pflag.Flag }

func (n negation) Type() string   { return "bool" }
func (n negation) String() string { return "false" }
func (n negation) Set(text string) error {
	on, err := strconv.ParseBool(text)
	if err != nil {
		return err
	}
	return n.flag.Value.Set(strconv.FormatBool(!on))
}

// A choice is the value of a flag that is one of a few words.
type choice struct {
	value *string
	of    []string
}

func (c choice) Type() string   { return "choice" }
func (c choice) String() string { return *c.value }
func (c choice) Set(text string) error {
	if !slices.Contains(c.of, text) {
		return fmt.Errorf("expected one of %s, got %q", strings.Join(c.of, ", "), text)
	}
	*c.value = text
	return nil
}

// A logSetting is the value of a flag that sets the level or the format of the log.
type logSetting struct {
	setting
}

type setting interface {
	String() string
	Set(string) error
}

func (logSetting) Type() string { return "choice" }

// commonFlags adds the flags of every command.
func commonFlags(to *pflag.FlagSet, o *options) {
	o.log = promslog.Config{Level: promslog.NewLevel(), Format: promslog.NewFormat()}
	_ = o.log.Format.Set("logfmt")
	group(to, "Every command", func(f *pflag.FlagSet) {
		f.BoolP("help", "h", false, "Show this help.")
		f.BoolVar(&o.version, "version", false, "Show the version.")
		f.Var(logSetting{o.log.Level}, "log.level", "Only log messages with the given severity or above. One of: ["+strings.Join(promslog.LevelFlagOptions, ", ")+"]")
		f.Var(logSetting{o.log.Format}, "log.format", "Output format of log messages. One of: ["+strings.Join(promslog.FormatFlagOptions, ", ")+"]")
	})
}

// configFlag adds --config.file.
//
//go:noinline
func configFlag(f *pflag.FlagSet, o *options) {
	f.StringArrayVar(&o.configFiles, "config.file", nil, "Read the configuration from `FILE|DIR`; of a directory, its *.yaml files. By default "+defaultConfig+". Repeatable.")
}

// allowFlag adds --allow-exec.
func allowFlag(f *pflag.FlagSet, o *options) {
	f.BoolVar(&o.allowExec, "allow-exec", false, "Let probes of the kind exec start programs of this machine. Without it, a configuration that has one is refused.")
}

// probeFlags adds the flags of the commands that probe, which listen on an address by default. It returns those of the
// listener, which each command has for itself.
func probeFlags(to *pflag.FlagSet, o *options, address string) *listenOptions {
	listener := new(listenOptions)
	group(to, "Which probes", func(f *pflag.FlagSet) {
		f.StringArrayVar(&o.filter.probes, "probe", nil, "Only `PROBE`, by its name or system/name. Repeatable.")
		f.StringArrayVar(&o.filter.runbooks, "runbook", nil, "Only probes of `RUNBOOK`. Repeatable.")
		f.Var(&o.shard, "shard", "Only the probes of shard `I/N`: N probers with the same configuration, from 0/N on, divide them. Adding a shard moves few.")
	})
	group(to, "Once", func(f *pflag.FlagSet) { onceFlags(f, &o.once) })
	group(to, "How it probes", func(f *pflag.FlagSet) {
		serve := &o.serve
		f.StringVar(&o.reference, "network.reference", "", "`HOST:PORT` that is independent of every target. While it cannot be reached either, failures are attributed to the prober's own network.")
		f.IntVar(&serve.concurrency, "schedule.max-concurrency", 0, "Let at most `N` probes run at the same time, by default 256, and 8 with --once. Others wait; the wait does not count as latency.")
		f.StringVar(&serve.scheduleOffset, "schedule.offset", "", "`FRACTION` of the interval, 0 to 1, by which all starts are shifted, so that several probers do not run at the same time; by default derived from the host name.")
		f.DurationVar(&serve.poll, "config.auto-reload-interval", 30*time.Second, "How often to check whether the configuration changed; 0 for never.")
		f.StringVar(&serve.storage, "storage.path", "", "`FILE` that keeps history and incidents over a restart; by default two days of history are kept in memory. --once reads it and never writes it.")
	})
	group(to, "Alerts without Prometheus", func(f *pflag.FlagSet) { notifyFlags(f, &o.serve.notify) })
	group(to, "What others send", func(f *pflag.FlagSet) { inboundFlags(f, &o.serve.inbound) })
	group(to, "Web", func(f *pflag.FlagSet) { webFlags(f, &o.serve, listener, address) })
	return listener
}

var colors = []string{"auto", "always", "never"}

// onceFlags adds --once and the flags that need it.
func onceFlags(f *pflag.FlagSet, once *onceOptions) {
	f.BoolVar(&once.once, "once", false, "Run every probe once, print the results, and exit.")
	f.BoolVarP(&once.verbose, "verbose", "v", false, "With --once: list every probe that passed too, with its checks, as --probe and --runbook do. Otherwise they are one line if anything did not pass.")
	f.StringVar(&once.format, "format", "text", "Format of the results: "+strings.Join(report.Formats(), ", ")+".")
	f.StringArrayVar(&once.outputs, "output", nil, "Also write the results to a file, as `FORMAT=PATH`. Repeatable.")
	f.DurationVar(&once.wait, "wait", 0, "With --once: run again until all pass, for at most `DURATION`.")
	f.DurationVar(&once.hold, "hold", 0, "With --once: all must keep passing for `DURATION`.")
	f.IntVar(&once.repeat, "repeat", 1, "With --once: run this many times; the first run that does not pass ends it.")
	f.BoolVar(&once.incidentNote, "incident-note", false, "With --once: print the incident note of the runbook instead of the results.")
	f.StringVar(&once.since, "since", "", "With --once: `TIME` when the incident began, as a duration such as 40m or as in RFC 3339. Probes that compare with a baseline take the time before it.")
	f.StringVar(&once.expectVersion, "expect-version", "", "With --once: what answers must be `VERSION`, such as a commit, a digest or 1.4.2, wherever a probe reads one.")
	once.color = "auto"
	f.Var(choice{&once.color, colors}, "color", "Color in text results: auto, always or never. NO_COLOR is honored.")
}

// webFlags adds the flags of the listener. The first have the names and the meaning of every exporter's.
func webFlags(f *pflag.FlagSet, serve *serveOptions, listener *listenOptions, address string) {
	f.StringArrayVar(&listener.addresses, "web.listen-address", []string{address}, "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses. Examples: :9100 or [::1]:9100")
	f.StringVar(&listener.config, "web.config.file", "", "`FILE` that can enable TLS or authentication. See: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md")
	if runtime.GOOS == "linux" {
		f.BoolVar(&listener.systemd, "web.systemd-socket", false, "Use systemd socket activation listeners instead of port listeners (Linux only).")
	}
	f.StringVar(&serve.health, "web.health-listen-address", "", "Also serve /-/healthy and /-/ready on `ADDRESS`, without TLS and authentication, for kubelets.")
	f.StringVar(&serve.public.address, "web.public-listen-address", "", "Also serve the public page on `ADDRESS`, and nothing else there: it is for customers. The configuration describes it in its section public.")
	f.StringVar(&serve.public.export, "public.export-path", "", "Also write the public page to the directory `DIR`, every 30 seconds, to be served by others.")
	f.StringArrayVar(&serve.external, "web.external-url", nil, "`URL` under which people or Prometheus reach the prober, if its host name is a public one: requests under other such names are refused. Repeatable.")
	f.BoolVar(&serve.lifecycle, "web.enable-lifecycle", true, "Allow POST /-/reload, and to acknowledge a breach.")
	f.BoolVar(&serve.runs, "web.enable-run", true, `Allow runs on request: "Run now" on a probe's page, POST /probes/SYSTEM/NAME/run.`)
}

// inboundFlags adds the flags of the listener for what others send.
func inboundFlags(f *pflag.FlagSet, i *inboundOptions) {
	f.StringVar(&i.address, "inbound.listen-address", "", "Receive on `ADDRESS` what others send to probes of the kinds that wait for it, such as heartbeat. It is apart from the pages, and serves nothing else.")
	f.StringVar(&i.config, "inbound.config.file", "", "`FILE` that can enable TLS there, in the format of --web.config.file.")
}

// jobFlag adds --job.
func jobFlag(f *pflag.FlagSet, r *rulesOptions) {
	f.StringVar(&r.job, "job", "prober", "Value of the label job that Prometheus adds to the probers' series.")
}

// rulesFlags adds the flags of the command rules.
func rulesFlags(f *pflag.FlagSet, r *rulesOptions) {
	r.counters = counters{}
	f.BoolVar(&r.test, "test", false, `Print unit tests of the rules instead, for "promtool test rules".`)
	f.StringVar(&r.file, "rules-file", "prober.rules.yml", "With --test: the rules file that the tests name.")
	f.BoolVar(&r.alertmanager, "alertmanager", false, "Print routes and inhibitions for Alertmanager instead.")
	jobFlag(f, r)
	f.Var(r.counters, "counter", "A service's own counter of requests with the label code, as `SYSTEM[/PROBE,PROBE]=METRIC`: adds alerts on its errors and 401s, without those that the named probes of the system cause there (all of them if none is named). Repeatable.")
}

// counters is the value of the flag --counter.
type counters map[string]string

func (c counters) Type() string   { return "counter" }
func (c counters) String() string { return "" }
func (c counters) Set(text string) error {
	i := strings.IndexAny(text, ":=")
	if i < 0 {
		return fmt.Errorf("expected SYSTEM[/PROBE,PROBE]=METRIC, got %q", text)
	}
	c[text[:i]] = text[i+1:]
	return nil
}
