package isolation

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
)

// denialRounds is how often denials are sampled if they seem to differ. A header that names one of two instances seems
// to distinguish objects once in four rounds, and never in all six.
const denialRounds = 6

// A denialSampler has an intruder send an operation to another org's object and to nonexistent ones.
type denialSampler struct {
	*run
	resource         *resourceRun
	op               string
	obj              seededObject
	intruder         *tenant
	isolated, oracle *assertion
	foreign          *httpx.Answer // the last response for the other org's object
}

// sampler returns the sampler of an operation; nil if the settings have none to compare.
func (r *run) sampler(rr *resourceRun, op string, owner, intruder *tenant) *denialSampler {
	if rr.assertion(checkOracle, op) == nil {
		return nil
	}
	return &denialSampler{run: r, resource: rr, op: op, obj: rr.seeded[owner], intruder: intruder,
		isolated: rr.assertion(checkIsolated, op), oracle: rr.assertion(checkOracle, op)}
}

// testWriteOracles compares the denials of changing and deleting another org's object with those for nonexistent ones. It
// needs denials: an operation that was not denied before fails already.
func (r *run) testWriteOracles(rr *resourceRun) bool {
	whys := map[string]probe.Reason{"update": foreignWrite, "delete": foreignDelete}
	for _, op := range []string{"update", "delete"} {
		oracle, isolated := rr.assertion(checkOracle, op), rr.assertion(checkIsolated, op)
		if oracle == nil {
			continue
		}
		r.eachPair(func(owner, intruder *tenant) {
			if len(isolated.violations) > 0 || rr.tampered[owner] {
				r.inconclusive(oracle, nil, probe.ControlFailed, "another org's object is not denied: there are no denials to compare")
				return
			}
			s := r.sampler(rr, op, owner, intruder)
			s.sample()
			req := request{assertion: isolated, tenant: intruder, template: rr.template(op)}
			r.expectUnchanged(req, s.foreign, rr.seeded[owner], true, whys[op])
		})
		r.complete(oracle, "denied like a nonexistent object")
	}
	return true
}

// sample sends the requests repeatedly while the denials differ. It records violations for responses that are not
// denials, and for a difference that is there every time. If the made-up ids seem to differ, that may be because they have
// another form than those of the service: then those of objects that the intruder itself deleted decide.
func (s *denialSampler) sample() {
	made := func() string { return s.unusedID(s.obj) }
	canDelete := s.resource.Create != nil && s.resource.Delete != nil
	if s.rounds(made, canDelete) || !canDelete {
		return
	}
	if id := s.deletedID(); id != "" {
		s.rounds(func() string { return id }, false)
		return
	}
	s.rounds(made, false)
}

// rounds samples with ids of nonexistent objects. It reports whether that decided, which it leaves to others if it is
// tentative.
func (s *denialSampler) rounds(nonexistent func() string, tentative bool) (decided bool) {
	var d denialSamples
	for range denialRounds {
		denied, ok := s.round(nonexistent, tentative, &d)
		if !denied {
			return ok
		}
		if d.distinguisher() == "" {
			return true
		}
	}
	if tentative {
		return false
	}
	s.violated(s.oracle, d.foreign[0], ruleOracle, existenceOracle, "%s can distinguish an object of %s from a nonexistent one: %s",
		s.intruder.name, s.obj.owner.name, d.distinguisher())
	return true
}

// denialSamples are the responses to requests for an object of another org, and for nonexistent ones.
type denialSamples struct {
	foreign, nonexistent []*httpx.Answer
	ids                  []string // that were requested
}

// round requests another org's object between two nonexistent ones, so that whatever drifts from response to response is
// not a difference. It reports whether all three were denied, and if not, whether that is recorded.
func (s *denialSampler) round(nonexistent func() string, tentative bool, d *denialSamples) (denied, recorded bool) {
	denied, recorded = true, true
	send := func(a *assertion, id string) *httpx.Answer {
		tmpl := s.resource.template(s.op)
		v := vars{org: s.intruder.id, id: id, canary: s.mintBy(s.intruder)}
		req := request{assertion: a, tenant: s.intruder, template: tmpl, vars: v, want: tmpl.Denied.Statuses()}
		answer := s.run.send(s.ctx, req)
		d.ids = append(d.ids, id)
		if refused := answer.Status >= 400 && answer.Status < 500 && usable(answer).Passed(); tentative && a == s.oracle && refused && !tmpl.Denied.Match(answer) {
			denied, recorded = false, false
			return answer
		}
		if a == s.oracle && s.op != "read" && usable(answer).Passed() && tmpl.Status.Contains(answer.Status) && !tmpl.Denied.Match(answer) {
			s.deleteLater(req)
			return answer // as good as a denial: it is compared with that of another org's object
		}
		denied = s.expectDenied(req, answer, tmpl.Denied, ruleNotDenied, misleadingSuccess) && denied
		return answer
	}
	before := send(s.oracle, nonexistent())
	foreign := send(s.isolated, s.obj.id)
	s.foreign = foreign
	after := send(s.oracle, nonexistent())
	switch {
	case !denied && recorded:
		s.inconclusive(s.oracle, foreign, probe.ControlFailed, "another org's object, or a nonexistent one, is not denied: there are no denials to compare")
		return false, true
	case !denied:
		return false, false
	case before.Status != after.Status && tentative:
		return false, false
	case before.Status != after.Status:
		s.inconclusive(s.oracle, after, probe.ControlFailed, "two nonexistent ids are denied differently, got %d, before %d: there is nothing to compare another org's object with", after.Status, before.Status)
		return false, true
	}
	d.foreign, d.nonexistent = append(d.foreign, foreign), append(d.nonexistent, before, after)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denialDelays[s.oracle.surface] = append(s.denialDelays[s.oracle.surface], processingTime(foreign)-(processingTime(before)+processingTime(after))/2)
	return true, true
}

