package sandbox

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/internal/drop"
)

// The two test orgs.
const (
	orgA = "org-a"
	orgB = "org-b"
)

// Bounds of what an org may store, so that a writer that never deletes cannot fill the prober's memory.
const (
	maxMemories    = 1000 // of one org
	maxMemoryBytes = 16 << 10
)

// tenants stores the memories of the test orgs. A request finds and changes only the memories in its view.
type tenants struct {
	callers map[string]caller // by token; never changes
	seeds   map[string]memory // by org, the one that exists from the start; never changes

	mu       sync.Mutex
	memories []memory // of all orgs, oldest first
}

// A caller is the owner of a token.
type caller struct{ org, subject string }

// A memory is one object of one org.
type memory struct {
	id, text, org string
	made          time.Time // zero for a seed
	order         int64     // increases with each memory
	archived      bool
}

func newTenants(tokenA, tokenB string) *tenants {
	t := &tenants{
		callers: map[string]caller{tokenA: {orgA, "svc-a"}, tokenB: {orgB, "svc-b"}},
		// All lower case, so that a leak in upper case is not a leak of the exact text.
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

// restoreSeeds restores the memories that exist from the start: a fault may have let another org change or delete them.
func (t *tenants) restoreSeeds() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memories = drop.If(t.memories, func(m memory) bool { return m.id == t.seeds[m.org].id })
	t.memories = slices.Concat([]memory{t.seeds[orgA], t.seeds[orgB]}, t.memories)
}

// counts returns how many memories each org has.
func (t *tenants) counts() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := map[string]int{orgA: 0, orgB: 0}
	for _, m := range t.memories {
		counts[m.org]++
	}
	return counts
}

// A view reports whether a request can see a memory.
type view func(m memory) bool

func allMemories(memory) bool { return true }

type viewKey struct{}

// withView returns the request with a rule that decides which memories its org sees. Without one, it sees its own.
func withView(r *http.Request, rule func(org string, m memory) bool) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), viewKey{}, rule))
}

// viewOf returns the view of a request of an org.
func viewOf(r *http.Request, org string) view {
	if rule, ok := r.Context().Value(viewKey{}).(func(string, memory) bool); ok {
		return func(m memory) bool { return rule(org, m) }
	}
	return func(m memory) bool { return m.org == org }
}

// matching returns the memories that contain a text, newest first.
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

// create stores a new memory, unless the org has too many.
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

// archive marks a memory as archived.
func (t *tenants) archive(sees view, id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := t.find(sees, id); at >= 0 {
		t.memories[at].archived = true
	}
}

// rename gives a memory another id.
func (t *tenants) rename(id, newID string) (renamed memory, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.find(allMemories, id)
	if at < 0 {
		return memory{}, false
	}
	t.memories[at].id = newID
	return t.memories[at], true
}

// move changes the org and the text of a memory.
func (t *tenants) move(sees view, id, org, text string) (moved memory, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.find(sees, id)
	if at < 0 {
		return memory{}, false
	}
	t.memories[at].org, t.memories[at].text = org, text
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

// find returns the index of a memory, or -1 if it does not exist or the view hides it. The caller holds mu.
//
//go:noinline
func (t *tenants) find(sees view, id string) int {
	return slices.IndexFunc(t.memories, func(m memory) bool { return m.id == id && sees(m) })
}
