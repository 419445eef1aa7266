package sandbox

import (
	"slices"
	"time"
)

// memoriesHosts is the host that the tenant faults break.
func memoriesHosts() []string { return []string{memories} }

// orgRoutes are the routes that need an org.
func orgRoutes() []string { return append(readRoutes(), createMemory, updateMemory, deleteMemory) }

// readRoutes are the routes that return memories.
func readRoutes() []string { return []string{readMemory, listMemories, exportMemories, countMemories} }

// onRoutes is the same interceptor on several routes.
//
//go:noinline
func onRoutes(routes []string, i interceptor) []*effect {
	var all []*effect
	for _, route := range routes {
		all = append(all, on(memoriesHosts(), route, i))
	}
	return all
}

//go:noinline
func onRoute(route string, i interceptor) []*effect { return onRoutes([]string{route}, i) }

// tenantFaults break the isolation of the memories API, or the controls that prove it.
func tenantFaults() []Fault {
	return slices.Concat(leakFaults(), writeFaults(), poolFaults(), contextFaults(), controlFaults(), harmlessTenantFaults())
}

// leakFaults show one org the memories of another.
func leakFaults() []Fault {
	const seen = "User report: seeing another org's data"
	deleted := &trash{memories: map[string]memory{}}
	return []Fault{
		{"tenant-leak-read", "a read by id returns the memory of any org", seen,
			onRoute(readMemory, allOrgs)},
		{"tenant-leak-list", "the list contains the memories of all orgs; a search does not", seen,
			onRoute(listMemories, onlySearch(false, allOrgs))},
		{"tenant-leak-second-page", "pages after the first of the list contain the memories of all orgs", seen,
			onRoute(listMemories, onlyLaterPages(allOrgs))},
		{"tenant-leak-titles", "the list contains the first 40 characters of the memories of all orgs, without their ids", seen,
			onRoute(listMemories, leakTitles)},
		{"tenant-leak-search", "a search finds the memories of all orgs; the list does not contain them", seen,
			onRoute(listMemories, onlySearch(true, allOrgs))},
		{"tenant-leak-export", "the export contains the memories of all orgs", seen, onRoute(exportMemories, allOrgs)},
		{"tenant-leak-count", "the count includes the memories of all orgs", seen, onRoute(countMemories, allOrgs)},
		{"tenant-leak-header", "a read of another org's memory is denied, with its text in a debug header", seen,
			onRoute(readMemory, denyWith(leakInHeader))},
		{"tenant-leak-base64", "a read of another org's memory is denied, with the memory in base64 in the body", seen,
			onRoute(readMemory, denyWith(leakInBase64))},
		{"tenant-leak-case", "a read of another org's memory is denied, with its text in upper case in the message", seen,
			onRoute(readMemory, denyWith(leakInUpperCase))},
		{"tenant-leak-hint", "a read of another org's memory is denied, after 103 Early Hints that name its text", seen,
			onRoute(readMemory, denyWith(leakInHint))},
		{"tenant-leak-short-ids", "memories are numbered, and the list contains the numbers of the memories of all orgs, without their texts", seen,
			append(onRoute(createMemory, numbered()), onRoute(listMemories, onlySearch(false, listForeignIDs))...)},
		{"tenant-cleans-late", "an id with ../ in it, encoded, leads to the memory of any org", seen,
			onRoute(readMemory, cleanLate)},
		{"tenant-unique-texts", "a text that a memory of any org has is refused: 409", seen,
			onRoute(createMemory, uniqueTexts)},
		{"tenant-shared-trash", "a deleted memory can still be read by its id, by any other org", seen,
			append(onRoute(deleteMemory, deleted.keep), onRoute(readMemory, deleted.show)...)},
		{"tenant-existence-oracle", "another org's memory is 403 and a nonexistent one 404: ids can be enumerated", seen,
			onRoutes([]string{readMemory, updateMemory, deleteMemory}, denyWith(denyForbidden))},
	}
}

