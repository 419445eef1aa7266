// Package probes holds the kinds of probe, a package each. To add one: write its folder, and name it in Kinds.
package probes

import (
	"prober/internal/probe"
	"prober/probes/clock"
	"prober/probes/health"
	"prober/probes/http"
	"prober/probes/isolation"
	"prober/probes/jwks"
	"prober/probes/protected"
	"prober/probes/token"
)

// Kinds is the table of contents: the word after "type:" and the kind it stands for.
func Kinds() probe.Kinds {
	return probe.Kinds{
		"clock":     func() probe.Probe { return clock.New() },
		"health":    func() probe.Probe { return health.New() },
		"http":      func() probe.Probe { return http.New() },
		"isolation": func() probe.Probe { return isolation.New() },
		"jwks":      func() probe.Probe { return jwks.New() },
		"protected": func() probe.Probe { return protected.New() },
		"token":     func() probe.Probe { return token.New() },
	}
}
