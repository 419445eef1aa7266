package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// A ProbeStatus is the current status of one probe.
type ProbeStatus struct {
	probe.ID
	RunbookURL string
	About      About
	Interval   time.Duration
	Verdict    probe.Verdict
	Reason     probe.Reason
	Check      string        // the first check with the verdict of the run
	Detail     string        // its message
	Since      time.Time     // the start of the first run in a row with this verdict; zero before the first run
	SinceExact bool          // the run before that had another verdict; otherwise it may have been so for longer
	LastRun    time.Time     // the start of the last run; zero before the first
	Latency    time.Duration // of the target, in the last run
	Limited    time.Time     // until when it does not run, because its target asked for fewer requests; zero if it does
	Overdue    bool          // the last run is too long ago to say anything about the present
	Failing    []probe.Check // the checks of the last run that did not pass, those that failed first
	TraceID    string        // sent in the exchange that the check cites
	Version    string        // of the target's software, if it reported one
	History    History       // the last runs
	Labels     map[string]string

	// Cause is the failed probe that explains why this one does not pass; zero if none does.
	Cause probe.Key

	// Dependency is the URL of the dependency that explains a failure; empty if none does.
	Dependency string

	// The maintenance window that is open now; zero if there is none.
	Maintenance Maintenance

	job *probe.Job // as configured; nil if that is not known
}

// addresses lists whom the probe asks.
func (r *ProbeStatus) addresses() []string {
	if r.job == nil {
		return nil
	}
	return r.job.Addresses()
}

// An About is what people call a probe and what is around it. Any of it may be empty.
type About struct {
	Title, Text, Impact       string
	SystemTitle, RunbookTitle string
}

func newAbout(j *probe.Job) About {
	return About{j.About.Title, j.About.Text, j.Impact(), j.AboutSystem.Title, j.AboutRunbook.Title}
}

// A Maintenance is an open maintenance window.
type Maintenance struct {
	Why   string // may be empty
	Until time.Time
}

// title is what people call the probe.
func (r *ProbeStatus) title() string { return cmp.Or(r.About.Title, r.Name) }

func (r *ProbeStatus) systemTitle() string { return cmp.Or(r.About.SystemTitle, r.System) }

func (r *ProbeStatus) runbookTitle() string { return cmp.Or(r.About.RunbookTitle, r.Runbook) }

// name is SYSTEM/NAME, after the title if there is one.
func (r *ProbeStatus) name() string {
	if r.About.Title == "" {
		return r.Key().String()
	}
	return r.About.Title + " (" + r.Key().String() + ")"
}

// A Detail is all that is known about one probe.
type Detail struct {
	ProbeStatus
	Job    *probe.Job // as configured
	Last   *RunDetail // the last run; nil before the first
	Failed *RunDetail // the last run that failed, which may be Last; nil if none did
}

// latencyLimit is the configured maximum of the probe's latency; 0 if there is none.
func (r *ProbeStatus) latencyLimit() time.Duration {
	if r.job == nil {
		return 0
	}
	return r.job.LatencyLimit()
}

// A StatusStore holds the last result of each job and a short history. It is a probe.Sink, and its methods may be called
// from several goroutines.
type StatusStore struct {
	// Since tells since when a probe has had its verdict, if that is known of runs before this process too.
	// Nil, or the zero time: since the first of the runs in a row that the store observed.
	Since func(probe.ID) probe.Since

	mu       sync.Mutex
	keys     []key // in the order of the jobs
	statuses map[key]*storedStatus
	reasons  reasonTable
	changed  chan struct{} // closed at the next change; nil if nobody waits for it
}

// A key identifies a probe across reloads. A probe that changed its type starts without history.
type key struct {
	probe.Key
	kind string
}

// A storedStatus is the part of a ProbeStatus that comes from runs; the rest comes from the job.
type storedStatus struct {
	job              *probe.Job
	runbookURL       string
	verdict          probe.Verdict
	sinceExact       bool
	reason           probe.Reason
	check, detail    string
	since, lastRun   time.Time
	latency          time.Duration
	limited          time.Time
	notPassed        []probe.Check
	traceID, version string
	runs             []packed
	last, failed     *RunDetail
}

// NewStatusStore returns a store without jobs.
func NewStatusStore() *StatusStore {
	return &StatusStore{statuses: map[key]*storedStatus{}, reasons: reasonTable{numbers: map[probe.Reason]uint8{}}}
}

// SetJobs replaces the set of jobs, in the order in which they are shown. Jobs that were there before with the same
// settings keep their status. The slice is retained and must not be changed afterwards.
func (b *StatusStore) SetJobs(jobs []probe.Job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	keys, rows := make([]key, 0, len(jobs)), make(map[key]*storedStatus, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		k := key{j.Key(), j.Type}
		h := b.statuses[k]
		if h == nil || h.job.Settings != j.Settings {
			h = &storedStatus{check: probe.RunCheck, reason: probe.NothingChecked, detail: "not run yet"}
		}
		h.runbookURL, h.job = publicURL(j.RunbookURL), j
		if rows[k] == nil {
			keys = append(keys, k)
		}
		rows[k] = h
	}
	b.keys, b.statuses = keys, rows
	b.tell()
}

