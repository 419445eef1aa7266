// Package history remembers how probes did: counts of their verdicts and latencies by the hour and by the day, every change of a
// verdict, and incidents. It is kept in a file or, without one, for two days in memory.
//
// Runs never wait for it. Observe only counts in memory, and one goroutine writes from there. A disk that is slow or full
// costs history, which is counted and logged, and nothing else.
package history

import (
	"context"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// How often the Store writes, and what it holds until then.
const (
	writeEvery     = time.Minute     // all counts
	changeDelay    = 2 * time.Second // changes, and the counts of their probes
	maxSealed      = 20_000          // cells of hours that are over
	sealedSoon     = 1000            // so many are written soon: at the turn of an hour, those of all probes would take memory
	maxChanges     = 4096
	changesPerHour = 20 // of one probe
	maxDetail      = 200
)

// minGap is how long a probe may be without a run before it is unknown whether its verdict stayed the same.
const minGap = 10 * time.Minute

const hourMs = int64(time.Hour / time.Millisecond)

// A Store remembers the past of all probes. It is a probe.Sink, and its methods may be called from several goroutines.
type Store struct {
	options Options
	now     func() time.Time
	wake    chan struct{}

	mu      sync.Mutex
	probes  map[identity]*state
	sealed  []sealed
	changes []change
	lost    uint64 // runs and changes, since the last write
	backend backend
}

// Options are what a Store reports to. All may be nil.
type Options struct {
	Lost    func(n uint64)  // runs and changes that the history lost
	Written func(err error) // the outcome of each write
	Damaged func(err error) // the file had to be set aside while in use: what SaveState wrote is gone with it
}

// An identity is what a history belongs to. A probe that changed its kind starts without one.
type identity struct {
	probe.Key
	kind string
}

func identityOf(id probe.ID) identity { return identity{id.Key(), id.Type} }

// name is the identity in the file.
func (i identity) name() string { return i.System + "\x00" + i.Name + "\x00" + i.kind }

// A state is what is in memory of a probe: its current hour, and its last run.
type state struct {
	identity
	id       uint32 // in the file; 0 before it is known
	interval time.Duration
	open     timed // the current hour
	last     last
	dirty    bool // not written yet
	urgent   bool // nor is a change
	removed  bool // no longer configured
	changes  struct {
		hour int64
		n    int
	}
}

// A last is the last run of a probe.
type last struct {
	seen, since int64 // when it and the first one in a row with its verdict started, in ms since 1970; 0 without a run
	exact       bool  // the run before had another verdict
	verdict     probe.Verdict
	reason      string
}

// A sealed cell is an hour that is over and not written yet.
type sealed struct {
	of *state
	timed
}

// A change is a probe.Change that is not written yet.
type change struct {
	of *state
	probe.Change
}

// NewInMemory returns a Store without a file. It remembers two days, within 8 MiB: with many probes, by several hours.
func NewInMemory(o Options) *Store { return newStore(newMemory(), o) }

func newStore(b backend, o Options) *Store {
	return &Store{options: o, now: time.Now, wake: make(chan struct{}, 1), probes: map[identity]*state{}, backend: b}
}

// SetJobs replaces the set of probes. What is remembered of others stays until it is too old.
func (s *Store) SetJobs(jobs []probe.Job) {
	s.mu.Lock()
	configured := make(map[identity]bool, len(jobs))
	var added []*state
	for _, j := range jobs {
		key := identityOf(j.ID)
		configured[key] = true
		p := s.probes[key]
		if p == nil {
			p = &state{identity: key}
			s.probes[key], added = p, append(added, p)
		}
		p.interval, p.removed = j.Interval, false
	}
	for key, p := range s.probes {
		if !configured[key] && !p.removed {
			p.removed = true
			s.seal(p)
		}
	}
	s.mu.Unlock()
	lasts, err := s.backend.lasts(added)
	if err != nil {
		return // they begin without a past; it is joined to them by the first write that succeeds
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range added {
		p.join(lasts[i])
	}
}

// Observe counts a run.
func (s *Store) Observe(r probe.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.probes[identityOf(r.ID)]
	if p == nil || p.removed {
		return
	}
	verdict, why, at := r.Verdict(), r.Decisive(), max(r.Started.UnixMilli(), 0)
	if from, to := p.standing(at); to > from {
		s.stand(p, from, to)
	}
	hour := at / hourMs
	s.cell(p, hour).add(verdict, r.Latency())
	p.dirty = true
	if p.observe(r.Started, verdict, why.Reason.Word) && p.mayNoteChange(hour) {
		if len(s.changes) >= maxChanges {
			s.lost++
			return
		}
		s.changes = append(s.changes, change{p, probe.Change{
			At: r.Started, Verdict: verdict, Reason: why.Reason.Word, Detail: text.Cut(text.Line(why.Detail), maxDetail),
		}})
		p.urgent = true
		s.signal()
	}
}

// standing returns for how long the verdict of the last run stands at a time: until the next run, if that is not late.
func (p *state) standing(now int64) (from, to int64) {
	if p.last.seen == 0 {
		return 0, 0
	}
	return p.last.seen, min(now, p.last.seen+p.interval.Milliseconds()*3/2)
}

// stand adds the time of the last verdict to the hours in which it stood.
func (s *Store) stand(p *state, from, to int64) {
	for from < to {
		end := min(to, (from/hourMs+1)*hourMs)
		s.cell(p, from/hourMs).stand(p.last.verdict, end-from)
		from = end
	}
}

// cell returns the open cell of a probe, which is of that hour.
func (s *Store) cell(p *state, hour int64) *cell {
	if p.open.at != hour {
		s.seal(p)
		p.open.at = hour
	}
	return &p.open.cell
}

// seal puts the open cell of a probe aside, to be written.
func (s *Store) seal(p *state) {
	if !p.open.isEmpty() {
		if len(s.sealed) >= maxSealed {
			s.lost += s.sealed[0].runs()
			s.sealed = s.sealed[1:]
		}
		if s.sealed = append(s.sealed, sealed{p, p.open}); len(s.sealed)%sealedSoon == 0 {
			s.signal()
		}
	}
	p.open, p.dirty = timed{}, true
}

// mayNoteChange bounds the changes of one probe.
func (p *state) mayNoteChange(hour int64) bool {
	if p.changes.hour != hour {
		p.changes.hour, p.changes.n = hour, 0
	}
	p.changes.n++
	return p.changes.n <= changesPerHour
}

// observe notes the last run, and reports whether its verdict or reason is another than that of the run before.
func (p *state) observe(at time.Time, v probe.Verdict, reason string) (changed bool) {
	ms, was := at.UnixMilli(), p.last
	gap := time.Duration(ms-was.seen) * time.Millisecond
	known := was.seen != 0 && gap <= max(minGap, 3*p.interval)
	p.last.seen, p.last.verdict, p.last.reason = ms, v, reason
	if !known || v != was.verdict || ms < was.since {
		p.last.since, p.last.exact = ms, known && v != was.verdict
	}
	return was.seen == 0 || v != was.verdict || reason != was.reason
}

// join continues what an earlier process remembered of the probe.
func (p *state) join(before last) {
	if before.seen == 0 {
		return
	}
	if p.last.seen == 0 {
		p.last = before
		return
	}
	first := time.UnixMilli(p.last.since)
	if gap := first.Sub(time.UnixMilli(before.seen)); !p.last.exact && gap >= 0 && gap <= max(minGap, 3*p.interval) {
		if p.last.exact = true; p.last.verdict == before.verdict {
			p.last.since, p.last.exact = before.since, before.exact
		}
	}
}

// Since returns since when a probe has the verdict of its last run.
func (s *Store) Since(id probe.ID) probe.Since {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.probes[identityOf(id)]
	if p == nil || p.last.since == 0 {
		return probe.Since{}
	}
	return probe.Since{At: time.UnixMilli(p.last.since), Exact: p.last.exact}
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run writes until ctx is done, and once more then.
func (s *Store) Run(ctx context.Context) {
	all := time.NewTicker(writeEvery)
	defer all.Stop()
	for {
		select {
		case <-all.C:
			s.write(true)
			s.backend.retain(s.now())
		case <-s.wake:
			wait := time.NewTimer(changeDelay)
			select {
			case <-wait.C:
				s.write(false)
			case <-ctx.Done():
			}
			wait.Stop()
		case <-ctx.Done():
			s.write(true)
			return
		}
	}
}

// SaveState keeps a text for the next process, and the records of incidents.
func (s *Store) SaveState(state []byte, incidents []probe.IncidentRecord) error {
	return s.backend.saveState(state, incidents)
}

// SaveTexts keeps texts by their key for the next process, all or none. One that is nil is forgotten.
func (s *Store) SaveTexts(texts map[string][]byte) error { return s.backend.saveTexts(texts) }

// Texts returns what SaveTexts kept under the keys that begin with prefix.
func (s *Store) Texts(prefix string) (map[string][]byte, error) { return s.backend.texts(prefix) }

// Keys of texts.
const (
	alertsKey  = "alerts"
	targetsKey = "targets"
)

// SaveAlerts keeps the state of alerts for the next process.
func (s *Store) SaveAlerts(state []byte) error { return s.saveText(alertsKey, state) }

// Alerts returns what SaveAlerts kept; nil if nothing is.
func (s *Store) Alerts() ([]byte, error) { return s.text(alertsKey) }

// SaveTargets keeps the lists of targets for the next process.
func (s *Store) SaveTargets(state []byte) error { return s.saveText(targetsKey, state) }

// Targets returns what SaveTargets kept; nil if nothing is.
func (s *Store) Targets() ([]byte, error) { return s.text(targetsKey) }

func (s *Store) saveText(key string, state []byte) error {
	return s.SaveTexts(map[string][]byte{key: state})
}

func (s *Store) text(key string) ([]byte, error) {
	texts, err := s.Texts(key)
	return texts[key], err
}

// Close releases the file. Run must have returned.
func (s *Store) Close() { s.backend.close() }
