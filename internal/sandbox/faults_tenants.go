package sandbox

import "slices"

// memoriesHosts is the one host that these faults break.
func memoriesHosts() []string { return []string{memories} }

// orgRoutes are the routes that are answered on behalf of an org.
func orgRoutes() []string { return append(readRoutes(), createMemory, updateMemory, deleteMemory) }

// readRoutes are the routes that show memories.
func readRoutes() []string { return []string{readMemory, listMemories, exportMemories, countMemories} }

// onRoutes has a twist at work on several routes.
func onRoutes(routes []string, t interceptor) []effect {
	var all []effect
	for _, route := range routes {
		all = append(all, on(memoriesHosts(), route, t))
	}
	return all
}

func onRoute(route string, t interceptor) []effect { return onRoutes([]string{route}, t) }

// tenantFaults break the isolation of the memories API, or what proves it.
func tenantFaults() []Fault {
	return slices.Concat(leakFaults(), writeFaults(), poolFaults(), contextFaults(), controlFaults(), harmlessTenantFaults())
}

// leakFaults show one org what is another's.
func leakFaults() []Fault {
	const seen = "User report: seeing another org's data"
	return []Fault{
		{"tenant-leak-read", "whoever asks for a memory by its id is given it, of whatever org", seen,
			onRoute(readMemory, allOrgs)},
		{"tenant-leak-list", "the list holds the memories of all orgs; a search does not", seen,
			onRoute(listMemories, onlySearch(false, allOrgs))},
		{"tenant-leak-search", "a search finds the memories of all orgs; the list does not", seen,
			onRoute(listMemories, onlySearch(true, allOrgs))},
		{"tenant-leak-export", "the export holds the memories of all orgs", seen, onRoute(exportMemories, allOrgs)},
		{"tenant-leak-count", "the count is that of all orgs together", seen, onRoute(countMemories, allOrgs)},
		{"tenant-leak-header", "a read of another org's memory is denied, with its text in a header for debugging", seen,
			onRoute(readMemory, denyWith(leakInHeader))},
		{"tenant-leak-base64", "a read of another org's memory is denied, with the memory in base64 in the body", seen,
			onRoute(readMemory, denyWith(leakInBase64))},
		{"tenant-leak-case", "a read of another org's memory is denied, with its text in capitals in the message", seen,
			onRoute(readMemory, denyWith(leakInUpperCase))},
		{"tenant-existence-oracle", "another org's memory is 403 and one that never was 404: ids can be tried out", seen,
			onRoutes([]string{readMemory, updateMemory, deleteMemory}, denyWith(denyForbidden))},
	}
}

// writeFaults let one org change what is another's.
func writeFaults() []Fault {
	const suite = "Cross-tenant integration tests pass in staging"
	return []Fault{
		{"tenant-foreign-update", "whoever updates a memory by its id changes it, of whatever org", suite,
			onRoute(updateMemory, allOrgs)},
		{"tenant-foreign-delete", "whoever deletes a memory by its id deletes it, of whatever org", suite,
			onRoute(deleteMemory, allOrgs)},
		{"tenant-misleading-204", "a delete of what the caller cannot see answers 204 and does nothing", suite,
			onRoute(deleteMemory, pretendDeleted)},
		{"tenant-mass-assignment", "the org_id in the body decides in which org a memory is created", suite,
			onRoute(createMemory, trustOrgInBody)},
	}
}

// poolFaults mix up requests that have something in common: a buffer, a worker, a cache.
func poolFaults() []Fault {
	const (
		path = "API endpoint, Redis key namespace, ClickHouse query, or connection pool org context leak?"
		gone = "Reproduction no longer possible"
	)
	cache := &urlCache{entries: map[string]cacheEntry{}}
	return []Fault{
		{"tenant-shared-buffer", "reads at the same time share a buffer: each is answered with what was last put in it", path,
			onRoute(readMemory, sharedBuffer())},
		{"tenant-one-in-fifty", "every fiftieth read is answered with what the other org last read", gone,
			onRoute(readMemory, swapAnswers())},
		{"tenant-leak-cancelled", "when a caller hangs up in the middle of a read, the next read is given its answer", path,
			onRoute(readMemory, leakCancelledBody())},
		{"tenant-cached", "list and read come for 3 s out of a cache that knows the URL alone; no header tells", path,
			onRoutes([]string{listMemories, readMemory}, cache.serve)},
	}
}

// contextFaults take the org from where it must not be taken from.
func contextFaults() []Fault {
	const closed = "Fail closed when org context is missing or mismatched"
	return []Fault{
		{"tenant-header-overrides", "the org header decides whose memories a token sees", closed,
			onRoutes(orgRoutes(), trustOrgHeader)},
		{"tenant-header-ignored", "the org header is not looked at: missing or of another org, the token's own is answered", closed,
			onRoutes(orgRoutes(), ignoreOrgHeader)},
		{"tenant-first-org", "without an org header a request is one of the first org, whosever token it carries", closed,
			onRoutes(orgRoutes(), defaultToFirstOrg)},
		{"tenant-no-auth", "a request without a good token is one of the org that its header names", closed,
			onRoutes(orgRoutes(), trustOrgHeaderOfAnonymous)},
		{"tenant-expired-accepted", "a token of org-a whose time is over is still one of org-a", closed,
			onRoutes(orgRoutes(), ignoreExpiry)},
	}
}

// controlFaults take away what a denial must be weighed against: then nothing is proven, in either direction.
func controlFaults() []Fault {
	const (
		controlled = "Confirm with controlled test orgs if possible"
		falseOK    = "never a false OK: a check that proves a negative passes only when its controls held"
	)
	return []Fault{
		{"tenant-owner-blind", "nobody sees any memory, not even its owner: row security without a policy", falseOK,
			onRoutes(append(readRoutes(), updateMemory, deleteMemory), filterMemories(func(string, memory) bool { return false }))},
		{"tenant-same-org", "the tokens of both test orgs belong to org-a", controlled,
			append(onRoute(identityRoute, setField("org", orgA)), onRoutes(orgRoutes(), alwaysOrgA)...)},
		{"tenant-unmarked", "whoami no longer says that the orgs are test orgs", controlled, onRoute(identityRoute, removeField("test_org"))},
		{"tenant-500", "the memories API answers everything with 500", falseOK,
			onRoute(everyRoute, respondJSON(500, object{"error": "internal"}))},
		{"tenant-401", "the memories API refuses every token: 401", falseOK, onRoute(everyRoute, refuseToken)},
		{"tenant-429", "the memories API limits the rate of requests: 429", falseOK, append(
			onRoute(everyRoute, respondJSON(429, object{"error": "rate_limited"})), onRoute(everyRoute, addHeaders("Retry-After", "30"))...)},
	}
}

// harmlessTenantFaults look like a breach to a probe that is hasty, and are none.
func harmlessTenantFaults() []Fault {
	return []Fault{
		{"tenant-eventual", "a memory is seen by its owner only 2 s after it was created: replicas of the store lag",
			"never a false alarm: what is not there yet is not lost", allHarmless(onRoutes(readRoutes(), visibleAfterDelay))},
		{"tenant-cleanup-refused", "an org's delete of its own memory answers 500 and does nothing: isolation holds, canaries stay behind",
			"does no harm: leftovers are counted and creation stops at a cap", allHarmless(onRoute(deleteMemory, refuseOwner))},
	}
}

func allHarmless(effects []effect) []effect {
	for i := range effects {
		effects[i] = harmless(effects[i])
	}
	return effects
}
