package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/signature"
	"prober/internal/timesync"
)

// Bounds of the state.
const (
	maxAttempts = 20   // of an event
	maxOthers   = 64   // events that no trigger is known for
	maxReplays  = 6144 // contents that are remembered, so that a replay is known: all that come in twice the default tolerance
	maxID       = 256  // bytes
)

// A state is what the inbox holds beside the document. It outlives a reload; the run that is under way goes on.
type state struct {
	document document
	set      jwk.Set            // by which deliveries are verified
	run      *round             // nil between runs
	seen     []content          // the oldest first
	ended    []*event           // without a trigger: the last of each case that is settled
	recent   []arrival          // the latest deliveries, whoever sent them
	counts   map[string]float64 // results, since the last run has told them
}

// A content is one that was signed with its time, and how it was answered.
type content struct {
	sum       digest
	at, stamp time.Time
	answer    probe.Answer
}

// A digest is the beginning of the SHA-256 of a content. Whoever could make two that are alike has the key.
type digest [8]byte

// An arrival is a delivery by whether it verified.
type arrival struct {
	at      time.Time
	refused bool
}

// maxRecent is of how many deliveries the share is told that did not verify, and minRecent of how many at least.
const (
	maxRecent = 20
	minRecent = 4
)

// maxKeptBodies bounds all that a round keeps to be verified again.
const maxKeptBodies = 256 << 10

var errStale = errors.New("a timestamp of another time")

// stateOf returns what the inbox holds, read from the document after a restart.
func stateOf(s *probe.InboxState) *state {
	st, ok := s.Volatile.(*state)
	if !ok {
		st = &state{counts: map[string]float64{}}
		if json.Unmarshal(s.Document, &st.document) != nil {
			st.document = document{}
			if len(s.Document) > 0 { // it is damaged: what has come is not known any more
				st.document.Floor = time.Now().Round(0)
			}
		}
		st.set, _ = jwk.Parse(context.Background(), st.document.Set)
		now := time.Now()
		for sum := range slices.Chunk(st.document.Seen, len(digest{})) {
			if len(sum) == len(digest{}) { // none of them has been good for longer than it is from now on
				st.seen = append(st.seen, content{sum: digest(sum), at: now, stamp: st.document.Stamp, answer: probe.Answer{Status: http.StatusOK}})
			}
		}
		st.document.Seen = nil
		s.Volatile = st
	}
	return st
}

// save keeps the document over restarts.
func (st *state) save(s *probe.InboxState) {
	d := st.document
	more := max(0, len(st.seen)-maxKeptSeen)
	for i, c := range st.seen {
		if i < more {
			d.raise(c.stamp)
			continue
		}
		d.Seen = append(d.Seen, c.sum[:]...)
	}
	if text, err := json.Marshal(&d); err == nil && len(text) <= probe.MaxInboxDocument {
		s.Document = text
	}
}

// raise notes that contents with such a timestamp may be forgotten.
func (d *document) raise(stamp time.Time) {
	if stamp.After(d.Floor) {
		d.Floor = stamp
	}
}

// unproven is the answer to everything that does not verify, whatever is wrong with it: that of a path that does not exist.
var unproven = probe.Answer{Status: http.StatusNotFound}

// Receive answers a request by the script of its event, if it verifies.
func (p *Probe) Receive(in probe.Inbox, d probe.Delivery) (answer probe.Answer) {
	since := in.Since()
	in.Update(func(s *probe.InboxState) {
		st := stateOf(s)
		doubt := st.document.Doubt
		switch floor := &st.document.Floor; {
		case floor.IsZero(): // what came before that is unknown
			st.document.raise(since)
			st.document.raise(st.document.Stamp)
		case floor.After(d.At.Add(p.Signature.Tolerance.D())): // the clock was set back
			*floor = d.At.Round(0)
		}
		var result string
		var kept bool
		if answer, result = p.receive(st, d); result != "" {
			st.counts[result]++
		}
		switch result {
		case "", resultReplayed, resultNoKeys: // these say nothing of the sender
			kept = result == resultNoKeys || st.document.Doubt != doubt
		case resultVerified, resultUnmatched:
			kept = true
			st.arrived(d.At, false)
		default:
			if d.Method == http.MethodPost && strings.Trim(d.Path, "/") == "" {
				st.arrived(d.At, true)
			}
		}
		if kept {
			st.save(s)
		}
	})
	return answer
}

