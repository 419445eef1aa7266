// Package guard asks the guard in front of an analytics database whether it rejects queries that are not restricted to the
// caller's own org.
package guard

import (
	"context"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/breach"
)

// Probe sends a query that is restricted to the caller's org, its scope, and then the same query with the scope taken away in
// one way each. The guard must accept the first and reject all others, by words that only the guard has: a database that
// fails to run a query rejects it too, and guards nothing.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	URL    string         `yaml:"url" required:"true" doc:"where queries are sent; {query} in its query string stands for the query"`
	Method string         `yaml:"method" default:"POST" doc:"the HTTP method"`
	JSON   map[string]any `yaml:"json" mask:"true" doc:"what to send, as JSON; {query} in a text stands for the query"`
	Body   string         `yaml:"body" mask:"true" doc:"what to send, as text; {query} stands for the query"`

	Select    string         `yaml:"select" required:"true" doc:"what the queries select: a column with the text of the canaries, or several"`
	Table     string         `yaml:"table" required:"true" doc:"the table that they read, with the database before it or without"`
	Column    string         `yaml:"column" required:"true" doc:"the column that says whose a row is; the scope of a query is that it is the caller's org"`
	Filter    string         `yaml:"filter" doc:"a further condition of every query, such as one that finds the canaries among many rows"`
	Limit     int            `yaml:"limit" default:"20" doc:"the LIMIT of every query"`
	TimeLimit probe.Duration `yaml:"time_limit" default:"5s" doc:"the max_execution_time in the SETTINGS of every query; 0s where the server limits these queries by itself"`
	Orgs      Orgs           `yaml:"orgs" required:"true" doc:"two test orgs with a canary each: own, whose credential the probe has, and foreign"`

	Rejected  Answer        `yaml:"rejected" required:"true" doc:"the guard's rejection, by status and by words that nobody else answers"`
	Accepted  Answer        `yaml:"accepted" doc:"the answer to a query that was run; default: status 200"`
	Rows      jsonpath.Path `yaml:"rows" doc:"where the JSON of such an answer has its rows"`
	OrgOfRows jsonpath.Path `yaml:"org_of_rows" doc:"where it has the org of each row, if the queries select it: a row of any other org is a foreign row"`

	Corpus  []string          `yaml:"corpus" empty:"true" doc:"whose queries to send: classics, clickhouse, clickhouse-outbound"`
	Queries map[string]string `yaml:"queries" doc:"by name, further queries that the guard must reject; with the variables of the corpora"`
	Exempt  map[string]string `yaml:"exempt" empty:"true" doc:"by the name of a case that the guard accepts with good reason, why it does"`

	KnowsColumns bool   `yaml:"knows_columns" doc:"by your word, the guard rejects columns that it does not know in the same words; leaves out the check mistake"`
	Repeat       int    `yaml:"repeat" default:"1" doc:"how often a run sends each query; more find a guard that rejects by chance"`
	MaxRequests  int    `yaml:"max_requests" default:"250" doc:"the maximum number of requests of a run; further cases have their turn in the next runs"`
	Surface      string `yaml:"surface" default:"analytics" doc:"the label surface of breaches"`

	client *httpx.Client
	cases  []testCase // filled in
	turns  turns
}

// Orgs are the two test orgs.
type Orgs struct {
	Own     Org `yaml:"own" required:"true" doc:"the org of the probe's credential"`
	Foreign Org `yaml:"foreign" required:"true" doc:"another test org, whose rows the probe must never be shown"`
}

// An Org is a test org with a row in the table.
type Org struct {
	ID     string        `yaml:"id" required:"true" doc:"the org's value in the column"`
	Canary secret.Secret `yaml:"canary" required:"true" doc:"a text in the org's row that occurs nowhere else; at least 16 bytes"`
}

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "whether the guard in front of an analytics database rejects queries that are not restricted to the caller's org",
		Measures: []*probe.Measure{caseCount, caseGauge, fullPass, requestCount, breach.Total, breach.LastProven},
		Reasons:  []probe.Reason{unscopedAccepted, breach.LeakList, rejectedByOther, notAllAsked},
		Traits:   probe.Traits{ProvesDenial: true},
	}
}

var (
	_ probe.Addresser      = (*Probe)(nil)
	_ probe.Closer         = (*Probe)(nil)
	_ probe.Initializer    = (*Probe)(nil)
	_ probe.StatusProvoker = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	return &Probe{
		Method: "POST", Limit: 20, TimeLimit: defaultTimeLimit, Accepted: Answer{Status: httpx.Codes(200)},
		Repeat: 1, MaxRequests: 250, Surface: "analytics",
	}
}

// The checks that are no way of taking the scope away.
const (
	checkScoped  = "scoped"
	checkMistake = "mistake"
	checkQueries = "queries"
)

// Checks names what a run notes: the controls, and each way of taking the scope away.
func (p *Probe) Checks() []string {
	checks := []string{checkScoped}
	if !p.KnowsColumns {
		checks = append(checks, checkMistake)
	}
	return append(checks, checksOf(p.cases)...)
}

// Addresses lists the one URL, and where its token is fetched.
func (p *Probe) Addresses() []string {
	if fetched := p.AuthURL(); fetched != "" {
		return []string{p.URL, fetched}
	}
	return []string{p.URL}
}

// ExpectedStatuses lists the statuses of rejections.
func (p *Probe) ExpectedStatuses() map[string][]int {
	codes := drop.If(p.Rejected.Status.Codes(), func(code int) bool { return code < 400 })
	return map[string][]int{"": codes}
}

// InitialSamples lists the counter of breaches, at 0, and the times of the last proof and of the last full pass.
func (p *Probe) InitialSamples() []probe.Sample {
	return append(breach.Initial(p.Surface), probe.Sample{Measure: fullPass})
}

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (p *Probe) Close() { p.client.Close() }

// Ask sends the controls, the cases whose turn it is, and the first control once more.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	run := &run{p: p, result: r}
	if !run.readCanaries() {
		return
	}
	run.ask(ctx)
	run.report()
}
