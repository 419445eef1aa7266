package public

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/probe"
)

// now is when the tests happen.
var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// hidden are words that only operators may see: names of systems and probes, reasons, addresses, versions.
var hidden = []string{"internal-shop", "probe-", "tcp_refused", "10.1.2.3", "v1.2.3", "runbook", "P1"}

// A world is what a Site is told.
type world struct {
	page        *probe.PublicPage
	runs        map[string]probe.LastRun // by name of the probe
	days        []probe.Day
	incidents   []probe.IncidentRecord
	err         error // of the history
	noIncidents error // of the incidents alone
	asked       atomic.Int64
	wrong       map[string]error
}

func id(name string) probe.ID {
	return probe.ID{System: "internal-shop", Name: "probe-" + name, Type: "http", Runbook: "runbook", Severity: "P1"}
}

// newWorld has a component for each name, whose probe has just passed.
func newWorld(t testing.TB, names ...string) *world {
	w := &world{page: &probe.PublicPage{Title: "The shop", Text: "Whether it works.", URL: "https://status.shop.example/"}, runs: map[string]probe.LastRun{}, wrong: map[string]error{}}
	for i, name := range names {
		w.page.Components = append(w.page.Components, probe.Component{Name: strings.ToUpper(name[:1]) + name[1:], Group: []string{"", "Accounts"}[i%2], Probes: []probe.ID{id(name)}})
		w.run(name, probe.Pass)
	}
	w.page.Notices = filepath.Join(t.TempDir(), "notices.yaml")
	write(t, w.page.Notices, "")
	for day := range shownDays {
		d := probe.Day{Start: now.Truncate(24*time.Hour).AddDate(0, 0, day-shownDays+1), Uptime: probe.Uptime{Span: 24 * time.Hour, Known: 24 * time.Hour, Passed: 24 * time.Hour}}
		switch day {
		case 3:
			d.Passed -= 2 * time.Hour
		case 4:
			d.Known, d.Passed = 0, 0
		case 5:
			d.Known, d.Passed = 12*time.Hour, 12*time.Hour
		case shownDays - 1:
			d.Span, d.Known, d.Passed = 12*time.Hour, 12*time.Hour, 12*time.Hour
		}
		w.days = append(w.days, d)
	}
	return w
}

// run is the last run of a probe.
func (w *world) run(name string, v probe.Verdict) {
	w.runs["probe-"+name] = probe.LastRun{
		At: now.Add(-20 * time.Second), Verdict: v, Interval: 30 * time.Second, Since: probe.Since{At: now.Add(-39 * time.Minute), Exact: true},
	}
}

// incident adds an incident of some probes.
func (w *world) incident(start, end time.Time, names ...string) {
	r := probe.IncidentRecord{System: "internal-shop", Start: start, End: end, Ongoing: end.IsZero(), Severity: "P1", Note: "tcp_refused by 10.1.2.3, version v1.2.3"}
	for _, name := range names {
		r.Probes = append(r.Probes, "probe-"+name)
	}
	w.incidents = append(w.incidents, r)
	slices.SortStableFunc(w.incidents, func(a, b probe.IncidentRecord) int { return b.Start.Compare(a.Start) })
}

func (w *world) site() *Site {
	return New(Options{
		Page: func() *probe.PublicPage { return w.page },
		LastRuns: func(ids []probe.ID) (all []probe.LastRun) {
			w.asked.Add(1)
			for _, id := range ids {
				all = append(all, w.runs[id.Name])
			}
			return all
		},
		Joint: func(groups [][]probe.ID, ago, days int) (all [][]probe.Day, err error) {
			for range groups {
				all = append(all, w.days[len(w.days)-ago-days:len(w.days)-ago])
			}
			return all, w.err
		},
		Incidents: func(before time.Time) (all []probe.IncidentRecord, err error) {
			for _, r := range w.incidents {
				if before.IsZero() || r.Start.Before(before) {
					all = append(all, r)
				}
			}
			return all[:min(len(all), 30)], cmp.Or(w.err, w.noIncidents)
		},
		Report: func(part string, err error) { w.wrong[part] = err },
	})
}

// look is what the page shows now.
func (w *world) look() *view { return w.site().look(w.page, now) }

// texts are all documents, by name.
func (v *view) texts() map[string]string {
	all := map[string]string{}
	for _, d := range v.documents() {
		text, _ := io.ReadAll(d.open())
		all[d.name] = string(text)
	}
	return all
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// contains fails for each part that a text lacks.
func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("lacks %q:\n%.3000s", part, text)
		}
	}
}
