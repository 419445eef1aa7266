package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/text"
)

// jsonStatus is the response of /api/v1/status. Fields are added to it, never renamed. Times are RFC 3339 in UTC.
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
	Title      string        `json:"title,omitempty"`
	Impact     string        `json:"impact,omitempty"`
	Runbook    string        `json:"runbook,omitempty"`
	RunbookURL string        `json:"runbook_url,omitempty"`
	Severity   string        `json:"severity,omitempty"`
	Verdict    probe.Verdict `json:"verdict"`
	Reason     probe.Reason  `json:"reason"`
	Check      string        `json:"check"`
	Detail     string        `json:"detail"`
	Since      time.Time     `json:"since,omitzero"`
	SinceExact bool          `json:"since_exact,omitempty"` // the run before had another verdict; otherwise it may have been so for longer
	LastRun    time.Time     `json:"last_run,omitzero"`
	Interval   float64       `json:"interval_seconds"`
	Latency    float64       `json:"latency_seconds"`
	Overdue    bool          `json:"overdue"`
	TraceID    string        `json:"trace_id,omitempty"`
	Version    string        `json:"version,omitempty"`
	Failing    []probe.Check `json:"failing"`
	Cause      string        `json:"explained_by,omitempty"` // SYSTEM/NAME of the failed probe that explains this one

	NextRun     time.Time        `json:"next_run,omitzero"`
	Limited     time.Time        `json:"rate_limited_until,omitzero"`
	Maintenance *jsonMaintenance `json:"maintenance,omitempty"`
	Recent      []jsonRun        `json:"recent,omitempty"` // the oldest first
}

type jsonMaintenance struct {
	Why   string    `json:"why,omitempty"`
	Until time.Time `json:"until"`
}

type jsonRun struct {
	Started time.Time     `json:"started"`
	Verdict probe.Verdict `json:"verdict"`
	Reason  probe.Reason  `json:"reason"`
	Latency float64       `json:"latency_seconds"`
}

// status writes the response probe by probe: for ten thousand probes it is some 30 MB, too much to buffer. The query may
// select a system, and recent=0 leaves out the history.
func (s *server) status(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	rows := s.statuses()
	if system := query.Get("system"); system != "" {
		rows = drop.If(rows, func(row ProbeStatus) bool { return row.System != system })
		if len(rows) == 0 { // an empty list would read as if nothing failed
			http.Error(w, noSuchSystem, http.StatusNotFound)
			return
		}
	}
	var head bytes.Buffer
	write := json.NewEncoder(&head).Encode
	err := write(jsonStatus{Version: s.Version, Time: text.UTC(time.Now()), Summary: count(rows), Probes: []jsonRow{}})
	if err != nil {
		http.Error(w, "the status cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 32<<10)
	out.Write(bytes.TrimSuffix(head.Bytes(), []byte("]}\n")))
	for i := range rows {
		row := s.jsonOf(&rows[i], query.Get("recent") != "0")
		body, err := json.Marshal(row)
		if err != nil {
			panic(http.ErrAbortHandler) // the response has started, and must not look complete
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(body)
	}
	out.WriteString("]}\n")
	out.Flush()
}

func (s *server) jsonOf(row *ProbeStatus, recent bool) jsonRow {
	out := jsonRow{
		System: row.System, Name: row.Name, Type: row.Type, Title: row.About.Title, Impact: row.About.Impact, Runbook: row.Runbook, RunbookURL: row.RunbookURL, Severity: row.Severity,
		Verdict: row.Verdict, Reason: row.Reason, Check: row.Check, Detail: row.Detail,
		Since: text.UTC(row.Since), SinceExact: row.SinceExact, LastRun: text.UTC(row.LastRun), Interval: row.Interval.Seconds(), Latency: row.Latency.Seconds(),
		Overdue: row.Overdue, TraceID: row.TraceID, Version: row.Version, Failing: append([]probe.Check{}, row.Failing...),
		NextRun: text.UTC(s.next(row.ID)), Limited: text.UTC(row.Limited),
	}
	if row.Cause != (probe.Key{}) {
		out.Cause = row.Cause.String()
	}
	if !row.Maintenance.Until.IsZero() {
		out.Maintenance = &jsonMaintenance{Why: row.Maintenance.Why, Until: text.UTC(row.Maintenance.Until)}
	}
	if recent {
		for _, run := range row.History.Runs() {
			out.Recent = append(out.Recent, jsonRun{Started: text.UTC(run.Started), Verdict: run.Verdict, Reason: run.Reason, Latency: run.Latency.Seconds()})
		}
	}
	return out
}

func count(rows []ProbeStatus) jsonSummary {
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
