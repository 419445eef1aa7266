package isolation

import (
	"slices"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/breach"
)

// checkIdentity shows that the credentials belong to different test orgs. Its breaches are counted under the same name.
const checkIdentity = "identity"

// The checks of each surface, in the order in which they are shown.
const (
	checkControl       = "control"       // the owner sees its own canary before and after, unchanged
	checkIsolated      = "isolated"      // an operation is denied for another org's object, or does not show it
	checkContext       = "context"       // the same while the org is missing, repeated or forged
	checkAuthenticated = "authenticated" // unauthorized callers are rejected
	checkOracle        = "oracle"        // another org's object is denied exactly like a nonexistent one
	checkCache         = "cache"         // a response to one org is not kept for another
	checkInterleave    = "interleave"    // orgs that take turns on a connection get their own responses
)

var checkNames = [...]string{
	checkControl, checkIsolated, checkContext, checkAuthenticated, checkOracle, checkCache, checkInterleave,
}

// Reasons of the kind. All of them are the target's fault.
var (
	leakBody = probe.Reason{Word: "leak_body", Verdict: probe.Fail, Text: "another org's data in a body", Breach: true,
		Action: "Treat it as a security incident: one org reads another's data; close the route or roll back, and keep the trace id."}
	leakHeader = probe.Reason{Word: "leak_header", Verdict: probe.Fail, Text: "another org's data in a header", Breach: true,
		Action: "Treat it as a security incident: one org sees another's data in a header; close the route or roll back, and keep the trace id."}
	leakList      = breach.LeakList
	foreignWrite  = breach.ForeignWrite
	foreignDelete = breach.ForeignDelete
	crossTalk     = probe.Reason{Word: "cross_talk", Verdict: probe.Fail, Text: "responses on shared connections were mixed up", Breach: true,
		Action: "Treat it as a security incident: answers reach the wrong caller; look at caches, pools and proxies that share connections, and roll back."}

	mismatchNotRejected = probe.Reason{Word: "mismatch_not_rejected", Verdict: probe.Fail, Text: "a contradicting org was accepted",
		Action: "Have the service reject a request whose parts name different orgs; until then see which of them it believes."}
	misleadingSuccess = probe.Reason{Word: "misleading_success", Verdict: probe.Fail, Text: "a success where a denial was expected",
		Action: "Have the service deny what it does not do: it reports success, though nothing of another org was changed."}
	existenceOracle = probe.Reason{Word: "existence_oracle", Verdict: probe.Fail, Text: "denials reveal whether an object exists",
		Action: "Have the service deny foreign and unknown ids alike: the difference tells others what exists."}
)

// A violationRule is one of the rules by which an assertion is judged. The lowest that applies decides; 0 is none.
type violationRule int

const (
	ruleLeak         violationRule = 1 + iota // an org was shown another's data
	ruleChanged                               // an org changed or deleted another's data
	ruleCrossTalk                             // responses were mixed up
	ruleNotDenied                             // a success where a denial was expected, though nothing was shown
	ruleAuthBypass                            // an unauthorized caller was accepted
	ruleInconclusive                          // a control or a response is missing
	ruleOracle                                // another org's object can be distinguished from a nonexistent one
)

// breach reports whether another org's data was exposed.
func (rule violationRule) breach() bool { return rule <= ruleCrossTalk || rule == ruleAuthBypass }

// rank orders rules for display: failures first, then inconclusive, then what holds.
func (rule violationRule) rank() int {
	switch rule {
	case 0:
		return int(ruleOracle) + 1
	case ruleInconclusive:
		return int(ruleOracle)
	case ruleOracle:
		return int(ruleInconclusive)
	}
	return int(rule)
}

// A violation is evidence against an assertion, or a reason why it is not proven.
type violation struct {
	probe.Outcome
	rule    violationRule
	traceID string // sent in the request that shows it, if a single one does
}

// An assertion is one thing that a run tries to prove of one surface. Requests of parallel steps add to sent and
// violations under the run's mutex; everything else, and reading, happens between those steps on the run's goroutine.
type assertion struct {
	check, surface, op string
	resource           *resourceRun
	violations         []violation
	sent               int      // requests
	deniedByBody       []string // operations that denied with the status of a success
	complete           bool     // all that the assertion needs was sent
	viewTested         bool     // whether others change an owner's view was tested with new objects
	reproduced         bool     // a request showed another org's data each time that it was sent
	rootCause          bool     // the violation explains those of other assertions
	summary            string   // for a pass
}

