package sandbox

import (
	"slices"
	"strings"
)

// A rowSecurity is a database with data of tenants: as much of PostgreSQL's row-level security as the questions of the kind
// rls are about. What the rules are is decided by tests of that kind against real servers; here they are repeated for the demo.
type rowSecurity struct {
	roles     []*dbRole
	relations []*dbRelation // by name
	functions []dbFunction  // that run as their owner
	pooled    bool          // connections share a process of the server
	roleLeft  bool          // some client has left another role on them, which has the same rights
	left      string        // the org that some client left on the connections of the pool; empty: none
}

// schemaName is the schema of the relations.
const schemaName = "ibex_core"

// A dbRole is a role. It may become the roles that it is a member of, and has their rights at once if it inherits.
type dbRole struct {
	oid           string
	super, bypass bool
	memberOf      []*dbRole
	inherits      bool
}

// becomes reports whether SET ROLE leads from a role to another.
//
//go:noinline
func (r *dbRole) becomes(other *dbRole) bool { return r == other || slices.Contains(r.memberOf, other) }

// has reports whether a role has the rights of another.
//
//go:noinline
func (r *dbRole) has(other *dbRole) bool { return r == other || r.inherits && r.becomes(other) }

// A dbRelation is a table, a partition, a view or a materialized view.
type dbRelation struct {
	oid, name       string
	kind            byte // pg_class.relkind
	owner           *dbRole
	enabled, forced bool
	policies        []dbPolicy
	granted         string // to the application, in the letters of pg_policy.polcmd, and t for TRUNCATE
	withoutOrg      bool   // has no column org_id
	parent          *dbRelation
	invoker         bool          // a view that reads as whoever reads it
	reads           []*dbRelation // by a view
	rows            []string      // the org of each; of a partitioned table those of its partitions
}

// active reports whether policies hold for a role.
func (t *dbRelation) active(r *dbRole) bool {
	return t.enabled && !r.super && !r.bypass && (t.forced || !r.has(t.owner))
}

// privileges are those of a role.
func (t *dbRelation) privileges(r *dbRole) string {
	if r.super || r.has(t.owner) {
		return "rawdt"
	}
	return t.granted
}

// A dbPolicy is a permissive policy.
type dbPolicy struct {
	command      byte    // pg_policy.polcmd
	role         *dbRole // nil: every role
	using, check *policyTest
}

// A policyTest is an expression of a policy.
type policyTest struct {
	bound bool // it names the column of the org
	holds func(row string, now orgSetting) (bool, error)
}

// An orgSetting is the setting that says as which org a client asks.
type orgSetting struct {
	org string
	set bool
}

// A dbFunction runs as its owner, and everyone may call it.
type dbFunction struct {
	name  string
	owner *dbRole
}

// A sqlState is an error of the server.
type sqlState string

func (s sqlState) Error() string { return string(s) }

// Errors that the questions lead to.
const (
	undefinedTable  sqlState = "42P01"
	undefinedObject sqlState = "42704" // a setting that nobody has set
	deniedByPolicy  sqlState = "42501" // also a missing privilege
)

// The expressions of the demo's policies.
var (
	ownRows   = &policyTest{true, func(row string, now orgSetting) (bool, error) { return now.set && row == now.org, nil }}
	everyRow  = &policyTest{false, func(string, orgSetting) (bool, error) { return true, nil }}
	anyOrg    = &policyTest{true, everyRow.holds}
	strictRow = &policyTest{true, func(row string, now orgSetting) (bool, error) {
		if !now.set {
			return false, undefinedObject
		}
		return row == now.org, nil
	}}
	ownOrIfEmpty     = ownRowsOr(func(now orgSetting) bool { return now.set && now.org == "" })
	ownOrIfUnset     = ownRowsOr(func(now orgSetting) bool { return !now.set })
	ownOrIfMalformed = ownRowsOr(func(now orgSetting) bool { return strings.Contains(now.org, " ") })
)

// ownRowsOr shows all rows in one situation.
func ownRowsOr(open func(orgSetting) bool) *policyTest {
	return &policyTest{true, func(row string, now orgSetting) (bool, error) { return open(now) || now.set && row == now.org, nil }}
}

// usingOf is the expression that decides which rows a policy shows.
func usingOf(p dbPolicy) *policyTest { return p.using }

// checkOf is the expression that decides which rows a policy lets be written.
func checkOf(p dbPolicy) *policyTest {
	if p.check != nil || p.command == 'a' {
		return p.check
	}
	return p.using
}

// A viewer is a role and the org that it asks as.
type viewer struct {
	role *dbRole
	now  orgSetting
}

// allows reports whether one of the policies for a command holds for a row.
func (t *dbRelation) allows(v viewer, command byte, of func(dbPolicy) *policyTest, row string) (bool, error) {
	if !t.active(v.role) {
		return true, nil
	}
	for _, p := range t.policies {
		if p.command != '*' && p.command != command || p.role != nil && !v.role.has(p.role) || of(p) == nil {
			continue
		}
		if holds, err := of(p).holds(row, v.now); holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// visible returns the rows that a relation shows. A view reads as its owner, unless it is an invoker's; a materialized view
// shows what it was filled with.
func (t *dbRelation) visible(v viewer) (rows []string, err error) {
	if t.kind == 'm' {
		return t.rows, nil
	}
	if t.kind == 'v' && !t.invoker {
		v.role = t.owner
	}
	for _, below := range t.reads {
		more, err := below.visible(v)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	for _, row := range t.rows {
		shown, err := t.allows(v, 'r', usingOf, row)
		if err != nil {
			return nil, err
		}
		if shown {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// Positions in the lists of newRowSecurity, for faults.
const (
	roleAdmin = iota // a superuser
	roleOwner
	roleApp
	roleMaintenance // has BYPASSRLS
	roleReporting
)

// newRowSecurity is a database without faults.
func newRowSecurity() *rowSecurity {
	roles := []*dbRole{{oid: "10", super: true}, {oid: "16384"}, {oid: "16385", inherits: true}, {oid: "16386", bypass: true}, {oid: "16387"}}
	owner, both, own := roles[roleOwner], []string{orgA, orgB}, []dbPolicy{{command: '*', using: ownRows}}
	memories := &dbRelation{oid: "20003", name: "memories", kind: 'r', owner: owner, enabled: true, forced: true, policies: own, granted: "rawd", rows: both}
	events := &dbRelation{oid: "20001", name: "events", kind: 'p', owner: owner, enabled: true, forced: true, policies: own, granted: "rawd", rows: both}
	return &rowSecurity{roles: roles, pooled: true, relations: []*dbRelation{
		events,
		{oid: "20002", name: "events_2026", kind: 'r', owner: owner, parent: events, rows: both},
		memories,
		{oid: "20004", name: "memory_counts", kind: 'v', owner: owner, granted: "r", withoutOrg: true, reads: []*dbRelation{memories}},
		{oid: "20005", name: "plans", kind: 'r', owner: owner, granted: "r", withoutOrg: true, rows: []string{"all"}},
		{oid: "20006", name: "recent_events", kind: 'v', owner: owner, granted: "r", invoker: true, reads: []*dbRelation{events}},
	}}
}

func (d *rowSecurity) app() *dbRole { return d.roles[roleApp] }

// relation returns a relation; nil if there is none.
func (d *rowSecurity) relation(name string) *dbRelation {
	for _, t := range d.relations {
		if t.name == name {
			return t
		}
	}
	return nil
}

// add adds a relation at the end.
func (d *rowSecurity) add(t *dbRelation) { d.relations = append(d.relations, t) }