// receive returns the answer to a request and what to count it as; nothing if it was the prober's own or led by a redirect.
func (p *Probe) receive(st *state, d probe.Delivery) (probe.Answer, string) {
	path := strings.Trim(d.Path, "/")
	if st.run != nil && st.run.known(path, d) {
		return probe.Answer{}, ""
	}
	keys := signature.Keys{Set: st.set}
	lacking := p.reveal(&keys) != nil || st.set == nil && p.Signature.Keys != ""
	var err error
	signed := signature.Signed{}
	if path != "" || d.Method != http.MethodPost {
		err = signature.ErrMissing
	} else {
		signed, err = p.form.Verify(d.Header, d.Body, &keys)
		if lacking && (err == signature.ErrMismatch || err == signature.ErrUnknownKey) { // by what the prober has
			st.document.Vain = d.At.Round(0)
			if p.Trigger != nil && st.run == nil { // nobody waits for it: what a run before provoked ends well
				return probe.Answer{Status: http.StatusOK}, resultNoKeys
			}
			return probe.Answer{Status: http.StatusServiceUnavailable}, resultNoKeys // so that the sender comes again
		}
	}
	if err != nil {
		id := p.idOf(d, signature.Signed{ID: first(d.Header.Get("Webhook-Id"), d.Header.Get("Svix-Id")), Payload: d.Body})
		r := refusal{err: err}
		if size := len(d.Body) + len(d.Header.Get(p.form.Header)); err == signature.ErrUnknownKey && st.run != nil && st.run.kept+size <= maxKeptBodies {
			st.run.kept += size
			r.header, r.body = http.Header{p.form.Header: d.Header[p.form.Header]}, d.Body
		}
		st.run.refuse(id, r)
		return unproven, resultOf(err)
	}
	sum := digest(signed.Content[:])
	if i := slices.IndexFunc(st.seen, func(c content) bool { return c.sum == sum }); i >= 0 && p.timed() {
		return st.seen[i].answer, resultReplayed // or the same attempt, twice on the way: it gets the same answer
	}
	a := attempt{at: d.At, key: p.keyOf(d, signed)}
	if signed.Key.Public != nil {
		a.signer, a.kid = nameOf(signed.Key), signed.Key.ID
	}
	var timed bool
	var stamp time.Time
	a.offset, stamp, timed = p.offset(d, signed)
	id := p.idOf(d, signed)
	if !timed && p.timed() || a.offset.Beyond(p.Signature.Tolerance.D()) {
		st.run.refuse(id, refusal{err: errStale, offset: a.offset})
		return unproven, resultStale
	}
	doubtful := timed && !stamp.After(st.document.Floor) // it may have come when nobody remembered
	if doubtful && p.Trigger == nil {
		st.document.Doubt = d.At.Round(0)
		return probe.Answer{Status: http.StatusOK}, resultReplayed
	}
	if stamp.After(st.document.Stamp) {
		st.document.Stamp = stamp
	}
	e := st.run.match(id, p.Trigger == nil)
	if !doubtful || e != nil && e != st.run.asking { // the id of an event is younger than the run
		st.document.Last = d.At.Round(0)
		if record := st.document.find(a.signer); record != nil {
			record.Signed = d.At
		}
	}
	result := resultVerified
	a.given.Status = http.StatusOK
	switch {
	case e == nil:
		result = resultUnmatched
		if st.run != nil && id != "" && (len(st.run.others) < maxOthers || st.run.others[id] != nil) && len(st.run.others[id]) < maxAttempts {
			st.run.others[id] = append(st.run.others[id], a)
		}
	case len(e.attempts) < maxAttempts:
		a.given = e.answer(len(e.attempts), p)
		e.attempts = append(e.attempts, a)
		if len(e.attempts) == 1 {
			p.tamper(st.run, d, &keys)
		}
	}
	if st.document.Owed++; a.given.Status/100 == 2 && a.given.Delay == 0 {
		st.document.Owed = 0
	}
	replayed := a.given
	if replayed.Location != "" {
		replayed.Location = strings.TrimSuffix(replayed.Location, e.nonce) + e.again
	}
	st.seen = append(st.seen, content{sum, d.At, stamp, replayed})
	old := max(0, len(st.seen)-maxReplays)
	for d.At.Sub(st.seen[old].at) > 2*p.Signature.Tolerance.D()+time.Minute { // its timestamp is of another time by now
		old++
	}
	for _, c := range st.seen[:old] { // the clock may be ahead, and will be set back
		st.document.raise(c.stamp)
	}
	st.seen = st.seen[old:]
	return a.given, result
}

