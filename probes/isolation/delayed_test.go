package isolation

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/canary"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A worker does later what an API denied.
type worker struct {
	mu   sync.Mutex
	jobs []func()
}

func (w *worker) later(job func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(w.jobs, job)
}

func (w *worker) work() {
	w.mu.Lock()
	jobs := w.jobs
	w.jobs = nil
	w.mu.Unlock()
	for _, job := range jobs {
		job()
	}
}

// TestDelayed: what another org requested and a worker does only after the run is found by the next run. Then nothing is
// left over.
func TestDelayed(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct {
		op   string
		does func(api *notesAPI, q *apiRequest) func()
		want string
	}{
		"nothing":  {"delete", func(*notesAPI, *apiRequest) func() { return func() {} }, "pass"},
		"a delete": {"delete", func(api *notesAPI, q *apiRequest) func() { return func() { api.remove(q.id) } }, "isolated@notes/delete fail(foreign_delete)"},
		"an update": {"update", func(api *notesAPI, q *apiRequest) func() {
			var sent struct{ Text string }
			decode(q, &sent)
			return func() {
				api.mu.Lock()
				defer api.mu.Unlock()
				if i := api.index(q.id); i >= 0 {
					api.notes[i].Text = sent.Text
				}
			}
		}, "isolated@notes/update fail(foreign_write)"},
		"an update that hides the object": {"update", func(api *notesAPI, q *apiRequest) func() { return func() { api.remove(q.id) } }, "isolated@notes/delete fail(foreign_delete)"},
	} {
		t.Run(name, func(t *testing.T) {
			api, later := newNotesAPI("header"), worker{}
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if q.op == c.op && q.foreign() && q.namesOwnOrg() {
					later.later(c.does(api, q))
				}
				next(w, q.Request)
			}
			job := newJob(t, api.start(t))
			repeater := job.Probe.(probe.Repeater)
			repeater.Repeat()
			first := ask(t, job)
			expectDecisive(t, first, "pass")
			if got := len(api.list()); got != 4 || measuredValue(first, "probe_isolation_orphaned_canaries") != 0 {
				t.Errorf("expected a canary and a twin of each org between the runs, and no orphans, got %d and %g", got, measuredValue(first, "probe_isolation_orphaned_canaries"))
			}
			later.work()
			second := ask(t, job)
			expectDecisive(t, second, c.want)
			if c.want != "pass" {
				surface := c.want[strings.Index(c.want, "@")+1 : strings.Index(c.want, " ")]
				if got := measuredValue(second, "probe_isolation_breach_total", surface); got != 1 {
					t.Errorf("the counter of breaches grew by %g, expected 1", got)
				}
			}
			if got := measuredValue(second, "probe_isolation_orphaned_canaries"); got != 0 {
				t.Errorf("expected no orphans, got %g", got)
			}
			later.work()
			closeProbe(t, job)
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
			third := ask(t, job)
			if left := api.list(); len(left) > 0 || third.Verdict() == probe.Inconclusive {
				t.Errorf("expected no notes after a run of a closed probe, got %d\n%s", len(left), probetest.Lines(third))
			}
		})
	}
}

// createsLater has what an org creates in another denied, and done by a worker.
func createsLater(api *notesAPI, later *worker) {
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op != "create" || !q.namesOwnOrg() {
			next(w, q.Request)
			return
		}
		var sent struct {
			Text string
			Org  string `json:"org_id"`
		}
		decode(q, &sent)
		if sent.Org != "" && sent.Org != q.org {
			later.later(func() { api.add(sent.Org, "by-worker-"+sent.Text, sent.Text) })
			reply(w, 403, `{"error":"org"}`)
			return
		}
		api.add(q.org, q.org+"-"+sent.Text, sent.Text)
		reply(w, 201, `{"id":"`+q.org+`-`+sent.Text+`"}`)
	}
}

// TestDelayed_create: what a worker creates in another org after the run is found in its list, and deleted.
func TestDelayed_create(t *testing.T) {
	for name, change := range map[string][2]string{"": {}, "without reads": {`read:   "/notes/{id}"`, ""}} {
		t.Run(name, func(t *testing.T) {
			api, later := newNotesAPI("header"), worker{}
			createsLater(api, &later)
			job := newJob(t, strings.Replace(api.start(t), change[0], change[1], 1))
			job.Probe.(probe.Repeater).Repeat()
			expectDecisive(t, ask(t, job), "pass")
			later.work()
			expectDecisive(t, ask(t, job), "isolated@notes/create fail(foreign_write)")
			closeProbe(t, job)
			if got := len(api.list()); got != 0 {
				t.Errorf("expected no notes, got %d", got)
			}
		})
	}
}

