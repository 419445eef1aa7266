package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"prober/config"
	"prober/internal/inbound"
	"prober/internal/probe"
	"prober/internal/sandbox"
	"prober/internal/secret"
	"prober/internal/web"
)

// demoOptions are the flags of the command demo.
type demoOptions struct {
	faults []string
	list   bool
}

// runDemo starts the sample system, injects the given faults, and probes it with the demo's configuration.
func (o *options) runDemo(ctx context.Context) int {
	ctx, cancel := o.untilHangup(ctx) // it has no files to read again
	defer cancel()
	sample, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		fmt.Fprintln(o.stderr, "prober: demo:", err)
		return exitUsage
	}
	defer sample.Close()
	if o.demo.list {
		table := tabwriter.NewWriter(o.stdout, 0, 0, 2, ' ', 0)
		for _, f := range sample.Faults() {
			fmt.Fprintf(table, "%s\t%s\n", f.Name, f.Summary)
		}
		table.Flush()
		return exitPass
	}
	for _, name := range o.demo.faults {
		if err := sample.Inject(name); err != nil {
			hint := "; prober demo --list shows all"
			if strings.HasSuffix(err.Error(), "?") {
				hint = ""
			}
			fmt.Fprintf(o.stderr, "prober: demo: %s%s\n", err, hint)
			return exitUsage
		}
	}
	files := demoFiles(sample)
	from := func() []config.File { return files }
	report := func(address string) {
		sample.ForwardTo(address)
		sample.ReportTo("http://" + address + "/" + sample.Env()["PROBER_DEMO_JOB_TOKEN"])
	}
	if o.once.once {
		listener, err := loopback()
		if err != nil {
			fmt.Fprintln(o.stderr, "prober: demo:", err)
			return exitUsage
		}
		receivers := inbound.New(inbound.Options{}, nil)
		server := &http.Server{Handler: receivers, ReadTimeout: 10 * time.Second}
		go server.Serve(listener)
		defer server.Close()
		o.withInbox = func(jobs []probe.Job) []probe.Job {
			jobs = receivers.SetJobs(jobs)
			report(listener.Addr().String())
			return jobs
		}
		return o.runOnce(ctx, from)
	}
	o.hangups = nil
	o.serve.inbound.address = cmp.Or(o.serve.inbound.address, "127.0.0.1:0")
	return o.serveForever(ctx, from, demoHooks{
		inbound:  report,
		announce: func(address string) { fmt.Fprintf(o.stdout, demoGuide, pageURL(address)) },
		faults:   func() []web.Fault { return demoFaults(sample) },
		handlers: map[string]http.Handler{"/demo/": http.StripPrefix("/demo", sample.Handler())},
	})
}

// demoFiles returns the demo's configuration for a sample system. Like a real one, it names credentials by variables; they
// are the sample system's, and not in the environment of the process.
func demoFiles(sample *sandbox.Sandbox) []config.File {
	return []config.File{{Name: "demo.yaml", Data: sample.RewriteAddresses(config.Demo), Env: secret.NewEnvironment(sample.Env())}}
}

// demoFaults lists the sample system's faults for the page.
func demoFaults(sample *sandbox.Sandbox) []web.Fault {
	active := sample.Active()
	var all []web.Fault
	for _, f := range sample.Faults() {
		s := web.Fault{Name: f.Name, Summary: f.Summary, Signal: f.Signal, Path: "demo/inject/" + f.Name}
		if slices.Contains(active, f.Name) {
			s.Active, s.Path = true, "demo/clear/"+f.Name
		}
		all = append(all, s)
	}
	return all
}

const demoGuide = `The sample system is running, and prober probes it.

  page       %[1]s/
  metrics    %[1]s/metrics
  inject     curl -X POST %[1]s/demo/inject/auth-down     (prober demo --list names all faults)
  clear      curl -X POST %[1]s/demo/clear/auth-down
  run once   prober demo --once --fault auth-down         (with a sample system of its own)

`

// pageURL is the URL of address for a browser on this machine.
func pageURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		address = net.JoinHostPort("localhost", port)
	}
	return "http://" + address
}
