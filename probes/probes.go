// Package probes holds the kinds of probe, one file each. To add one: write its file and its test, and name it in
// Kinds.
package probes

import "prober/internal/probe"

// Kinds is the table of contents: the word after "type:" and the kind it stands for.
func Kinds() probe.Kinds {
	return probe.Kinds{
		"clock":     func() probe.Probe { return NewClock() },
		"health":    func() probe.Probe { return NewHealth() },
		"http":      func() probe.Probe { return NewHTTP() },
		"isolation": func() probe.Probe { return NewIsolation() },
		"jwks":      func() probe.Probe { return NewJWKS() },
		"protected": func() probe.Probe { return NewProtected() },
		"token":     func() probe.Probe { return NewToken() },
	}
}
