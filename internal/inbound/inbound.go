// Package inbound receives what others send to probes: the reports of jobs, the deliveries of webhooks. It is apart from the
// pages, with an address and a web configuration of its own.
//
// Each probe that is a probe.Receiver has a path that begins with its token. Everything else is answered alike, with 404 and
// after the same work, so that no path can be found by trying. What nobody could hear is remembered too: a run that misses a
// request must know whether the prober could have received it.
package inbound

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"prober/internal/memory"
	"prober/internal/probe"
)

// Options are what Receivers use and report to. All may be nil.
type Options struct {
	Memory  *memory.Budget                      // for bodies
	Counted func(outcome string)                // each request, and each connection that was refused: one of Outcomes
	Save    func(texts map[string][]byte) error // keeps texts by key for the next process; nil: nothing is kept
	Saved   func(error)                         // the outcome of each Save
}

// Receivers are the probes that receive requests. It is an http.Handler, and its methods may be called from several goroutines.
type Receivers struct {
	options Options
	wake    chan struct{} // something is to be saved

	mu    sync.RWMutex
	all   []*receiver
	gaps  gaps              // of the listener: they concern all
	kept  map[string]record // of an earlier process, by key, until the probe is configured
	began time.Time
	last  time.Time // when Run looked at the clock last; zero while it does not run
}

// A receiver is a probe with its inbox.
type receiver struct {
	*inbox
	probe   probe.Receiver
	digest  digest    // of the token
	known   bool      // the digest is that of a token
	asOf    time.Time // when the token was read last
	trouble error     // why the token cannot be used
}

// New returns Receivers without probes. What an earlier process kept, by key, is that of Options.Save.
func New(o Options, kept map[string][]byte) *Receivers {
	r := &Receivers{options: o, wake: make(chan struct{}, 1), kept: map[string]record{}, began: time.Now()}
	r.load(kept)
	return r
}

// The limits of one probe.
const (
	maxPerSecond  = 10
	maxBurst      = 100
	maxConcurrent = 16 // those that are kept waiting count
)

// SetJobs replaces the probes, and returns the jobs with their inboxes. A probe whose settings are the same keeps what it has.
func (r *Receivers) SetJobs(jobs []probe.Job) []probe.Job {
	r.mu.Lock()
	before := map[string]*receiver{}
	for _, x := range r.all {
		before[x.key+x.settings] = x
	}
	r.all = nil
	now := time.Now()
	for i := range jobs {
		p, ok := jobs[i].Probe.(probe.Receiver)
		if !ok {
			continue
		}
		key := keyOf(jobs[i].ID)
		x := &receiver{probe: p}
		if old := before[key+jobs[i].Settings]; old != nil { // its token is good until it is read again
			x.inbox, x.digest, x.known, x.asOf = old.inbox, old.digest, old.known, old.asOf
		} else {
			x.inbox = newInbox(r, key, jobs[i].Settings, now)
			if old, known := r.kept[key]; known && old.Settings == x.settings {
				x.restore(old)
			}
			x.changedNow()
		}
		delete(r.kept, key)
		delete(before, key+jobs[i].Settings)
		r.all = append(r.all, x)
		jobs[i].Inbox = func() (probe.Inbox, error) { return x.inbox, r.troubleOf(x) }
	}
	for _, x := range before { // a run that is under way hears nothing any more
		x.missed(now, now.Add(forever), whyReload)
	}
	r.readTokens(now)
	r.mu.Unlock()
	r.signal()
	return jobs
}

func (r *Receivers) troubleOf(x *receiver) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return x.trouble
}

// readTokens reads the token of each probe, which may have been replaced. The lock is held.
func (r *Receivers) readTokens(now time.Time) {
	byDigest := map[digest]*receiver{}
	for _, x := range r.all {
		token, err := readToken(x.probe.InboundToken())
		if x.trouble = err; err == nil {
			d := digestOf(token)
			if x.known && d != x.digest {
				x.missed(x.asOf, now, whyToken) // requests with the new one have been refused
			}
			x.digest, x.known, x.asOf = d, true, now
		}
		if !x.known {
			continue
		}
		if other := byDigest[x.digest]; other != nil {
			x.trouble, other.trouble = errTwice, errTwice
		} else {
			byDigest[x.digest] = x
		}
	}
	for _, x := range r.all {
		if x.trouble == errTwice {
			x.known = false // nobody knows whom a request is for
		}
		if !x.known {
			x.missed(now, now, whyToken)
		}
	}
}

// Run keeps what is received, and watches that the prober runs, until ctx ends.
func (r *Receivers) Run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	r.ticked(probe.ReadClock())
	saved := time.Now()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			r.Save()
			return
		case <-r.wake:
			r.Save()
			saved = time.Now()
			continue
		case <-tick.C:
		}
		r.ticked(r.look())
		if n%tokensEvery == 0 {
			r.mu.Lock()
			r.readTokens(time.Now())
			r.mu.Unlock()
		}
		if time.Since(saved) >= aliveEvery {
			r.Save()
			saved = time.Now()
		}
	}
}

const (
	watchEvery  = 5 * time.Second
	tokensEvery = 3 // watches
	aliveEvery  = 30 * time.Second
	maxStep     = 2 * time.Second // that the clock may be set in between, or a tick be late
	forever     = 100 * 365 * 24 * time.Hour
)

func (r *Receivers) ticked(now time.Time) {
	r.mu.Lock()
	r.last = now
	r.mu.Unlock()
}

// look watches since the last tick, and returns the time. A run that begins as soon as the prober goes on must not be sooner than the next one.
func (r *Receivers) look() time.Time {
	r.mu.RLock()
	last := r.last
	r.mu.RUnlock()
	now := probe.ReadClock()
	if !last.IsZero() {
		r.watch(last, now)
	}
	return now
}

// watch notes a gap if the prober was stopped between two times, or its clock was set.
func (r *Receivers) watch(last, now time.Time) {
	wall := now.Round(0).Sub(last.Round(0))
	switch step := probe.Step(last, now); {
	case step.Abs() > maxStep:
		from, to := last, now
		if wall < 0 {
			from, to = now, last
		}
		r.missedAll(from, to, whyClock)
	case wall > watchEvery+maxStep:
		r.missedAll(last, now, whyStopped)
	}
}

func (r *Receivers) missedAll(from, to time.Time, why string) {
	r.mu.Lock()
	r.gaps.add(from, to, why)
	r.mu.Unlock()
}

func newInbox(r *Receivers, key, settings string, now time.Time) *inbox {
	return &inbox{
		of: r, key: key, settings: settings, since: now.Round(0), changed: make(chan struct{}),
		limiter: rate.NewLimiter(maxPerSecond, maxBurst), slots: make(chan struct{}, maxConcurrent),
	}
}
