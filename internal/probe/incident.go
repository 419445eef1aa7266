package probe

import (
	"context"
	"time"
)

// An Incident is what is known of the last incident of a system. It lasts from its first failure until all that failed passed
// again. The zero value is none.
type Incident struct {
	Start time.Time
	End   time.Time // zero while it lasts

	// Onset is when the first probe failed of those that are no DeployReporter, whether or not it was seen to pass before. Open
	// tells whether one of them fails still, and Severity is the most urgent of theirs.
	Onset    time.Time
	Open     bool
	Severity string
	// LastGood has, by DeployReporter, the version under which all the others passed, beside those that were deployed near the
	// onset.
	LastGood map[string]string
	// Near has, by DeployReporter, its deploys that are near the onset, the newest first.
	Near map[string][]Deploy
}

type incidentKey struct{}

// withIncident returns a context from which a run can take the incident.
func withIncident(ctx context.Context, i Incident) context.Context {
	return context.WithValue(ctx, incidentKey{}, i)
}

// IncidentOf returns the last incident of the system that a run asks about, as far as its start is known. It is for kinds
// that compare with the time before.
func IncidentOf(ctx context.Context) Incident {
	i, _ := ctx.Value(incidentKey{}).(Incident)
	return i
}