// writeFaults let one org change the memories of another.
func writeFaults() []Fault {
	const suite = "Cross-tenant integration tests pass in staging"
	foreign := &trash{memories: map[string]memory{}}
	return []Fault{
		{"tenant-foreign-update", "an update by id changes the memory of any org", suite,
			onRoute(updateMemory, allOrgs)},
		{"tenant-foreign-delete", "a delete by id deletes the memory of any org", suite,
			onRoute(deleteMemory, allOrgs)},
		{"tenant-denied-update", "an update of another org's memory is denied, and appended to it", suite,
			onRoute(updateMemory, appendDenied)},
		{"tenant-denied-archive", "an update of another org's memory is denied, and archives it: its text stays", suite,
			onRoute(updateMemory, archiveDenied)},
		{"tenant-denied-delete", "a delete by id deletes the memory of any org and answers 403, as does whatever does not exist", suite,
			append(onRoutes([]string{readMemory, updateMemory}, forbidMissing), onRoute(deleteMemory, deleteForbidden)...)},
		{"tenant-foreign-trash", "a delete of another org's memory is denied, and moves it to the trash: it can be read, and no list has it", suite,
			append(onRoutes([]string{listMemories, exportMemories, countMemories}, foreign.hide), onRoute(deleteMemory, foreign.takeForeign)...)},
		{"tenant-misleading-204", "a delete of a memory that the caller cannot see answers 204 and does nothing", suite,
			onRoute(deleteMemory, pretendDeleted)},
		{"tenant-mass-assignment", "the org_id in the body decides which org a memory is created in", suite,
			onRoute(createMemory, trustOrgInBody)},
		{"tenant-create-no-answer", "the org_id in the body decides which org a memory is created in, and the answer is 204", suite,
			onRoute(createMemory, createElsewhere)},
		{"tenant-update-moves", "the org_id in the body of an update moves the memory to that org", suite,
			onRoute(updateMemory, moveByUpdate)},
	}
}

// poolFaults mix up requests that share a buffer, a worker or a cache.
func poolFaults() []Fault {
	const (
		path = "API endpoint, Redis key namespace, ClickHouse query, or connection pool org context leak?"
		gone = "Reproduction no longer possible"
	)
	newCache := func() *urlCache { return &urlCache{entries: map[string]cacheEntry{}} }
	cache, identities, written := newCache(), newCache(), newCache()
	written.life = time.Hour
	return []Fault{
		{"tenant-shared-buffer", "concurrent reads share a buffer: each gets the answer that was written last", path,
			onRoute(readMemory, sharedBuffer())},
		{"tenant-one-in-fifty", "every fiftieth read gets the answer to the other org's last read", gone,
			onRoute(readMemory, swapAnswers())},
		{"tenant-leak-cancelled", "when a caller hangs up in the middle of a read, the next read gets its answer", path,
			onRoute(readMemory, leakCancelledBody())},
		{"tenant-cached", "for 10 s, list and read are answered from a cache keyed by the URL alone; no header shows it", path,
			onRoutes([]string{listMemories, readMemory}, cache.serve)},
		{"tenant-update-cached", "from its update to its deletion, a memory is read from a cache keyed by the URL alone", path, slices.Concat(
			onRoute(updateMemory, written.fill), onRoute(readMemory, written.serveFilled), onRoute(deleteMemory, written.drop))},
		{"tenant-identity-cached", "for 10 s, whoami is answered from a cache keyed by the URL alone, if the request names an org", path,
			onRoute(identityRoute, onlyWithOrg(identities.serve))},
	}
}

