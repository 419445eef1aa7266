package probe

import (
	"context"
	"time"
)

// An Incident is when the last incident of a system was: from its first failure until all that failed passed again. The zero
// value is none.
type Incident struct {
	Start time.Time
	End   time.Time // zero while it lasts
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
