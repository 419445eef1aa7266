package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"prober/internal/inbound"
	"prober/internal/probe"
	"prober/internal/web"
	"prober/internal/webconfig"
)

// inboundOptions are the flags of the listener for what others send.
type inboundOptions struct {
	address string
	config  string
}

// An inboundServer serves the requests of others to probes. Without an address it is nil.
type inboundServer struct {
	*inbound.Receivers
	server   *http.Server
	config   *webconfig.File
	listener net.Listener
	announce func(address string) // may be nil
}

// listen listens, so that nothing that is sent from now on is refused; it waits until the configuration is applied.
func (o inboundOptions) listen(log *slog.Logger) (*inboundServer, error) {
	if o.address == "" {
		if o.config != "" {
			return nil, errors.New("prober: --inbound.config.file needs --inbound.listen-address")
		}
		return nil, nil
	}
	file, err := webconfig.Open(o.config)
	if err != nil {
		return nil, fmt.Errorf("prober: inbound.config.file: %w", err)
	}
	listeners, err := listen([]string{o.address})
	if err != nil {
		return nil, err
	}
	i := &inboundServer{config: file, listener: listeners[0]}
	file.Refused = func(by *http.Request) {
		if by != nil {
			i.Unauthorized(by)
		} else {
			i.Refused(inbound.ByConfiguration)
		}
	}
	return i, nil
}

// open gives the listener what an earlier process kept of its probes.
func (i *inboundServer) open(s *server, stored bool, announce func(string)) {
	if i == nil {
		return
	}
	i.announce = announce
	for _, outcome := range inbound.Outcomes {
		s.metrics.InboundRequests(outcome, 0)
	}
	o := inbound.Options{Memory: s.memory, Counted: func(outcome string) { s.metrics.InboundRequests(outcome, 1) }}
	var kept map[string][]byte
	if stored {
		o.Save, o.Saved = s.history.SaveTexts, s.disk.receivedSaved
		var err error
		if kept, err = s.history.Texts(inbound.KeyPrefix); err != nil {
			s.log.Warn("What was received before is lost", "err", err)
		}
	}
	i.Receivers = inbound.New(o, kept)
	i.server = i.Restrict(web.NewServer(i.Receivers, maxConnections()), maxConnections())
	i.server.ErrorLog = log.New(errorLog{i.Receivers, slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}, "", 0)
}

// An errorLog logs what net/http says of connections, and counts those whose certificate was refused: nothing else is told of them.
type errorLog struct {
	*inbound.Receivers
	log *log.Logger
}

func (e errorLog) Write(line []byte) (int, error) {
	text := string(line)
	if strings.Contains(text, "TLS handshake error") && strings.Contains(text, " certificate") && !strings.Contains(text, "remote error") {
		e.Unauthorized(nil)
	}
	e.log.Print(text)
	return len(line), nil
}

// withInbox gives the jobs that receive something what they received.
func (i *inboundServer) withInbox(jobs []probe.Job) []probe.Job {
	if i == nil {
		return jobs
	}
	return i.SetJobs(jobs)
}

// serve serves until the server is shut down.
func (i *inboundServer) serve(log *slog.Logger, failed chan<- error) {
	if i == nil {
		return
	}
	go func() {
		failed <- i.config.Serve([]net.Listener{i.listener}, i.server, log.With("listener", "inbound"))
	}()
	if i.announce != nil {
		go i.announce(i.listener.Addr().String())
	}
}

// run keeps what is received, until ctx ends.
func (i *inboundServer) run(ctx context.Context) {
	if i != nil {
		i.Run(ctx)
	}
}

// http returns the server, whose shutdown waits for open requests; nil if there is none. What came is kept by run.
func (i *inboundServer) http() *http.Server {
	if i == nil {
		return nil
	}
	return i.server
}

// lost is called when the file had to be replaced.
func (i *inboundServer) lost() {
	if i != nil {
		i.Lost()
	}
}
