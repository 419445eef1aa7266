package sandbox

// tenantDatabase is the way that the application takes to its database.
//
//go:noinline
func tenantDatabase() []string { return []string{pgbouncer} }

// onRows changes the database with data of tenants.
//
//go:noinline
func onRows(change func(*rowSecurity)) []*effect {
	return []*effect{onDatabase(tenantDatabase(), func(d *database) { change(d.tenants) })}
}

// onTable changes one of its relations.
//
//go:noinline
func onTable(name string, change func(*dbRelation)) []*effect {
	return onRows(func(d *rowSecurity) { change(d.relation(name)) })
}

// withPolicies replaces the policies of both tables, since each has a canary that the others would be compared with.
//
//go:noinline
func withPolicies(policies ...dbPolicy) []*effect {
	return onRows(func(d *rowSecurity) {
		d.relation("memories").policies, d.relation("events").policies = policies, policies
	})
}

// withPolicy adds a policy to memories.
func withPolicy(p dbPolicy) []*effect {
	return onTable("memories", func(t *dbRelation) { t.policies = append([]dbPolicy{p}, t.policies...) })
}

// rowSecurityFaults let the role of the application get around row-level security, or hide whether it can.
func rowSecurityFaults() []Fault {
	const (
		policies = "Verify RLS policies enabled on `ibex_core` tables"
		closed   = "Fail closed when org context is missing or mismatched"
		tests    = "Confirm with controlled test orgs if possible"
		suite    = "Cross-tenant integration tests pass in staging"
	)
	return []Fault{
		{"rls-off", "row-level security is off for memories; its policies are there", policies, onTable("memories", func(t *dbRelation) { t.enabled, t.forced = false, false })},
		{"rls-forced-only", "row-level security is forced for memories and not enabled, which does nothing", policies, onTable("memories", func(t *dbRelation) { t.enabled = false })},
		{"rls-superuser", "the application connects as a superuser", policies, onRows(func(d *rowSecurity) { d.app().super = true })},
		{"rls-bypass", "the role of the application has BYPASSRLS", policies, onRows(func(d *rowSecurity) { d.app().bypass = true })},
		{"rls-becomes-exempt", "the role of the application may become one that has BYPASSRLS", policies,
			onRows(func(d *rowSecurity) { d.app().memberOf, d.app().inherits = []*dbRole{d.roles[roleMaintenance]}, false })},
		{"rls-not-forced", "the role of the application is a member of the owner, and events is not forced", policies, onRows(func(d *rowSecurity) {
			d.app().memberOf, d.relation("events").forced = []*dbRole{d.roles[roleOwner]}, false
		})},
		{"rls-open-policy", "a second policy shows all memories: permissive policies are ORed", policies, withPolicy(dbPolicy{command: 'r', using: everyRow})},
		{"rls-not-compared", "the policies look at the org of a row and compare it with nothing", policies, withPolicies(dbPolicy{command: '*', using: anyOrg})},
		{"rls-no-column", "memories has no column for the org, and its policy shows every row", policies,
			onTable("memories", func(t *dbRelation) { t.withoutOrg, t.policies = true, []dbPolicy{{command: '*', using: everyRow}} })},
		{"rls-with-check", "the policies show each org its own rows, and let it write those of any", suite,
			withPolicies(dbPolicy{command: '*', using: ownRows, check: everyRow})},
		{"rls-truncate", "the application may TRUNCATE memories, to which no policy applies", policies, onTable("memories", func(t *dbRelation) { t.granted += "t" })},
		{"rls-delete", "the policies for SELECT and DELETE compare the org of a row with nothing", suite,
			withPolicies(dbPolicy{command: 'r', using: anyOrg}, dbPolicy{command: 'd', using: anyOrg})},
		{"rls-view", "a view of memories belongs to a superuser, as migrations make them", policies, onRows(func(d *rowSecurity) { d.relation("memory_counts").owner = d.roles[roleAdmin] })},
		{"rls-view-above", "an invoker's view reads a view that belongs to a superuser", policies, onRows(func(d *rowSecurity) {
			d.relation("memory_counts").owner = d.roles[roleAdmin]
			d.add(&dbRelation{oid: "20008", name: "weekly_counts", kind: 'v', owner: d.roles[roleOwner], invoker: true, granted: "r", withoutOrg: true, reads: []*dbRelation{d.relation("memory_counts")}})
		})},
		{"rls-matview", "the application may read a materialized view of memories", policies, onRows(func(d *rowSecurity) {
			d.add(&dbRelation{oid: "20008", name: "search_index", kind: 'm', owner: d.roles[roleOwner], granted: "r", reads: []*dbRelation{d.relation("memories")}, rows: []string{orgA, orgB}})
		})},
		{"rls-partition", "the application may read a partition of events by itself", policies, onTable("events_2026", func(t *dbRelation) { t.granted = "r" })},
		{"rls-function", "a SECURITY DEFINER function that everyone may call belongs to a superuser", policies,
			onRows(func(d *rowSecurity) { d.functions = []dbFunction{{"search", d.roles[roleAdmin]}} })},
		{"rls-fails-open", "the policies show all rows if the org is empty", closed, withPolicies(dbPolicy{command: '*', using: ownOrIfEmpty})},
		{"rls-fails-open-unset", "the policies show all rows as long as no org was ever set", closed, withPolicies(dbPolicy{command: '*', using: ownOrIfUnset})},
		{"rls-fails-open-malformed", "the policies show all rows if the org has a space in it", closed, withPolicies(dbPolicy{command: '*', using: ownOrIfMalformed})},
		{"rls-no-tables", "the schema has no tables: none of them is unprotected", policies, onRows(func(d *rowSecurity) { d.relations = nil })},
		{"rls-owner-blind", "the only policies are for another role: the application sees no row, not even its own", tests,
			onRows(func(d *rowSecurity) {
				for _, name := range []string{"memories", "events"} {
					d.relation(name).policies = []dbPolicy{{command: '*', role: d.roles[roleReporting], using: everyRow}}
				}
			})},
		{"rls-canary-gone", "memories has no row of one test org", tests, onTable("memories", func(t *dbRelation) { t.rows = []string{orgA} })},
		{"rls-raises", "without an org, the policies raise an error: nothing is shown", "never a false alarm: a refusal shows no row",
			allHarmless(withPolicies(dbPolicy{command: '*', using: strictRow}))},
	}
}

// poolOfDatabaseFaults break the pool that the application's database is behind.
func poolOfDatabaseFaults() []Fault {
	const (
		leak     = "API endpoint, Redis key namespace, ClickHouse query, or connection pool org context leak?"
		failover = "DB failover"
	)
	return []Fault{
		{"pool-residue", "the application sets the org for the session: it is left on the connections of the pool", leak, onRows(func(d *rowSecurity) { d.left = orgB })},
		{"pool-role-left", "the application sets another role for the session: it is left on the connections of the pool", leak, onRows(func(d *rowSecurity) { d.roleLeft = true })},
		{"pool-unshared", "no two clients share a connection: there is no pool, or too large a one", leak, onRows(func(d *rowSecurity) { d.pooled = false })},
		{"pool-down", "the pool refuses connections", failover, []*effect{refuseConnections(pgbouncer)}},
		{"pool-password", "the pool no longer accepts the application's password", failover,
			[]*effect{onDatabase(tenantDatabase(), func(d *database) { d.login = loginReject })}},
	}
}
