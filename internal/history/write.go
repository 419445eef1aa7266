package history

import (
	"errors"
	"time"

	"prober/internal/probe"
)

// A backend keeps what a Store gives it.
type backend interface {
	// write keeps a batch. It marks what it kept, so that an error leaves the rest to the next attempt.
	write(*batch) error
	// lasts returns the last runs of probes, as far as they are known.
	lasts([]*state) ([]last, error)
	saveState(state []byte, incidents []probe.IncidentRecord) error
	// saveTexts keeps texts by key, and texts returns those whose keys begin with a prefix.
	saveTexts(texts map[string][]byte) error
	texts(prefix string) (map[string][]byte, error)
	// retain removes a small part of what is too old.
	retain(now time.Time)
	// read calls f with a view. It gives up if that takes too long.
	read(f func(view) error) error
	close()
}

// A ref names a probe in a view.
type ref struct {
	id   uint32 // 0 if this process has not written it yet
	name string
}

// A view reads what a backend keeps. Cells that are unreadable are missing.
type view interface {
	// open returns the open cell that an earlier process left.
	open(ref) timed
	// hours returns the cells of a probe in a span of hours, and how many hours each has.
	hours(p ref, from, to int64) (cells pack, width int64)
	days(p ref, from, to int64) pack
	changes(p ref, most int) []probe.Change
	// incidents returns those that began before a time, or all if it is zero, the newest first, until one began before from.
	incidents(from, before time.Time, most int) []probe.IncidentRecord
}

// A batch is what is to be written.
type batch struct {
	probes  []snapshot
	changes []change
	lost    uint64
}

// A snapshot is the state of a probe at the time of the batch, with its sealed cells.
type snapshot struct {
	of      *state
	id      uint32
	open    timed
	last    last
	sealed  []timed
	removed bool

	written bool
	before  last // what an earlier process remembered
}

// collect takes what is to be written out of the Store: all, or only probes with a change.
func (s *Store) collect(all bool) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	cells := map[*state][]timed{}
	for _, c := range s.sealed {
		cells[c.of] = append(cells[c.of], c.timed)
	}
	b := &batch{changes: s.changes, lost: s.lost}
	s.sealed, s.changes, s.lost = nil, nil, 0
	for _, p := range s.probes {
		if !p.urgent && !(all && p.dirty) && cells[p] == nil {
			continue
		}
		p.dirty, p.urgent = false, false
		b.probes = append(b.probes, snapshot{of: p, id: p.id, open: p.open, last: p.last, sealed: cells[p], removed: p.removed})
	}
	return b
}

// write writes what there is.
func (s *Store) write(all bool) {
	b := s.collect(all)
	err := s.backend.write(b)
	lost := b.lost
	s.mu.Lock()
	for i := range b.probes {
		x := &b.probes[i]
		if x.written {
			if x.of.id == 0 {
				x.of.id = x.id
				x.of.join(x.before)
			}
			if x.removed && x.of.removed {
				delete(s.probes, x.of.identity)
			}
			continue
		}
		x.of.dirty = true
		for _, c := range x.sealed {
			if len(s.sealed) < maxSealed {
				s.sealed = append(s.sealed, sealed{x.of, c})
			} else {
				lost += c.runs()
			}
		}
	}
	if room := max(maxChanges-len(s.changes), 0); len(b.changes) > room {
		lost += uint64(len(b.changes) - room)
		b.changes = b.changes[len(b.changes)-room:]
	}
	s.changes = append(b.changes, s.changes...)
	if errors.Is(err, errDamaged) {
		for _, p := range s.probes {
			p.id, p.dirty = 0, true // the next file knows none of them
		}
	}
	s.mu.Unlock()
	if lost > 0 && s.options.Lost != nil {
		s.options.Lost(lost)
	}
	if s.options.Written != nil {
		s.options.Written(err)
	}
	if errors.Is(err, errDamaged) && s.options.Damaged != nil {
		s.options.Damaged(err)
	}
}