// TestDelayed_restart: so it is by a prober that was restarted since, and knows nothing of the run. What an earlier run left
// in its own org is nobody's deed.
func TestDelayed_restart(t *testing.T) {
	testenv.WithoutRace(t)
	api, later := newNotesAPI("header"), worker{}
	createsLater(api, &later)
	text := api.start(t)
	expectDecisive(t, ask(t, newJob(t, text)), "pass")
	own := canary.MintBy("red", "here", time.Now().Add(-time.Hour))
	api.add("red", "red-own", own)
	both := canary.Mint("here", time.Now().Add(-time.Hour)) // as each org creates one with the text of another's
	api.add("red", "red-both", both)
	api.add("blue", "blue-both", both)
	expectDecisive(t, ask(t, newJob(t, text)), "pass")
	later.work()
	r := ask(t, newJob(t, text))
	expectDecisive(t, r, "isolated@notes/create fail(foreign_write)")
	if got := r.Decisive().Detail; !strings.Contains(got, "in an earlier run") {
		t.Errorf("got %s", got)
	}
	later.work() // of that run
	expectDecisive(t, ask(t, newJob(t, text)), "isolated@notes/create fail(foreign_write)")
	expectDecisive(t, ask(t, newJob(t, text)), "pass")
	if got := len(api.list()); got != 0 {
		t.Errorf("expected no notes, got %d", got)
	}
	api.add("red", "anonymous", canary.MintBy(nobody, "here", time.Now()))
	expectDecisive(t, ask(t, newJob(t, text)), "authenticated@notes/create fail(auth_bypass)")
	// A list that shows both orgs what one wrote is a leak, and no write.
	api.add("red", "red-again", canary.MintBy("red", "here", time.Now().Add(-time.Hour)))
	inner := api.intercept
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op == "list" && q.namesOwnOrg() {
			api.serve(w, q, anyNote)
			return
		}
		inner(w, q, next)
	}
	r = ask(t, newJob(t, text))
	expectDecisive(t, r, "isolated@notes/list fail(leak_list)")
	if got := probetest.Lines(r); strings.Contains(got, "foreign_write") {
		t.Errorf("got\n%s", got)
	}
}

// TestDelayed_innocent: that what a run left is not shown any more is nobody's deed if its twin is not shown either.
func TestDelayed_innocent(t *testing.T) {
	testenv.Slow(t, "it waits for what never shows")
	testenv.Slow(t, "it runs the probe twice for each way to go blind")
	for name, blind := range testenv.Sample(blindness, 8) {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("token")
			var broken atomic.Bool
			var n atomic.Int64
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if !broken.Load() || q.op == "whoami" || !blind(api, w, q, n.Add(1)) {
					next(w, q.Request)
				}
			}
			job := newJob(t, api.start(t))
			job.Probe.(probe.Repeater).Repeat()
			expectDecisive(t, ask(t, job), "pass")
			broken.Store(true)
			if r := ask(t, job); r.Verdict() == probe.Fail {
				t.Errorf("got\n%s", probetest.Lines(r))
			}
			broken.Store(false)
			third := ask(t, job)
			expectDecisive(t, third, "pass")
			closeProbe(t, job)
			// What a blind store denied having when it was deleted is found by its name, and deleted once it is old.
			if got := measuredValue(third, "probe_isolation_orphaned_canaries"); got != float64(len(api.list())) {
				t.Errorf("reported %g orphans, and %d notes are left", got, len(api.list()))
			}
		})
	}
}

// TestDelayed_withinRun: a deletion that takes effect before the run ends is found by that run.
func TestDelayed_withinRun(t *testing.T) {
	testenv.WithoutRace(t)
	api, later := newNotesAPI("header"), worker{}
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.op == "delete" && q.foreign() && q.namesOwnOrg() {
			later.later(func() { api.remove(q.id) })
		}
		if q.op == "delete" && q.org == "" {
			later.work()
		}
		next(w, q.Request)
	}
	r := api.runProbe(t)
	if r.Verdict() != probe.Fail || measuredValue(r, "probe_isolation_breach_total", "notes/delete") != 1 {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
}

// closeProbe closes the probe of a job, and returns how long that took.
func closeProbe(t *testing.T, job probe.Job) (took time.Duration) {
	t.Helper()
	inMemory(t, func(ctx context.Context) {
		began := time.Now()
		job.Probe.(*Probe).close(ctx)
		took = time.Since(began)
	})
	return took
}

// TestDelayed_stop: a run that is stopped leaves nothing, also of the run before.
func TestDelayed_stop(t *testing.T) {
	api := newNotesAPI("header")
	job := newJob(t, api.start(t))
	job.Probe.(probe.Repeater).Repeat()
	expectDecisive(t, ask(t, job), "pass")
	took := closeProbe(t, job)
	if left := api.list(); len(left) > 0 {
		t.Errorf("expected no notes, got %d", len(left))
	}
	if took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}
