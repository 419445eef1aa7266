package heartbeat

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// Signals that a report can be.
const (
	signalStart   = "start"
	signalSuccess = "success"
	signalFail    = "fail"
	signalLog     = "log"
	signalOther   = "other" // a path that says nothing
)

var signals = []string{signalStart, signalSuccess, signalFail, signalLog, signalOther}

// state is the document that is kept of a job. Times are those of the prober's clock.
type state struct {
	Last    time.Time `json:"last,omitzero"`     // when the job ended last
	Before  time.Time `json:"before,omitzero"`   // the time before that
	OK      bool      `json:"ok,omitempty"`      // whether it succeeded
	Status  int       `json:"status,omitempty"`  // its exit status; 0: it gave none, or succeeded
	Success time.Time `json:"success,omitzero"`  // the last one
	Started time.Time `json:"started,omitzero"`  // the last start
	Took    int64     `json:"took,omitempty"`    // how long the last one took, in ms; below zero: the clock was set back meanwhile
	Timed   bool      `json:"timed,omitempty"`   // Took is known
	Open    []run     `json:"open,omitempty"`    // what began and has not ended, the oldest first
	Ended   []string  `json:"ended,omitempty"`   // the last ids of runs that ended, with failedMark
	Unknown bool      `json:"unknown,omitempty"` // the last to end gave an id whose start was not seen
}

// A run is one that began.
type run struct {
	ID     string    `json:"id,omitempty"` // empty: it gave none
	First  time.Time `json:"first"`        // when one without an id began first, since an end
	Latest time.Time `json:"latest"`
}

const (
	maxOpen  = 16
	maxEnded = 16

	failedMark = "!"            // behind the id of a run that failed, in Ended
	maxTime    = 72 * time.Hour // a start and an end that are further apart do not belong together
)

// idPattern is that of the id of a run: a UUID in its usual form.
var idPattern = regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)

// A report is what a request says.
type report struct {
	signal string
	status int // the exit status, of a fail
	id     string
}

// readReport reads a request. It returns the HTTP status of one that is no report.
func readReport(d *probe.Delivery) (report, int) {
	r := report{signal: signalSuccess}
	if d.Method != http.MethodPost && d.Method != http.MethodGet && d.Method != http.MethodHead {
		return r, http.StatusMethodNotAllowed
	}
	switch d.Path {
	case "", "/":
	case "/start", "/fail", "/log":
		r.signal = d.Path[1:]
	default:
		n, err := strconv.ParseUint(d.Path[1:], 10, 8)
		if err != nil {
			return r, http.StatusNotFound
		}
		if n != 0 {
			r.signal, r.status = signalFail, int(n)
		}
	}
	// A query such as ?state=fail, which means something elsewhere, is not taken for a success. What create asks for is there.
	query, err := url.ParseQuery(d.Query)
	r.id = query.Get("rid")
	known := 0
	for _, name := range [...]string{"rid", "create"} {
		if len(query[name]) == 1 {
			known++
		}
	}
	if err != nil || len(query) != known || r.id != "" && !idPattern.MatchString(r.id) {
		return r, http.StatusBadRequest
	}
	r.id = strings.ToLower(r.id)
	return r, 0
}

// Receive takes a report. What it says beside that, such as the output of the job, is not kept.
func (p *Probe) Receive(inbox probe.Inbox, d probe.Delivery) probe.Answer {
	r, refused := readReport(&d)
	if refused != 0 {
		r.signal = signalOther
	}
	inbox.Update(func(s *probe.InboxState) {
		seen, _ := s.Volatile.(*received)
		if seen == nil {
			seen = &received{counts: map[string]int{}}
			s.Volatile = seen
		}
		seen.counts[r.signal]++
		at := d.At.Round(0)
		switch state := readState(s.Document); {
		case r.signal == signalOther:
			seen.vain, seen.why = at, "a request that is no report was answered "+strconv.Itoa(refused)
		case r.signal == signalLog:
		case state.note(r, at, p.limit().D()):
			s.Document, _ = json.Marshal(state)
		default:
			seen.vain, seen.why = at, "a report with the rid of a run that has ended, which does not count, came"
		}
	})
	return probe.Answer{Status: refused}
}

// received is what came since the last run, and the last request that changed nothing: whose job is late must know that it tried.
type received struct {
	counts map[string]int
	vain   time.Time
	why    string
}

// inVain tells in a sentence of the last request that changed nothing; it is empty if none came after a time.
func (c *received) inVain(last, now time.Time) string {
	if !c.vain.After(last) {
		return ""
	}
	return "; " + c.why + " " + ago(now, c.vain) + " ago"
}

func readState(document []byte) (s state) {
	_ = json.Unmarshal(document, &s) // what cannot be read is not known
	return s
}

// note notes a report, and reports whether it says anything new.
func (s *state) note(r report, at time.Time, limit time.Duration) bool {
	i := slices.IndexFunc(s.Open, func(x run) bool { return x.ID == r.id })
	if r.id != "" && (slices.Contains(s.Ended, r.id+failedMark) || r.signal != signalFail && slices.Contains(s.Ended, r.id)) {
		return false // a report that was sent again, or a start that its own end has overtaken. Success may be taken back, a failure not
	}
	if r.signal == signalStart {
		s.Started = at
		switch {
		case i >= 0 && r.id == "": // the one before was restarted, or runs beside it: it must end in its time all the same
			s.Open[i].Latest = at
		case i >= 0: // the report was sent again
		default:
			if len(s.Open) == maxOpen { // the oldest say what is wrong
				s.Open = s.Open[:maxOpen-1]
			}
			s.Open = append(s.Open, run{r.id, at, at})
		}
		return true
	}
	if r.id != "" {
		ended := r.id
		if r.signal == signalFail {
			ended += failedMark
		}
		s.Ended = append(s.Ended, ended)
		s.Ended = s.Ended[max(0, len(s.Ended)-maxEnded):]
	}
	if i < 0 && r.id == "" && len(s.Open) > 0 { // it is that of the last one, which gave an id when it began
		i = len(s.Open) - 1
	}
	began := at
	s.Timed, s.Took, s.Unknown = false, 0, i < 0 && r.id != ""
	if i >= 0 {
		x := s.Open[i]
		if took := at.Sub(x.Latest); x.ID == r.id && took <= max(maxTime, limit) {
			s.Timed, s.Took, began = true, took.Milliseconds(), x.Latest
		}
		s.Open = slices.Delete(s.Open, i, i+1)
	}
	s.Before, s.Last = s.Last, at
	s.OK, s.Status = r.signal == signalSuccess, r.status
	if s.OK {
		s.Success = at
		// What hung before the one that succeeded began is over.
		s.Open = drop.If(s.Open, func(x run) bool { return x.First.Before(began) && at.Sub(x.First) > limit })
	}
	return true
}
