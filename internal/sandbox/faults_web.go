package sandbox

import "net/http"

// webFaults break the status page: the way to it, how it is sent, and what it lists.
func webFaults() []Fault {
	const (
		way   = "a redirect that leads elsewhere, in a circle, or on and on"
		sent  = "a server or a proxy before it that was changed, and serves in an older way"
		lists = "a list that is right as a whole only if each of its items is"
	)
	page := []string{web}
	components := func(change func([]any) []any) []*effect {
		return []*effect{on(page, componentsRoute, editJSON(func(body any) any {
			return object{"components": change(body.(object)["components"].([]any))}
		}))}
	}
	return []Fault{
		{"status-redirect-elsewhere", "the status page redirects to another host", way,
			[]*effect{on(page, statusRoute, redirect("https://login.demo.test/"))}},
		{"status-redirect-loop", "the status page redirects to where it redirects back", way,
			[]*effect{on(page, componentsRoute, redirect("/status"))}},
		{"status-redirect-twice", "the status page redirects once more than it should", way,
			[]*effect{on(page, componentsRoute, redirect("/status/list")), on(page, otherRoutes, onlyPath("/status/list", sameAs(componentsRoute)))}},
		{"status-uncompressed", "the status page is not compressed, whatever is asked for", sent,
			[]*effect{on(page, everyRoute, ignoreCodings)}},
		{"status-http1", "the status page is no longer served by HTTP/2", sent,
			[]*effect{{hosts: page, onlyHTTP1: true}}},
		{"status-component-down", "one of the components on the status page has an outage", lists,
			components(func(all []any) []any {
				all[2].(object)["status"] = "major_outage"
				return all
			})},
		{"status-component-gone", "the status page does not list the login any more", lists,
			components(func(all []any) []any { return append(all[:1], all[2:]...) })},
		{"status-empty", "the status page lists no component", lists,
			components(func([]any) []any { return []any{} })},
	}
}

// ignoreCodings answers as if the request had asked for no compression.
func ignoreCodings(at target, w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Accept-Encoding")
	at.next(w, r)
}
