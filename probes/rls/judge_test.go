package rls

import (
	"maps"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// What no sound server says must not pass either: a table that is forced and yet not active, and an owner of whom nothing is
// said.
func TestJudge_whatServersDoNotSay(t *testing.T) {
	self := &role{self: true}
	notes := &relation{oid: "1", ident: "notes", name: "notes", kind: 'r', enabled: true, forced: true, privileges: "r", hasColumn: true}
	hidden := &relation{oid: "4", ident: "hidden", name: "hidden", kind: 'r', enabled: true, active: true, privileges: "r", hasColumn: true}
	view := &relation{oid: "2", ident: "view", kind: 'v', owner: "7", reads: []oid{"1", "2", "3"}, privileges: "r"}
	c := &catalogue{
		relations: []*relation{notes, view, hidden}, byOID: map[oid]*relation{"1": notes, "2": view}, self: self, roles: map[oid]*role{"9": self},
		policies:  map[oid][]policy{"1": {{permissive: true, command: '*', roles: []oid{"0"}, using: expression{true, true}}}},
		functions: []function{{"f", "7"}},
	}
	p := New()
	p.Names = []string{"notes", "view", "f"}
	r := probe.NewResult(probe.ID{})
	p.judge(r, c)
	got := probetest.Lines(*r)
	for _, want := range []string{
		"enabled fail(rls_inactive): ", "notes (enabled, but not active for the role)",
		"views fail(leaky_view): ", "view (its owner is not bound by the policies)",
		"functions fail(definer_exempt): ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	// Nothing is known to be wrong with a table of which the role sees nothing.
	if got, want := states(*r), (map[string]float64{"protected": 1, "unprotected": 2, "unreachable": 0, "exempt": 0}); !maps.Equal(got, want) {
		t.Errorf("got %v, expected %v", got, want)
	}
}

// A materialized view keeps rows of all orgs, whoever reads it and through whatever views, unless there are none below.
func TestLeak_materialized(t *testing.T) {
	tenants := &relation{oid: "1", ident: "notes", kind: 'r', enabled: true, forced: true, active: true}
	plans := &relation{oid: "2", ident: "plans", kind: 'r', exempt: true}
	part := &relation{oid: "3", ident: "plans_a", kind: 'r', parents: []oid{"2"}}
	over := func(id oid, kind byte, reads ...oid) *relation {
		return &relation{oid: id, ident: string(id), kind: kind, invoker: true, privileges: "r", reads: reads}
	}
	for _, c := range []struct {
		name  string
		below *relation
		more  []*relation
		want  string
	}{
		{"of tenants", over("m", 'm', "1"), nil, "it reads a materialized view"},
		{"of a view of tenants", over("m", 'm', "x"), []*relation{over("x", 'v', "2", "1")}, "it reads a materialized view"},
		{"of what is for all", over("m", 'm', "2"), nil, ""},
		{"of a part of what is for all", over("m", 'm', "3"), nil, ""},
		{"of a view of what is for all", over("m", 'm', "x"), []*relation{over("x", 'v', "3")}, ""},
		{"of what is not known", over("m", 'm', "7"), nil, ""},
		{"behind a view", over("m", 'v', "n"), []*relation{over("n", 'm', "1")}, "a view that it reads is leaky"},
		{"in a circle", over("m", 'm', "m"), nil, ""},
	} {
		all := append(c.more, tenants, plans, part, c.below, over("v", 'v', "m"))
		cat := &catalogue{relations: all, byOID: map[oid]*relation{}, self: &role{self: true}}
		for _, of := range all {
			cat.byOID[of.oid] = of
		}
		got := ""
		for _, m := range cat.leakyViews() {
			if m.ident == "v" {
				got = m.what
			}
		}
		if got != c.want {
			t.Errorf("a materialized view %s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A message names ten mistakes, and counts the others.
func TestNote_names(t *testing.T) {
	r := probe.NewResult(probe.ID{})
	var many []mistake
	for range 12 {
		many = append(many, mistake{why: noPolicy, ident: "x", what: "w"})
	}
	ten := probe.NewResult(probe.ID{})
	New().note(ten, checkPolicies, many[:10], "all is well")
	if got := ten.Checks[0].Detail; strings.Contains(got, "more") || strings.Count(got, "(w)") != 10 {
		t.Errorf("of ten: %s", got)
	}
	many = append(many, mistake{why: policyOpen, ident: "y", what: "w"})
	New().note(r, checkPolicies, many, "all is well")
	if got := r.Checks[0]; got.Reason != policyOpen || !strings.HasSuffix(got.Detail, " and 3 more") {
		t.Errorf("%+v", got)
	}
}

// A row with fewer values than asked for, or with others, describes a table that nothing protects.
func TestFields(t *testing.T) {
	f := fields(nil)
	if f.bool() || f.text() != "" || f.letter() != 0 || f.oid() != "" || f.oids() != nil {
		t.Error("expected zero values")
	}
}
