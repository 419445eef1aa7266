package web

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// A probeView is what a probe's own page shows.
type probeView struct {
	frame
	rowView
	Every, Limit string // interval and timeout
	Runs         []Run  // the newest first
	RunPath      string // empty if it cannot be run on request
	Needs        []need
	Labels       []string
	Signals      []signalView
	Stories      []storyView
}

// A need is a probe that this one depends on.
type need struct {
	namedLink
	Verdict probe.Verdict
	Known   bool
}

type signalView struct{ Check, Series string }

type storyView struct {
	ID, Head, Text string
	Story          *Story
}

// probeByName leads to the page of a probe, or of those that share the name.
func (s *site) probeByName(w http.ResponseWriter, r *http.Request) {
	rows := s.named("", r.PathValue("name"))
	switch len(rows) {
	case 0:
		s.missing(w)
	case 1:
		w.Header().Set("Location", probePath("../", rows[0].ID)) // relative, so that it holds behind any prefix
		w.WriteHeader(http.StatusFound)
	default:
		v := noteView{frame: s.frame("../", "several probes have this name"), Text: "Say which one is meant:"}
		for _, row := range rows {
			v.Ways = append(v.Ways, namedLink{row.System + "/" + row.Name, probePath("../", row.ID)})
		}
		s.draw(w, http.StatusMultipleChoices, "note", v)
	}
}

func (s *site) missing(w http.ResponseWriter) {
	http.Error(w, "no such probe; / lists all", http.StatusNotFound)
}

// detail shows one probe.
func (s *site) detail(w http.ResponseWriter, r *http.Request) {
	if s.Probe == nil {
		s.missing(w)
		return
	}
	d, ok := s.Probe(r.PathValue("system"), r.PathValue("name"))
	if !ok {
		s.missing(w)
		return
	}
	const up = "../../"
	v := probeView{
		frame: s.frame(up, d.System+"/"+d.Name+": "+says(d.Row)),
		Every: probe.Duration(d.Interval).String(), Limit: probe.Duration(d.Job.Timeout).String(),
		Runs: d.History.Runs(), Labels: text.Labels(d.Job.Labels), Signals: signals(d.Job.Signals), Stories: stories(d),
	}
	v.rowView = s.rowView(&d.Row, v.Now)
	v.Worst, v.Works = d.Verdict, maintained([]*Row{&d.Row}, mostNames)
	slices.Reverse(v.Runs)
	if s.Run != nil {
		v.RunPath = "./" + escaped(d.Name) + "/run"
	}
	for _, name := range d.Job.DependsOn {
		other, known := s.Probe(d.System, name)
		id := probe.ID{System: d.System, Name: name}
		v.Needs = append(v.Needs, need{namedLink{name, probePath(up, id)}, other.Verdict, known})
	}
	s.draw(w, http.StatusOK, "probe", v)
}

// stories are the last run and the last that failed, which may be the same.
func stories(d Detail) []storyView {
	last := storyView{ID: "last", Head: "Last run", Story: d.Last}
	failed := storyView{ID: "failed", Head: "Last failure", Story: d.Failed}
	switch {
	case d.Last == nil:
		last.Text = "Not run yet."
	case d.Overdue:
		last.Head, last.Text = "Last run, out of date", "It says what was true then, and nothing of now."
	}
	switch {
	case d.Failed == nil:
		failed.Text = "No run failed since this prober began to ask."
	case d.Failed == d.Last:
		failed.Text, failed.Story = "The last run is the last failure.", nil
	}
	return []storyView{last, failed}
}

func signals(of map[string]probe.Signal) []signalView {
	var all []signalView
	for _, check := range slices.Sorted(maps.Keys(of)) {
		all = append(all, signalView{check, of[check].String()})
	}
	return all
}

// An exchangeView is an exchange in words and as a bar of its phases.
type exchangeView struct {
	Method, URL string
	For         string // the check and the target
	Open        bool   // shown in full at once
	Failed      bool   // a check that it was made for did not pass, or no complete answer came
	Outcome     string
	Phases      []phaseView
	PhaseWords  string
	Facts       []fact
}

