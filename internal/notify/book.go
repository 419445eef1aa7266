// Package notify tells people of alerts without Prometheus: it sends them to Alertmanagers and to a webhook.
//
// Runs never wait for it. A Book keeps which alerts there are; each receiver has a goroutine of its own that sends them, in bounded
// requests, and tries again later if the receiver does not take them.
package notify

import (
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/sorted"
)

const (
	keepEnded   = 15 * time.Minute // an alert that ended, so that receivers that were away hear of it
	maxOutage   = time.Hour        // a saved state that is older is not taken up
	maxUnknown  = 15 * time.Minute // after a start, until what is about no single probe is decided by those that ran
	maxAlerts   = 20_000           // more than that are not kept
	bookFormat  = 1
	maxAnnotate = 4000 // bytes of an annotation
)

// An Alert is one that people are told of.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Probe       probe.Key         `json:"probe,omitzero"`   // that it is about, if it is about one
	Reason      string            `json:"reason,omitempty"` // of the first check that did not pass
	Started     time.Time         `json:"started,omitzero"`
	Ended       time.Time         `json:"ended,omitzero"` // zero while it lasts
}

// An entry is an alert, or one that waits to become one.
type entry struct {
	Alert
	Since time.Time `json:"since"`          // when its condition began to hold
	Until time.Time `json:"until,omitzero"` // until when it lasts though this process does not know why

	Dependent bool `json:"dependent,omitempty"` // a dependency of the probe that fails ends it

	restored bool // it was saved by an earlier process, and has not held since
}

// A Book keeps which alerts there are. Its methods may be called from several goroutines.
type Book struct {
	changed *broadcast // a begun or ended alert
	dirty   chan struct{}

	mu      sync.Mutex
	entries map[string]*entry // by labels
	sent    map[string]Alert  // by labels: as the webhook took them last
	loaded  time.Time
}

// NewBook returns an empty Book.
func NewBook() *Book {
	return &Book{changed: newBroadcast(), dirty: make(chan struct{}, 1), entries: map[string]*entry{}, sent: map[string]Alert{}}
}

// A saved is the state of a Book.
type saved struct {
	Format  int              `json:"format"`
	Saved   time.Time        `json:"saved"`
	Entries []*entry         `json:"alerts"`
	Sent    map[string]Alert `json:"sent,omitempty"`
}

// Load takes up what an earlier process saved. Call it before the first Update. After an error the Book is empty.
func (b *Book) Load(text []byte, now time.Time) error {
	var was saved
	if json.Unmarshal(text, &was) != nil || was.Format != bookFormat {
		return errors.New("not the alerts that prober saved, or damaged")
	}
	if age := now.Sub(was.Saved); age > maxOutage || age < 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loaded = now
	maps.Copy(b.sent, was.Sent)
	for _, e := range was.Entries {
		if e != nil && len(b.entries) < maxAlerts {
			e.restored = true
			b.entries[identity(e.Labels)] = e
		}
	}
	return nil
}

// Save returns what Load takes up.
func (b *Book) Save(now time.Time) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := saved{Format: bookFormat, Saved: now, Sent: b.sent}
	for _, id := range sorted.Keys(b.entries) {
		out.Entries = append(out.Entries, b.entries[id])
	}
	return json.Marshal(out)
}

