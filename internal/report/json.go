package report

import (
	"bytes"
	"encoding/json"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// The types below are the schema of the format json. Fields are added to it, never renamed or removed. Times are
// RFC 3339 in UTC, fields that end in _seconds are seconds, and verdicts are pass, fail or inconclusive. A missing
// field is unknown: an exchange without a status got no response.

// jsonReport is the document.
type jsonReport struct {
	Schema  int           `json:"schema"` // 1; it increases if a field ever changes its meaning
	Version string        `json:"prober_version,omitempty"`
	Verdict probe.Verdict `json:"verdict"`
	Reason  string        `json:"reason,omitempty"` // why nothing ran, or why it ended early
	Started time.Time     `json:"started,omitzero"`
	Ended   time.Time     `json:"ended,omitzero"`
	Rounds  int           `json:"rounds"`                 // how often the probes ran
	Repeat  int           `json:"repeat,omitempty"`       // how many runs were requested
	Clean   int           `json:"clean,omitempty"`        // of these, the runs in which every probe passed
	Held    float64       `json:"held_seconds,omitempty"` // how long all kept passing
	Summary jsonSummary   `json:"summary"`
	Probes  []jsonProbe   `json:"probes"` // in the order of the configuration
}

type jsonSummary struct {
	Probes       int           `json:"probes"`
	Pass         int           `json:"pass"`
	Fail         int           `json:"fail"`
	Inconclusive int           `json:"inconclusive"`
	NotRun       int           `json:"not_run"` // of the inconclusive
	Verdict      probe.Verdict `json:"verdict"`
	Text         string        `json:"text"` // the sentence
}

type jsonProbe struct {
	System     string            `json:"system"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Runbook    string            `json:"runbook,omitempty"`
	RunbookURL string            `json:"runbook_url,omitempty"`
	Severity   string            `json:"severity,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Ran        bool              `json:"ran"`
	Verdict    probe.Verdict     `json:"verdict"`
	Check      string            `json:"check"`  // the first check with the verdict of the run
	Reason     probe.Reason      `json:"reason"` // its reason
	Detail     string            `json:"detail"` // its sentence
	Started    time.Time         `json:"started,omitzero"`
	Took       float64           `json:"took_seconds"`    // the whole run
	Latency    float64           `json:"latency_seconds"` // the target's part of it: the slowest exchange
	Checks     []probe.Check     `json:"checks"`
	Exchanges  []jsonExchange    `json:"exchanges"`
	Measures   []jsonMeasure     `json:"measures,omitempty"`
}

type jsonExchange struct {
	Check         string       `json:"check"`
	Target        string       `json:"target,omitempty"`
	Method        string       `json:"method"`
	URL           string       `json:"url"` // scheme, host and path
	Address       string       `json:"address,omitempty"`
	Denied        string       `json:"denied,omitempty"` // the class of an address that was not dialled
	Protocol      string       `json:"protocol,omitempty"`
	Status        int          `json:"status,omitempty"`
	Expected      bool         `json:"expected"` // the probe causes the status on purpose
	Reason        probe.Reason `json:"reason"`
	Started       time.Time    `json:"started,omitzero"`
	Took          float64      `json:"took_seconds"`
	Phases        []jsonPhase  `json:"phases"` // those that happened
	Bytes         int64        `json:"bytes"`
	Connections   int          `json:"connections"`
	TraceID       string       `json:"trace_id,omitempty"`
	TargetTraceID string       `json:"target_trace_id,omitempty"`
	Version       string       `json:"version,omitempty"`
	CertExpiry    time.Time    `json:"certificate_expiry,omitzero"`
}

type jsonPhase struct {
	Name string  `json:"name"`
	Took float64 `json:"took_seconds"`
}

type jsonMeasure struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"`
}

func writeJSON(b *bytes.Buffer, r Report) error {
	entries := r.entries()
	t := r.totals(entries)
	out := jsonReport{
		Schema: 1, Version: text.Line(r.Version), Verdict: t.verdict, Reason: text.Line(r.Reason),
		Started: text.UTC(r.Started), Ended: text.UTC(r.Ended),
		Rounds: r.Rounds, Repeat: r.Repeat, Clean: r.Clean, Held: r.Held.Seconds(),
		Summary: jsonSummary{
			Probes: t.all, Pass: t.pass, Fail: t.fail, Inconclusive: t.inconclusive, NotRun: t.notRun,
			Verdict: t.verdict, Text: r.Summary(),
		},
		Probes: make([]jsonProbe, len(entries)),
	}
	for i, e := range entries {
		out.Probes[i] = jsonOf(e)
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false) // people read it too, and "<redacted>" should stay readable
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func jsonOf(e entry) jsonProbe {
	p := jsonProbe{
		System: e.System, Name: e.Name, Type: e.Type, Runbook: e.Runbook, RunbookURL: e.RunbookURL, Severity: e.Severity,
		Labels: e.Labels, Ran: e.ran, Verdict: e.verdict, Check: e.decisive.Name, Reason: e.decisive.Reason, Detail: e.decisive.Detail,
		Started: text.UTC(e.result.Started), Took: e.result.Took.Seconds(), Latency: e.result.Latency().Seconds(),
		Checks: append([]probe.Check{}, e.result.Checks...), Exchanges: []jsonExchange{},
	}
	for _, x := range e.result.Exchanges {
		p.Exchanges = append(p.Exchanges, jsonExchangeOf(x))
	}
	for _, s := range e.result.Samples {
		m := jsonMeasure{Name: s.Name, Value: s.Value}
		for i, label := range s.Labels {
			if m.Labels == nil {
				m.Labels = map[string]string{}
			}
			m.Labels[label] = text.Line(s.Values[i])
		}
		p.Measures = append(p.Measures, m)
	}
	return p
}

func jsonExchangeOf(x probe.Exchange) jsonExchange {
	out := jsonExchange{
		Check: x.Check, Target: x.Target, Method: x.Method, URL: x.URL, Address: x.Addr, Denied: x.Denied, Protocol: x.Proto,
		Status: x.Status, Expected: x.Expected, Reason: x.Reason, Started: text.UTC(x.Started), Took: x.Took.Seconds(),
		Phases: []jsonPhase{}, Bytes: x.Bytes, Connections: x.Connections,
		TraceID: x.TraceID, TargetTraceID: x.TargetTraceID, Version: x.Version, CertExpiry: text.UTC(x.CertExpiry),
	}
	for _, phase := range x.Phases {
		out.Phases = append(out.Phases, jsonPhase{Name: phase.Name, Took: phase.Took.Seconds()})
	}
	return out
}