// A resourceRun is a resource during a run. Only the run's goroutine writes to it, between parallel steps.
type resourceRun struct {
	*Resource
	name       string
	assertions map[string]*assertion    // by check and operation
	seeded     map[*tenant]seededObject // the canary of each org
	twins      map[*tenant]seededObject // a second one, which no other org requests
	spares     map[*tenant]seededObject // a third one, for what its owner does with it
	listed     map[*tenant]bool         // the owner listed both before others tried to delete one
	tampered   map[*tenant]bool         // the canary was changed or deleted by another org
	echoes     map[*tenant]bool         // whether a search echoes its query; absent if unknown
	succeeded  map[ownOperation]bool    // what worked for an owner
	showsText  map[string]bool          // the operations that show the text of an object, and not its id alone
	idPlaces   map[string][]string      // by operation, where its response has ids
	pages      int                      // of the longest list
	cursors    map[*tenant]string       // to the second page of each org's list
	onFirst    map[*tenant]int          // how many objects its first page has
	views      map[string]view          // by id, what the owner of an object was last shown
}

// An ownOperation is an operation of an owner on its own object.
type ownOperation struct {
	op    string
	owner *tenant
}

// A seededObject is an object with a canary.
type seededObject struct {
	resourceRun *resourceRun // nil if an earlier run left the object behind
	resource    string
	owner       *tenant
	also        *tenant // may also have to delete it, if it may have been created in this org
	id, text    string
	created     bool // by this prober, which therefore deletes it
	createdAt   time.Time
	needles     []canary.Needle
}

// A protectedText must be shown to its owner only.
type protectedText struct {
	owner  *tenant
	kind   string // canary or id
	text   string
	needle canary.Needle

	short    bool         // an id that occurs by chance: it is only looked for where lists have ids
	resource *resourceRun // of an id
	attempt  *request     // that wrote the text, where it must not have been written
}

// unauthorized reports whether an unauthorized caller wrote the text, which no org must be shown then.
func (text protectedText) unauthorized() bool {
	return text.attempt != nil && text.attempt.unauthorized != nil
}

// A plan is what a run tries to prove.
type plan struct {
	resources  []*resourceRun
	assertions []*assertion
}

// newPlan lists the assertions that can be tested with the settings.
func newPlan(p *Probe) *plan {
	out := &plan{}
	for _, name := range sorted.Keys(p.Resources) {
		r := p.Resources[name]
		if r == nil {
			continue
		}
		rr := &resourceRun{Resource: r, name: name, assertions: map[string]*assertion{}, seeded: map[*tenant]seededObject{}, twins: map[*tenant]seededObject{}, spares: map[*tenant]seededObject{}, listed: map[*tenant]bool{}, tampered: map[*tenant]bool{}, echoes: map[*tenant]bool{}, succeeded: map[ownOperation]bool{}, showsText: map[string]bool{}, idPlaces: map[string][]string{}, cursors: map[*tenant]string{}, onFirst: map[*tenant]int{}, views: map[string]view{}}
		out.resources = append(out.resources, rr)
		add := func(check, op string) {
			a := &assertion{check: check, surface: name + "/" + op, op: op, resource: rr}
			rr.assertions[check+op] = a
			out.assertions = append(out.assertions, a)
		}
		add(checkControl, r.visibilityOp())
		for _, op := range operations {
			if tmpl := r.template(op); tmpl != nil {
				creates := op == "create"
				if !creates && !r.upserts(p, op) || creates && tmpl.JSON != nil && len(p.Overrides.Body) > 0 && p.Mismatch != "trust" {
					add(checkIsolated, op)
				}
				if len(p.tamperingsFor(tmpl, op, "owner", "intruder")) > 0 {
					add(checkContext, op)
				}
				if len(p.unauthorized) > 0 {
					add(checkAuthenticated, op)
				}
			}
		}
		for _, op := range []string{"read", "update", "delete", "create"} {
			// Where the client chooses ids, a change of a nonexistent object may create it, and a key may be taken.
			if r.template(op) != nil && !(writes(op) && r.ID.Text != "") {
				add(checkOracle, op)
			}
		}
		add(checkCache, "cache")
		if p.Interleave.Requests > 0 {
			add(checkInterleave, "interleave")
		}
	}
	return out
}

// surfaces lists the surfaces that are tested.
func (p *plan) surfaces() []string {
	var all []string
	for _, a := range p.assertions {
		if !slices.Contains(all, a.surface) {
			all = append(all, a.surface)
		}
	}
	return all
}

func (rr *resourceRun) assertion(check, op string) *assertion { return rr.assertions[check+op] }

// decisive returns the violation that decides; ok is false if there is none.
func (a *assertion) decisive() (v violation, ok bool) {
	for _, next := range a.violations {
		if !ok || next.rule < v.rule {
			v, ok = next, true
		}
	}
	return v, ok
}

// describe names a request in a message: the method and the path of the template, without its query.
func (tmpl *Template) describe() string {
	path, _, _ := strings.Cut(tmpl.URL, "?")
	return tmpl.Method + " " + path
}
