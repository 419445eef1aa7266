package sandbox

// databaseFaults break the two database servers, and what is in them.
func databaseFaults() []Fault {
	const (
		failover = "DB failover"
		dlq      = "DLQ accumulation (a single RP)"
		merge    = "merge race condition"
		secrets  = "never paste secrets into tickets or chat"
	)
	both, primary, standby := []string{postgres1, postgres2}, []string{postgres1}, []string{postgres2}
	change := func(hosts []string, f databaseFault) []*effect { return []*effect{onDatabase(hosts, f)} }
	return []Fault{
		{"pg-down", "the primary database refuses connections", failover, []*effect{refuseConnections(postgres1)}},
		{"pg-hangs", "the primary database accepts connections and says nothing", failover, change(primary, func(d *database) { d.login = loginHang })},
		{"pg-password", "the databases no longer accept the prober's password", failover, change(both, func(d *database) { d.login = loginReject })},
		{"pg-cleartext", "the databases ask for the password in clear", secrets, change(both, func(d *database) { d.login = loginCleartext })},
		{"two-primaries", "the standby was promoted, and the old primary was not fenced", failover,
			change(standby, func(d *database) { d.primary, d.streams, d.timeline = true, false, 2 })},
		{"no-primary", "the primary was demoted, and no standby promoted", failover, change(primary, func(d *database) { d.primary = false })},
		{"replica-cut-off", "the standby receives nothing; it has replayed all that it has received", failover,
			change(standby, func(d *database) { d.streams = false })},
		{"replica-lags", "the standby receives everything and replays none of it: it is two minutes behind", failover,
			change(standby, func(d *database) { d.heartbeat = 120 })},
		{"dlq-grows", "500 webhooks of one application are dead", dlq, change(primary, func(d *database) { d.dead = 500 })},
		{"dlq-old", "a webhook has been dead for three days", dlq, change(primary, func(d *database) { d.deadFor = 3 * 86400 })},
		{"dlq-table-empty", "the outbox of webhooks is empty: nothing is dead, and nothing is delivered", dlq,
			change(primary, func(d *database) { d.entries, d.dead = 0, 0 })},
		{"merge-chain", "a merged identity leads to one that was merged away itself", merge, change(primary, func(d *database) { d.chains = 1 })},
	}
}
