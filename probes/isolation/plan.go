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

// A rule is one of those by which a claim is judged. The first that applies decides.
type rule int

const (
	ruleLeak     rule = 1 + iota // one org was shown what is another's
	ruleChanged                  // one org changed or deleted what is another's
	ruleCrossed                  // answers were mixed up
	ruleGranted                  // what had to be denied succeeded, though nothing was shown
	ruleBypassed                 // a stranger was answered
	ruleUnproven                 // a control or an answer is missing
	ruleOracle                   // another org's object is told from one that never was
)

// breach reports whether another's data was at stake.
func (r rule) breach() bool { return r <= ruleCrossed || r == ruleBypassed }

// An outcome is something that speaks against a claim.
type outcome struct {
	rule   rule
	why    probe.Reason
	detail string
	trace  string // sent in the request that shows it, if one alone does
}

// A claim is one thing that a run sets out to prove of one surface.
type claim struct {
	check, surface, op string
	subject            *subject
	against            []outcome
	asked              int
	done               bool // all that it takes was asked
	cause              bool // it was found to be why others fail
	says               string
}

// A subject is a resource under examination.
type subject struct {
	*Resource
	name    string
	claims  map[string]*claim   // by check and operation
	planted map[*tenant]planted // the canary of each org
	lost    map[*tenant]bool    // the canary was changed or deleted by another org
	repeats map[*tenant]bool    // a search repeats what was searched for
}

// planted is a canary in its place.
type planted struct {
	subject  *subject
	resource string
	owner    *tenant
	also     *tenant // who may have to delete it, where it may have got into another org
	id, text string
	minted   bool // by this prober, to be deleted
	made     time.Time
	marks    []canary.Needle
}

// hidden is a text that nobody but its owner must be shown.
type hidden struct {
	owner  *tenant
	what   string // canary or id
	text   string
	needle canary.Needle
}

// A plan is what a run sets out to prove.
type plan struct {
	subjects []*subject
	claims   []*claim
}

// newPlan lists the claims that the settings allow to be tested.
func newPlan(p *Probe) *plan {
	out := &plan{}
	for _, name := range slices.Sorted(maps.Keys(p.Resources)) {
		r := p.Resources[name]
		if r == nil {
			continue
		}
		s := &subject{Resource: r, name: name, claims: map[string]*claim{}, planted: map[*tenant]planted{}, lost: map[*tenant]bool{}, repeats: map[*tenant]bool{}}
		out.subjects = append(out.subjects, s)
		add := func(check, op string) {
			cl := &claim{check: check, surface: name + "/" + op, op: op, subject: s}
			s.claims[check+op] = cl
			out.claims = append(out.claims, cl)
		}
		add(checkControl, r.seeing())
		for _, op := range operations {
			if t := r.template(op); t != nil {
				creates := op == "create"
				if !creates || r.Read != nil && t.JSON != nil && len(p.Overrides.Body) > 0 {
					add(checkIsolated, op)
				}
				if (!creates || r.Read != nil) && len(p.contexts(t, op, "owner", "intruder")) > 0 {
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
	for _, cl := range p.claims {
		if !slices.Contains(all, cl.surface) {
			all = append(all, cl.surface)
		}
	}
	return all
}

func (s *subject) claim(check, op string) *claim { return s.claims[check+op] }

// first returns what of a claim's outcomes decides; ok is false if nothing speaks against it.
func (cl *claim) first() (o outcome, ok bool) {
	for _, next := range cl.against {
		if !ok || next.rule < o.rule {
			o, ok = next, true
		}
	}
	return o, ok
}

// spoken writes a request for a sentence: the method and the path of the template, without its query.
func (t *Template) spoken() string {
	path, _, _ := strings.Cut(t.URL, "?")
	return t.Method + " " + path
}
