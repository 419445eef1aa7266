package rls

import "prober/internal/probe"

// Reasons of the kind, in the order of the checks that give them.
var (
	roleExempt = probe.Reason{Word: "role_exempt", Verdict: probe.Fail, Text: "no policy binds the role",
		Action: "Take SUPERUSER and BYPASSRLS from the application's role: no policy binds it, so every tenant can see everything."}
	roleOwns = probe.Reason{Word: "role_owns", Verdict: probe.Fail, Text: "the role owns tables whose policies do not bind their owner",
		Action: "Use FORCE ROW LEVEL SECURITY on the tables, or another owner: policies do not bind the owner."}
	tablesMissing = probe.Reason{Word: "tables_missing", Verdict: probe.Fail, Text: "fewer tables than expected",
		Action: "Check schema, grants and the latest migration: tables that must be there are not, so they were not checked."}
	disabled = probe.Reason{Word: "rls_disabled", Verdict: probe.Fail, Text: "row-level security is off",
		Action: "Run ALTER TABLE ... ENABLE ROW LEVEL SECURITY on the table that the detail names: every org can read it."}
	inactive = probe.Reason{Word: "rls_inactive", Verdict: probe.Fail, Text: "row-level security is on, but not for the role",
		Action: "Find out why policies do not apply to the role (row_security, ownership), and correct that."}
	partitionOpen = probe.Reason{Word: "partition_open", Verdict: probe.Fail, Text: "a partition or child table without policies of its own",
		Action: "Enable row-level security with policies on the partition too, or revoke direct access to it."}
	noOrgColumn = probe.Reason{Word: "no_org_column", Verdict: probe.Fail, Text: "no column says whose a row is",
		Action: "Add the column that says whose a row is, or exempt the table in the probe if it has no tenants' data."}
	policyOpen = probe.Reason{Word: "policy_open", Verdict: probe.Fail, Text: "a policy does not look at the org of a row",
		Action: "Change the policy that the detail names so that it compares the org of the row."}
	noPolicy = probe.Reason{Word: "no_policy", Verdict: probe.Inconclusive, Text: "no policy lets the role read",
		Action: "Add a policy for the role, or correct the role of the probe: it can read nothing, which proves nothing."}
	checkOpen = probe.Reason{Word: "check_open", Verdict: probe.Fail, Text: "a policy lets rows of other orgs be written",
		Action: "Add WITH CHECK to the policy that the detail names: an org can write rows of another."}
	truncateGranted = probe.Reason{Word: "truncate_granted", Verdict: probe.Fail, Text: "the role may delete the rows of all orgs",
		Action: "Revoke TRUNCATE from the role: no policy stops it."}
	leakyView = probe.Reason{Word: "leaky_view", Verdict: probe.Fail, Text: "a view reads as a role that no policy binds",
		Action: "Recreate the view with security_invoker = true: it reads as a role that no policy binds."}
	leakyMaterializedView = probe.Reason{Word: "leaky_materialized_view", Verdict: probe.Fail, Text: "a materialized view has no policies",
		Action: "Revoke access to the materialized view, or put a view with a filter before it: it can have no policies."}
	definerExempt = probe.Reason{Word: "definer_exempt", Verdict: probe.Fail, Text: "a function runs as a role that no policy binds",
		Action: "Change the function to SECURITY INVOKER, or to an owner that policies bind."}
	failsOpen = probe.Reason{Word: "fails_open", Verdict: probe.Fail, Text: "rows are shown without an org", Breach: true,
		Action: "Treat it as a security incident: without an org all rows are shown; change the policy to deny then."}
	roleLeft = probe.Reason{Word: "role_left", Verdict: probe.Fail, Text: "another role is left on a connection of the pool", Breach: true,
		Action: "Reset the role when a connection goes back to the pool (server_reset_query, or SET LOCAL): the next tenant inherits it."}
	orgLeft = probe.Reason{Word: "org_left", Verdict: probe.Fail, Text: "an org is left on a connection of the pool", Breach: true,
		Action: "Set the org with SET LOCAL inside the transaction, or reset it: the next tenant inherits the org of the last."}
)

// relationCount counts what the catalogue says of the relations.
var relationCount = &probe.Measure{
	Name:   "probe_rls_relations",
	Help:   "Tables, partitions, views and materialized views of the tenants, by what the catalogue says of them: protected, unprotected, out of the role's reach, or exempt by the configuration.",
	Labels: []string{"state"},
}
