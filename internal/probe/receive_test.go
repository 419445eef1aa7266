package probe

import (
	"context"
	"errors"
	"testing"
	"time"
)

// refused is an inbox to which so many requests came without the password of the listener.
type refused struct {
	Inbox
	requests int
}

func (r refused) Unauthorized(time.Time) int { return r.requests }

func TestUnauthorized(t *testing.T) {
	for requests, want := range map[int]string{
		0: "", 1: "; 1 request to this path did not have the password of --inbound.config.file", 2: "; 2 requests to this path did not have the password of --inbound.config.file",
	} {
		if got := Unauthorized(refused{requests: requests}, time.Now()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestInboxOf: a run has the inbox of its job, or says why not.
func TestInboxOf(t *testing.T) {
	for want, get := range map[string]func() (Inbox, error){
		"it inconclusive(not_listening)": nil,
		"it inconclusive(credential)":    func() (Inbox, error) { return nil, errors.New("the file is empty") },
		"it pass(ok)":                    func() (Inbox, error) { return refused{requests: 1}, nil },
	} {
		j := job(func(ctx context.Context, r *Result) {
			inbox, o := InboxOf(ctx)
			if o.Passed() != (inbox == refused{requests: 1}) {
				t.Errorf("%s: got %v", want, inbox)
			}
			r.Note("it", o)
		})
		j.Inbox = get
		if got := lines(j.Do(t.Context())); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestDo_incident: a run knows of the incident of its system, and none without one.
func TestDo_incident(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for want, of := range map[time.Time]func() Incident{{}: nil, start: func() Incident { return Incident{Start: start} }} {
		j := job(func(ctx context.Context, r *Result) { r.Pass("it", "%s", IncidentOf(ctx).Start) })
		j.Incident = of
		if got := j.Do(t.Context()).Checks[0].Detail; got != want.String() {
			t.Errorf("got an incident since %s, want %s", got, want)
		}
	}
}
