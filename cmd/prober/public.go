package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/public"
	"prober/internal/web"
)

// publicOptions are the flags of the public page.
type publicOptions struct {
	address string // to listen on; empty for none
	export  string // a directory; empty for none
}

func (o publicOptions) isSet() bool { return o.address != "" || o.export != "" }

// check refuses flags that have no page to show.
func (o publicOptions) check(cfg *config.Config) error {
	switch {
	case cfg.Public != nil:
	case o.address != "":
		return errors.New("prober: --web.public-listen-address: the configuration has no section public")
	case o.export != "":
		return errors.New("prober: --public.export-path: the configuration has no section public")
	}
	return nil
}

// A publicPage serves the public page and exports it.
type publicPage struct {
	publicOptions
	site      *public.Site
	server    *http.Server
	listeners []net.Listener
	log       *slog.Logger
}

// newPublic returns the public page of a server, and listens. Its functions read the server once it runs.
func (s *server) newPublic(o publicOptions) (*publicPage, error) {
	p := &publicPage{publicOptions: o, log: s.log}
	if !o.isSet() {
		return p, nil
	}
	report := &publicReporter{log: s.log, export: s.metrics.PublicPart}
	p.site = public.New(public.Options{
		Page:     func() *probe.PublicPage { return s.config.Load().Public },
		LastRuns: func(ids []probe.ID) []probe.LastRun { return s.history.LastRuns(ids) },
		Joint: func(groups [][]probe.ID, ago, days int) ([][]probe.Day, error) {
			return s.history.Joint(groups, ago, days)
		},
		Incidents: func(before time.Time) ([]probe.IncidentRecord, error) { return s.history.Incidents(before) },
		Report:    report.report,
	})
	if o.address == "" {
		return p, nil
	}
	p.server = public.Restrict(web.NewServer(p.site, max(8, maxConnections()/2)))
	p.server.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	var err error
	p.listeners, err = listen([]string{o.address})
	return p, err
}

// serve serves until the server is shut down, and exports until ctx ends.
func (p *publicPage) serve(ctx context.Context, failed chan<- error) {
	for _, l := range p.listeners {
		p.log.Info("Listening for readers of the public page", "address", l.Addr())
		go func() { failed <- p.server.Serve(l) }()
	}
	if p.export != "" {
		go p.site.Export(ctx, p.export) // nobody waits for it: its disk may be stuck
	}
}

// shutdown waits for open requests until ctx ends.
func (p *publicPage) shutdown(ctx context.Context) {
	if p.server != nil && p.server.Shutdown(ctx) != nil {
		p.server.Close()
	}
}

// A publicReporter reports what is wrong with a part of the public page: a log line when it is, and when it works again.
type publicReporter struct {
	log    *slog.Logger
	export func(part string, ok bool)
	wrong  sync.Map // the text by part
}

func (r *publicReporter) report(part string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	was, known := r.wrong.Swap(part, text)
	switch {
	case err != nil && was != text:
		r.log.Warn("The public page lacks something", "part", part, "err", err)
	case err == nil && known && was != "":
		r.log.Info("The public page has everything again", "part", part)
	}
	r.export(part, err == nil)
}
