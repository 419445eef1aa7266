package guard

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes/internal/expect"
)

const defaultTimeLimit = probe.Duration(5 * time.Second)

// Bounds of the settings.
const (
	controls     = 3 // the scoped query twice, and the one with a mistake
	maxLimit     = 1000
	maxTimeLimit = time.Minute
	maxRepeat    = 20
	maxRequests  = 1000
	maxQueries   = 100
)

var (
	tablePattern  = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*$`)
	columnPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	idPattern     = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,128}$`)
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	client, err := p.Settings.Client(strings.ReplaceAll(p.URL, variable, "x"))
	p.client = client
	wrong := []error{err, p.validateRequest(), p.validateQuery(), p.validateOrgs(), p.validateBounds(), p.validateCases()}
	return errors.Join(append(wrong, p.validateAnswers())...)
}

// validateRequest checks that a request has the query in it, once.
func (p *Probe) validateRequest() error {
	wrong := []error{probe.InSetting("method", httpx.ValidateMethod(p.Method))}
	if p.URL == "" {
		return errors.Join(append(wrong, probe.Settingf("url", "is missing"))...)
	}
	path, query, _ := strings.Cut(p.URL, "?")
	if strings.Contains(path, variable) {
		wrong = append(wrong, probe.Settingf("url", "{query} can stand behind the ? only"))
	}
	if p.JSON != nil && p.Body != "" {
		wrong = append(wrong, probe.Settingf("body", "json says already what to send; only one of the two can be set"))
	}
	object, _ := json.Marshal(p.JSON) // what was read from YAML can be encoded
	if n := strings.Count(query, variable) + strings.Count(string(object), variable) + strings.Count(p.Body, variable); n != 1 {
		wrong = append(wrong, probe.Settingf("", "expected {query} once, in json, in body or behind the ? of url, got it %s", text.Plural(n, "time", "times")))
	}
	return errors.Join(wrong...)
}

