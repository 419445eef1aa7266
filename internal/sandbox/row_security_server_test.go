package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/rls"
)

// roleNames are those of newRowSecurity, in their order.
var roleNames = []string{"postgres", "ibex_owner", "ibex_app", "ibex_admin", "ibex_reporting"}

// expressions are what policies test, as a server reads them.
var expressions = map[*policyTest]string{
	ownRows:          "org_id = current_setting('app.org_id', true)",
	everyRow:         "true",
	anyOrg:           "org_id IS NOT NULL",
	strictRow:        "org_id = current_setting('app.org_id')",
	ownOrIfEmpty:     "org_id = current_setting('app.org_id', true) OR current_setting('app.org_id', true) = ''",
	ownOrIfUnset:     "org_id = current_setting('app.org_id', true) OR current_setting('app.org_id', true) IS NULL",
	ownOrIfMalformed: "org_id = current_setting('app.org_id', true) OR current_setting('app.org_id', true) LIKE '% %'",
}

// commandNames are the commands by the letters of pg_policy.polcmd.
var commandNames = map[byte]string{'*': "ALL", 'r': "SELECT", 'a': "INSERT", 'w': "UPDATE", 'd': "DELETE", 't': "TRUNCATE"}

func (d *rowSecurity) nameOf(r *dbRole) string { return roleNames[slices.Index(d.roles, r)] }

// sql makes a server have what the model has.
func (d *rowSecurity) sql() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+";\n", args...) }
	not := map[bool]string{false: "NO"}
	app := d.app()
	say("SET client_min_messages = error; DROP SCHEMA IF EXISTS ibex_core CASCADE; CREATE SCHEMA ibex_core; GRANT USAGE ON SCHEMA ibex_core TO PUBLIC")
	say("REVOKE ibex_owner, ibex_admin FROM ibex_app; ALTER ROLE ibex_app %sSUPERUSER %sBYPASSRLS %sINHERIT", not[app.super], not[app.bypass], not[app.inherits])
	for _, r := range app.memberOf {
		say("GRANT %s TO ibex_app", d.nameOf(r))
	}
	for _, t := range d.relations {
		say("%s", t.create())
		for i, row := range t.rows {
			switch {
			case t.kind != 'r': // the rows of a partitioned table are those of its partition
			case t.withoutOrg:
				say("INSERT INTO ibex_core.%s VALUES (%d)", t.name, i)
			default:
				say("INSERT INTO ibex_core.%s VALUES (%d, '%s')", t.name, i, row)
			}
		}
	}
	for _, t := range d.relations {
		say("ALTER TABLE ibex_core.%s OWNER TO %s", t.name, d.nameOf(t.owner))
		for i, p := range t.policies {
			role := "PUBLIC"
			if p.role != nil {
				role = d.nameOf(p.role)
			}
			say("CREATE POLICY p%d ON ibex_core.%s FOR %s TO %s %s", i, t.name, commandNames[p.command], role, p.sql())
		}
		if t.enabled {
			say("ALTER TABLE ibex_core.%s ENABLE ROW LEVEL SECURITY", t.name)
		}
		if t.forced {
			say("ALTER TABLE ibex_core.%s FORCE ROW LEVEL SECURITY", t.name)
		}
		for _, letter := range []byte(t.granted) {
			say("GRANT %s ON ibex_core.%s TO ibex_app", commandNames[letter], t.name)
		}
	}
	for _, f := range d.functions {
		say("CREATE FUNCTION ibex_core.%s() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM ibex_core.memories'; ALTER FUNCTION ibex_core.%[1]s OWNER TO %s", f.name, d.nameOf(f.owner))
	}
	return b.String()
}

// create is the statement that creates a relation.
func (t *dbRelation) create() string {
	columns := "id, org_id"
	if t.withoutOrg {
		columns = "id"
	}
	table := "CREATE TABLE ibex_core." + t.name + " (" + strings.ReplaceAll(strings.Replace(columns, "id", "id int", 1), "org_id", "org_id text") + ")"
	switch {
	case t.kind == 'v':
		return fmt.Sprintf("CREATE VIEW ibex_core.%s WITH (security_invoker = %t) AS SELECT %s FROM ibex_core.%s", t.name, t.invoker, columns, t.reads[0].name)
	case t.kind == 'm':
		return fmt.Sprintf("CREATE MATERIALIZED VIEW ibex_core.%s AS SELECT %s FROM ibex_core.%s", t.name, columns, t.reads[0].name)
	case t.parent != nil:
		return fmt.Sprintf("CREATE TABLE ibex_core.%s PARTITION OF ibex_core.%s DEFAULT", t.name, t.parent.name)
	case t.kind == 'p':
		return table + " PARTITION BY LIST (id)"
	}
	return table
}

// sql writes the expressions of a policy.
func (p dbPolicy) sql() (text string) {
	if p.using != nil {
		text = "USING (" + expressions[p.using] + ")"
	}
	if p.check != nil {
		text += " WITH CHECK (" + expressions[p.check] + ")"
	}
	return text
}

// TestRowSecurity_server compares what the demo's probe says of the model, without faults and with each, with what it says of
// a real server that has the same roles, relations and policies.
func TestRowSecurity_server(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it asks a real server under every fault")
	t.Parallel()
	s := start(t, Options{})
	cfg, err := config.Parse(probe.Kinds{"rls": rls.Kind()}, config.File{Name: "demo.yaml", Data: onlyRLS(t, s.RewriteAddresses(config.Demo))})
	if err != nil {
		t.Fatal(err)
	}
	job := cfg.Jobs[0]
	job.Timeout = time.Minute
	p := job.Probe.(*rls.Probe)
	canned := p.Address
	server := testenv.StartPostgres(t)
	server.SQL(t, "CREATE ROLE ibex_owner; CREATE ROLE ibex_app LOGIN; CREATE ROLE ibex_admin BYPASSRLS; CREATE ROLE ibex_reporting; CREATE DATABASE ibex")
	compare := func(fault string) {
		server.SQL(t, `\c ibex`+"\n"+s.alteredDatabase(pgbouncer).tenants.sql())
		var said [2]string
		for i, address := range []string{canned, server.Address()} {
			p.Address, p.Looks = address, 0 // the server has no pool
			for _, c := range job.Do(t.Context()).Checks {
				said[i] += fmt.Sprintf("   %s %s(%s): %s\n", c.Name, c.Verdict, c.Reason, strings.ReplaceAll(c.Detail, address, "the server"))
			}
		}
		if said[0] != said[1] {
			t.Errorf("%s: of the model the probe says\n%sand of a server\n%s", fault, said[0], said[1])
		}
	}
	compare("no fault")
	for _, f := range rowSecurityFaults() {
		if err := s.Inject(f.Name); err != nil {
			t.Fatal(err)
		}
		compare(f.Name)
		if err := s.Clear(f.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// onlyRLS is the demo's configuration with its probe of row-level security alone.
func onlyRLS(t *testing.T, demo []byte) []byte {
	t.Helper()
	header, _, _ := strings.Cut(string(demo), "\nprobes:\n")
	_, entry, found := strings.Cut(string(demo), "\n  - name: rls\n")
	if !found {
		t.Fatal("the demo has no probe of row-level security")
	}
	entry, _, _ = strings.Cut(entry, "\n  - name: ")
	return []byte(header + "\nprobes:\n  - name: rls\n" + entry)
}
