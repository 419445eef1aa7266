package targets

import (
	"math/bits"
	"sync"

	"prober/internal/probe"
	"prober/internal/text"
)

const checkSteady = "steady"

// A list is unsteady if targets left it in more than half of so many reads. A rollout that replaces one after the other may do so for
// a while, and an alert on an inconclusive probe waits for longer.
const window = 10

// recent is how the list changed in its last reads. It lives in memory only: after a start nothing is known of the time before.
type recent struct {
	sync.Mutex
	list  []probe.Target
	reads int
	left  uint // by read, the last one lowest: whether a target had left
}

// InitialSamples has the counters of changes at 0.
func (p *Probe) InitialSamples() []probe.Sample {
	return []probe.Sample{{Measure: changesCounter, Values: []string{"added"}}, {Measure: changesCounter, Values: []string{"removed"}}}
}

// judgeChanges counts what came and left since the list was read last, and says whether targets leave in most reads.
func (p *Probe) judgeChanges(r *probe.Result, list []probe.Target) {
	c := &p.recent
	c.Lock()
	defer c.Unlock()
	if last := c.list; last != nil {
		known := make(map[string]bool, len(last))
		for i := range last {
			known[last[i].Address] = true
		}
		removed, added := len(known), 0
		for i := range list {
			if is, listed := known[list[i].Address]; is {
				known[list[i].Address] = false // it may be listed with other labels, too
				removed--
			} else if !listed {
				known[list[i].Address] = false
				added++
			}
		}
		r.Measure(changesCounter, float64(added), "added")
		r.Measure(changesCounter, float64(removed), "removed")
		c.reads, c.left = min(c.reads+1, window), c.left<<1&(1<<window-1)
		if removed > 0 {
			c.left |= 1
		}
	}
	switch n := bits.OnesCount(c.left); {
	case p.Transient:
	case c.list == nil:
		r.Omit(checkSteady)
	case n > window/2:
		r.Report(checkSteady, reasonUnsteady, "targets left the list in %d of the last %s", n, text.Count(c.reads, "read"))
	default:
		r.Pass(checkSteady, "targets left the list in %d of the last %s", n, text.Count(c.reads, "read"))
	}
	c.list = append(make([]probe.Target, 0, len(list)), list...)
}
