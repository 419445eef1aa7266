package isolation

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
)

// denialRounds is how often denials are sampled if they seem to differ. A header that names one of two instances seems
// to distinguish objects once in four rounds, and never in all six.
const denialRounds = 6

// sampleDenials has an intruder request another org's object and some nonexistent ones, repeatedly while the denials
// differ. It records violations for responses that are not denials, and for a difference that is there every time.
func (r *run) sampleDenials(rr *resourceRun, obj seededObject, intruder *tenant, isolated, oracle *assertion) {
	var d denialSamples
	for range denialRounds {
		if !r.sampleRound(rr, obj, intruder, isolated, oracle, &d) || d.distinguisher() == "" {
			return
		}
	}
	r.violated(oracle, d.foreign[0], ruleOracle, existenceOracle, "%s can distinguish an object of %s from a nonexistent one: %s", intruder.name, obj.owner.name, d.distinguisher())
}

// denialSamples are the responses to requests for an object of another org, and for nonexistent ones.
type denialSamples struct {
	foreign, nonexistent []*httpx.Answer
	ids                  []string // that were requested
}

// sampleRound requests another org's object between two nonexistent ones, so that whatever drifts from response to
// response is not a difference. It reports whether all three were denied.
func (r *run) sampleRound(rr *resourceRun, obj seededObject, intruder *tenant, isolated, oracle *assertion, d *denialSamples) bool {
	denied := true
	read := func(a *assertion, id string) *httpx.Answer {
		req := request{assertion: a, tenant: intruder, template: rr.Read, vars: vars{org: intruder.id, id: id}, want: rr.Read.Denied.Statuses()}
		answer := r.send(r.ctx, req)
		denied = r.expectDenied(req, answer, req.template.Denied, ruleNotDenied, misleadingSuccess) && denied
		d.ids = append(d.ids, id)
		return answer
	}
	before := read(oracle, r.unusedID(obj))
	foreign := read(isolated, obj.id)
	after := read(oracle, r.unusedID(obj))
	if !denied {
		r.inconclusive(oracle, foreign, probe.ControlFailed, "another org's object, or a nonexistent one, is not denied: there are no denials to compare")
		return false
	}
	if before.Status != after.Status {
		r.inconclusive(oracle, after, probe.ControlFailed, "two nonexistent ids are denied differently, got %d, before %d: there is nothing to compare another org's object with", after.Status, before.Status)
		return false
	}
	d.foreign, d.nonexistent = append(d.foreign, foreign), append(d.nonexistent, before, after)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denialDelays[oracle.surface] = append(r.denialDelays[oracle.surface], processingTime(foreign)-(processingTime(before)+processingTime(after))/2)
	return true
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

// unusedID returns an id that no object has, of the same form as that of an object.
func (r *run) unusedID(obj seededObject) string {
	if rr := obj.resourceRun; rr.ID.Text != "" && rr.Create != nil {
		return rr.chosenID(obj.owner, canary.Mint(r.p.Replica, time.Now()))
	}
	return nonexistentID(obj.id)
}

// nonexistentID returns an id of the same form as another, but random, so that no object has it. A number gets 18 digits
// so that it is not a customer's; a short one gets about two thousand million, which 32 bits can hold, since services
// reject differently what cannot be an id at all.
func nonexistentID(id string) string {
	random := canary.Random() + canary.Random()
	if strings.Trim(id, "0123456789") == "" {
		digits := strings.Map(func(c rune) rune { return '0' + c%10 }, random)
		if len(id) < len("2000000000") {
			return "20" + digits[:8]
		}
		return "9" + digits[:17]
	}
	hex := strings.Trim(strings.ToLower(id), "0123456789abcdef-") == ""
	out, upper := []byte(id), strings.ToUpper(id) == id
	for i, c := range out {
		n := random[i%len(random)] // a hex digit
		switch {
		case '0' <= c && c <= '9':
			out[i] = '0' + n%10
		case ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') && hex:
			out[i] = "abcdef"[n%6]
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			out[i] = 'a' + n%16
		}
		if 'A' <= c && c <= 'Z' || upper && 'a' <= out[i] && out[i] <= 'z' {
			out[i] = strings.ToUpper(string(out[i : i+1]))[0]
		}
	}
	return string(out)
}

// distinguisher says by what the denials of another org's id differ from all those of nonexistent ids. What also differs
// among the latter, such as a time, a request id or the name of an instance, distinguishes nothing.
func (d denialSamples) distinguisher() string {
	status := func(answer *httpx.Answer) string { return strconv.Itoa(answer.Status) }
	if d.differsBy(status) {
		return fmt.Sprintf("got %d, and %d for a nonexistent one", d.foreign[0].Status, d.nonexistent[0].Status)
	}
	for _, name := range headerNames(append(d.foreign, d.nonexistent...)) {
		if slices.Contains([]string{"Date", "Expires", "Content-Length", "Set-Cookie"}, name) {
			continue
		}
		if d.differsBy(func(answer *httpx.Answer) string { return headerValue(answer, name, d.ids) }) {
			return "the header " + publicHeader(name)
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

func headerNames(answers []*httpx.Answer) []string {
	var all []string
	for _, answer := range answers {
		for name := range answer.Header {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

// headerValue returns the values of a header with the ids masked. A missing header differs from an empty one.
func headerValue(answer *httpx.Answer, name string, ids []string) string {
	values, ok := answer.Header[http.CanonicalHeaderKey(name)]
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
