package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prober/internal/httpx"
	"prober/internal/text"
)

// usageError says what is wrong with the arguments, and where to look unless it says what was meant.
func usageError(err error, cmd *cobra.Command, args []string) string {
	message := wrongArgument(err, cmd, args)
	if strings.HasSuffix(message, "?") {
		return message
	}
	return message + "; see prober --help"
}

// wrongArgument leaves out the values of flags that do not exist: they may be secret.
func wrongArgument(err error, cmd *cobra.Command, args []string) string {
	if old, name := renamedFlag(args); old != "" {
		return old + " was renamed to " + name
	}
	var unknown *pflag.NotExistError
	var incomplete *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Sprintf("unknown short flag '-%s'", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return fmt.Sprintf("unknown long flag '--%s'%s", unknown.GetSpecifiedName(), meantFlag(unknown.GetSpecifiedName(), cmd))
	case errors.As(err, &incomplete):
		return fmt.Sprintf("expected argument for flag '--%s'", incomplete.GetFlag().Name)
	case errors.As(err, &invalid):
		return fmt.Sprintf("--%s: %s", invalid.GetFlag().Name, invalidValue(invalid))
	case errors.As(err, &syntax):
		return "a flag has no name"
	}
	return err.Error()
}

// meantFlag says which flag was probably meant by a name that cmd has no flag of: one of another command, or one that is nearly
// called so.
func meantFlag(name string, cmd *cobra.Command) string {
	if cmd.Root().Flags().Lookup(name) != nil {
		return ", which is one of prober run"
	}
	for _, other := range cmd.Root().Commands() {
		if other.Flags().Lookup(name) != nil {
			return ", which is one of prober " + other.Name()
		}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if meant := text.Nearest(name, names); meant != "" {
		return "; did you mean --" + meant + "?"
	}
	return ""
}

// invalidValue says what the value of a flag ought to be.
func invalidValue(invalid *pflag.InvalidValueError) string {
	want := ""
	switch invalid.GetFlag().Value.Type() {
	case "duration":
		want = "a duration such as 30s or 5m"
	case "int":
		want = "a whole number"
	case "bool":
		want = "true or false"
	default:
		return invalid.Unwrap().Error()
	}
	return fmt.Sprintf("expected %s, got %q", want, invalid.GetValue())
}

// expectValues refuses a flag that took the next flag for its value.
func expectValues(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			name, long := strings.CutPrefix(v, "--")
			if name, _, _ = strings.Cut(name, "="); long && flags.Lookup(name) != nil {
				err = fmt.Errorf("expected argument for flag '--%s'", f.Name)
			}
		}
	})
	return err
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
func (o *options) validateFlags(flags *pflag.FlagSet) error {
	onceOnly := o.once.wait != 0 || o.once.hold != 0 || o.once.repeat > 1 || len(o.once.outputs) > 0 || o.once.incidentNote || o.once.since != "" || o.once.expectVersion != ""
	if onceOnly && !o.once.once {
		return errors.New("--wait, --hold, --repeat, --output, --incident-note, --since and --expect-version need --once")
	}
	if v := o.once.expectVersion; v != "" && httpx.ParseVersion(v) == "" {
		return errors.New("--expect-version: expected a version such as 3f2a91c04d11 or 1.4.2")
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
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("--web.external-url: expected http://HOST or https://HOST, with a path if there is one: it is copied into links")
		}
	}
	if err := o.serve.notify.validate(); err != nil {
		return err
	}
	if o.shard.Of > 0 && (o.serve.notify.tells() || o.serve.public.isSet()) {
		return errors.New("--shard excludes --alertmanager.url, --webhook.url, --web.public-listen-address and --public.export-path: a shard sees only its own probes of a system; let Prometheus join them")
	}
	if flags.Changed("schedule.max-concurrency") && o.serve.concurrency < 1 {
		return errors.New("--schedule.max-concurrency: expected at least 1")
	}
	return nil
}
