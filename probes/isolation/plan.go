package isolation

import (
	"maps"
	"slices"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/probe"
)

// The checks of a run beside whoami, in the order in which they are shown for one surface.
const (
	checkControl       = "control"       // the owner sees its own canary before and after, unchanged
	checkIsolated      = "isolated"      // an operation keeps one org from what is another's
	checkContext       = "context"       // so it does while the org is missing, doubled or forged
	checkAuthenticated = "authenticated" // no stranger is answered, with or without a credential
	checkOracle        = "oracle"        // another org's object is denied just as one that never was
	checkCache         = "cache"         // what one org was answered is not kept for another
	checkInterleave    = "interleave"    // orgs that take turns on one connection get their own answers
)

var checkNames = [...]string{
	checkControl, checkIsolated, checkContext, checkAuthenticated, checkOracle, checkCache, checkInterleave,
}

// Reasons of the isolation kind. All of them lie with the target.
var (
	leakBody      = probe.Reason{Word: "leak_body", Verdict: probe.Fail, Text: "another org's data in a body", Breach: true}
	leakHeader    = probe.Reason{Word: "leak_header", Verdict: probe.Fail, Text: "another org's data in a header", Breach: true}
	leakList      = probe.Reason{Word: "leak_list", Verdict: probe.Fail, Text: "another org's data in a list or a count", Breach: true}
	foreignWrite  = probe.Reason{Word: "foreign_write", Verdict: probe.Fail, Text: "another org's data was changed", Breach: true}
	foreignDelete = probe.Reason{Word: "foreign_delete", Verdict: probe.Fail, Text: "another org's data was deleted", Breach: true}
	crossTalk     = probe.Reason{Word: "cross_talk", Verdict: probe.Fail, Text: "answers on shared connections were mixed up", Breach: true}

	mismatchNotRejected = probe.Reason{Word: "mismatch_not_rejected", Verdict: probe.Fail, Text: "a contradicting org was accepted"}
	misleadingSuccess   = probe.Reason{Word: "misleading_success", Verdict: probe.Fail, Text: "a denied request was answered as a success"}
	existenceOracle     = probe.Reason{Word: "existence_oracle", Verdict: probe.Fail, Text: "denials tell whether an object exists"}
)

// A violationRule is one of those by which a claim is judged. The first that applies decides.
type violationRule int

const (
	ruleLeak         violationRule = 1 + iota // one org was shown what is another's
	ruleChanged                               // one org changed or deleted what is another's
	ruleCrossTalk                             // answers were mixed up
	ruleNotDenied                             // what had to be denied succeeded, though nothing was shown
	ruleAuthBypass                            // a stranger was answered
	ruleInconclusive                          // a control or an answer is missing
	ruleOracle                                // another org's object is told from one that never was
)

// breach reports whether another's data was at stake.
func (rule violationRule) breach() bool { return rule <= ruleCrossTalk || rule == ruleAuthBypass }

// An violation is something that speaks against a claim.
type violation struct {
	rule    violationRule
	why     probe.Reason
	detail  string
	traceID string // sent in the request that shows it, if one alone does
}

// A assertion is one thing that a run sets out to prove of one surface.
type assertion struct {
	check, surface, op string
	resource           *resourceRun
	violations         []violation
	sent               int
	complete           bool // all that it takes was asked
	rootCause          bool // it was found to be why others fail
	summary            string
}

// A resourceRun is a resource under examination.
type resourceRun struct {
	*Resource
	name       string
	assertions map[string]*assertion    // by check and operation
	seeded     map[*tenant]seededObject // the canary of each org
	tampered   map[*tenant]bool         // the canary was changed or deleted by another org
	echoes     map[*tenant]bool         // a search repeats what was searched for
}

// seededObject is a canary in its place.
type seededObject struct {
	run       *resourceRun
	resource  string
	owner     *tenant
	also      *tenant // who may have to delete it, where it may have got into another org
	id, text  string
	created   bool // by this prober, to be deleted
	createdAt time.Time
	needles   []canary.Needle
}

// protectedText is a text that nobody but its owner must be shown.
type protectedText struct {
	owner  *tenant
	kind   string // canary or id
	text   string
	needle canary.Needle
}

// A plan is what a run sets out to prove.
type plan struct {
	resources  []*resourceRun
	assertions []*assertion
}

// newPlan lists the claims that the settings allow to be tested.
func newPlan(p *Probe) *plan {
	out := &plan{}
	for _, name := range slices.Sorted(maps.Keys(p.Resources)) {
		r := p.Resources[name]
		if r == nil {
			continue
		}
		rr := &resourceRun{Resource: r, name: name, assertions: map[string]*assertion{}, seeded: map[*tenant]seededObject{}, tampered: map[*tenant]bool{}, echoes: map[*tenant]bool{}}
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
				if !creates || r.Read != nil && tmpl.JSON != nil && len(p.Overrides.Body) > 0 {
					add(checkIsolated, op)
				}
				if (!creates || r.Read != nil) && len(p.tamperingsFor(tmpl, op, "owner", "intruder")) > 0 {
					add(checkContext, op)
				}
				if op == "read" || op == "list" {
					add(checkAuthenticated, op)
				}
			}
		}
		if r.Read != nil {
			add(checkOracle, "read")
		}
		add(checkCache, "cache")
		if p.Interleave.Requests > 0 {
			add(checkInterleave, "interleave")
		}
	}
	return out
}

// surfaces lists where a breach can be found.
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

// decisive returns what of a claim's outcomes decides; ok is false if nothing speaks against it.
func (a *assertion) decisive() (v violation, ok bool) {
	for _, next := range a.violations {
		if !ok || next.rule < v.rule {
			v, ok = next, true
		}
	}
	return v, ok
}

// describe writes a request for a sentence: the method and the path of the template, without its query.
func (tmpl *Template) describe() string {
	path, _, _ := strings.Cut(tmpl.URL, "?")
	return tmpl.Method + " " + path
}
