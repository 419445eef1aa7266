package rls

import (
	"fmt"
	"maps"
	"slices"
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

// What the catalogue says of one relation or function beside a sound table, and the check that does not pass for it.
func TestJudge(t *testing.T) {
	bound, open := expression{true, true}, expression{true, false}
	table := func(id oid, change func(*relation)) *relation {
		r := &relation{oid: id, ident: string(id), name: string(id), schema: "core", kind: 'r', owner: "owner", enabled: true, active: true, privileges: "r", hasColumn: true}
		if change != nil {
			change(r)
		}
		return r
	}
	view := func(id oid, kind byte, owner oid, reads ...oid) *relation {
		return &relation{oid: id, ident: string(id), kind: kind, owner: owner, privileges: "r", reads: reads}
	}
	exempt := func(r *relation) *relation {
		r.exempt = true
		return r
	}
	policyOf := func(table, role oid, permissive bool, using expression) policy {
		return policy{table: table, permissive: permissive, command: '*', roles: []oid{role}, using: using}
	}
	off := func(r *relation) { r.enabled, r.active = false, false }
	outOfReach := func(r *relation) *relation {
		r.privileges = ""
		return r
	}
	for name, c := range map[string]struct {
		more     []*relation
		policies []policy
		function oid // its owner
		want     string
	}{
		"nothing":                          {nil, nil, "", ""},
		"off, and out of reach":            {[]*relation{outOfReach(table("x", off))}, nil, "", ""},
		"off":                              {[]*relation{table("x", off)}, nil, "", "enabled fail(rls_disabled)"},
		"a view is no table":               {[]*relation{view("v", 'v', "other", "notes")}, nil, "", ""},
		"on, and not for the role":         {[]*relation{table("x", func(r *relation) { r.active = false })}, []policy{policyOf("x", "0", true, bound)}, "", "enabled fail(rls_inactive)"},
		"on, and not for who owns it":      {[]*relation{table("x", func(r *relation) { r.active, r.owner = false, "mine" })}, []policy{policyOf("x", "0", true, bound)}, "", "role fail(role_owns)"},
		"an open policy":                   {[]*relation{table("x", nil)}, []policy{policyOf("x", "0", true, bound), policyOf("x", "0", true, open)}, "", "policies fail(policy_open)"},
		"an open policy, restricted":       {[]*relation{table("x", nil)}, []policy{policyOf("x", "0", true, open), policyOf("x", "0", false, bound)}, "", ""},
		"restricted for another role":      {[]*relation{table("x", nil)}, []policy{policyOf("x", "0", true, open), policyOf("x", "other", false, bound)}, "", "policies fail(policy_open)"},
		"restricted by something else":     {[]*relation{table("x", nil)}, []policy{policyOf("x", "0", true, open), policyOf("x", "0", false, open)}, "", "policies fail(policy_open)"},
		"a policy for another role":        {[]*relation{table("x", nil)}, []policy{policyOf("x", "0", true, bound), policyOf("x", "other", true, open)}, "", ""},
		"a view as that role":              {[]*relation{table("x", nil), view("v", 'v', "other", "x")}, []policy{policyOf("x", "0", true, bound), policyOf("x", "other", true, open)}, "", "views fail(leaky_view)"},
		"a view as a superuser":            {[]*relation{view("v", 'v', "boss", "notes")}, nil, "", "views fail(leaky_view)"},
		"of what is for all":               {[]*relation{exempt(table("x", nil)), view("v", 'v', "boss", "x")}, nil, "", ""},
		"of what is not known":             {[]*relation{view("v", 'v', "boss", "gone")}, nil, "", ""},
		"of a view that is exempt":         {[]*relation{exempt(view("w", 'v', "boss", "notes")), view("v", 'v', "other", "w")}, nil, "", ""},
		"materialized":                     {[]*relation{view("m", 'm', "other", "notes")}, nil, "", "materialized_views fail(leaky_materialized_view)"},
		"materialized, and out of reach":   {[]*relation{outOfReach(view("m", 'm', "other", "notes"))}, nil, "", ""},
		"materialized, and exempt":         {[]*relation{exempt(view("m", 'm', "other", "notes"))}, nil, "", ""},
		"a function of a superuser":        {nil, nil, "boss", "functions fail(definer_exempt)"},
		"a function of a bound role":       {nil, nil, "other", ""},
		"of a role that owns another, off": {[]*relation{outOfReach(table("x", func(r *relation) { off(r); r.owner = "elsewhere" }))}, nil, "other", ""},
		"of the role that owns it, off":    {[]*relation{outOfReach(table("x", func(r *relation) { off(r); r.owner = "elsewhere" }))}, nil, "keeper", "functions fail(definer_exempt)"},
	} {
		self := &role{self: true, member: map[oid]bool{"mine": true}}
		cat := &catalogue{
			relations: append([]*relation{table("notes", nil)}, c.more...), byOID: map[oid]*relation{}, self: self,
			roles:    map[oid]*role{"self": self, "boss": {super: true}, "other": {inherits: map[oid]bool{"other": true}}, "keeper": {inherits: map[oid]bool{"elsewhere": true}}},
			policies: map[oid][]policy{"notes": {policyOf("notes", "0", true, bound)}},
		}
		for _, r := range cat.relations {
			cat.byOID[r.oid] = r
		}
		for _, one := range c.policies {
			cat.policies[one.table] = append(cat.policies[one.table], one)
		}
		if c.function != "" {
			cat.functions = []function{{"f", c.function}}
		}
		p := New()
		p.Schema, p.Tables, p.Names = "core", []string{"notes"}, []string{"x"}
		r := probe.NewResult(probe.ID{})
		p.judge(r, cat)
		var told []string
		for _, check := range r.Checks {
			if check.Verdict != probe.Pass {
				told = append(told, check.Name+" "+check.Verdict.String()+"("+check.Reason.Word+")")
			}
		}
		if got := strings.Join(told, ", "); got != c.want || len(r.Checks) != 9 {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// There must be as many tables as are wanted, without those that are exempt, elsewhere, or a part of another. What is out of reach
// is counted as that.
func TestJudgeTables(t *testing.T) {
	one := &relation{oid: "1", ident: "one", name: "one", schema: "core", kind: 'r', enabled: true}
	plans := &relation{oid: "2", ident: "plans", name: "plans", schema: "core", kind: 'r', exempt: true}
	part := &relation{oid: "3", ident: "part", name: "part", schema: "core", kind: 'r', parents: []oid{"1"}, enabled: true}
	c := &catalogue{relations: []*relation{one, plans, part}, byOID: map[oid]*relation{"1": one, "2": plans, "3": part}, self: &role{self: true}}
	for least, want := range map[int]string{1: "pass(ok): 1 table in the schema, partitions and those exempt aside", 2: "fail(tables_missing): expected at least 2 tables in the schema, got 1"} {
		p := New()
		p.Schema, p.MinTables = "core", least
		r := probe.NewResult(probe.ID{})
		p.judge(r, c)
		if got := probetest.Lines(*r); !strings.Contains(got, "tables "+want+"\n") {
			t.Errorf("%d: got\n%s", least, got)
		}
		if got, want := states(*r), (map[string]float64{"protected": 0, "unprotected": 0, "unreachable": 2, "exempt": 1}); !maps.Equal(got, want) {
			t.Errorf("got %v, expected %v", got, want)
		}
	}
}

// An error is a refusal, which is a good answer without an org, only if it says so; and of one relation only if the next one may be
// asked all the same.
func TestIsRefusal(t *testing.T) {
	for code, want := range map[string][3]bool{ // a refusal, of one relation, a write that is denied
		"42704": {true, true, false}, "42501": {true, true, true}, "P0001": {true, true, true}, "22P02": {true, true, false}, "22023": {true, true, false},
		"42P01": {false, true, false}, "55P03": {false, true, false}, "55000": {false, true, false},
		"57014": {}, "53300": {}, "08006": {}, "25P02": {}, "XX000": {}, "23505": {}, "": {},
	} {
		if got := [3]bool{isRefusal(code), isOfOne(code), isDenied(code)}; got != want {
			t.Errorf("%s: got %v, want %v", code, got, want)
		}
	}
}

// As many names as there may be are accepted, each once.
func TestValidateNames(t *testing.T) {
	var many []string
	for i := range maxListed {
		many = append(many, fmt.Sprint("n", i))
	}
	for want, names := range map[string][]string{
		"": many, "tables: expected at most 200, got 201": append(slices.Clone(many), "more"),
		"tables: expected names, each of them once": {"a", "b", "a"}, "names: expected names, each of them once": {"a", ""},
	} {
		path, _, _ := strings.Cut(want, ":")
		got := ""
		if err := validateNames(path, names); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
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