// contextFaults take the org from a source that must not decide it.
func contextFaults() []Fault {
	const closed = "Fail closed when org context is missing or mismatched"
	return []Fault{
		{"tenant-header-overrides", "the org header decides whose memories a token sees", closed,
			onRoutes(orgRoutes(), trustOrgHeader)},
		{"tenant-header-ignored", "the org header is ignored: without it, or with that of another org, the token's org is used", closed,
			onRoutes(orgRoutes(), ignoreOrgHeader)},
		{"tenant-first-org", "a request without an org header is one of the first org, whatever its token", closed,
			onRoutes(orgRoutes(), defaultToFirstOrg)},
		{"tenant-no-auth", "a request without a valid token is one of the org that its header names", closed,
			onRoutes(orgRoutes(), trustOrgHeaderOfAnonymous)},
		{"tenant-no-auth-export", "an export without a valid token is one of the org that its header names", closed,
			onRoute(exportMemories, trustOrgHeaderOfAnonymous)},
		{"tenant-no-auth-delete", "a delete without a valid token answers 401 and deletes", closed,
			onRoute(deleteMemory, deleteForAnonymous)},
		{"tenant-expired-accepted", "an expired token of org-a is still accepted", closed,
			onRoutes(orgRoutes(), ignoreExpiry)},
	}
}

// controlFaults break the positive or negative controls. Then a denial proves nothing, in either direction.
func controlFaults() []Fault {
	const (
		controlled = "Confirm with controlled test orgs if possible"
		falseOK    = "never a false OK: a check that proves a negative passes only when its controls held"
	)
	return []Fault{
		{"tenant-owner-denied", "memories are visible to no one, not even to their owner: row security without a policy", falseOK,
			onRoutes(append(readRoutes(), updateMemory, deleteMemory), filterMemories(func(string, memory) bool { return false }))},
		{"tenant-blind-midway", "after 260 reads by id, no memory can be read any more, not even by its owner", falseOK,
			onRoute(readMemory, blindAfter(260))},
		{"tenant-frozen-midway", "after 260 reads by id, no read is answered any more, and the connections stay open", falseOK,
			onRoute(readMemory, frozenAfter(260))},
		{"tenant-same-org", "the tokens of both test orgs belong to org-a", controlled,
			append(onRoute(identityRoute, setField("org", orgA)), onRoutes(orgRoutes(), alwaysOrgA)...)},
		{"tenant-unmarked", "whoami no longer reports that the orgs are test orgs", controlled, onRoute(identityRoute, removeField("test_org"))},
		{"tenant-500", "the memories API answers everything with 500", falseOK,
			onRoute(everyRoute, respondJSON(500, object{"error": "internal"}))},
		{"tenant-401", "the memories API refuses every token: 401", falseOK, onRoute(everyRoute, refuseToken)},
		{"tenant-429", "the memories API limits the rate of requests: 429", falseOK, append(
			onRoute(everyRoute, respondJSON(429, object{"error": "rate_limited"})), onRoute(everyRoute, addHeaders("Retry-After", "30"))...)},
	}
}

// harmlessTenantFaults look like a breach to a probe that does not wait or check, and are not.
func harmlessTenantFaults() []Fault {
	return []Fault{
		{"tenant-eventual", "a memory is visible to its owner only 2 s after it was created: replicas of the store lag",
			"never a false alarm: what is not visible yet is not lost", allHarmless(onRoutes(readRoutes(), visibleAfterDelay))},
		{"tenant-late-index", "the list, the search and the export contain a memory only 2 s after it was created: the index lags behind the store",
			"never a false alarm: what is not visible yet is not lost", allHarmless(onRoutes([]string{listMemories, exportMemories}, visibleAfterDelay))},
		{"tenant-strict-ids", "an id that is not of 26 letters and digits is 400, before a memory is looked for",
			"never a false alarm: another form of id is refused in another way", allHarmless(onRoutes([]string{readMemory, updateMemory, deleteMemory}, checkIDs))},
		{"tenant-cleanup-refused", "an org's delete of its own memory answers 500 and does nothing: isolation holds, canaries are left over",
			"does no harm: leftover canaries are counted and creation stops at a cap", allHarmless(onRoute(deleteMemory, refuseOwner))},
	}
}

//go:noinline
func allHarmless(effects []*effect) []*effect {
	for i := range effects {
		effects[i] = harmless(effects[i])
	}
	return effects
}
