package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

// A probeView is the data of a probe's page.
type probeView struct {
	layout
	rowView
	Every, Limit string // interval and timeout
	Runs         []Run  // the newest first
	RunPath      string // empty if it cannot be run on request
	RunOutcome   string // of the run that the reader asked for; empty if there is none
	Dependencies []dependency
	Deploys      []string // near the onset, in sentences
	Labels       []string
	Signals      []signalView
	RunViews     []runView
	Addresses    []string // whom it asks
	Settings     []probe.Setting
	Past         probe.Past
	Acknowledged []probe.Breach // of this probe
}

// A dependency is a probe that this one depends on.
type dependency struct {
	namedLink
	Verdict   probe.Verdict
	Known     bool
	Elsewhere string // which other prober runs it; empty if none does
}

type signalView struct{ Check, Series string }

type runView struct {
	ID, Head, Text string
	Run            *RunDetail
}

// probeByName redirects to the page of a probe, or lists those that share the name.
func (s *server) probeByName(w http.ResponseWriter, r *http.Request) {
	rows := s.byName("", r.PathValue("name"))
	switch len(rows) {
	case 0:
		s.notFound(w, r)
	case 1:
		w.Header().Set("Location", probePath("../", rows[0].ID)) // relative, so that it works behind any prefix
		w.WriteHeader(http.StatusFound)
	default:
		v := messageView{layout: s.layout(r, "../", "several probes have this name"), Text: "Which one?"}
		for _, row := range rows {
			v.Choices = append(v.Choices, namedLink{row.Key().String(), probePath("../", row.ID)})
		}
		s.render(w, http.StatusMultipleChoices, v.node())
	}
}

// notFound says that there is no such probe, and which may be meant.
func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	up, name := wayUp(r.URL.Path), r.PathValue("name")
	if other := s.elsewhere(probe.Key{System: r.PathValue("system"), Name: name}); other != "" {
		s.missing(w, r, "no such probe here", text.Line(name)+" runs in "+other+", which is another prober.", nil)
		return
	}
	var choices []namedLink
	rows := s.statuses()
	names := make([]string, len(rows))
	for i := range rows {
		names[i] = rows[i].Name
	}
	if meant := text.Nearest(name, names); meant != "" {
		for _, row := range s.byName("", meant) {
			choices = append(choices, namedLink{row.Key().String(), probePath(up, row.ID)})
		}
	}
	s.missing(w, r, "no such probe", "No probe is named "+text.Line(name)+".", choices)
}

// unknownPath answers for what is served nowhere.
func (s *server) unknownPath(w http.ResponseWriter, r *http.Request) {
	s.missing(w, r, "no such page", "There is nothing at this address.", nil)
}

// missing answers with a page that leads on, or with text for a program.
// elsewhere names the other prober that runs a probe; empty if none does.
func (s *server) elsewhere(k probe.Key) string {
	if s.Elsewhere == nil {
		return ""
	}
	return s.Elsewhere(k)
}

func (s *server) missing(w http.ResponseWriter, r *http.Request, head, message string, choices []namedLink) {
	if !wantsPage(r) {
		http.Error(w, head+"; / lists all", http.StatusNotFound)
		return
	}
	up := wayUp(r.URL.Path)
	v := messageView{layout: s.layout(r, up, head), Text: message, Choices: append(choices[:min(len(choices), maxNames)], namedLink{"All probes", up})}
	s.render(w, http.StatusNotFound, v.node())
}

// wayUp is the relative path from a page to the index page, so that it works behind any prefix.
func wayUp(path string) string {
	return cmp.Or(strings.Repeat("../", strings.Count(path, "/")-1), "./")
}

