package deploys

import (
	"slices"
	"sync"

	"prober/internal/probe"
)

// A recent remembers the deploys of the last run in which the platform reported them: an outage may take the platform with it,
// and what was deployed before is known.
type recent struct {
	mu  sync.Mutex
	all []deploy
}

func (c *recent) update(all []deploy) []deploy {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(all) > 0 {
		c.all = slices.Clone(all)
	}
	return c.all
}

// relate measures which deploys are near the onset of an open incident, and which version is known to be good. What was near
// once is, also if the platform does not list it any more.
func (p *Probe) relate(r *probe.Result, all []deploy, incident probe.Incident) {
	var near []probe.Deploy
	for _, d := range p.recent.update(all) {
		known := slices.ContainsFunc(incident.Near[r.Name], func(n probe.Deploy) bool { return n.ID == d.ID })
		if !known && d.NearOnset(incident.Onset) {
			near = append(near, d.Deploy)
		}
	}
	if near = append(near, incident.Near[r.Name]...); incident.Open {
		for _, d := range near[:min(len(near), maxMeasured)] {
			r.Measure(nearGauge, incident.Onset.Sub(d.Started).Seconds(), d.ID, d.Version)
		}
	}
	if good := incident.LastGood[r.Name]; good != "" {
		r.Measure(goodGauge, 1, good)
	}
}

// reported are the deploys as other packages know them.
func reported(all []deploy) []probe.Deploy {
	out := make([]probe.Deploy, len(all))
	for i, d := range all {
		out[i] = d.Deploy
	}
	return out
}

// running is the version that runs: that of the live deploy, unless a newer one may serve too or something else answers.
func running(all []deploy, confirmed bool) string {
	serving := live(all)
	mayServe := func(d deploy) bool {
		return d.UnderWay() || d.State == probe.DeployPaused || d.State == probe.DeployUnknown
	}
	if serving == nil || !confirmed || slices.ContainsFunc(newer(all), mayServe) {
		return ""
	}
	return serving.Version
}
