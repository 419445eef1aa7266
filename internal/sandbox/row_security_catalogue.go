package sandbox

import "strings"

// truth writes a boolean as PostgreSQL does.
//
//go:noinline
func truth(b bool) string {
	if b {
		return "t"
	}
	return "f"
}

// oids writes a list of relations or roles as string_agg does.
func oids[T any](list []T, of func(T) string) string {
	var all []string
	for _, x := range list {
		all = append(all, of(x))
	}
	return strings.Join(all, " ")
}

func oidOfRole(r *dbRole) string         { return r.oid }
func oidOfRelation(t *dbRelation) string { return t.oid }

// relationRows are the rows of pg_class and what belongs to them.
func (d *rowSecurity) relationRows() (rows [][]string) {
	for _, t := range d.relations {
		parents := ""
		if t.parent != nil {
			parents = t.parent.oid
		}
		rows = append(rows, []string{
			t.oid, schemaName, t.name, string(t.kind), t.owner.oid, truth(t.enabled), truth(t.forced), truth(t.active(d.app())), truth(t.invoker),
			t.privileges(d.app()), truth(!t.withoutOrg), truth(!t.withoutOrg), "t", parents, oids(t.reads, oidOfRelation),
		})
	}
	return rows
}

// policyRows are those of pg_policy.
func (d *rowSecurity) policyRows() (rows [][]string) {
	for _, t := range d.relations {
		for _, p := range t.policies {
			role := "0"
			if p.role != nil {
				role = p.role.oid
			}
			rows = append(rows, []string{
				t.oid, "t", string(p.command), role,
				truth(p.using != nil), truth(p.using != nil && p.using.bound), truth(p.check != nil), truth(p.check != nil && p.check.bound),
			})
		}
	}
	return rows
}

// functionRows are those of pg_proc.
func (d *rowSecurity) functionRows() (rows [][]string) {
	for _, f := range d.functions {
		rows = append(rows, []string{schemaName, f.name, f.owner.oid})
	}
	return rows
}

// roleRows are those of pg_roles, with what pg_has_role says. A superuser has all rights without being a
// member: it may also read the server's files and create roles.
func (d *rowSecurity) roleRows() (rows [][]string) {
	for _, r := range d.roles {
		var rights, members []*dbRole
		exempt := false
		for _, other := range d.roles {
			exempt = exempt || (other.super || other.bypass) && (r.super || r.becomes(other))
			if r.has(other) && !r.super {
				rights = append(rights, other)
			}
			if r.becomes(other) && !r.super {
				members = append(members, other)
			}
		}
		rows = append(rows, []string{
			r.oid, truth(r == d.app()), truth(r.super), truth(r.bypass), truth(exempt), truth(r.super), truth(r.super), truth(r == d.app() && d.roleLeft),
			oids(rights, oidOfRole), oids(members, oidOfRole),
		})
	}
	return rows
}
