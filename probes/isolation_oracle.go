package probes

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// compare asks an intruder's question for another's object and twice for one that never was. It notes against the
// first claim what is no denial, and returns by what the denials differ; empty if by nothing.
func (x *exam) compare(s *subject, c planted, intruder *tenant, isolated, oracle *claim) string {
	ids := []string{c.id, unlikely(c.id), unlikely(c.id)}
	answers := make([]*httpx.Answer, len(ids))
	usable := true
	for _, i := range [...]int{1, 0, 2} { // another's in the middle: what grows or shrinks from answer to answer is no difference in time
		cl := oracle
		if i == 0 {
			cl = isolated
		}
		a := asking{claim: cl, by: intruder, t: s.Read, v: vars{org: intruder.id, id: ids[i]}, want: x.p.Denied}
		answers[i] = x.ask(x.ctx, a)
		usable = x.denied(a, answers[i], x.p.Denied, ruleGranted, misleadingSuccess) && usable
	}
	if !usable {
		return ""
	}
	if answers[1].Status != answers[2].Status {
		x.note(oracle, ruleUnproven, probe.ControlFailed, "two ids that never were are denied in two ways, %d and %d: neither can be told from another's object", answers[1].Status, answers[2].Status)
		return ""
	}
	x.delays[oracle.surface] = append(x.delays[oracle.surface], waited(answers[0])-(waited(answers[1])+waited(answers[2]))/2)
	return differ(answers, ids)
}

// waited is how long a target thought about an answer, without connecting to it.
func waited(a *httpx.Answer) time.Duration {
	for _, p := range a.Phases {
		if p.Name == "processing" {
			return p.Took
		}
	}
	return a.Took
}

// unlikely returns an id of the same kind as another that nothing can have: of its form, but random. A number gets
// eighteen digits, lest it be a customer's.
func unlikely(id string) string {
	random := canary.Random() + canary.Random()
	if strings.Trim(id, "0123456789") == "" {
		digits := strings.Map(func(c rune) rune { return '0' + c%10 }, random)
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

// differ says by what the answer to another's id differs from those to ids that never were. What differs between
// those two as well, such as a time or a number of the request, tells nothing.
func differ(answers []*httpx.Answer, ids []string) string {
	foreign, never, again := answers[0], answers[1], answers[2]
	if foreign.Status != never.Status {
		return fmt.Sprintf("status %d, and %d for what never was", foreign.Status, never.Status)
	}
	for _, name := range headerNames(answers) {
		if slices.Contains([]string{"Date", "Expires", "Content-Length", "Set-Cookie"}, name) {
			continue
		}
		f, n, a := joined(foreign, name, ids), joined(never, name, ids), joined(again, name, ids)
		if n == a && f != n {
			return "the header " + known(name)
		}
	}
	f, n, a := masked(string(foreign.Body), ids), masked(string(never.Body), ids), masked(string(again.Body), ids)
	const noise = 16
	switch {
	case n == a && f != n:
		return fmt.Sprintf("the body, of %s and %s", count(len(f), "byte"), count(len(n), "byte"))
	case n != a && distance(len(f), len(n)) > noise+distance(len(n), len(a)):
		return fmt.Sprintf("the length of the body, %s and %s", count(len(f), "byte"), count(len(n), "byte"))
	}
	return ""
}

func distance(a, b int) int { return max(a-b, b-a) }

// known returns the name of a header if it is one of HTTP's own: the others are the target's text.
func known(name string) string {
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

// joined returns the values of a header with the ids masked; one that is not there is not the same as an empty one.
func joined(a *httpx.Answer, name string, ids []string) string {
	values, ok := a.Header[http.CanonicalHeaderKey(name)]
	if !ok {
		return "\x00"
	}
	return masked(strings.Join(values, "\n"), ids)
}

// masked returns a text with every id replaced.
func masked(text string, ids []string) string {
	for _, id := range ids {
		for _, form := range []string{id, url.PathEscape(id), url.QueryEscape(id), inQuotes(id)} {
			text = strings.ReplaceAll(text, form, "<id>")
		}
	}
	return text
}

// interleave has the orgs take turns at reading their own over shared connections, some hanging up in the middle of
// the answer (row 12). Each answer must hold the caller's own canary and no other.
func (x *exam) interleave(s *subject) bool {
	cl := s.claim(checkInterleave, "interleave")
	if cl == nil {
		return true
	}
	op := s.seeing()
	n, own := x.p.Interleave.Requests, make([]bool, x.p.Interleave.Requests)
	x.fan(n, func(i int) {
		t := x.p.tenants[(i/x.p.Concurrency+i)%len(x.p.tenants)]
		c := s.planted[t]
		a := asking{claim: cl, by: t, t: s.template(op), v: vars{org: t.id, id: c.id, canary: c.text, page: "1"}, want: s.template(op).Status}
		if x.p.cancels(i) {
			a.abandon = 1
		}
		answer := x.ask(x.ctx, a)
		if a.abandon > 0 && (answer.Reason == probe.Cancelled && answer.Status != 0 || answer.Reason == probe.OK) {
			return
		}
		if why, detail, ok := x.failed(a, answer, a.t.Status); ok {
			x.note(cl, ruleUnproven, why, "%s cannot be shown its own: %s", t.name, detail)
			return
		}
		own[i] = canary.NewHaystack(answer.Body).Find(c.marks[0]) != ""
		if !own[i] && op == "read" {
			x.note(cl, ruleCrossed, probe.CrossTalk, "%s asked for its own and was answered something else: %s", t.name, a.spoken(answer))
		}
	})
	clean := 0
	for _, ok := range own {
		if ok {
			clean++
		}
	}
	x.mu.Lock()
	x.answered += clean
	x.mu.Unlock()
	if clean > 0 {
		x.finish(cl, fmt.Sprintf("0 of %d answers on shared connections were another org's, so at most %.1f %% are, with 95 %% confidence", clean, 300/float64(clean)))
	} else {
		x.note(cl, ruleUnproven, probe.Vacuous, "no answer held the caller's own canary")
	}
	x.row(12)
	return true
}

// cancels reports whether the i-th of the interleaved requests hangs up, evenly spread.
func (p *Isolation) cancels(i int) bool {
	share := p.Interleave.Cancel
	return (i+1)*share/100 > i*share/100
}
