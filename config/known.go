package config

import (
	"crypto/sha256"

	"prober/internal/probe"
)

// A known is what the text of an entry says by itself, with the probe that came of it. The same text in a file of the same name says
// the same again: secrets, files and variables are read at use, and what the rest of the files adds to a probe is settled again at each load.
type known struct {
	entry
	probe    probe.Probe
	settings string // probe.Job.Settings
	versions *probe.VersionHistory
	refs     []sourceRef
	values   int // in the text
}

// A textKey stands for the text of an entry and the name of its file. The zero value stands for a text that does not say
// all by itself.
type textKey [16]byte

//go:noinline
func keyOfText(f File, text []byte) (key textKey) {
	if text != nil && f.Env == nil {
		sum := sha256.Sum256(append(append([]byte(f.Name), 0), text...))
		copy(key[:], sum[:])
	}
	return key
}

// knownIn returns what entries say that nothing is wrong with. It adds to what they were made from: an entry that was known stays the same.
func knownIn(entries []*probeEntry) map[textKey]*known {
	all := map[textKey]*known{}
	for _, p := range entries {
		if p.text != (textKey{}) && p.each == nil {
			all[p.text] = p.learn()
		}
	}
	return all
}

func (p *probeEntry) learn() *known {
	if p.known == nil {
		p.known = &known{p.entry, p.job.Probe, p.job.Settings, p.job.Versions, p.refs, p.values}
		p.known.Severity = p.severity
	}
	return p.known
}

// recall makes the entry of one that is known. Its probe may be running: nothing of it is written.
func (p *probeEntry) recall(k *known, kinds probe.Kinds, h *fileHeader) Errors {
	p.known, p.entry, p.refs = k, k.entry, k.refs
	p.job.Kind, p.job.Probe, p.job.Settings, p.job.Versions = kinds[k.Type], k.probe, k.settings, k.versions
	return p.settle(kinds, h)
}
