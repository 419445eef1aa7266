package main

import (
	"errors"
	"sync"

	"prober/internal/history"
)

// openStorage opens the file that keeps the history and the state of incidents, and loads what an earlier process saved. Without
// one, or if it cannot be used, the history is in memory: nothing keeps the prober from probing.
func (s *server) openStorage(path string) (closeStorage func()) {
	s.disk = &diskReporter{server: s}
	o := history.Options{Lost: s.metrics.HistoryLost, Written: s.disk.written, Damaged: s.storageDamaged}
	if path == "" {
		s.history = history.NewInMemory(o)
		return func() {}
	}
	store, err := history.Open(path, s.incidents.Load, o)
	switch {
	case store == nil:
		s.log.Error("There is no storage: incidents and history are not kept over a restart", "err", err)
		store = history.NewInMemory(history.Options{Lost: s.metrics.HistoryLost})
		s.disk.unusable = true
	case err != nil:
		s.log.Warn("The saved state of incidents is lost, and the history", "err", err)
	}
	s.history = store
	s.self.report("storage", err == nil)
	return store.Close
}

// storageDamaged is called when the file had to be replaced while in use.
func (s *server) storageDamaged(err error) {
	s.log.Error("The history is lost, and begins again", "err", err)
	s.incidents.Changed()
	s.inbound.lost()
}

// A diskReporter reports the outcome of each write of the storage: a log line when it fails and when it works again, and a self check.
type diskReporter struct {
	server   *server
	unusable bool // there is a path, and no file

	mu      sync.Mutex
	failing map[string]bool
}

func (d *diskReporter) written(err error) { d.report("history", err) }

// saved is called after every attempt to save the state of incidents.
func (d *diskReporter) saved(err error) { d.report("incidents", err) }

// receivedSaved is called after every attempt to save what others sent.
func (d *diskReporter) receivedSaved(err error) { d.report("received", err) }

func (d *diskReporter) report(what string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.failing[what]
	if d.failing == nil {
		d.failing = map[string]bool{}
	}
	d.failing[what] = err != nil
	switch {
	case err != nil && !was:
		d.server.log.Warn("Cannot write the storage", "what", what, "err", err)
	case err == nil && was:
		d.server.log.Info("The storage can be written again", "what", what)
	}
	if !d.unusable {
		d.server.self.report("storage", !d.failing["history"] && !d.failing["incidents"] && !d.failing["alerts"] && !d.failing["received"])
	}
}

// loadIncidents reads the state of incidents that a prober which serves has saved, without touching its file.
func (o *options) loadIncidents(load func([]byte) error) error {
	state, err := history.ReadState(o.serve.storage)
	if err == nil && state != nil {
		if err = load(state); err != nil {
			err = errors.New(o.serve.storage + ": " + err.Error())
		}
	}
	return err
}
