package webhook

import (
	"crypto/rand"
	"net/http"
	"slices"
	"time"

	"prober/internal/probe"
	"prober/internal/timesync"
)

// A round is what a run and those who deliver to it share.
type round struct {
	nonces   map[string]bool // of the control, by whether they have come
	events   []*event
	asking   *event               // whose trigger is under way, so that the id is not known
	others   map[string][]attempt // by id, what came and belongs to no event that is known
	refused  map[string][]refusal // the same of what does not verify
	tampered int                  // copies of deliveries with a byte changed that were looked at, and
	accepted int                  // those that were accepted
	kept     int                  // bytes of the bodies and signatures in refused
}

// An event is one that the sender is to deliver for a case.
type event struct {
	namedCase
	nonce     string // of the path that its redirects lead to
	again     string // the same of those that answer a replay, which anybody may have sent
	id        string
	triggered time.Time
	attempts  []attempt
	refused   []refusal // deliveries with its id that do not count
	followed  string    // how a redirect was followed; empty if none was
	doubted   bool      // one was followed that answers a replay
}

// A refusal is a delivery that does not count: it does not verify, or not for this time.
type refusal struct {
	err    error
	offset timesync.Interval // with errStale
	header http.Header       // with signature.ErrUnknownKey, so that it can be verified by the key set as it is later
	body   []byte
}

// An attempt is a delivery of an event that verified.
type attempt struct {
	at     time.Time
	key    string // the idempotency key; empty if there is none
	signer string // the name of the key in the document; empty if the scheme has no names
	kid    string
	offset timesync.Interval // of the sender's timestamp
	given  probe.Answer
}

// known reports whether a path is one that only the prober itself or a redirect of its own leads to.
func (run *round) known(path string, d probe.Delivery) bool {
	if _, is := run.nonces[path]; is {
		run.nonces[path] = true
		return true
	}
	for _, e := range run.events {
		if path == e.nonce {
			e.followed = "a " + closedMethod(d.Method) + " without a body"
			if len(d.Body) > 0 {
				e.followed = "a " + closedMethod(d.Method) + " with a body"
			}
			return true
		}
		if path == e.again {
			e.doubted = true
			return true
		}
	}
	return false
}

// refuse notes a delivery that does not count. That somebody knows the id of an event shows that the sender sent it: it is random, and
// nobody else was told.
func (run *round) refuse(id string, r refusal) {
	switch e := run.find(id); {
	case run == nil || id == "":
	case e != nil && len(e.refused) < maxAttempts:
		e.refused = append(e.refused, r)
	case e == nil && (len(run.refused) < maxOthers || run.refused[id] != nil) && len(run.refused[id]) < maxAttempts:
		run.refused[id] = append(run.refused[id], r)
	}
}

// find returns the event with an id; nil if there is none.
func (run *round) find(id string) *event {
	if run == nil || id == "" {
		return nil
	}
	for _, e := range run.events {
		if e.id == id {
			return e
		}
	}
	return nil
}

// match returns the event with an id. One that nobody knows yet is taken for the one whose trigger is under way or, where there
// is no trigger, for the next case.
func (run *round) match(id string, waiting bool) *event {
	e := run.find(id)
	if run == nil || id == "" || e != nil || run.others[id] != nil {
		return e
	}
	if e = run.asking; e == nil && waiting {
		if i := slices.IndexFunc(run.events, func(e *event) bool { return e.id == "" }); i >= 0 {
			e = run.events[i]
		}
	}
	if e == nil || e.id != "" {
		return nil
	}
	e.id = id
	return e
}

// named gives an event the id that the trigger's response has. What came meanwhile may have been of another event.
func (run *round) named(e *event, id string) {
	if e.id != id {
		if e.id != "" {
			run.others[e.id] = e.attempts
		}
		e.id, e.attempts = id, run.others[id]
	}
	e.refused = append(run.refused[id], e.refused...)
	run.asking = nil
}

// answer is the answer to an attempt, by its index.
func (e *event) answer(i int, p *Probe) probe.Answer {
	if i >= len(e.Answers) {
		return probe.Answer{Status: http.StatusOK}
	}
	a := e.Answers[i]
	answer := probe.Answer{Status: a.Status, RetryAfter: a.RetryAfter.D(), Delay: a.After.D(), Close: a.Close}
	if a.Status/100 == 3 {
		if token, err := p.Token.Reveal(); err == nil {
			answer.Location = p.url(token, e.nonce)
		}
	}
	return answer
}

// newRound returns what a run begins with.
func newRound() *round {
	return &round{nonces: map[string]bool{}, others: map[string][]attempt{}, refused: map[string][]refusal{}}
}

func newEvent(c namedCase) *event {
	return &event{namedCase: c, nonce: rand.Text(), again: rand.Text()}
}
