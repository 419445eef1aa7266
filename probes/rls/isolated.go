package rls

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/breach"
)

// surfaceRows is what the breaches of the sweep are counted under.
const surfaceRows = "postgres/rows"

// A finding is a relation that showed what it must not.
type finding struct {
	relation *relation
	in       string // the situation
}

// A sweep looks at every relation in every situation.
type sweep struct {
	p         *Probe
	asker     *sweeper
	relations []*relation    // that the role may read
	leaks     []finding      // with an org
	open      []finding      // without one
	failed    *probe.Outcome // the first question that has no answer
	missing   []string       // canaries that their owner does not see
	unset     bool           // it was tried what is shown without any org
}

// sweep notes what the role is really shown.
func (p *Probe) sweep(r *probe.Result, conn *postgres.Conn, c *catalogue) {
	s := &sweep{p: p, asker: &sweeper{conn: conn, setting: p.Setting}}
	for _, t := range c.relations {
		tenants := t.isTable() && t.kind != 'f' && !c.isExempt(t) || !t.isTable() && !t.exempt && c.holdsTenants(t, map[oid]bool{})
		if tenants && t.may('r') {
			s.relations = append(s.relations, t)
		}
	}
	s.withoutOrg() // first: an org that was set leaves an empty setting behind in its session
	s.control()
	s.asOrgs()
	s.asEach()
	s.asNobody()
	s.report(r)
	if p.Writes {
		s.writes(r)
	}
}

// shows asks whether relations show a row, and notes those that do.
func (s *sweep) shows(in situation, questions []question) (found []finding) {
	for i, a := range s.asker.ask(in, questions) {
		switch {
		case a.failed != nil:
			s.fail(*a.failed)
		case a.refused && !in.refuses:
			s.fail(probe.Outcomef(probe.ControlFailed, "the server refuses to look at %s as %s", s.p.shown(questions[i].relation.ident), in.name))
		case a.shown:
			found = append(found, finding{questions[i].relation, "to " + in.name})
		}
	}
	return found
}

// fail keeps why a question has no answer, if it is the first.
func (s *sweep) fail(why probe.Outcome) {
	if s.failed == nil {
		s.failed = &why
	}
}

// anyRow asks each relation for any row.
func (s *sweep) anyRow() (questions []question) {
	for _, t := range s.relations {
		questions = append(questions, question{relation: t})
	}
	return questions
}

// withoutOrg looks in the situations in which the application has lost the org.
func (s *sweep) withoutOrg() {
	left, err := s.asker.left()
	if err != nil {
		s.fail(postgres.Explain(err))
		return
	}
	if s.unset = !left; s.unset {
		s.open = s.shows(situation{name: "no org", refuses: true}, s.anyRow())
	}
	s.open = append(s.open, s.shows(situation{"an empty org", true, "", true}, s.anyRow())...)
	s.open = append(s.open, s.shows(situation{"a malformed org", true, "prober: not an org", true}, s.anyRow())...)
}

// control looks whether each org sees its own row in each table that is said to have one.
func (s *sweep) control() {
	for _, table := range s.p.canaryTables() {
		at := slices.IndexFunc(s.relations, func(t *relation) bool { return t.ident == table })
		if at < 0 {
			s.missing = append(s.missing, table+" (cannot be read)")
			continue
		}
		for _, name := range s.p.orgNames() {
			id := s.p.Orgs[name].ID
			q := question{relation: s.relations[at]}
			if s.comparable(q.relation) {
				q.where = equals(s.p.Column, id)
			}
			if len(s.shows(s.p.as(name), []question{q})) == 0 {
				s.missing = append(s.missing, table+" (none of "+name+")")
			}
		}
	}
}

// isCanary reports whether every test org has a row in a table.
func (s *sweep) isCanary(t *relation) bool { return slices.Contains(s.p.canaryTables(), t.ident) }

// comparable reports whether the rows of a relation say whose they are, and the role may read that.
func (s *sweep) comparable(t *relation) bool {
	_, another := s.p.Columns[t.ident]
	return t.hasColumn && t.readsColumn && !another
}

