package notify

import (
	"time"

	"prober/internal/sorted"
)

// unsent compares the alerts with those that the webhook knows. Began are those that it is to be told of, and ended those that it
// has to learn the end of, or that came and went while it was away.
func (b *Book) unsent(now time.Time) (began, ended []Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range sorted.Keys(b.entries) {
		e := b.entries[id]
		was, known := b.sent[id]
		known = known && was.Started.Equal(e.Started)
		switch {
		case e.Started.IsZero():
		case e.Ended.IsZero() && !(known && was.Ended.IsZero()):
			began = append(began, e.Alert)
		case !e.Ended.IsZero() && !(known && !was.Ended.IsZero()):
			ended = append(ended, e.Alert)
		}
	}
	for _, id := range sorted.Keys(b.sent) {
		was, e := b.sent[id], b.entries[id]
		switch {
		case e != nil && !e.Started.IsZero():
		case was.Ended.IsZero(): // it ended, and may be waiting to begin again
			was.Ended = now
			ended = append(ended, was)
		case e == nil:
			delete(b.sent, id)
		}
	}
	return began, ended
}

// noteSent notes that the webhook took alerts.
func (b *Book) noteSent(all []Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range all {
		b.sent[identity(a.Labels)] = a
	}
	b.markDirty()
}
