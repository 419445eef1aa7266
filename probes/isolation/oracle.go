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

// denialRounds is how often what seems to tell an object from one that never was is asked for in all. A header that
// names one of two instances seems so once in four rounds, and in all of six never.
const denialRounds = 6

// sampleDenials asks an intruder's question for another's object and for some that never were, again and again while they
// are denied in two ways. It notes against the claims what is no denial, and by what the denials differ every time.
func (r *run) sampleDenials(rr *resourceRun, obj seededObject, intruder *tenant, isolated, oracle *assertion) {
	var d denialSamples
	for range denialRounds {
		if !r.sampleRound(rr, obj, intruder, isolated, oracle, &d) || d.distinguisher() == "" {
			return
		}
	}
	r.violated(oracle, d.foreign[0], ruleOracle, existenceOracle, "%s can tell an object of %s from one that never was: %s", intruder.name, obj.owner.name, d.distinguisher())
}

// denialSamples are the answers to questions for an object of another org, and for such as never were.
type denialSamples struct {
	foreign, nonexistent []*httpx.Answer
	ids                  []string // that were asked for
}

// sampleRound asks one round: for another's object between two that never were, so that what drifts from answer to answer is
// no difference. It reports whether all three were denied.
func (r *run) sampleRound(rr *resourceRun, obj seededObject, intruder *tenant, isolated, oracle *assertion, d *denialSamples) bool {
	usable := true
	ask := func(a *assertion, id string) *httpx.Answer {
		req := request{assertion: a, tenant: intruder, template: rr.Read, vars: vars{org: intruder.id, id: id}, want: r.p.Denied}
		answer := r.send(r.ctx, req)
		usable = r.expectDenied(req, answer, r.p.Denied, ruleNotDenied, misleadingSuccess) && usable
		d.ids = append(d.ids, id)
		return answer
	}
	before := ask(oracle, nonexistentID(obj.id))
	foreign := ask(isolated, obj.id)
	after := ask(oracle, nonexistentID(obj.id))
	if !usable {
		r.violated(oracle, foreign, ruleInconclusive, probe.ControlFailed, "another org's object, or one that never was, is not denied: nothing can be told from it")
		return false
	}
	if before.Status != after.Status {
		r.violated(oracle, after, ruleInconclusive, probe.ControlFailed, "two ids that never were are denied in two ways, %d and %d: neither can be told from another's object", before.Status, after.Status)
		return false
	}
	d.foreign, d.nonexistent = append(d.foreign, foreign), append(d.nonexistent, before, after)
	r.denialDelays[oracle.surface] = append(r.denialDelays[oracle.surface], processingTime(foreign)-(processingTime(before)+processingTime(after))/2)
	return true
}

// processingTime is how long a target thought about an answer, without connecting to it.
func processingTime(a *httpx.Answer) time.Duration {
	for _, p := range a.Phases {
		if p.Name == "processing" {
			return p.Took
		}
	}
	return a.Took
}

// nonexistentID returns an id of the same kind as another that nothing can have: of its form, but random. A number gets
// eighteen digits, lest it be a customer's; a short one gets two thousand million, which 32 bits can hold, since what
// cannot be an id at all is refused in another way.
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

// distinguisher says by what the answers to another's id differ from all those to ids that never were. What differs among
// those as well, such as a time, a number of the request or the name of an instance, tells nothing.
func (d denialSamples) distinguisher() string {
	status := func(a *httpx.Answer) string { return strconv.Itoa(a.Status) }
	if d.differsBy(status) {
		return fmt.Sprintf("status %d, and %d for what never was", d.foreign[0].Status, d.nonexistent[0].Status)
	}
	for _, name := range headerNames(append(d.foreign, d.nonexistent...)) {
		if slices.Contains([]string{"Date", "Expires", "Content-Length", "Set-Cookie"}, name) {
			continue
		}
		if d.differsBy(func(a *httpx.Answer) string { return headerValue(a, name, d.ids) }) {
			return "the header " + publicHeader(name)
		}
	}
	body := func(a *httpx.Answer) string { return maskIDs(string(a.Body), d.ids) }
	first, other := len(body(d.foreign[0])), len(body(d.nonexistent[0]))
	switch {
	case d.differsBy(body):
		return fmt.Sprintf("the body, of %s and %s", text.Count(first, "byte"), text.Count(other, "byte"))
	case d.lengthDiffers(body):
		return fmt.Sprintf("the length of the body, %s and %s", text.Count(first, "byte"), text.Count(other, "byte"))
	}
	return ""
}

// differsBy reports whether what is read from the answers takes other values for another's object than for what never
// was. A value that is new in nearly every answer is noise.
func (d denialSamples) differsBy(read func(*httpx.Answer) string) bool {
	never := map[string]bool{}
	for _, a := range d.nonexistent {
		never[read(a)] = true
	}
	return len(never) <= max(1, len(d.nonexistent)/4) && !slices.ContainsFunc(d.foreign, func(a *httpx.Answer) bool { return never[read(a)] })
}

// lengthDiffers reports whether every answer for another's object is longer, or every one shorter, than those for what never
// was, by more than these differ and some bytes.
func (d denialSamples) lengthDiffers(read func(*httpx.Answer) string) bool {
	const noise = 16
	lengths := func(answers []*httpx.Answer) (least, most int) {
		least, most = len(read(answers[0])), len(read(answers[0]))
		for _, a := range answers[1:] {
			least, most = min(least, len(read(a))), max(most, len(read(a)))
		}
		return least, most
	}
	least, most := lengths(d.nonexistent)
	from, to := lengths(d.foreign)
	slack := noise + most - least
	return from > most+slack || to < least-slack
}

// publicHeader returns the name of a header if it is one of HTTP's own: the others are the target's text.
func publicHeader(name string) string {
	if slices.Contains([]string{"Content-Type", "Etag", "Cache-Control", "Vary", "Location", "Www-Authenticate", "Last-Modified", "Allow"}, name) {
		return name
	}
	return "of another name"
}

func headerNames(answers []*httpx.Answer) []string {
	var all []string
	for _, a := range answers {
		for name := range a.Header {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

// headerValue returns the values of a header with the ids masked; one that is not there is not the same as an empty one.
func headerValue(a *httpx.Answer, name string, ids []string) string {
	values, ok := a.Header[http.CanonicalHeaderKey(name)]
	if !ok {
		return "\x00"
	}
	return maskIDs(strings.Join(values, "\n"), ids)
}

// maskIDs returns a text with every id replaced.
func maskIDs(text string, ids []string) string {
	for _, id := range ids {
		for _, form := range []string{id, url.PathEscape(id), url.QueryEscape(id), jsonEscaped(id)} {
			text = strings.ReplaceAll(text, form, "<id>")
		}
	}
	return text
}
