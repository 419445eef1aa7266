package rls

import (
	"fmt"
	"strings"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

// judge notes every check of the catalogue, and counts the relations.
func (p *Probe) judge(r *probe.Result, c *catalogue) {
	p.judgeRole(r, c)
	p.judgeTables(r, c)
	unprotected := map[oid]bool{}
	for _, each := range []struct {
		check    string
		mistakes []mistake
		sound    string // of a check without mistakes
	}{
		{checkEnabled, c.disabledTables(), "row-level security is on for every table that the role can reach"},
		{checkPartitions, c.openPartitions(), "no partition or child table gets around the policies of its parent"},
		{checkPolicies, c.openPolicies(), "every policy for the role looks at the org of a row"},
		{checkWritePolicies, c.openChecks(), "every policy for the role looks at the org of a row that is written"},
		{checkViews, c.leakyViews(), "no view reads as a role that policies do not bind"},
		{checkMaterializedViews, c.leakyMaterializedViews(), "no materialized view with data of tenants is in the role's reach"},
	} {
		p.note(r, each.check, each.mistakes, each.sound)
		for _, m := range each.mistakes {
			if m.why.Verdict == probe.Fail {
				unprotected[m.relation] = true
			}
		}
	}
	p.note(r, checkFunctions, c.exemptFunctions(), "no function that the role may call runs as a role that policies do not bind")
	c.count(r, unprotected)
}

// A mistake is what one relation or function gets wrong.
type mistake struct {
	why      probe.Reason
	relation oid
	ident    string
	what     string // a few words: "policy_open for SELECT"
}

// maxNamed is how many mistakes of a check are named. The others are counted.
const maxNamed = 10

// note notes a check by its mistakes: those that fail come first, and the first gives the reason.
func (p *Probe) note(r *probe.Result, check string, mistakes []mistake, sound string) {
	if len(mistakes) == 0 {
		r.Pass(check, "%s", sound)
		return
	}
	sorted.By(mistakes, func(a, b mistake) int {
		return int(probe.BoolValue(b.why.Verdict == probe.Fail) - probe.BoolValue(a.why.Verdict == probe.Fail))
	})
	var named []string
	for _, m := range mistakes[:min(len(mistakes), maxNamed)] {
		named = append(named, p.shown(m.ident)+" ("+m.what+")")
	}
	more := ""
	if len(mistakes) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(mistakes)-maxNamed)
	}
	r.Report(check, mistakes[0].why, "expected that %s, got %s: %s%s", sound, text.Count(len(mistakes), "exception"), strings.Join(named, ", "), more)
}

// judgeTables tells whether there is something to protect.
func (p *Probe) judgeTables(r *probe.Result, c *catalogue) {
	found, there := 0, map[string]bool{}
	for _, t := range c.relations {
		if t.isTable() && !t.isChild() && !t.exempt && t.schema == p.Schema {
			found++
			there[t.name] = true
		}
	}
	var missing []string
	for _, name := range p.Tables {
		if !there[name] {
			missing = append(missing, name)
		}
	}
	least := max(p.MinTables, len(p.Tables))
	switch {
	case len(missing) > 0:
		r.Report(checkTables, tablesMissing, "expected all of tables in the schema, got %d without %s", found, text.List(missing, maxNamed))
	case found < least:
		r.Report(checkTables, tablesMissing, "expected at least %s in the schema, got %d", text.Count(least, "table"), found)
	default:
		r.Pass(checkTables, "%s in the schema, partitions and those exempt aside", text.Count(found, "table"))
	}
}

// count counts the relations by their state.
func (c *catalogue) count(r *probe.Result, unprotected map[oid]bool) {
	counts := map[string]int{}
	for _, t := range c.relations {
		switch {
		case c.isExempt(t) || !t.isTable() && !c.holdsTenants(t, map[oid]bool{}):
			counts["exempt"]++
		case unprotected[t.oid]:
			counts["unprotected"]++
		case !t.reachable():
			counts["unreachable"]++
		default:
			counts["protected"]++
		}
	}
	for _, state := range []string{"protected", "unprotected", "unreachable", "exempt"} {
		r.Measure(relationCount, float64(counts[state]), state)
	}
}