// deleteLater has an object deleted that an update of a nonexistent one may have created.
func (s *denialSampler) deleteLater(req request) {
	if s.op != "update" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created = append(s.created, seededObject{resourceRun: s.resource, resource: s.resource.name, owner: s.intruder, id: req.vars.id, text: req.vars.canary, created: true})
}

// deletedID creates an object of the intruder's and deletes it again, and returns its id; empty if it is still shown.
func (s *denialSampler) deletedID() string {
	obj, ok := s.seedObject(s.resource, s.intruder, s.oracle, mutation{}, nil)
	if !ok || !s.ownerSees(s.oracle, obj, s.p.VisibilityDelay.D()) || !s.deleteNow(s.resource, obj, s.intruder) {
		return ""
	}
	gone := s.poll(s.p.VisibilityDelay.D(), func() bool {
		seen, _ := s.fetchAs(s.oracle, obj, s.intruder)
		return seen == notFound
	})
	if !gone {
		return ""
	}
	return obj.id
}

// processingTime is how long the target took to respond, without the time to connect to it.
func processingTime(answer *httpx.Answer) time.Duration {
	for _, phase := range answer.Phases {
		if phase.Name == "processing" {
			return phase.Took
		}
	}
	return answer.Took
}

// distinguisher says by what the denials of another org's id differ from all those of nonexistent ids. What also differs
// among the latter, such as a time, a request id or the name of an instance, distinguishes nothing.
func (d denialSamples) distinguisher() string {
	status := func(answer *httpx.Answer) string { return strconv.Itoa(answer.Status) }
	if d.differsBy(status) {
		return fmt.Sprintf("got %d, and %d for a nonexistent one", d.foreign[0].Status, d.nonexistent[0].Status)
	}
	if d.differsBy(func(answer *httpx.Answer) string { return maskIDs(answer.StatusText, d.ids) }) {
		return "the words of the status"
	}
	for _, fields := range []func(*httpx.Answer) http.Header{
		func(answer *httpx.Answer) http.Header { return answer.Header },
		interimFields,
		func(answer *httpx.Answer) http.Header { return answer.Trailer },
	} {
		for _, name := range fieldNames(fields, append(d.foreign, d.nonexistent...)) {
			vary := slices.Contains([]string{"Date", "Expires", "Content-Length", "Set-Cookie"}, name)
			if d.differsBy(func(answer *httpx.Answer) string {
				if vary && len(fields(answer)[name]) > 0 {
					return "present"
				}
				return fieldValue(fields(answer), name, d.ids)
			}) {
				return "the header " + publicHeader(name)
			}
		}
	}
	body := func(answer *httpx.Answer) string { return maskIDs(string(answer.Body), d.ids) }
	foreign, nonexistent := len(body(d.foreign[0])), len(body(d.nonexistent[0]))
	switch {
	case d.differsBy(body):
		return fmt.Sprintf("the body, of %s and %s", text.Count(foreign, "byte"), text.Count(nonexistent, "byte"))
	case d.lengthDiffers(body):
		return fmt.Sprintf("the length of the body, %s and %s", text.Count(foreign, "byte"), text.Count(nonexistent, "byte"))
	}
	return ""
}

// differsBy reports whether a property of the responses never has the same value for another org's object as for a
// nonexistent one. A property that has a new value in nearly every response is noise.
func (d denialSamples) differsBy(property func(*httpx.Answer) string) bool {
	values := map[string]bool{}
	for _, answer := range d.nonexistent {
		values[property(answer)] = true
	}
	return len(values) <= max(1, len(d.nonexistent)/4) &&
		!slices.ContainsFunc(d.foreign, func(answer *httpx.Answer) bool { return values[property(answer)] })
}

// lengthDiffers reports whether every response for another org's object is longer, or every one shorter, than those for
// nonexistent ones, by more than the latter vary and some bytes.
func (d denialSamples) lengthDiffers(property func(*httpx.Answer) string) bool {
	const noise = 16
	lengths := func(answers []*httpx.Answer) (shortest, longest int) {
		shortest, longest = len(property(answers[0])), len(property(answers[0]))
		for _, answer := range answers[1:] {
			n := len(property(answer))
			shortest, longest = min(shortest, n), max(longest, n)
		}
		return shortest, longest
	}
	shortest, longest := lengths(d.nonexistent)
	foreignShortest, foreignLongest := lengths(d.foreign)
	slack := noise + longest - shortest
	return foreignShortest > longest+slack || foreignLongest < shortest-slack
}

// publicHeader returns the name of a header if it is one of HTTP's own: others are text of the target.
func publicHeader(name string) string {
	if slices.Contains([]string{"Content-Type", "Etag", "Cache-Control", "Vary", "Location", "Www-Authenticate", "Last-Modified", "Allow"}, name) {
		return name
	}
	return "of another name"
}

func fieldNames(fields func(*httpx.Answer) http.Header, answers []*httpx.Answer) []string {
	var all []string
	for _, answer := range answers {
		for name := range fields(answer) {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

// fieldValue returns the values of a header with the ids masked. A missing header differs from an empty one.
func fieldValue(fields http.Header, name string, ids []string) string {
	values, ok := fields[http.CanonicalHeaderKey(name)]
	if !ok {
		return "\x00"
	}
	return maskIDs(strings.Join(values, "\n"), ids)
}

// maskIDs replaces every id in a text.
func maskIDs(text string, ids []string) string {
	for _, id := range ids {
		for _, form := range []string{id, url.PathEscape(id), url.QueryEscape(id), jsonEscaped(id)} {
			text = strings.ReplaceAll(text, form, "<id>")
		}
	}
	return text
}
