package web

import (
	"cmp"
	"net/http"
	"strings"

	"prober/internal/drop"
	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
	"prober/internal/text"
)

// maxWhy bounds the reason of an acknowledgement.
const maxWhy = 300

// A breachView is a breach that nobody acknowledged.
type breachView struct {
	probe.Breach
	Path string // a POST to it acknowledges; empty if that is not enabled
}

// openBreaches returns the breaches of some probes that nobody acknowledged, not more than fit. The path up leads to the index page.
func (s *server) openBreaches(up string, of func(probe.Key) bool) (all []breachView) {
	if s.Breaches == nil {
		return nil
	}
	for _, b := range s.Breaches() {
		if !of(b.Key) || !b.Acknowledged.At.IsZero() || len(all) == maxNames {
			continue
		}
		v := breachView{Breach: b}
		if s.Acknowledge != nil {
			v.Path = probePath(up, probe.ID{System: b.System, Name: b.Name}) + "/acknowledge"
		}
		all = append(all, v)
	}
	return all
}

// node is the banner, which stays until somebody acknowledges the breach.
func (v breachView) node() g.Node {
	return h.Div(h.Class("banner bad"), h.Role("alert"), h.Data("key", "breach of "+v.Key.String()),
		h.Strong(h.Text("Breach: "+v.Key.String()+" saw "+strings.ReplaceAll(v.Reason, "_", " ")+".")),
		h.Text(" First "), dateTime(v.First), h.Text(", last "), dateTime(v.Last), h.Text(". Nobody has acknowledged it. "),
		g.If(v.Path != "", h.Form(h.Method("post"), h.Action(v.Path),
			h.Label(h.Text("Reason "), h.Input(h.Type("text"), h.Name("why"), h.Required(), h.MaxLength("300"))), h.Text(" "),
			h.Button(h.Text("Acknowledge")))),
	)
}

// acknowledge notes that somebody knows of a breach, who that is and why. It changes no verdict, counter or alert.
func (s *server) acknowledge(w http.ResponseWriter, r *http.Request) {
	if s.Acknowledge == nil {
		http.Error(w, "acknowledging over HTTP is not enabled", http.StatusForbidden)
		return
	}
	why := text.Cut(strings.TrimSpace(text.Line(r.PostFormValue("why"))), maxWhy)
	if why == "" {
		http.Error(w, "expected the reason in the field why", http.StatusBadRequest)
		return
	}
	by := ""
	if s.User != nil {
		by = s.User(r)
	}
	k := probe.Key{System: r.PathValue("system"), Name: r.PathValue("name")}
	if err := s.Acknowledge(k, cmp.Or(by, "unauthenticated"), why); err != nil {
		http.Error(w, text.Lines(err.Error()), http.StatusNotFound)
		return
	}
	if _, shown := s.find(k.System, k.Name); !shown && wantsPage(r) {
		w.Header().Set("Location", "../../../") // the probe is no longer configured
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	s.answerRun(w, r, probe.ID{System: k.System, Name: k.Name}, http.StatusOK, "acknowledged", "")
}

// acknowledgements returns the breaches of a probe that somebody acknowledged.
func (s *server) acknowledgements(k probe.Key) []probe.Breach {
	if s.Breaches == nil {
		return nil
	}
	return drop.If(s.Breaches(), func(b probe.Breach) bool { return b.Key != k || b.Acknowledged.At.IsZero() })
}
