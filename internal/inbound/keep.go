package inbound

import (
	"encoding/json"
	"time"

	"prober/internal/probe"
)

// KeyPrefix begins the key of each text that is kept. The text of the prefix itself is that of the listener.
const KeyPrefix = "inbound/"

func keyOf(id probe.ID) string { return KeyPrefix + id.System + "\x00" + id.Name + "\x00" + id.Type }

// A record is the saved state of a probe or, with the last time at which the prober is known to have listened, of the listener.
type record struct {
	Settings string           `json:"settings,omitempty"`
	Since    time.Time        `json:"since,omitzero"`
	Alive    time.Time        `json:"alive,omitzero"`
	Gaps     []probe.InboxGap `json:"gaps,omitempty"`
	Document []byte           `json:"document,omitempty"`
}

// load reads what an earlier process kept. What cannot be read is not known.
func (r *Receivers) load(kept map[string][]byte) {
	for key, text := range kept {
		var x record
		if json.Unmarshal(text, &x) != nil {
			continue
		}
		if key != KeyPrefix {
			r.kept[key] = x
			continue
		}
		r.gaps = x.Gaps
		if from, to := x.Alive, r.began; !from.After(to) {
			r.gaps.add(from, to, whyDown)
		} else {
			r.gaps.add(to, from, whyClock) // it was set back meanwhile
		}
	}
	if _, known := kept[KeyPrefix]; !known {
		clear(r.kept) // since when nobody listened is not known
	}
}

func (b *inbox) restore(x record) {
	b.since, b.gaps, b.state.Document = x.Since, x.Gaps, x.Document
}

// saveTimeout is how long a request waits until what it changed is kept. If the prober is killed before that, it knows from its
// last save on that it may have missed something.
const saveTimeout = time.Second

// changedNow notes that the inbox, whose lock is held, is not as it was saved.
func (b *inbox) changedNow() {
	if b.unsaved == nil {
		b.unsaved = make(chan struct{})
	}
}

func (r *Receivers) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// await waits until the inbox is kept as it is now, as long as a request may wait for it.
func (b *inbox) await() {
	if b.of.options.Save == nil {
		return
	}
	b.mu.Lock()
	saved := b.unsaved
	if saved == nil {
		saved = b.saving
	}
	b.mu.Unlock()
	if saved == nil {
		return
	}
	limit := time.NewTimer(saveTimeout)
	defer limit.Stop()
	select {
	case <-saved:
	case <-limit.C:
	}
}

// Save keeps what changed. Run does so; it is for a prober that ends.
func (r *Receivers) Save() {
	if r.options.Save == nil {
		return
	}
	texts := map[string][]byte{}
	var saved []*inbox
	now := time.Now()
	r.mu.RLock()
	own, _ := json.Marshal(record{Alive: now, Gaps: r.gaps})
	for _, x := range r.all {
		if text := x.take(); text != nil {
			texts[x.key], saved = text, append(saved, x.inbox)
		}
	}
	for key := range r.kept {
		texts[key] = nil // no longer configured
	}
	r.mu.RUnlock()
	texts[KeyPrefix] = own
	err := r.options.Save(texts)
	for _, b := range saved {
		b.took(err)
	}
	if err == nil {
		r.mu.Lock()
		clear(r.kept)
		r.mu.Unlock()
	}
	if r.options.Saved != nil {
		r.options.Saved(err)
	}
}

// take returns the text of an inbox that is to be saved; nil if it is saved already.
func (b *inbox) take() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unsaved == nil {
		return nil
	}
	b.saving, b.unsaved = b.unsaved, nil
	x := record{Settings: b.settings, Since: b.since, Gaps: b.gaps}
	if len(b.state.Document) <= probe.MaxInboxDocument {
		x.Document = b.state.Document
	}
	text, _ := json.Marshal(x)
	return text
}

// took is told of the outcome of a save. Nobody waits for another one: the disk may be stuck for long.
func (b *inbox) took(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.saving)
	b.saving = nil
	if err != nil {
		b.changedNow()
	}
}

// Lost marks everything as not saved: what Options.Save wrote to is gone.
func (r *Receivers) Lost() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, x := range r.all {
		x.mu.Lock()
		x.changedNow()
		x.mu.Unlock()
	}
	r.signal()
}
