package redis

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// An audit looks at the names of all keys, a part in each run. It lives in memory only: after a start it begins again.
type audit struct {
	allowed, holdData []*regexp.Regexp // beginnings of names

	mu     sync.Mutex
	layout string           // of the cluster in this pass
	began  time.Time        // this pass
	walks  map[string]*walk // by target
	last   *pass            // nil: there was none yet of the present servers
	cut    totals           // what was wrong in passes that were cut short, since the last whole one
	shapes []string         // that have become labels
}

// A walk is how far the keys of one primary have been looked at in this pass.
type walk struct {
	server string // the run of the server: another one has another order of its keys
	db     int    // index of the databases
	cursor string // empty: the database has not been begun
	done   bool
	size   int64 // keys of the databases that were begun, by the server's count, the smaller one of their begin and their end
	begun  int64 // of which those of the present database
	before int64 // keys that were met in the databases before the present one
	blind  bool  // of a database far fewer keys were met than it has
	totals
}

// A pass has looked at all keys that were there from its beginning to its end.
type pass struct {
	began, ended time.Time
	servers      map[string]string // the runs of the servers, by target
	blind        []string          // targets at which far fewer keys were met than there were
	size         int64
	totals
}

// Totals are what was met. A key may be met twice, so its numbers are about right.
type totals struct {
	met        int64
	unprefixed map[string]int // by shape
	wrongOrg   map[string]int // by the org that the marker is of
	data       map[string]int // by what the names hold
	planted    map[string]bool
}

func newTotals() totals {
	return totals{unprefixed: map[string]int{}, wrongOrg: map[string]int{}, data: map[string]int{}, planted: map[string]bool{}}
}

// add adds what was met elsewhere.
func (t *totals) add(other totals) {
	t.met += other.met
	for _, m := range []struct{ to, from map[string]int }{{t.unprefixed, other.unprefixed}, {t.wrongOrg, other.wrongOrg}, {t.data, other.data}} {
		for name, n := range m.from {
			m.to[name] += n
		}
	}
	maps.Copy(t.planted, other.planted)
}

// worse returns what is wrong by either, of each that can be wrong.
func worse(a, b totals) totals {
	w := newTotals()
	w.unprefixed, w.wrongOrg, w.data = larger(a.unprefixed, b.unprefixed), larger(a.wrongOrg, b.wrongOrg), larger(a.data, b.data)
	return w
}

// larger returns the counts of whichever has more.
func larger(a, b map[string]int) map[string]int {
	if sum(b) > sum(a) {
		return b
	}
	return a
}

// endDatabase notes that the present database has been looked at, and how many keys it has now: some may have been deleted
// meanwhile.
func (w *walk) endDatabase(now int64) {
	now = min(now, w.begun)
	w.size += now - w.begun
	w.blind = w.blind || 2*(w.met-w.before) < now
	w.cursor, w.db, w.before = "", w.db+1, w.met
}

// allows reports whether a name begins as one of the patterns says.
func (a *audit) allows(name string) bool { return matchesAny(a.allowed, name) }

//go:noinline
func matchesAny(patterns []*regexp.Regexp, name string) bool {
	return slices.ContainsFunc(patterns, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

// enter returns where to go on at a primary, or begins there.
func (a *audit) enter(target, server, layout string, now time.Time) walk {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.walks == nil || a.layout != layout {
		for _, w := range a.walks {
			a.cut = worse(a.cut, w.totals)
		}
		a.walks, a.layout, a.began = map[string]*walk{}, layout, now
	}
	if a.last != nil && a.last.servers[target] != server { // what another one had says nothing of this one
		a.cut, a.last = worse(a.cut, a.last.totals), nil
	}
	w := a.walks[target]
	if w == nil || w.server != server {
		if w != nil {
			a.cut = worse(a.cut, w.totals)
		}
		w = &walk{server: server, totals: newTotals()}
		a.walks[target] = w
	}
	return *w
}

// leave notes how far a primary was looked at.
func (a *audit) leave(target string, w walk) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.walks[target] = &w
}

// finish ends the pass if all primaries have been looked at, and begins another.
func (a *audit) finish(primaries int, now time.Time) (ended bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if primaries == 0 || len(a.walks) != primaries {
		return false
	}
	done := &pass{began: a.began, ended: now, servers: map[string]string{}, totals: newTotals()}
	for _, target := range sorted.Keys(a.walks) {
		w := a.walks[target]
		if !w.done {
			return false
		}
		if w.blind {
			done.blind = append(done.blind, target)
		}
		done.servers[target] = w.server
		done.size += w.size
		done.add(w.totals)
	}
	a.last, a.walks, a.cut = done, nil, totals{}
	return true
}

// look judges one name.
func (p *Probe) look(t *totals, name string, planted []string) {
	t.met++
	if !p.audit.allows(name) {
		count(t.unprefixed, shape(name, p.Keys.Words))
	}
	for org, o := range p.Orgs {
		if o.Marker != "" && !strings.HasPrefix(name, o.Prefix) && strings.Contains(name, o.Marker) {
			t.wrongOrg[org]++
		}
	}
	if held := data(name); held != "" && !matchesAny(p.audit.holdData, name) {
		t.data[held]++
	}
	if slices.Contains(planted, name) {
		t.planted[name] = true
	}
}

// Bounds of what is remembered of shapes.
const (
	maxShapes  = 1000 // different ones in a pass
	maxLabels  = 10   // that become labels, in the life of the probe
	otherShape = "other"
)

func count(shapes map[string]int, name string) {
	if _, ok := shapes[name]; !ok && len(shapes) >= maxShapes {
		name = otherShape
	}
	shapes[name]++
}

// measureShapes exports how many keys have which shape. A target that makes up shapes makes up no more series than ten.
func (a *audit) measureShapes(r *probe.Result, shapes map[string]int) {
	sums := map[string]int{otherShape: 0}
	for _, name := range byNumber(shapes) {
		if !slices.Contains(a.shapes, name) && len(a.shapes) < maxLabels && name != otherShape {
			a.shapes = append(a.shapes, name)
		}
	}
	for _, name := range a.shapes {
		sums[name] = 0
	}
	for name, n := range shapes {
		if !slices.Contains(a.shapes, name) {
			name = otherShape
		}
		sums[name] += n
	}
	for _, name := range sorted.Keys(sums) {
		r.Measure(unprefixedGauge, float64(sums[name]), name)
	}
}

// byNumber lists names, the most frequent first.
func byNumber(counts map[string]int) []string {
	names := slices.Collect(maps.Keys(counts))
	sorted.By(names, func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	return names
}

// numbered lists names with their numbers.
func numbered(counts map[string]int) (list []string) {
	for _, name := range byNumber(counts) {
		list = append(list, fmt.Sprintf("%d %s", counts[name], name))
	}
	return list
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
