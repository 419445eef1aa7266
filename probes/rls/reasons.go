package rls

import "prober/internal/probe"

// Reasons of the kind, in the order of the checks that give them.
var (
	roleExempt            = probe.Reason{Word: "role_exempt", Verdict: probe.Fail, Text: "no policy binds the role"}
	roleOwns              = probe.Reason{Word: "role_owns", Verdict: probe.Fail, Text: "the role owns tables whose policies do not bind their owner"}
	tablesMissing         = probe.Reason{Word: "tables_missing", Verdict: probe.Fail, Text: "fewer tables than expected"}
	disabled              = probe.Reason{Word: "rls_disabled", Verdict: probe.Fail, Text: "row-level security is off"}
	inactive              = probe.Reason{Word: "rls_inactive", Verdict: probe.Fail, Text: "row-level security is on, but not for the role"}
	partitionOpen         = probe.Reason{Word: "partition_open", Verdict: probe.Fail, Text: "a partition or child table without policies of its own"}
	noOrgColumn           = probe.Reason{Word: "no_org_column", Verdict: probe.Fail, Text: "no column says whose a row is"}
	policyOpen            = probe.Reason{Word: "policy_open", Verdict: probe.Fail, Text: "a policy does not look at the org of a row"}
	noPolicy              = probe.Reason{Word: "no_policy", Verdict: probe.Inconclusive, Text: "no policy lets the role read"}
	checkOpen             = probe.Reason{Word: "check_open", Verdict: probe.Fail, Text: "a policy lets rows of other orgs be written"}
	truncateGranted       = probe.Reason{Word: "truncate_granted", Verdict: probe.Fail, Text: "the role may delete the rows of all orgs"}
	leakyView             = probe.Reason{Word: "leaky_view", Verdict: probe.Fail, Text: "a view reads as a role that no policy binds"}
	leakyMaterializedView = probe.Reason{Word: "leaky_materialized_view", Verdict: probe.Fail, Text: "a materialized view has no policies"}
	definerExempt         = probe.Reason{Word: "definer_exempt", Verdict: probe.Fail, Text: "a function runs as a role that no policy binds"}
	failsOpen             = probe.Reason{Word: "fails_open", Verdict: probe.Fail, Text: "rows are shown without an org", Breach: true}
	roleLeft              = probe.Reason{Word: "role_left", Verdict: probe.Fail, Text: "another role is left on a connection of the pool", Breach: true}
	orgLeft               = probe.Reason{Word: "org_left", Verdict: probe.Fail, Text: "an org is left on a connection of the pool", Breach: true}
)

// relationCount counts what the catalogue says of the relations.
var relationCount = &probe.Measure{
	Name:   "probe_rls_relations",
	Help:   "Tables, partitions, views and materialized views of the tenants, by what the catalogue says of them: protected, unprotected, out of the role's reach, or exempt by the configuration.",
	Labels: []string{"state"},
}
