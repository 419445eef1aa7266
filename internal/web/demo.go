package web

import (
	"fmt"
	"net/http"

	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
)

// A faultsView is the page of the switches of a demonstration.
type faultsView struct {
	layout
	Active, Others []Fault
}

// faults shows the faults of a demonstration, those that are on first.
func (s *server) faults(w http.ResponseWriter, r *http.Request) {
	v := faultsView{layout: s.layout(r, "./", "fault injection")}
	for _, f := range s.Faults() {
		if f.Active {
			v.Active = append(v.Active, f)
			v.Worst = probe.Fail
		} else {
			v.Others = append(v.Others, f)
		}
	}
	s.render(w, http.StatusOK, v.node())
}

func (v faultsView) node() g.Node {
	list := func(faults []Fault) g.Node {
		return h.Ul(h.Class("rows"), h.Role("list"), g.Map(faults, Fault.node))
	}
	return v.document(
		h.Header(h.H1(h.Text("Fault injection")), h.P(h.Class("soft"), h.Text("Break the sample system, and see which probes find out."))),
		h.Main(h.ID("main"),
			g.If(len(v.Active) > 0, section("active", heading("active", fmt.Sprintf("%d active", len(v.Active))), list(v.Active))),
			section("others", heading("others", fmt.Sprintf("%d to inject", len(v.Others))), list(v.Others)),
		),
	)
}

// faultsLink leads to the switches, and says how many are on.
func faultsLink(up string, faults []Fault) namedLink {
	on := 0
	for _, f := range faults {
		if f.Active {
			on++
		}
	}
	if on == 0 {
		return namedLink{"Fault injection", up + "demo"}
	}
	return namedLink{fmt.Sprintf("Fault injection (%d active)", on), up + "demo"}
}
