package isolation

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"prober/internal/httpx"
	"prober/internal/text"
)

// A list may keep orgs apart on its first page and forget to on the next, and the small org of a test has no next. So
// an org gets more objects until its list has a second page, if a few are enough.

// maxPageSeeds is how many objects an org gets at most so that its list has a second page.
const maxPageSeeds = 8

// hasPages reports whether the list is requested page by page.
func (rr *resourceRun) hasPages() bool {
	return rr.List != nil && (rr.List.contains("{page}") || rr.List.contains("{cursor}"))
}

// sawPage notes that a page of an org's list was read, and whether there may be another.
func (r *run) sawPage(rr *resourceRun, t *tenant, page int, v vars, more bool, answer *httpx.Answer) {
	length := maxLength(decodeJSON(answer.Body))
	r.mu.Lock()
	defer r.mu.Unlock()
	byPage := rr.List.contains("{page}")
	if byPage && !more {
		page-- // it is empty
	}
	rr.pages = max(rr.pages, page)
	if page == 1 && more && !byPage {
		rr.cursors[t] = v.cursor
	}
	if page == 1 {
		rr.onFirst[t] = length
	}
}

// testPaging lists on more than one page, and with the cursors of other orgs. It says for the summary what was seen.
func (r *run) testPaging(a *assertion, rr *resourceRun) string {
	if rr.pages < 2 && rr.Create != nil && len(a.violations) == 0 && r.orphanCount == 0 {
		r.seedSecondPage(a, rr)
	}
	if rr.pages < 2 {
		return ", on a single page: what further pages show was not seen"
	}
	r.eachPair(func(owner, intruder *tenant) {
		if cursor := rr.cursors[owner]; cursor != "" {
			v := vars{org: intruder.id, cursor: cursor, page: "1"}
			r.send(r.ctx, request{assertion: a, tenant: intruder, template: rr.List, vars: v, want: rr.List.wrongOrg().Statuses()})
		}
	})
	return ", on up to " + text.Count(rr.pages, "page")
}

// seedSecondPage creates objects until the list of an org has a second page, and a last one in another org: in either order
// of the list, an object of the other org then has its place on the second page, should it show all orgs'.
func (r *run) seedSecondPage(a *assertion, rr *resourceRun) {
	owner, other := r.p.tenants[0], r.p.tenants[1]
	for _, n := range rr.pageSeeds(owner) {
		seeds := make([]seededObject, n)
		r.parallel(n, func(i int) { seeds[i], _ = r.seedObject(rr, owner, a, mutation{}, nil) })
		if !r.expectAllSeeded(a, seeds) {
			return
		}
		if rr.pages > 1 {
			break
		}
	}
	if rr.pages < 2 {
		return
	}
	last, _ := r.seedObject(rr, other, a, mutation{}, nil)
	if r.expectAllSeeded(a, []seededObject{last}) {
		r.expectListed(a, rr.seeded[owner], "list")
	}
}

// expectAllSeeded protects new objects and waits until the list shows them to their owner. It reports whether there are all.
func (r *run) expectAllSeeded(a *assertion, seeds []seededObject) bool {
	for _, obj := range seeds {
		if obj.text == "" {
			return false // recorded
		}
		r.protect(obj)
		r.protectID(obj)
	}
	r.expectListed(a, seeds[len(seeds)-1], "list")
	return len(a.violations) == 0
}

// pageSeeds is how many objects to create at a time so that an org's list has a second page: just enough if the URL of the
// list says how many a page has, and none if those are too many.
func (rr *resourceRun) pageSeeds(t *tenant) []int {
	size := rr.pageSize()
	missing := size + 1 - rr.onFirst[t]
	switch {
	case size == 0:
		return []int{2, maxPageSeeds - 2}
	case missing > maxPageSeeds:
		return nil
	}
	return []int{max(missing, 1)}
}

// pageSizeName matches the names of parameters that say how many objects a page has.
var pageSizeName = regexp.MustCompile(`(?i)(limit|size|per_?page|first|top|take|rows|count|max.?results)\]?$`)

// pageSize is the number of objects on a page, if the URL of the list says so; else 0.
func (rr *resourceRun) pageSize() int {
	_, query, _ := strings.Cut(rr.List.URL, "?")
	params, _ := url.ParseQuery(query)
	for name, values := range params {
		if n, err := strconv.Atoi(values[0]); err == nil && n > 0 && pageSizeName.MatchString(name) {
			return n
		}
	}
	return 0
}

// maxLength is the length of the longest array in a JSON value.
func maxLength(value any) int {
	n := 0
	switch value := value.(type) {
	case []any:
		n = len(value)
		for _, inner := range value {
			n = max(n, maxLength(inner))
		}
	case map[string]any:
		for _, inner := range value {
			n = max(n, maxLength(inner))
		}
	}
	return n
}
