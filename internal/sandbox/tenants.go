package sandbox

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The two test orgs.
const (
	orgA = "org-a"
	orgB = "org-b"
)

// Bounds of what an org may keep, so that a writer that never deletes cannot fill the prober's memory.
const (
	maxMemories    = 1000 // of one org
	maxMemoryBytes = 16 << 10
)

// tenants keeps the memories of the test orgs. It finds and changes only what the view of a request shows.
type tenants struct {
	callers map[string]caller // by token; never changes
	seeds   map[string]memory // by org, the one that is there from the start; never changes

	mu       sync.Mutex
	memories []memory // of all orgs, oldest first
}

// A caller is who a token stands for.
type caller struct{ org, subject string }

// A memory is one object of one org.
type memory struct {
	id, text, org string
	made          time.Time // zero if it was there from the start
	order         int64     // a later one's is larger
}

func newTenants(tokenA, tokenB string) *tenants {
	t := &tenants{
		callers: map[string]caller{tokenA: {orgA, "svc-a"}, tokenB: {orgB, "svc-b"}},
		// Lower case throughout, so that a leak in capitals is not a leak word for word.
		seeds: map[string]memory{
			orgA: {id: rand.Text(), text: strings.ToLower(rand.Text()), org: orgA, order: 1},
			orgB: {id: rand.Text(), text: strings.ToLower(rand.Text()), org: orgB, order: 2},
		},
	}
	t.restoreSeeds()
	return t
}

// org returns the org of a token; empty if it has none.
func (t *tenants) org(token string) string { return t.callers[token].org }

// token returns a token of an org; empty if there is no such org.
func (t *tenants) token(org string) string {
	for token, c := range t.callers {
		if c.org == org {
			return token
		}
	}
	return ""
}

// restoreSeeds puts the memories that are there from the start back as they were: a fault lets others change and delete
// them too.
func (t *tenants) restoreSeeds() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memories = slices.DeleteFunc(t.memories, func(m memory) bool { return m.id == t.seeds[m.org].id })
	t.memories = slices.Concat([]memory{t.seeds[orgA], t.seeds[orgB]}, t.memories)
}

// counts returns how many memories each org keeps.
func (t *tenants) counts() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := map[string]int{orgA: 0, orgB: 0}
	for _, m := range t.memories {
		counts[m.org]++
	}
	return counts
}

// A view tells which memories there are for a request.
type view func(m memory) bool

func allMemories(memory) bool { return true }

type viewKey struct{}

// withView has a request see what a rule shows its org, which otherwise sees its own memories and no others.
func withView(r *http.Request, rule func(org string, m memory) bool) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), viewKey{}, rule))
}

// viewOf returns what a request of an org sees.
func viewOf(r *http.Request, org string) view {
	if rule, ok := r.Context().Value(viewKey{}).(func(string, memory) bool); ok {
		return func(m memory) bool { return rule(org, m) }
	}
	return func(m memory) bool { return m.org == org }
}

// matching returns the memories that hold a text, newest first.
func (t *tenants) matching(sees view, text string) []memory {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []memory
	for _, m := range slices.Backward(t.memories) {
		if sees(m) && strings.Contains(m.text, text) {
			found = append(found, m)
		}
	}
	return found
}

func (t *tenants) read(sees view, id string) (found memory, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.find(sees, id)
	if at < 0 {
		return memory{}, false
	}
	return t.memories[at], true
}

// create keeps a new memory, unless the org has too many.
func (t *tenants) create(org, text string) (made memory, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own, now := 0, time.Now()
	order := now.UnixNano()
	for _, m := range t.memories {
		order = max(order, m.order+1)
		if m.org == org {
			own++
		}
	}
	if own >= maxMemories {
		return memory{}, false
	}
	made = memory{id: rand.Text(), text: text, org: org, made: now, order: order}
	t.memories = append(t.memories, made)
	return made, true
}

func (t *tenants) change(sees view, id, text string) (changed memory, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.find(sees, id)
	if at < 0 {
		return memory{}, false
	}
	t.memories[at].text = text
	return t.memories[at], true
}

func (t *tenants) remove(sees view, id string) (ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.find(sees, id)
	if at >= 0 {
		t.memories = slices.Delete(t.memories, at, at+1)
	}
	return at >= 0
}

// find returns where a memory is, or -1. One that the view hides and one that never was are the same to it. The caller
// holds mu.
func (t *tenants) find(sees view, id string) int {
	return slices.IndexFunc(t.memories, func(m memory) bool { return m.id == id && sees(m) })
}
