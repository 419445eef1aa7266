package web

import (
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// A Row is what is known of one probe now.
type Row struct {
	probe.ID
	RunbookURL string
	Interval   time.Duration
	Verdict    probe.Verdict
	Reason     probe.Reason
	Check      string        // the check that makes the verdict what it is
	Detail     string        // its sentence
	Since      time.Time     // the start of the first run with this verdict of the runs since it last was another; zero before the first run
	LastRun    time.Time     // the start of the last run; zero before the first
	Latency    time.Duration // the target's part of the last run
	Overdue    bool          // no run was seen for so long that what was seen last says nothing of now
	Failing    []probe.Check // the checks of the last run that did not pass
	TraceID    string        // sent in the exchange that the check rests on
	Version    string        // of the target's software, if it gave one
	History    History       // the last runs

	// The time in which people are to leave the system alone; zero if there is none now.
	Maintenance Maintenance
}

// A Maintenance is a window that is open now.
type Maintenance struct {
	Why   string // may be empty
	Until time.Time
}

// A Detail is all that is known of one probe.
type Detail struct {
	Row
	Job    *probe.Job // as configured
	Last   *Story     // of the last run; nil before the first
	Failed *Story     // of the last run that failed, which may be the last; nil if none did
}

// A Board holds the last result of each job and a little of those before. It is a probe.Sink, and its methods may be called from several goroutines.
type Board struct {
	mu    sync.Mutex
	keys  []key // in the order of the jobs
	rows  map[key]*held
	words lexicon
}

// key tells probes apart. A probe that changed its type asks something else, so what the old one saw is not kept.
type key struct{ system, name, kind string }

// held is a row as far as it does not follow from the job.
type held struct {
	Row
	job          *probe.Job
	last, failed *Story
}

// NewBoard returns a Board without jobs.
func NewBoard() *Board {
	return &Board{rows: map[key]*held{}, words: lexicon{numbers: map[probe.Reason]uint8{}}}
}

// SetJobs makes the board show these jobs, in this order. What is known of those that it showed already, with the same settings, is kept; what
// is known of others is dropped. The slice is kept and must not be changed afterwards.
func (b *Board) SetJobs(jobs []probe.Job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	keys, rows := make([]key, 0, len(jobs)), make(map[key]*held, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		k := key{j.System, j.Name, j.Type}
		h := b.rows[k]
		if h == nil || h.job.Settings != j.Settings {
			h = &held{Row: Row{Check: probe.RunCheck, Reason: probe.NothingChecked, Detail: "not run yet"}}
		}
		h.ID, h.RunbookURL, h.Interval, h.job = j.ID, link(j.RunbookURL), j.Interval, j
		if rows[k] == nil {
			keys = append(keys, k)
		}
		rows[k] = h
	}
	b.keys, b.rows = keys, rows
}

// Observe notes the result of a run, unless its job is gone or a later run of it was seen.
func (b *Board) Observe(r probe.Result) {
	why, verdict := r.Decisive(), r.Verdict()
	var x probe.Exchange
	if i := r.Evidence(why); i >= 0 {
		x = r.Exchanges[i]
	}
	var failing []probe.Check
	for _, c := range r.Checks {
		if c.Verdict != probe.Pass {
			failing = append(failing, c)
		}
	}
	story := tell(&r)
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.rows[key{r.System, r.Name, r.Type}]
	if h == nil || r.Started.Before(h.LastRun) {
		return
	}
	if h.LastRun.IsZero() || h.Verdict != verdict {
		h.Since = r.Started
	}
	h.Verdict, h.Reason, h.Check, h.Detail = verdict, why.Reason, why.Name, why.Detail
	h.LastRun, h.Latency, h.Failing = r.Started, r.Latency(), failing
	h.TraceID, h.Version = x.TraceID, x.Version
	h.History.add(pack(r.Started, verdict, b.words.intern(why.Reason), h.Latency))
	if h.last = story; verdict == probe.Fail {
		h.failed = story
	}
}

// Rows returns a row for each job, in their order. A verdict that should have been renewed long ago is not repeated:
// such a row is inconclusive.
func (b *Board) Rows() []Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	rows := make([]Row, len(b.keys))
	for i, k := range b.keys {
		rows[i] = b.row(b.rows[k], now)
	}
	return rows
}

// Probe returns what is known of one probe; false if no job has this name.
func (b *Board) Probe(system, name string) (Detail, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.keys {
		if h := b.rows[k]; k.system == system && k.name == name {
			return Detail{Row: b.row(h, time.Now()), Job: h.job, Last: h.last, Failed: h.failed}, true
		}
	}
	return Detail{}, false
}

// row copies what is held as it is to be shown. Board.mu is held.
func (b *Board) row(h *held, now time.Time) Row {
	row := h.Row
	row.Failing = slices.Clone(h.Failing)
	row.History.reasons = b.words.reasons
	if w, until, open := h.job.Maintained(now); open {
		row.Maintenance = Maintenance{Why: w.Why, Until: until}
	}
	if due := h.due(); !due.IsZero() && now.After(due) {
		row.age(due)
	}
	return row
}

// due is when the next result should have come at the latest, if one start is skipped.
func (h *held) due() time.Time {
	if h.LastRun.IsZero() || h.Interval <= 0 {
		return time.Time{}
	}
	return h.LastRun.Add(2*h.Interval + h.job.Timeout + probe.Grace)
}

// age makes a row of what was true once one that does not claim to know what is true now.
func (r *Row) age(due time.Time) {
	r.Detail = fmt.Sprintf("wanted a run every %s, the last one was at %s and said %s", probe.Duration(r.Interval), clock(r.LastRun), r.Verdict)
	r.Verdict, r.Reason, r.Check = probe.Inconclusive, probe.StaleOrCached, probe.RunCheck
	r.Overdue, r.Since, r.Failing = true, due, nil
}

// link is an address that a page may lead to, without its user and query; "" if it is no page on the web.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return text.Link(address)
}
