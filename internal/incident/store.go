package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"prober/internal/probe"
)

// stateFormat is the version of the state. That of other versions is not read.
const stateFormat = 1

type state struct {
	Format  int                `json:"format"`
	Systems map[string]*system `json:"systems"`
}

// Load reads what an earlier process saved. Call it before the first Observe. After an error the Tracker is empty.
func (t *Tracker) Load(text []byte) error {
	var saved state
	if json.Unmarshal(text, &saved) != nil {
		return errors.New("not what prober wrote, or damaged")
	}
	if saved.Format != stateFormat {
		return fmt.Errorf("expected format %d, got %d", stateFormat, saved.Format)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, s := range saved.Systems {
		if s != nil {
			t.systems[name] = s.fillDefaults()
		}
	}
	return nil
}

// fillDefaults creates what a file edited by hand may lack, and clears what is true only of the process that wrote it.
func (s *system) fillDefaults() *system {
	if s.Versions == nil {
		s.Versions = map[string]string{}
	}
	if s.LastGoodVersions == nil {
		s.LastGoodVersions = map[string]string{}
	}
	if s.Breaches == nil {
		s.Breaches = map[string]breach{}
	}
	if i := s.Incident; i != nil {
		if i.Symptoms == nil {
			i.Symptoms = map[string]symptom{}
		}
		if i.Severity == nil {
			i.Severity = map[string]string{}
		}
		order := i.Order[:0]
		for _, p := range i.Order {
			if _, known := i.Symptoms[p]; known {
				order = append(order, p)
			}
		}
		i.Order = order
		i.LastChecked, i.PassingSince = time.Time{}, time.Time{} // unobserved until now
	}
	s.Changes = s.Changes[max(0, len(s.Changes)-maxChanges):]
	return s
}

// A Save keeps the state for Load, and the records of incidents that began or changed.
type Save func(state []byte, records []probe.IncidentRecord) error

// save saves the state.
func (t *Tracker) save(to Save) error {
	t.mu.Lock()
	text, err := json.Marshal(state{Format: stateFormat, Systems: t.systems})
	ended := t.ended
	t.ended = nil
	records := slices.Clone(ended)
	for name, s := range t.systems {
		if s.Incident != nil {
			records = append(records, t.record(name, s, s.Incident))
		}
	}
	t.mu.Unlock()
	if err == nil {
		err = to(text, records)
	}
	if err != nil {
		t.mu.Lock()
		t.ended = append(ended, t.ended...)
		t.ended = t.ended[max(0, len(t.ended)-maxEnded):]
		t.mu.Unlock()
	}
	return err
}

// maxEnded bounds the records of ended incidents that are not saved yet.
const maxEnded = 100

// record writes an incident down. The lock is held.
func (t *Tracker) record(name string, s *system, i *incident) probe.IncidentRecord {
	return probe.IncidentRecord{
		System: name, Start: i.Start, End: i.Recovered, Ongoing: len(i.Open) > 0, Severity: i.worstSeverity(), Probes: slices.Clone(i.Order), Note: t.note(name, s, i),
	}
}

// persistDelay is how long Persist waits for more changes before it writes: a wave of failures is one write.
const persistDelay = time.Second

// Persist saves the state after every change, and once more when ctx is done. It reports the result of every
// attempt. Probing never waits for the disk.
func (t *Tracker) Persist(ctx context.Context, to Save, report func(error)) {
	for {
		select {
		case <-t.changed:
			wait := time.NewTimer(persistDelay)
			select {
			case <-wait.C:
			case <-ctx.Done():
			}
			wait.Stop()
			report(t.save(to))
		case <-ctx.Done():
			report(t.save(to))
			return
		}
	}
}