// Changed returns what is closed at the next change.
func (b *StatusStore) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

// tell tells who waits that something has changed. StatusStore.mu is held.
func (b *StatusStore) tell() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Observe records the result of a run, unless its job is gone or a later run was recorded already.
func (b *StatusStore) Observe(r probe.Result) {
	why, verdict := r.Decisive(), r.Verdict()
	var x probe.Exchange
	if i := r.Evidence(why); i >= 0 {
		x = r.Exchanges[i]
	}
	story := newRunDetail(&r)
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.statuses[key{r.Key(), r.Type}]
	if h == nil || r.Started.Before(h.lastRun) {
		return
	}
	if h.lastRun.IsZero() || h.verdict != verdict {
		h.since, h.sinceExact = r.Started, !h.lastRun.IsZero()
	}
	if b.Since != nil {
		if since := b.Since(r.ID); !since.At.IsZero() {
			h.since, h.sinceExact = since.At, since.Exact
		}
	}
	h.verdict, h.reason, h.check, h.detail = verdict, why.Reason, why.Name, why.Detail
	h.lastRun, h.latency, h.notPassed = r.Started, r.Latency(), r.NotPassed()
	h.traceID, h.version = x.TraceID, x.Version
	h.runs = appended(h.runs, pack(r.Started, verdict, b.reasons.intern(why.Reason), h.latency))
	if h.last = story; verdict == probe.Fail {
		h.failed = story
	}
	b.tell()
}

// Limited records until when a probe does not run, because its target asked for fewer requests; the zero time if it does.
func (b *StatusStore) Limited(id probe.ID, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.statuses[key{id.Key(), id.Type}]; h != nil {
		h.limited = until
		b.tell()
	}
}

// Statuses returns the status of each job, in their order. A verdict that is overdue for renewal is not repeated: the
// status is inconclusive.
func (b *StatusStore) Statuses() []ProbeStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	rows, jobs, runs := make([]ProbeStatus, len(b.keys)), make([]*probe.Job, len(b.keys)), make([]*RunDetail, len(b.keys))
	for i, k := range b.keys {
		h := b.statuses[k]
		rows[i], jobs[i], runs[i] = b.status(h, now), h.job, h.last
	}
	explain(rows, jobs, runs)
	return rows
}

// Probe returns the details of one probe; false if no job has this name.
func (b *StatusStore) Probe(system, name string) (Detail, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.keys {
		if h := b.statuses[k]; k.System == system && k.Name == name {
			return Detail{ProbeStatus: b.status(h, time.Now()), Job: h.job, Last: h.last, Failed: h.failed}, true
		}
	}
	return Detail{}, false
}

// status copies the stored status as it is to be shown. StatusStore.mu is held.
func (b *StatusStore) status(h *storedStatus, now time.Time) ProbeStatus {
	row := ProbeStatus{
		ID: h.job.ID, RunbookURL: h.runbookURL, About: newAbout(h.job), Interval: h.job.Interval, Labels: h.job.Labels, job: h.job,
		Verdict: h.verdict, Reason: h.reason, Check: h.check, Detail: h.detail, Since: h.since, SinceExact: h.sinceExact,
		LastRun: h.lastRun, Latency: h.latency, Limited: h.limited, Failing: slices.Clone(h.notPassed),
		TraceID: h.traceID, Version: h.version, History: History{runs: h.runs, reasons: b.reasons.reasons},
	}
	row.Dependency = dependencyOf(&row, h.last)
	if w, until, open := h.job.Maintained(now); open {
		row.Maintenance = Maintenance{Why: w.Why, Until: until}
	}
	if due := h.due(); !due.IsZero() && now.After(due) {
		row.markOverdue(due)
	} else if now.Before(h.limited) {
		row.Detail += fmt.Sprintf("; it is not run before %s, because its target asked for fewer requests", formatDateTime(h.limited))
	}
	return row
}

// due is when the next result is overdue, allowing for one skipped start. A run that the target asked not to make is not.
func (h *storedStatus) due() time.Time {
	if h.lastRun.IsZero() || h.job.Interval <= 0 {
		return time.Time{}
	}
	last := h.lastRun
	if h.limited.After(last) {
		last = h.limited
	}
	return last.Add(2*h.job.Interval + h.job.Timeout + probe.Grace)
}

// markOverdue replaces a verdict that is out of date by inconclusive.
func (r *ProbeStatus) markOverdue(due time.Time) {
	r.Detail = fmt.Sprintf("expected a run every %s, the last one was at %s and ended with %s", probe.Duration(r.Interval), formatDateTime(r.LastRun), r.Verdict)
	r.Verdict, r.Reason, r.Check = probe.Inconclusive, probe.StaleOrCached, probe.RunCheck
	r.Overdue, r.Since, r.SinceExact, r.Failing = true, due, true, nil
}

// publicURL returns an address for a link, without its user and query. It is empty unless the address is http or https.
func publicURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return text.Link(address)
}