// asOrgs looks, as each org, for a row that is not its own.
func (s *sweep) asOrgs() {
	for _, name := range s.p.orgNames() {
		id := s.p.Orgs[name].ID
		var questions []question
		for _, t := range s.relations {
			if s.comparable(t) {
				questions = append(questions, question{t, differs(s.p.Column, id)})
			}
		}
		s.leaks = append(s.leaks, s.shows(s.p.as(name), questions)...)
	}
}

// asNobody looks, as an org that does not exist, for any row.
func (s *sweep) asNobody() {
	s.leaks = append(s.leaks, s.shows(situation{"an org that does not exist", true, s.p.nobody(), true}, s.anyRow())...)
}

// report notes the checks, and counts a breach or the time of the proof.
func (s *sweep) report(r *probe.Result) {
	switch {
	case len(s.missing) > 0 && s.failed != nil:
		r.Note(checkControl, s.outcome(probe.OK, nil, "", ""))
	case len(s.missing) > 0:
		r.Report(checkControl, probe.ControlFailed, "expected every test org to see its own row in each of canaries, got none in %s", text.List(s.missing, maxNamed))
	default:
		r.Pass(checkControl, "%s see their own rows in %s", text.Count(len(s.p.Orgs), "test org"), text.Count(len(s.p.canaryTables()), "table"))
	}
	// What shows other orgs' rows anyway is no news without an org.
	open := drop.If(s.open, func(f finding) bool {
		return slices.ContainsFunc(s.leaks, func(l finding) bool { return l.relation == f.relation })
	})
	isolated := s.outcome(breach.LeakList, s.leaks, "no row of another org", fmt.Sprintf("each org is shown its own rows alone in %s", text.Count(len(s.relations), "relation")))
	closed := s.outcome(failsOpen, open, "no row without an org", fmt.Sprintf("without an org nothing is shown in %s", text.Count(len(s.relations), "relation")))
	if closed.Passed() && !s.unset {
		closed = probe.Outcomef(probe.ControlFailed, "expected a connection on which no org is set, got one on which another client left its own")
	}
	s.note(r, checkIsolated, isolated)
	s.note(r, checkFailClosed, closed)
	switch {
	case len(s.leaks)+len(open) > 0:
		r.Measure(breach.Total, 1, surfaceRows)
	case isolated.Passed() && closed.Passed():
		r.Measure(breach.LastProven, float64(time.Now().Unix()), surfaceRows)
	}
}

// note notes an outcome of either verdict.
func (s *sweep) note(r *probe.Result, check string, o probe.Outcome) {
	if o.Passed() {
		r.Pass(check, "%s", o.Detail)
		return
	}
	r.Note(check, o)
}

// outcome judges findings. Without any, it is a proof only if every question was answered and the control held.
func (s *sweep) outcome(why probe.Reason, found []finding, expected, sound string) probe.Outcome {
	switch {
	case len(found) > 0:
		return probe.Outcomef(why, "expected %s, got some: %s", expected, s.list(found))
	case s.failed != nil:
		return probe.Outcome{Reason: asUnproven(s.failed.Reason), Detail: "not everything was asked: " + s.failed.Detail}
	case len(s.missing) > 0:
		return probe.Outcomef(probe.ControlFailed, "nothing is proven: not every test org sees its own row")
	}
	return probe.Outcome{Reason: probe.OK, Detail: sound}
}

// asUnproven is the reason of a question without an answer. That says nothing of isolation.
func asUnproven(why probe.Reason) probe.Reason {
	if why.Verdict == probe.Inconclusive {
		return why
	}
	return probe.ControlFailed
}

// list names relations, each with the situations in which it showed something.
func (s *sweep) list(found []finding) string {
	var order []*relation
	in := map[*relation][]string{}
	for _, f := range found {
		if in[f.relation] == nil {
			order = append(order, f.relation)
		}
		in[f.relation] = append(in[f.relation], f.in)
	}
	var named []string
	for _, t := range order {
		named = append(named, s.p.shown(t.ident)+" ("+strings.Join(in[t], ", ")+")")
	}
	return text.List(named, maxNamed)
}