// detail shows one probe.
func (s *server) detail(w http.ResponseWriter, r *http.Request) {
	if s.Probe == nil {
		s.notFound(w, r)
		return
	}
	d, ok := s.Probe(r.PathValue("system"), r.PathValue("name"))
	if !ok {
		s.notFound(w, r)
		return
	}
	const up = "../../"
	for _, row := range s.byName(d.System, d.Name) {
		d.Cause = row.Cause // known only of all probes together
	}
	v := probeView{
		layout: s.layout(r, up, d.System+"/"+d.Name+": "+summary(d.ProbeStatus)),
		Every:  probe.Duration(d.Interval).String(), Limit: probe.Duration(d.Job.Timeout).String(),
		Runs: d.History.Runs(), Labels: text.Labels(d.Job.Labels), Signals: signals(d.Job.Signals), RunViews: runViews(d),
	}
	v.rowView = s.rowView(&d.ProbeStatus, v.Now)
	v.Live, v.CausePath = s.Changed != nil, d.causePath(up)
	v.Worst, v.Maintenance = d.Verdict, maintenanceBanners([]*ProbeStatus{&d.ProbeStatus}, maxNames)
	slices.Reverse(v.Runs)
	v.Addresses = d.Job.Addresses()
	if s.Settings != nil {
		v.Settings = s.Settings(d.Key())
	}
	s.addPast(&v, d.ID)
	if s.Run != nil {
		v.RunPath = "./" + escaped(d.Name) + "/run"
		v.RunOutcome = s.runOutcome(d, r.URL.Query().Get(runParameter))
	}
	if s.NearOnset != nil && d.Verdict == probe.Fail {
		v.Deploys = s.NearOnset(d.System)
	}
	for _, name := range d.Job.DependsOn {
		other, known := s.Probe(d.System, name)
		id := probe.ID{System: d.System, Name: name}
		v.Dependencies = append(v.Dependencies, dependency{namedLink{name, probePath(up, id)}, other.Verdict, known, s.elsewhere(id.Key())})
	}
	s.render(w, http.StatusOK, v.node())
}

// runViews returns the last run and the last that failed, which may be the same.
func runViews(d Detail) []runView {
	last := runView{ID: "last", Head: "Last run", Run: d.Last}
	failed := runView{ID: "failed", Head: "Last failure", Run: d.Failed}
	switch {
	case d.Last == nil:
		last.Text = "Not run yet."
	case d.Overdue:
		last.Head, last.Text = "Last run, out of date", "It does not show the present state."
	}
	switch {
	case d.Failed == nil:
		failed.Text = "No run has failed since this prober started."
	case d.Failed == d.Last:
		failed.Text, failed.Run = "It still fails: see the last run.", nil
	}
	return []runView{last, failed}
}

func signals(of map[string]probe.Signal) []signalView {
	var all []signalView
	for _, check := range sorted.Keys(of) {
		all = append(all, signalView{check, of[check].String()})
	}
	return all
}

// An exchangeView is an exchange in words, with a bar of its phases.
type exchangeView struct {
	Method, URL string
	For         string // the check and the target
	Open        bool   // expanded at first
	Failed      bool   // a check that cites it did not pass, or there was no complete response
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

// exchanges returns the exchanges of a run as they are shown.
func exchanges(s *RunDetail) []exchangeView {
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
		expected = ", as expected"
	}
	switch {
	case x.Denied != "":
		return "not dialled, a " + strings.ReplaceAll(x.Denied, "_", "-") + " address"
	case x.Reason != probe.OK && x.Reason.Word != "" && x.Status == 0:
		return fmt.Sprintf("no response after %s: %s", formatLatency(x.Took), reasonText(x.Reason))
	case x.Reason == probe.Cancelled && x.Expected:
		return fmt.Sprintf("%s, closed by the probe after %s%s", x.Answered(), formatLatency(x.Took), expected)
	case x.Reason != probe.OK && x.Reason.Word != "":
		return fmt.Sprintf("%s, not completely, in %s: %s", x.Answered(), formatLatency(x.Took), reasonText(x.Reason))
	}
	return fmt.Sprintf("%s in %s%s", x.Answered(), formatLatency(x.Took), expected)
}

// facts lists the known facts of an exchange.
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
		all = append(all, fact{"Sent", formatLatency(max(x.Started.Sub(run), 100*time.Microsecond)) + " after the start of the run"})
	}
	return drop.If(all, func(f fact) bool { return f.Value == "" })
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

// certificate says how long the chain was still valid when it was seen.
func certificate(expiry, seen time.Time) string {
	if expiry.IsZero() {
		return ""
	}
	left := int(expiry.Sub(seen).Hours() / 24)
	if expiry.Before(seen) {
		return "expired at " + formatDateTime(expiry)
	}
	return fmt.Sprintf("%d days left, until %s", left, formatDateTime(expiry))
}

// phases divides the width of the bar, and describes the phases in words.
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
		said = append(said, p.Name+" "+formatLatency(p.Took))
	}
	return bar, strings.Join(said, ", ")
}
