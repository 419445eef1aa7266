package history

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// What a Store without a file keeps. The states of the probes are in the same 8 MiB.
const (
	memoryHours     = 48
	memoryBytes     = 8<<20 - memoryChanges*600 - memoryIncidents*memoryNote
	memoryPerProbe  = 500
	memoryChanges   = 2000
	memoryIncidents = 50
	memoryNote      = 8 << 10
)

// A memory is a backend without a file.
type memory struct {
	mu       sync.Mutex
	cells    map[string]kept // by name of the probe
	width    int64           // hours of a cell
	size     int             // of all packs
	changed  []named         // the oldest first
	recorded []probe.IncidentRecord
}

// A kept pack is encoded, numbered by the width of its cells.
type kept struct {
	pack []byte
	at   time.Time // of the last write
}

type named struct {
	name string
	probe.Change
}

func newMemory() *memory { return &memory{cells: map[string]kept{}, width: 1} }

func (m *memory) write(b *batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range b.probes {
		x := &b.probes[i]
		x.id, x.written = 1, true
		name := x.of.name()
		for _, c := range x.sealed {
			m.put(name, m.get(name).add(timed{c.at / m.width, c.cell}))
		}
	}
	for m.size+len(m.cells)*memoryPerProbe > memoryBytes && m.width < memoryHours {
		m.widen()
	}
	for _, c := range b.changes {
		m.changed = append(m.changed, named{c.of.name(), c.Change})
	}
	m.changed = slices.Clone(m.changed[max(0, len(m.changed)-memoryChanges):])
	b.changes = nil
	return nil
}

func (m *memory) get(name string) pack {
	p, _ := decode(m.cells[name].pack, 0, 1<<32)
	return p
}

// put replaces the pack of a probe, without what is too old: the cells are counted, not compared with the clock, which may jump.
func (m *memory) put(name string, p pack) {
	p = p[max(0, len(p)-int(memoryHours/m.width)-1):]
	m.size -= len(m.cells[name].pack)
	m.cells[name] = kept{slices.Clip(p.encode(0)), time.Now()}
	m.size += len(m.cells[name].pack)
}

// widen doubles the width of all cells.
func (m *memory) widen() {
	for name := range m.cells {
		var wider pack
		for _, c := range m.get(name) {
			wider = wider.add(timed{c.at / 2, c.cell})
		}
		m.size -= len(m.cells[name].pack)
		m.cells[name] = kept{slices.Clip(wider.encode(0)), m.cells[name].at}
		m.size += len(m.cells[name].pack)
	}
	m.width *= 2
}

// retain forgets probes that did not run for two days.
func (m *memory) retain(time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, p := range m.cells {
		if time.Since(p.at) > memoryHours*time.Hour {
			m.size -= len(p.pack)
			delete(m.cells, name)
		}
	}
}

func (m *memory) lasts(of []*state) ([]last, error) { return make([]last, len(of)), nil }

// saveState keeps the records alone.
func (m *memory) saveState(_ []byte, incidents []probe.IncidentRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range incidents {
		r.Note = strings.Clone(r.Note[:min(len(r.Note), memoryNote)])
		same := func(old probe.IncidentRecord) bool { return old.System == r.System && old.Start.Equal(r.Start) }
		if i := slices.IndexFunc(m.recorded, same); i >= 0 {
			m.recorded[i] = r
		} else {
			m.recorded = append(m.recorded, r)
		}
	}
	sort.SliceStable(m.recorded, func(a, b int) bool { return m.recorded[a].Start.Before(m.recorded[b].Start) })
	m.recorded = slices.Clone(m.recorded[max(0, len(m.recorded)-memoryIncidents):])
	return nil
}

func (m *memory) saveTexts(map[string][]byte) error { return nil }

func (m *memory) texts(string) (map[string][]byte, error) { return nil, nil }

func (m *memory) read(do func(view) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return do(memoryView{m})
}

func (m *memory) close() {}

// A memoryView is a view of a memory, whose lock is held.
type memoryView struct{ m *memory }

func (v memoryView) open(ref) timed { return timed{} }

func (v memoryView) hours(p ref, from, to int64) (pack, int64) {
	w := v.m.width
	all := drop.If(v.m.get(p.name), func(c timed) bool { return c.at < from/w || c.at > to/w })
	for i := range all {
		all[i].at *= w
	}
	return all, w
}

// days sums up the hours, of which there are two days at most.
func (v memoryView) days(p ref, from, to int64) (all pack) {
	hours, _ := v.hours(p, from*hoursInDay, to*hoursInDay+hoursInDay-1)
	for _, c := range hours {
		all = all.add(timed{c.at / hoursInDay, c.cell})
	}
	return all
}

func (v memoryView) changes(p ref, most int) (all []probe.Change) {
	for i := len(v.m.changed) - 1; i >= 0 && len(all) < most; i-- {
		if c := v.m.changed[i]; c.name == p.name {
			all = append(all, c.Change)
		}
	}
	return all
}

func (v memoryView) incidents(from, before time.Time, most int) (all []probe.IncidentRecord) {
	for i := len(v.m.recorded) - 1; i >= 0 && len(all) < most; i-- {
		r := v.m.recorded[i]
		if r.Start.Before(from) {
			break
		}
		if before.IsZero() || r.Start.Before(before) {
			all = append(all, r)
		}
	}
	return all
}