type fact struct{ Name, Value string }

// A phaseView is a part of the bar. Neighbours differ in height as well as in colour.
type phaseView struct {
	Name                string
	X, Y, Width, Height int
}

// exchanges shows the exchanges of a story.
func exchanges(s *Story) []exchangeView {
	var all []exchangeView
	for _, x := range s.Exchanges {
		v := exchangeView{Method: x.Method, URL: x.URL, For: strings.TrimSpace(x.Check + " " + x.Target), Outcome: outcome(x), Facts: facts(x, s.Started)}
		v.Failed = x.Broken() || x.Denied != "" || slices.ContainsFunc(s.Checks, func(c probe.Check) bool {
			return c.Verdict != probe.Pass && x.Supports(c)
		})
		v.Open = v.Failed || len(s.Exchanges) == 1
		v.Phases, v.PhaseWords = phases(x.Phases)
		all = append(all, v)
	}
	return all
}

// outcome is how an exchange ended.
func outcome(x probe.Exchange) string {
	expected := ""
	if x.Expected {
		expected = ", as the probe wants it"
	}
	switch {
	case x.Denied != "":
		return "not dialled, a " + strings.ReplaceAll(x.Denied, "_", "-") + " address"
	case x.Reason != probe.OK && x.Reason.Word != "" && x.Status == 0:
		return fmt.Sprintf("no answer after %s: %s", short(x.Took), words(x.Reason))
	case x.Reason == probe.Cancelled && x.Expected:
		return fmt.Sprintf("answered %d, hung up on in the middle after %s%s", x.Status, short(x.Took), expected)
	case x.Reason != probe.OK && x.Reason.Word != "":
		return fmt.Sprintf("answered %d, not completely, in %s: %s", x.Status, short(x.Took), words(x.Reason))
	}
	return fmt.Sprintf("answered %d in %s%s", x.Status, short(x.Took), expected)
}

// facts lists what else is known of an exchange, without what is not.
func facts(x probe.Exchange, run time.Time) []fact {
	all := []fact{
		{"Address dialled", x.Addr},
		{"Protocol", x.Proto},
		{"Connections opened", connections(x)},
		{"Body", size(x)},
		{"Trace id sent", x.TraceID},
		{"Trace id returned", x.TargetTraceID},
		{"Version", x.Version},
		{"Certificate", certificate(x.CertExpiry, run)},
	}
	if !x.Started.IsZero() {
		all = append(all, fact{"Sent", short(max(x.Started.Sub(run), 100*time.Microsecond)) + " after the run began"})
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.Value == "" })
}

func size(x probe.Exchange) string {
	if x.Status == 0 {
		return ""
	}
	return fmt.Sprintf("%d bytes", x.Bytes)
}

func connections(x probe.Exchange) string {
	if x.Connections == 0 && x.Status != 0 {
		return "none, one was reused"
	}
	return strconv.Itoa(x.Connections)
}

// certificate says how long the chain was still good for when it was seen.
func certificate(expiry, seen time.Time) string {
	if expiry.IsZero() {
		return ""
	}
	left := int(expiry.Sub(seen).Hours() / 24)
	if expiry.Before(seen) {
		return "expired at " + clock(expiry)
	}
	return fmt.Sprintf("%d days left, until %s", left, clock(expiry))
}

// phases shares out the bar's width, and says the same in words.
func phases(all []probe.Phase) ([]phaseView, string) {
	const wide = 300
	var total time.Duration
	for _, p := range all {
		total += p.Took
	}
	if total <= 0 {
		return nil, ""
	}
	var bar []phaseView
	var said []string
	x := 0
	for i, p := range all {
		v := phaseView{Name: p.Name, X: x, Width: max(1, int(wide*p.Took/total)), Y: 3 * (i % 2), Height: 12 - 6*(i%2)}
		x += v.Width
		bar = append(bar, v)
		said = append(said, p.Name+" "+short(p.Took))
	}
	return bar, strings.Join(said, ", ")
}
