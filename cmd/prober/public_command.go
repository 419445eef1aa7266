package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prober/config"
	"prober/internal/history"
	"prober/internal/probe"
	"prober/internal/public"
	"prober/internal/text"
	"prober/probes"
)

const publicExamples = `prober public --storage.path=history shop.yaml > index.html
prober public --storage.path=history --public.export-path=out shop.yaml`

func (o *options) publicCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "public [flags] [FILE|DIR ...]", Example: publicExamples, Short: "Print the public page, from a history file that no prober uses at the moment.", Args: cobra.ArbitraryArgs}
	group(cmd.Flags(), "Configuration", func(f *pflag.FlagSet) { configFlag(f, o) })
	group(cmd.Flags(), "Public page", func(f *pflag.FlagSet) {
		f.StringVar(&o.serve.storage, "storage.path", "", "`FILE` with the history, as a prober left it. It is not changed.")
		f.StringVar(&o.serve.public.export, "public.export-path", "", "Write the page with its feed to the directory `DIR` instead.")
	})
	return o.does(cmd, o.configured(endable(func() int {
		if err := o.printPublic(); err != nil {
			fmt.Fprintln(o.stderr, err)
			return exitUsage
		}
		return exitPass
	})))
}

// printPublic prints or writes the public page. What is going on now is not known, and the page says so.
func (o *options) printPublic() error {
	cfg, err := config.Load(probes.Kinds(), o.configFiles...)
	if err != nil {
		return err
	}
	switch {
	case cfg.Public == nil:
		return errors.New("prober: public: the configuration has no section public")
	case o.serve.storage == "":
		return errors.New("prober: public: expected --storage.path=FILE, the history of a prober")
	}
	store, err := history.OpenReadOnly(o.serve.storage)
	if err != nil {
		return fmt.Errorf("prober: public: %w", err)
	}
	defer store.Close()
	store.SetJobs(cfg.Jobs)
	var failed error
	site := public.New(public.Options{
		Page: func() *probe.PublicPage { return cfg.Public }, LastRuns: store.LastRuns, Joint: store.Joint, Complete: true,
		Incidents: func(before time.Time) ([]probe.IncidentRecord, error) {
			all, err := store.Incidents(before)
			for i := range all {
				all[i].Ongoing = false // nobody watches
			}
			return all, err
		},
		Report: func(part string, err error) {
			if err == nil {
				return
			}
			fmt.Fprintf(o.stderr, "prober: public: %s: %s\n", part, text.Lines(err.Error()))
			if part == "history" || part == "incidents" {
				failed = err
			}
		},
	})
	if o.serve.public.export != "" {
		err = site.Write(o.serve.public.export)
	} else {
		_, err = o.stdout.Write(site.Page())
	}
	switch {
	case err != nil:
		return fmt.Errorf("prober: public: %w", err)
	case failed != nil:
		return errors.New("prober: public: the page lacks the past")
	}
	return nil
}
