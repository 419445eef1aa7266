package sql

import (
	"fmt"
	"strings"

	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

// askQuery asks the control, the violation and the query, in this order, and notes what they say together.
func (p *Probe) askQuery(q *reader, r *probe.Result) {
	proven := p.askControl(q, r)
	proven = p.askViolation(q, r) && proven
	rows, err := q.read(p.Query)
	if err != nil {
		r.Note("values", postgres.Explain(err))
		return
	}
	r.Measure(rowsGauge, float64(len(rows.Values)))
	j := p.judge(rows)
	for key, v := range j.readings {
		r.Measure(valueGauge, v, key.name, key.by)
	}
	if j.verdict == probe.Pass && !proven {
		r.Inconclusive("values", probe.ControlFailed, "%s; but without the controls that proves nothing", j.detail)
		return
	}
	j.note(r, "values")
}

// askControl reports whether the control holds, or there is none.
func (p *Probe) askControl(q *reader, r *probe.Result) bool {
	if p.Control == "" {
		return true
	}
	rows, err := q.read(p.Control)
	if err != nil {
		r.Note("control", postgres.Explain(err))
		return false
	}
	if len(rows.Values) == 0 || len(rows.Columns) == 0 {
		r.Inconclusive("control", probe.ControlFailed, "expected a number above zero, got no row")
		return false
	}
	switch v, ok := number(rows.Values[0][0]); {
	case !ok:
		r.Inconclusive("control", probe.ControlFailed, "expected a number above zero, got NULL or no number")
		return false
	case v <= 0:
		r.Inconclusive("control", probe.ControlFailed, "expected a number above zero, got %s: the query may look at the wrong place", format(v))
		return false
	default:
		r.Pass("control", "%s is above zero", format(v))
		return true
	}
}

// askViolation reports whether the violation breaks the limits, or there is none.
func (p *Probe) askViolation(q *reader, r *probe.Result) bool {
	if p.Violation == "" {
		return true
	}
	rows, err := q.read(p.Violation)
	if err != nil {
		r.Note("violation", postgres.Explain(err))
		return false
	}
	j := p.judge(rows)
	if j.verdict != probe.Fail {
		r.Inconclusive("violation", probe.ControlFailed, "expected it to break a limit, got: %s", j.detail)
		return false
	}
	r.Pass("violation", "it breaks the limits, as it must: %s", j.detail)
	return true
}

// A series is what a value is exported as.
type series struct{ name, by string }

// A judgement is what an answer comes to.
type judgement struct {
	verdict  probe.Verdict
	reason   probe.Reason
	detail   string
	readings map[series]float64
}

func (j judgement) note(r *probe.Result, check string) {
	switch j.verdict {
	case probe.Pass:
		r.Pass(check, "%s", j.detail)
	case probe.Fail:
		r.Fail(check, j.reason, "%s", j.detail)
	default:
		r.Inconclusive(check, j.reason, "%s", j.detail)
	}
}

// judge compares every value of every row with its limits.
func (p *Probe) judge(rows postgres.Rows) judgement {
	groups, err := p.groups(rows)
	if err != nil {
		return judgement{reason: probe.Schema, detail: postgres.Explain(err).Detail}
	}
	j := judgement{readings: map[series]float64{}}
	var beyond, unread []string
	for _, name := range sorted.Keys(p.Values) {
		column, err := rows.Column(p.Values[name].Column)
		if err != nil {
			return judgement{reason: probe.Schema, detail: postgres.Explain(err).Detail}
		}
		for i, row := range rows.Values {
			v, ok := number(row[column])
			if !ok {
				unread = append(unread, fmt.Sprintf("%s%s is NULL or no number; coalesce() says what NULL means", name, groups[i].phrase()))
				continue
			}
			if limit := p.Values[name].breaks(v); limit != "" {
				beyond = append(beyond, fmt.Sprintf("%s%s is %s, expected %s", name, groups[i].phrase(), format(v), limit))
			}
			j.add(series{name, groups[i].name}, v, groups[i].exported)
		}
	}
	if len(rows.Values) == 0 { // its columns are there: without them, no row says nothing
		switch p.Empty {
		case emptyPass:
			return judgement{verdict: probe.Pass, reason: probe.OK, detail: "no row, as is hoped for"}
		case emptyFail:
			return judgement{verdict: probe.Fail, reason: reasonNoRows, detail: "expected a row, got none"}
		}
		return judgement{reason: reasonNoRows, detail: "expected a row, got none; empty says what that means"}
	}
	switch {
	case len(beyond) > 0:
		j.verdict, j.reason, j.detail = probe.Fail, reasonValue, some(beyond)
	case len(unread) > 0:
		j.reason, j.detail = reasonNoValue, some(unread)
	default:
		j.verdict, j.reason, j.detail = probe.Pass, probe.OK, p.within(rows, j.readings)
	}
	return j
}

// add keeps the largest value of a series.
func (j *judgement) add(s series, v float64, exported bool) {
	if had, ok := j.readings[s]; exported && (!ok || v > had) {
		j.readings[s] = v
	}
}

// within says what was seen where all is well.
func (p *Probe) within(rows postgres.Rows, readings map[series]float64) string {
	if len(rows.Values) > 1 || p.By != nil {
		return fmt.Sprintf("%s within the limits", text.Count(len(rows.Values), "row"))
	}
	var parts []string
	for _, name := range sorted.Keys(p.Values) {
		parts = append(parts, fmt.Sprintf("%s is %s", name, format(readings[series{name: name}])))
	}
	return strings.Join(parts, ", ")
}

// breaks returns the limit that a value is beyond; empty if it is within all.
func (v Value) breaks(got float64) string {
	switch {
	case v.Equal != nil && got != float64(*v.Equal):
		return v.Equal.String()
	case v.Max != nil && got > float64(*v.Max):
		return "at most " + v.Max.String()
	case v.Min != nil && got < float64(*v.Min):
		return "at least " + v.Min.String()
	}
	return ""
}

// A group is which row of the answer a row is, in words of the configuration.
type group struct {
	name     string // empty if rows are not told apart
	exported bool
}

func (g group) phrase() string {
	switch g.name {
	case "":
		return ""
	case otherRows:
		return " of a row without a name"
	}
	return " of " + g.name
}

// groups names the rows.
func (p *Probe) groups(rows postgres.Rows) ([]group, error) {
	all := make([]group, len(rows.Values))
	if p.By == nil {
		for i := range all {
			all[i] = group{exported: true}
		}
		return all, nil
	}
	column, err := rows.Column(p.By.Column)
	if err != nil {
		return nil, err
	}
	for i, row := range rows.Values {
		name, known := p.By.Names[row[column].Text]
		all[i] = group{name, true}
		if !known || !row[column].Valid {
			all[i] = group{otherRows, p.By.Other}
		}
	}
	return all, nil
}

// some joins the first few of several findings.
func some(all []string) string {
	const shown = 3
	if len(all) <= shown {
		return strings.Join(all, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(all[:shown], "; "), len(all)-shown)
}