// arrived notes a delivery, for the share of those that do not verify.
func (st *state) arrived(at time.Time, refused bool) {
	st.recent = append(st.recent[max(0, len(st.recent)-maxRecent+1):], arrival{at.Round(0), refused})
}

// unverified counts the latest deliveries that did not verify. Older ones say nothing of how it is now.
func (st *state) unverified(now time.Time, within time.Duration) (refused, all int) {
	for _, a := range st.recent {
		if now.Sub(a.at) > max(24*time.Hour, minRecent*within) {
			continue
		}
		if all++; a.refused {
			refused++
		}
	}
	return refused, all
}

// reveal reads the secrets. The error is that of the last one that cannot be read.
func (p *Probe) reveal(keys *signature.Keys) (failed error) {
	for _, s := range p.Signature.Secrets {
		text, err := s.Reveal()
		if err == nil {
			err = keys.Add(p.Signature.Scheme, text)
		}
		if err != nil {
			failed = err
		}
	}
	return failed
}

func resultOf(err error) string {
	for _, c := range causes {
		if c.err == err {
			return c.result
		}
	}
	return causes[1].result
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// idOf returns the id of the event that a delivery is of; empty if it has none.
func (p *Probe) idOf(d probe.Delivery, signed signature.Signed) string {
	return read(p.ID, d, signed)
}

func (p *Probe) keyOf(d probe.Delivery, signed signature.Signed) string {
	return read(p.Key, d, signed)
}

func read(source httpx.Source, d probe.Delivery, signed signature.Signed) string {
	text := signed.ID
	if source.Header != "" || !source.JSON.IsZero() {
		text = source.Read(&httpx.Answer{Header: d.Header, Body: signed.Payload})
	}
	if len(text) > maxID {
		return ""
	}
	return text
}

// offset returns where the offset of the sender's clock lies, by the timestamp of an attempt: it was signed before it had come.
// What took long on the way looks like a clock that is behind, as it does to any receiver.
func (p *Probe) offset(d probe.Delivery, signed signature.Signed) (timesync.Interval, time.Time, bool) {
	stamp, width := signed.Timestamp, time.Second
	if !p.stamp.IsZero() {
		text := (&httpx.Source{JSON: p.stamp}).Read(&httpx.Answer{Body: signed.Payload})
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			stamp = time.Unix(seconds, 0)
		} else if stamp, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return timesync.Interval{}, time.Time{}, false
		}
	}
	if stamp.IsZero() {
		return timesync.Interval{}, time.Time{}, false
	}
	return timesync.Read(stamp, stamp.Add(width), d.At, time.Now()), stamp, true
}

// tamper looks at copies of a delivery that verified with a byte changed: if one verifies, the verdicts are worth nothing.
func (p *Probe) tamper(run *round, d probe.Delivery, keys *signature.Keys) {
	headers, bodies := p.form.Tampered(d.Header, d.Body)
	for i := range headers {
		run.tampered++
		if _, err := p.form.Verify(headers[i], bodies[i], keys); err == nil {
			run.accepted++
		}
	}
}

func closedMethod(method string) string {
	if method == http.MethodGet || method == http.MethodPost {
		return method
	}
	return "request"
}

// url is a URL of the prober's own, below its path.
func (p *Probe) url(token, path string) string {
	return strings.ReplaceAll(p.Public, tokenVariable, token) + "/" + path
}
