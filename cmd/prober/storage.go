package main

import (
	"errors"

	"prober/internal/incident"
)

// openStorage loads the state of incidents that an earlier process saved, and keeps the file from other probers until it is
// closed. A file that cannot be used never keeps the prober from probing.
func (s *server) openStorage(path string) (closeStorage func()) {
	closeStorage = func() {}
	if path == "" {
		return closeStorage
	}
	release, err := incident.Lock(path)
	switch {
	case errors.Is(err, incident.ErrInUse):
		s.log.Error("There is no storage: incidents are not kept over a restart", "err", err)
		s.self.report("storage", false)
		return closeStorage
	case err != nil:
		s.log.Warn("The state of incidents is not locked against other probers", "err", err)
	default:
		closeStorage = release
	}
	s.storage = path
	err = s.incidents.Load(path)
	if err != nil {
		attrs := []any{"err", err}
		if aside, err := incident.SetAside(path); err == nil {
			attrs = append(attrs, "set_aside_as", aside)
		}
		s.log.Warn("The saved state of incidents is lost", attrs...)
	}
	s.self.report("storage", err == nil)
	return closeStorage
}

// incidentsSaved is called after every attempt to save the state of incidents.
func (s *server) incidentsSaved(err error) {
	if err != nil {
		s.log.Warn("Cannot save the state of incidents", "err", err)
	}
	s.self.report("storage", err == nil)
}