// Update notes the alerts whose condition holds. Of a probe that is configured and has not run yet nothing is decided: its
// alerts stay as they were saved, unless something silences them.
func (b *Book) Update(now time.Time, holding []probe.Alert, watches map[probe.Key]probe.Watch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	holds, told, noted := map[string]bool{}, false, false
	for _, a := range holding {
		id := identity(a.Labels)
		holds[id] = true
		e := b.entries[id]
		if e == nil && len(b.entries) >= maxAlerts {
			continue
		}
		if e == nil || !e.Ended.IsZero() {
			e = &entry{Alert: Alert{Labels: a.Labels, Probe: a.Probe}, Since: now}
			b.entries[id], noted = e, true
		}
		e.Annotations, e.Reason = redacted(a.Annotations), a.Reason
		if e.Started.IsZero() && now.Sub(e.Since) >= a.Wait {
			e.Started, told = e.Since.Add(a.Wait), true
		}
		e.Until, e.Dependent, e.restored = a.Until, a.Dependent, false
	}
	for id, e := range b.entries {
		silent := e.isSilent(watches)
		switch {
		case holds[id]:
		case !silent && e.lasts(now, watches):
			if !e.Ended.IsZero() { // what silenced it is over
				e.Started, e.Ended, told = now, time.Time{}, true
			}
		case !silent && b.isUnknown(e, watches, now):
		case e.Started.IsZero():
			delete(b.entries, id)
			noted = true
		case e.Ended.IsZero():
			e.Ended, told = now, true
			if !silent {
				e.Until = time.Time{}
			}
		case now.Sub(e.Ended) > keepEnded && !now.Before(e.Until):
			delete(b.entries, id)
			noted = true
		}
	}
	if told {
		b.changed.signal()
	}
	if told || noted {
		b.markDirty()
	}
}

// markDirty says that there is something to save.
func (b *Book) markDirty() {
	select {
	case b.dirty <- struct{}{}:
	default:
	}
}

// lasts reports whether an alert goes on though nobody in this process knows why: what it is about was seen once.
func (e *entry) lasts(now time.Time, watches map[probe.Key]probe.Watch) bool {
	_, configured := watches[e.Probe]
	return e.restored && configured && now.Before(e.Until)
}

// isSilent reports whether the alert must not be heard, whatever its condition: the probe is worked on, or all that it may be
// about are, or what it depends on fails.
func (e *entry) isSilent(watches map[probe.Key]probe.Watch) bool {
	if w, configured := watches[e.Probe]; configured {
		return w.Maintained || e.Dependent && w.DependencyFails
	}
	system, any := e.Labels["system"], false
	for k, w := range watches {
		if k.System != system {
			continue
		}
		if !w.Maintained {
			return false
		}
		any = true
	}
	return any
}

// isUnknown reports whether nothing is known yet of what a saved alert is about.
func (b *Book) isUnknown(e *entry, watches map[probe.Key]probe.Watch, now time.Time) bool {
	if b.loaded.IsZero() || !e.Ended.IsZero() {
		return false
	}
	if e.Probe != (probe.Key{}) {
		w, configured := watches[e.Probe]
		return configured && !w.Ran
	}
	for _, w := range watches {
		if !w.Ran {
			return now.Sub(b.loaded) < maxUnknown
		}
	}
	return false
}

// Told returns the alerts that people are to know of: those that last, and those that ended a short time ago. They are in the
// order of their start.
func (b *Book) Told() (all []Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := sorted.Keys(b.entries)
	for _, id := range ids {
		if e := b.entries[id]; !e.Started.IsZero() {
			all = append(all, e.Alert)
		}
	}
	return all
}

// Changed receives whenever an alert began or ended since the last time that it received. Each caller has its own.
func (b *Book) Changed() <-chan struct{} { return b.changed.subscribe() }

// identity is the same for equal labels only.
func identity(labels map[string]string) string {
	var b strings.Builder
	for _, name := range sorted.Keys(labels) {
		b.WriteString(name + "=" + strconv.Quote(labels[name]) + ",")
	}
	return b.String()
}

// redacted are annotations without secrets that became known later than the text, and bounded.
func redacted(annotations map[string]string) map[string]string {
	out := make(map[string]string, len(annotations))
	for name, text := range annotations {
		text = secret.Redact(text)
		out[name] = strings.ToValidUTF8(text[:min(len(text), maxAnnotate)], "")
	}
	return out
}

// A broadcast wakes all who wait.
type broadcast struct {
	mu  sync.Mutex
	all []chan struct{}
}

func newBroadcast() *broadcast { return &broadcast{} }

func (b *broadcast) subscribe() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan struct{}, 1)
	b.all = append(b.all, c)
	return c
}

func (b *broadcast) signal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
