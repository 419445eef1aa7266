package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"prober/internal/probe"
)

// tell answers 200 if all is well and 503 with the reason if not.
func tell(ask func() error, state string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if why := reasonOf(ask); why != "" {
			http.Error(w, "prober is not "+state+": "+why, http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "prober is %s\n", state)
	}
}

func (s *site) reload(w http.ResponseWriter, r *http.Request) {
	if s.Reload == nil {
		http.Error(w, "reloading over HTTP is not enabled; SIGHUP does it", http.StatusForbidden)
		return
	}
	if err := s.Reload(r.Context()); err != nil {
		http.Error(w, "not reloaded, the configuration before keeps running:\n"+lines(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "reloaded")
}

// document serves what write returns.
func document(kind string, write func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body := write()
		w.Header().Set("Content-Type", kind)
		w.Write(body)
	}
}

// incident serves the note as text: it is there to be copied into a ticket.
func (s *site) incident(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	io.WriteString(w, lines(s.Incident(r.URL.Query().Get("system"))))
}

// jsonStatus is the answer of /api/v1/status. Fields are added to it, never renamed. Times are RFC 3339 in UTC.
type jsonStatus struct {
	Version string      `json:"version,omitempty"`
	Time    time.Time   `json:"time"`
	Summary jsonSummary `json:"summary"`
	Probes  []jsonRow   `json:"probes"`
}

type jsonSummary struct {
	Pass         int `json:"pass"`
	Fail         int `json:"fail"`
	Inconclusive int `json:"inconclusive"`
}

type jsonRow struct {
	System     string        `json:"system"`
	Name       string        `json:"name"`
	Type       string        `json:"type"`
	Runbook    string        `json:"runbook,omitempty"`
	RunbookURL string        `json:"runbook_url,omitempty"`
	Severity   string        `json:"severity,omitempty"`
	Verdict    probe.Verdict `json:"verdict"`
	Reason     probe.Reason  `json:"reason"`
	Check      string        `json:"check"`
	Detail     string        `json:"detail"`
	Since      time.Time     `json:"since,omitzero"`
	LastRun    time.Time     `json:"last_run,omitzero"`
	Interval   float64       `json:"interval_seconds"`
	Latency    float64       `json:"latency_seconds"`
	Overdue    bool          `json:"overdue"`
	TraceID    string        `json:"trace_id,omitempty"`
	Version    string        `json:"version,omitempty"`
	Failing    []jsonCheck   `json:"failing"`
}

type jsonCheck struct {
	Name    string        `json:"name"`
	Target  string        `json:"target,omitempty"`
	Verdict probe.Verdict `json:"verdict"`
	Reason  probe.Reason  `json:"reason"`
	Detail  string        `json:"detail"`
}

func (s *site) status(w http.ResponseWriter, _ *http.Request) {
	rows := s.rows()
	out := jsonStatus{Version: s.Version, Time: utc(time.Now()), Summary: count(rows), Probes: make([]jsonRow, 0, len(rows))}
	for _, row := range rows {
		out.Probes = append(out.Probes, jsonOf(row))
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, "the status cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
}

func jsonOf(row Row) jsonRow {
	out := jsonRow{
		System: row.System, Name: row.Name, Type: row.Type, Runbook: row.Runbook, RunbookURL: row.RunbookURL, Severity: row.Severity,
		Verdict: row.Verdict, Reason: row.Reason, Check: row.Check, Detail: row.Detail,
		Since: utc(row.Since), LastRun: utc(row.LastRun), Interval: row.Interval.Seconds(), Latency: row.Latency.Seconds(),
		Overdue: row.Overdue, TraceID: row.TraceID, Version: row.Version, Failing: make([]jsonCheck, 0, len(row.Failing)),
	}
	for _, c := range row.Failing {
		out.Failing = append(out.Failing, jsonCheck(c))
	}
	return out
}

func count(rows []Row) jsonSummary {
	var n jsonSummary
	for _, row := range rows {
		switch row.Verdict {
		case probe.Pass:
			n.Pass++
		case probe.Fail:
			n.Fail++
		default:
			n.Inconclusive++
		}
	}
	return n
}

// reasonOf is the error as text, or empty; a question that nobody handed over has no complaint.
func reasonOf(ask func() error) string {
	if ask == nil {
		return ""
	}
	if err := ask(); err != nil {
		return lines(err.Error())
	}
	return ""
}

// lines drops the control characters of a text, other than line ends.
func lines(text string) string {
	return strings.Map(func(c rune) rune {
		if c != '\n' && (c < ' ' || (0x7f <= c && c < 0xa0)) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// utc is the time as JSON shows it, to the millisecond; no time stays none.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}