// validateQuery checks the parts that the queries are made of. Neither may end the query or hide a part of it.
func (p *Probe) validateQuery() error {
	var wrong []error
	if !tablePattern.MatchString(p.Table) {
		wrong = append(wrong, probe.Settingf("table", "expected a name of letters, digits and _, with the name of a database and a dot before it or without"))
	}
	if !columnPattern.MatchString(p.Column) {
		wrong = append(wrong, probe.Settingf("column", "expected a name of letters, digits and _"))
	}
	for key, part := range map[string]string{"select": p.Select, "filter": p.Filter} {
		if strings.ContainsAny(part, ";{}\n") || strings.Contains(part, "--") || strings.Contains(part, "/*") {
			wrong = append(wrong, probe.Settingf(key, "expected a part of a query without ; { } comments and line breaks"))
		}
	}
	if p.Select == "" {
		wrong = append(wrong, probe.Settingf("select", "is missing"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateOrgs() error {
	var wrong []error
	for key, org := range map[string]Org{"orgs.own": p.Orgs.Own, "orgs.foreign": p.Orgs.Foreign} {
		if !idPattern.MatchString(org.ID) {
			wrong = append(wrong, probe.Settingf(key+".id", "expected letters, digits and any of _.:@-, at most 128"))
		}
	}
	if strings.EqualFold(p.Orgs.Own.ID, p.Orgs.Foreign.ID) {
		wrong = append(wrong, probe.Settingf("orgs.foreign.id", "is that of own: an org is not kept apart from itself"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateBounds() error {
	var wrong []error
	if p.Limit < 1 || p.Limit > maxLimit {
		wrong = append(wrong, probe.Settingf("limit", "expected 1 to %d, got %d", maxLimit, p.Limit))
	}
	if d := p.TimeLimit.D(); d < 0 || d > maxTimeLimit || d%time.Second != 0 {
		wrong = append(wrong, probe.Settingf("time_limit", "expected whole seconds up to %s, or 0s where the server limits the queries by itself, got %s", probe.Duration(maxTimeLimit), p.TimeLimit))
	}
	if p.Repeat < 1 || p.Repeat > maxRepeat {
		wrong = append(wrong, probe.Settingf("repeat", "expected 1 to %d, got %d", maxRepeat, p.Repeat))
	}
	if least := controls + max(1, p.Repeat); p.MaxRequests < least || p.MaxRequests > maxRequests {
		wrong = append(wrong, probe.Settingf("max_requests", "expected %d to %d, got %d", least, maxRequests, p.MaxRequests))
	}
	return errors.Join(append(wrong, probe.InSetting("surface", probe.ValidateName(p.Surface)))...)
}

// validateCases gathers the cases and checks what the settings say of them.
func (p *Probe) validateCases() error {
	var wrong []error
	p.cases = nil
	for i, name := range p.Corpus {
		all := corpus(name)
		switch {
		case all == nil:
			wrong = append(wrong, probe.Settingf("corpus", "expected %s, got %q", strings.Join(corpusNames, ", "), name))
		case slices.Contains(p.Corpus[:i], name):
			wrong = append(wrong, probe.Settingf("corpus", "%s is there twice", name))
		}
		p.cases = append(p.cases, all...)
	}
	if len(p.Queries) > maxQueries {
		wrong = append(wrong, probe.Settingf("queries", "expected at most %d, got %d", maxQueries, len(p.Queries)))
	}
	for _, name := range sorted.Keys(p.Queries) {
		at := "queries." + name
		wrong = append(wrong, probe.InSetting(at, probe.ValidateName(name)), p.validateOwnQuery(at, p.Queries[name]))
		if slices.ContainsFunc(p.cases, func(c testCase) bool { return c.name == name }) {
			wrong = append(wrong, probe.Settingf(at, "is the name of a case of the corpora"))
		}
		p.cases = append(p.cases, testCase{checkQueries, name, p.Queries[name]})
	}
	for _, name := range sorted.Keys(p.Exempt) {
		switch {
		case p.Exempt[name] == "":
			wrong = append(wrong, probe.Settingf("exempt."+name, "expected why the guard accepts it"))
		case !slices.ContainsFunc(p.cases, func(c testCase) bool { return c.name == name }):
			wrong = append(wrong, probe.Settingf("exempt."+name, "is no case of the corpora"))
		}
	}
	p.cases = drop.If(p.cases, func(c testCase) bool { return p.Exempt[c.name] != "" })
	if len(p.cases) == 0 {
		wrong = append(wrong, probe.Settingf("", "expected corpus or queries: a guard that is asked nothing rejects everything"))
	}
	t := p.template()
	for i := range p.cases {
		p.cases[i].query = t.fill(p.cases[i].query)
	}
	return errors.Join(wrong...)
}

// reads are the words that a query may begin with. None of them writes.
var (
	reads      = regexp.MustCompile(`(?i)^(\(|/\*.*?\*/|--[^\n]*\n|\s)*(select|with|from|explain|describe|show|exists)\b`)
	limited    = regexp.MustCompile(`(?i)\{limit\}|\{end\}|\blimit\s+\d+`)
	showCreate = regexp.MustCompile(`(?i)\bshow\s+create\b`)
	writes     = regexp.MustCompile(`(?i)\b(insert|alter|drop|truncate|create|delete|update|rename|attach|detach|optimize|kill|grant|revoke|set|use|exchange|undrop|backup|restore|system)\s+[a-z]`)
)

// onlyReads reports whether a query begins like one that reads, and has no word of one that writes.
func onlyReads(query string) bool {
	return reads.MatchString(query) && !writes.MatchString(showCreate.ReplaceAllString(query, "SHOW"))
}

// validateOwnQuery refuses a query of the settings that could do harm if the guard accepted it.
func (p *Probe) validateOwnQuery(at, query string) error {
	switch {
	case !onlyReads(query):
		return probe.Settingf(at, "expected a query that only reads: SELECT, WITH, FROM, EXPLAIN, DESCRIBE, SHOW or EXISTS")
	case !limited.MatchString(query):
		return probe.Settingf(at, "expected {end}, which limits rows and time, or a LIMIT")
	}
	return nil
}

// validateAnswers checks how rejections and answers are known.
func (p *Probe) validateAnswers() error {
	if p.Accepted.Status.IsZero() {
		p.Accepted.Status = httpx.Codes(http.StatusOK)
	}
	wrong := []error{probe.InSetting("rejected", p.Rejected.Validate()), probe.InSetting("accepted", p.Accepted.Validate())}
	status := p.Rejected.Status
	switch {
	case status.IsZero():
		wrong = append(wrong, probe.Settingf("rejected.status", "is missing"))
	case len(status.Codes()) != len(status) || status.Contains(http.StatusTooManyRequests):
		wrong = append(wrong, probe.Settingf("rejected.status", "expected the statuses of a rejection, such as 403; 429 and 4xx would not say why"))
	}
	for _, code := range p.Accepted.Status {
		if code >= 300 || code < 200 && code != 2 {
			wrong = append(wrong, probe.Settingf("accepted.status", "expected statuses of success, such as 200"))
			break
		}
	}
	if positive := p.Rejected.matches(); len(positive) == 0 {
		wrong = append(wrong, probe.Settingf("rejected", "expected the guard's own words too, in json, body or headers: a status alone may come from the database, from an ingress or from a firewall"))
	} else if p.echoes(positive) {
		wrong = append(wrong, probe.Settingf("rejected", "an error that repeats the query would have these words too; expect others"))
	}
	if !p.OrgOfRows.IsZero() && !slices.Contains(strings.FieldsFunc(p.Select, notInName), p.Column) {
		wrong = append(wrong, probe.Settingf("org_of_rows", "the queries do not select %s", p.Column))
	}
	return errors.Join(wrong...)
}

func notInName(c rune) bool {
	return !strings.ContainsRune("_0123456789", c) && (c|0x20 < 'a' || c|0x20 > 'z')
}

// matches lists what must be in an answer.
func (w *Answer) matches() (all []expect.Match) {
	if w.Body != nil {
		all = append(all, *w.Body)
	}
	for _, conditions := range []map[string]*expect.Match{w.Headers, w.JSON} {
		for _, key := range sorted.Keys(conditions) {
			all = append(all, *conditions[key])
		}
	}
	return drop.If(all, expect.Match.Negative)
}

// echoes reports whether the text of some query has all of it.
func (p *Probe) echoes(all []expect.Match) bool {
	return slices.ContainsFunc(p.allQueries(), func(query string) bool {
		return !slices.ContainsFunc(all, func(m expect.Match) bool { return !m.MatchText(query, true) })
	})
}

// allQueries lists the queries of a full pass.
func (p *Probe) allQueries() []string {
	t := p.template()
	all := []string{t.fill(scoped), t.fill(mistaken)}
	for _, c := range p.cases {
		all = append(all, c.query)
	}
	return all
}

// template returns the template for the settings, which may be invalid.
func (p *Probe) template() template { return newTemplate(p) }
