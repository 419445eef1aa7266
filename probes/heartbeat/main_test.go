package heartbeat

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/inbound"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

const token = "k7Qz0vB2mXw9rT4yLp6sNd"

// A world is a probe with its listener. Its time is that of a bubble.
type world struct {
	t         *testing.T
	settings  Probe
	receivers *inbound.Receivers
	job       probe.Job
	kept      map[string][]byte // what a disk has
	kill      func()            // ends the prober, which saves nothing any more
	timeout   time.Duration
}

// inWorld plays a story in a bubble, with a probe that has been listened for since now.
func inWorld(t *testing.T, settings Probe, story func(w *world)) {
	t.Helper()
	t.Setenv("HEARTBEAT_TOKEN", token)
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, settings: settings, kept: map[string][]byte{}, timeout: time.Second}
		w.begin()
		story(w)
		w.kill()
	})
}

// begin starts a prober, which has what an earlier one kept.
func (w *world) begin() {
	w.t.Helper()
	if w.kill != nil {
		w.kill()
	}
	kept := map[string][]byte{}
	for key, text := range w.kept {
		kept[key] = bytes.Clone(text)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.receivers = inbound.New(inbound.Options{Save: func(texts map[string][]byte) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for key, text := range texts {
			w.kept[key] = bytes.Clone(text)
		}
		return nil
	}}, kept)
	w.reload()
	var running sync.WaitGroup
	running.Go(func() { w.receivers.Run(ctx) })
	w.kill = func() { cancel(); running.Wait() }
}

// reload reads the configuration again.
func (w *world) reload() {
	w.t.Helper()
	p := New()
	grace, zone := p.Grace, p.TimeZone
	*p = w.settings
	p.Token = secret.Env("HEARTBEAT_TOKEN")
	if p.Grace == 0 {
		p.Grace = grace
	}
	if p.TimeZone == "" {
		p.TimeZone = zone
	}
	if err := p.Validate(); err != nil {
		w.t.Fatal(err)
	}
	w.job = w.receivers.SetJobs([]probe.Job{{
		ID: probe.ID{System: "s", Name: "backup", Type: "heartbeat"}, Kind: Kind(), Probe: p, Settings: "same", Timeout: w.timeout,
	}})[0]
}

// run probes once, and returns the verdict and the reasons.
func (w *world) run() probe.Result {
	w.t.Helper()
	r := w.job.Do(w.t.Context())
	if err := errors.Join(w.job.Kind.Undeclared(r), r.Repeats()); err != nil {
		w.t.Error(err)
	}
	return r
}

// wants runs the probe. A check is written with its reason, as in on_time=late; those that pass are left out, and pass is none.
func (w *world) wants(want string) {
	w.t.Helper()
	r := w.run()
	var got []string
	for _, c := range r.Checks {
		if c.Verdict != probe.Pass {
			got = append(got, c.Name+"="+c.Reason.Word)
		}
	}
	slices.Sort(got)
	text := strings.Join(got, " ")
	if text == "" {
		text = r.Verdict().String()
	}
	if text != want {
		w.t.Errorf("expected %s, got\n%s", want, probetest.Lines(r))
	}
}

// passes runs the probe, which must pass by these checks and no other.
func (w *world) passes(checks string) {
	w.t.Helper()
	r := w.run()
	var got []string
	for _, c := range r.Checks {
		got = append(got, c.Name)
	}
	if text := strings.Join(got, " "); text != checks || r.Verdict() != probe.Pass {
		w.t.Errorf("expected a pass by %s, got\n%s", checks, probetest.Lines(r))
	}
}

// report sends a report, to which the prober must answer with a status.
func (w *world) report(method, path string, status int) {
	w.t.Helper()
	out := httptest.NewRecorder()
	w.receivers.ServeHTTP(out, httptest.NewRequest(method, "/"+token+path, strings.NewReader("all went well")))
	if out.Code != status {
		w.t.Errorf("%s %s: expected status %d, got %d", method, path, status, out.Code)
	}
}

func (w *world) post(path string) {
	w.t.Helper()
	w.report("POST", path, 200)
}

func wait(d time.Duration) { time.Sleep(d) }

func every(d time.Duration) Probe {
	return Probe{Period: probe.Duration(d), Grace: probe.Duration(10 * time.Minute)}
}

func length(d time.Duration) *probe.Duration {
	out := probe.Duration(d)
	return &out
}
