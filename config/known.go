package config

import (
	"crypto/sha256"

	"prober/internal/probe"
)

// A known is what the text of an entry says by itself, with the probe that came of it. The same text in a file of the same name, and of
// the same system, says the same again: secrets, files and variables are read at use, and what the rest of the files adds to a probe is settled again at each load.
type known struct {
	job               *probe.Job // that came of it; what it has of the header is not used
	severity          string
	interval, timeout *probe.Duration
	labels            map[string]string
	signals           map[string]signal
	refs              []sourceRef
	values            int // in the text
}

// A textKey stands for the text of an entry, the name of its file and its system: a probe of another system is another one, and may run
// before a run of this one has ended. The zero value stands for a text that does not say all by itself.
type textKey [16]byte

//go:noinline
func keyOfText(f File, system string, text []byte) (key textKey) {
	if text != nil && f.Env == nil {
		sum := sha256.Sum256(append([]byte(f.Name+"\x00"+system+"\x00"), text...))
		copy(key[:], sum[:])
	}
	return key
}

// knownIn returns what entries say that nothing is wrong with.
func knownIn(entries []*probeEntry) map[textKey]*known {
	all := make(map[textKey]*known, len(entries))
	for _, p := range entries {
		if p.text != (textKey{}) && p.each == nil {
			all[p.text] = p.learn()
		}
	}
	return all
}

func (p *probeEntry) learn() *known {
	return &known{p.job, p.severity, p.Interval, p.Timeout, p.Labels, p.Signals, p.refs, p.values}
}

// recall makes the entry of one that is known. Its probe may be running: nothing of it is written.
func (p *probeEntry) recall(k *known, kinds probe.Kinds, h *fileHeader) Errors {
	j := k.job
	p.entry = entry{
		ForEach: j.List, Name: j.Name, Type: j.Type, description: description(j.About), Runbook: j.Runbook, Severity: k.severity,
		Interval: k.interval, Timeout: k.timeout, Labels: k.labels, Signals: k.signals, DependsOn: j.DependsOn,
	}
	p.recalled, p.refs = true, k.refs
	p.job.Kind, p.job.Probe, p.job.Settings, p.job.Versions = kinds[j.Type], j.Probe, j.Settings, j.Versions
	return p.settle(kinds, h)
}
