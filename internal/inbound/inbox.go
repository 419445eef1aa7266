package inbound

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"prober/internal/probe"
)

// An inbox is a probe.Inbox.
type inbox struct {
	of            *Receivers
	key, settings string
	limiter       *rate.Limiter
	slots         chan struct{}

	mu      sync.Mutex
	state   probe.InboxState
	since   time.Time
	gaps    gaps          // of this probe alone
	refused []time.Time   // the latest requests without the listener's password
	changed chan struct{} // closed at the next change
	unsaved chan struct{} // closed once the state is saved; nil if it is
	saving  chan struct{} // closed once the running save ends; nil without one
}

func (b *inbox) Update(change func(*probe.InboxState)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.state.Document
	change(&b.state)
	close(b.changed)
	b.changed = make(chan struct{})
	if !bytes.Equal(before, b.state.Document) {
		b.changedNow()
		b.of.signal()
	}
}

func (b *inbox) Wait(ctx context.Context, done func(*probe.InboxState) bool) error {
	for {
		b.mu.Lock()
		held, changed := done(&b.state), b.changed
		b.mu.Unlock()
		if held {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *inbox) Since() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since
}

func (b *inbox) Unauthorized(from time.Time) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, at := range b.refused {
		if at.After(from) {
			n++
		}
	}
	return n
}

func (b *inbox) Gap(from, to time.Time) (probe.InboxGap, bool) {
	b.of.look()
	b.of.mu.RLock()
	all := slices.Clone(b.of.gaps)
	b.of.mu.RUnlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	all = append(all, b.gaps...)
	var found probe.InboxGap
	from = from.Round(0)
	if from.Before(b.since) {
		from = b.since
	}
	for _, g := range all {
		if !to.Before(from) && !g.To.Before(from) && !g.From.After(to) && !g.To.Before(found.To) {
			found = g
		}
	}
	return found, found.Why != ""
}

// missed notes that a request to this probe may have come in vain.
func (b *inbox) missed(from, to time.Time, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gaps.add(from, to, why)
	b.changedNow()
}

// Why requests may have come in vain.
const (
	whyDown    = "the prober did not run"
	whyStopped = "the prober was stopped"
	whyClock   = probe.ClockSet
	whyLoad    = "the listener was overloaded"
	whyRate    = "more requests came than a probe may have"
	whyToken   = "the token could not be used"
	whyReload  = "the settings of the probe were changed"
	whyPanic   = "the prober failed on a request"

	ByConfiguration = "the listener's own configuration refused" // or its certificate was of no use
)

// gaps are times in which requests may have come in vain, the oldest first.
type gaps []probe.InboxGap

const (
	maxGaps = 64
	nearGap = time.Minute // gaps that are nearer are one: it is better to know too little than to blame
)

func (g *gaps) add(from, to time.Time, why string) {
	from, to = from.Round(0), to.Round(0)
	if n := len(*g); n > 0 {
		last := &(*g)[n-1]
		if last.Why == why && !from.Before(last.From) && from.Sub(last.To) <= nearGap {
			if to.After(last.To) {
				last.To = to
			}
			return
		}
	}
	*g = append(*g, probe.InboxGap{From: from, To: to, Why: why})
	if len(*g) > maxGaps { // the two oldest become one
		first, second := (*g)[0], (*g)[1]
		if first.From.Before(second.From) {
			second.From = first.From
		}
		if first.To.After(second.To) {
			second.To = first.To
		}
		*g = slices.Clone((*g)[1:])
		(*g)[0] = second
	}
}
