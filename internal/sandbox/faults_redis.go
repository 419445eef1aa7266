package sandbox

// redisFaults break the two Redis servers, what is in them, and who may do what.
func redisFaults() []Fault {
	const (
		degraded = "Redis degraded"
		keys     = "Inspect Redis keys for missing org prefix"
		path     = "API endpoint, Redis key namespace, ClickHouse query, or connection pool org context leak?"
		secrets  = "never paste secrets into tickets or chat"
	)
	both, primary, replica := []string{redis1, redis2}, []string{redis1}, []string{redis2}
	change := func(hosts []string, f redisFault) []*effect { return []*effect{onRedis(hosts, f)} }
	refuses := func(hosts []string, why string) []*effect {
		return change(hosts, func(r *redisServer) { r.refusal = why })
	}
	further := func(name string) []*effect {
		return change(primary, func(r *redisServer) { r.names = []string{name} })
	}
	return []Fault{
		{"redis-down", "the primary Redis refuses connections", degraded, []*effect{refuseConnections(redis1)}},
		{"redis-hangs", "the primary Redis accepts connections and says nothing: it is frozen", degraded, change(primary, func(r *redisServer) { r.login = loginHang })},
		{"redis-password", "Redis no longer accepts the prober's password", degraded, change(both, func(r *redisServer) { r.login = loginReject })},
		{"redis-no-password", "the primary Redis answers whoever has not logged in", secrets, change(primary, func(r *redisServer) { r.noLogin = true })},
		{"redis-oom", "the memory of the primary Redis is full: it refuses writes and answers PING", degraded,
			change(primary, func(r *redisServer) { r.noWrites = "OOM command not allowed when used memory > 'maxmemory'." })},
		{"redis-misconf", "the primary Redis cannot save to its disk and refuses writes", degraded,
			change(primary, func(r *redisServer) { r.noWrites = "MISCONF Redis is configured to save RDB snapshots" })},
		{"redis-read-only", "the primary Redis has become a replica of nobody that is asked: it refuses writes", degraded,
			change(primary, func(r *redisServer) {
				r.primary, r.linkUp, r.noWrites = false, true, "READONLY You can't write against a read only replica."
			})},
		{"redis-two-primaries", "the replica of Redis was promoted, and the old primary was not fenced", degraded, change(replica, func(r *redisServer) { r.primary = true })},
		{"redis-link-down", "the replica of Redis has lost its primary and answers with old data", degraded, change(replica, func(r *redisServer) { r.linkUp = false })},
		{"redis-stale", "the replica of Redis has lost its primary and refuses to answer", degraded, append(
			change(replica, func(r *redisServer) { r.linkUp = false }), refuses(replica, "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")...)},
		{"redis-lags", "the replica of Redis lacks what was written for longer than it may", degraded, change(replica, func(r *redisServer) { r.behind = 1 << 20 })},
		{"redis-busy", "the primary Redis is busy with a script", degraded, refuses(primary, "BUSY Redis is busy running a script.")},
		{"redis-loading", "the primary Redis has started and is loading its data", degraded, refuses(primary, "LOADING Redis is loading the dataset in memory")},
		{"redis-unprefixed", "a key in Redis belongs to no org", keys, further("user:4711:session")},
		{"redis-wrong-org", "a key of one org is kept behind the prefix of another", path, further("org:org-b:note:demo-canary-a")},
		{"redis-name-data", "the name of a key in Redis holds an e-mail address", path, further("org:org-a:login:alice@shop.example")},
		{"redis-database", "an application keeps keys in another database of Redis than the others", keys, change(primary, func(r *redisServer) { r.database = 3 })},
		{"redis-empty", "the key that is planted in Redis is gone", keys, change(primary, func(r *redisServer) { r.unplant = true })},
		{"redis-scan-blind", "something before Redis shows a part of the keys only", keys, change(primary, func(r *redisServer) { r.hidden = true })},
		{"redis-acl-open", "the ACL user of one org has rights on all keys, at the replica", path, change(replica, func(r *redisServer) { r.open = true })},
		{"redis-acl-commands", "the ACL user of one org may delete the keys of all", path, change(primary, func(r *redisServer) { r.commands = true })},
	}
}
