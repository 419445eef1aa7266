package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prober/config"
	"prober/internal/dial"
	"prober/internal/text"
	"prober/probes"
)

func (o *options) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [flags] URL ...",
		Short: "Write a first configuration that asks URLs whether they work. It asks nothing and never overwrites a file.",
		Example: `prober init https://shop.example/ https://api.shop.example/health
prober init --file=shop.yaml https://shop.example/`,
		Args:              expectURLs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	file := ""
	group(cmd.Flags(), "Configuration", func(f *pflag.FlagSet) {
		f.StringVar(&file, "file", defaultConfig, "Where to write it.")
	})
	return o.does(cmd, func(context.Context) int { return o.writeFirst(file) })
}

func expectURLs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("init: expected at least one URL, as in prober init https://shop.example/")
	}
	for _, arg := range args {
		u, err := url.Parse(arg)
		switch {
		case err != nil || !dial.IsHost(u.Hostname()) || u.Scheme != "http" && u.Scheme != "https":
			return fmt.Errorf("init: expected http://HOST or https://HOST, got %q", text.Cut(text.Line(withoutUser(arg)), 100))
		case u.User != nil:
			return errors.New("init: a URL with a password does not belong in a file; see \"basic\" and \"bearer\" in docs/configuration.md")
		}
	}
	return nil
}

// withoutUser drops what stands before an @: it may be secret.
func withoutUser(address string) string {
	return address[strings.LastIndexByte(address, '@')+1:]
}

// writeFirst writes a first configuration for the URLs of the command line, which is valid.
func (o *options) writeFirst(file string) int {
	data := firstConfig(o.args)
	cfg, err := config.Parse(probes.Kinds(), config.File{Name: file, Data: data})
	if err == nil {
		err = writeNew(file, data)
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%s exists and stays as it is; --file=FILE names another", file)
	}
	if err != nil {
		fmt.Fprintln(o.stderr, "prober: init:", err)
		return exitUsage
	}
	flag := ""
	if file != defaultConfig {
		flag = " --config.file=" + file
	}
	fmt.Fprintf(o.stdout, firstGuide, file, text.Count(len(cfg.Jobs), "probe"), flag)
	return exitPass
}

const firstGuide = `%[1]s has %[2]s now. Its comments say what more a probe can expect.

  prober check%[3]s     what is asked, and whether the file is right
  prober --once%[3]s    ask once
  prober%[3]s           ask all the time; http://localhost:9798/ shows the results
`

func writeNew(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// firstConfig is a configuration with a probe for each URL, and comments that say what comes next.
func firstConfig(urls []string) []byte {
	var b strings.Builder
	var names []string
	for i, raw := range urls {
		u, _ := url.Parse(raw)
		u.Fragment = "" // is never sent
		if i == 0 {
			fmt.Fprintf(&b, firstHead, systemName(u))
		}
		name := probeName(u)
		for n := 2; slices.Contains(names, name); n++ {
			name = probeName(u) + "-" + strconv.Itoa(n)
		}
		names = append(names, name)
		fmt.Fprintf(&b, "\n  - name: %s\n    type: http\n    url: %s\n", name, strconv.QuoteToASCII(u.String()))
		if i == 0 {
			b.WriteString(firstHints)
		}
	}
	return []byte(b.String())
}

const firstHead = `# A first configuration of prober. What it can say: docs/configuration.md, and docs/kinds for each type of probe.
# An editor completes it with the schema: prober schema > prober.schema.json
# yaml-language-server: $schema=prober.schema.json

system: %s # a label of every series
interval: 30s # how often each probe runs

# What to do when a probe fails. The alerts of "prober rules" and the status page link there.
# runbooks:
#   down: {severity: P1, url: "https://docs.example/runbooks#down"}

probes:`

const firstHints = `    # runbook: down
    # Without expect, any status from 200 to 299 passes. Say what only a working service says:
    # expect:
    #   status: 200
    #   body: {contains: Welcome}   # or json: {"$.status": ok}
    #   latency: 2s
    #   certificate: 14d            # a warning if it expires within that, a failure if within a quarter
    # catch_all_check: true         # proves nothing if a path that does not exist gets the same response
`

var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)

// systemName is the first label of a host that says something, such as shop of www.shop.example.
func systemName(u *url.URL) string {
	label, _, _ := strings.Cut(strings.TrimPrefix(u.Hostname(), "www."), ".")
	return validName(label, "system")
}

// probeName names a probe by the host and the path of its URL.
func probeName(u *url.URL) string {
	return validName(strings.TrimPrefix(u.Hostname(), "www.")+u.Path, "probe")
}

// validName makes a text a name as the configuration wants it: it begins with a letter and has at most 64 characters. The
// other word stands before what begins with none.
func validName(s, otherwise string) string {
	const longest = 56 // room for a number
	s = strings.Trim(notInNames.ReplaceAllString(s, "-"), "-")
	if s == "" || !('a' <= s[0]|0x20 && s[0]|0x20 <= 'z') {
		s = strings.Trim(otherwise+"-"+s, "-")
	}
	return strings.TrimRight(s[:min(len(s), longest)], "-")
}
