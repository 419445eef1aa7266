package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"prober/internal/spell"
)

// Handler returns a handler that lists the faults (GET /) and turns them (POST /break/NAME, POST /mend/NAME). It
// answers in plain text, or in JSON to those who accept that. Pages of other sites cannot turn anything.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if wantsJSON(r) {
			writeJSON(w, http.StatusOK, object{"faults": s.states()})
			return
		}
		writeText(w, http.StatusOK, plain, s.list())
	})
	mux.HandleFunc("POST /break/{name}", s.setFault(s.Inject))
	mux.HandleFunc("POST /mend/{name}", s.setFault(s.Clear))
	return http.NewCrossOriginProtection().Handler(mux)
}

const plain = "text/plain; charset=utf-8"

// A faultState is a fault as the switches show it.
type faultState struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	Signal  string `json:"signal"`
	Active  bool   `json:"broken"`
}

func (s *Sandbox) states() []faultState {
	broken := s.Active()
	var all []faultState
	for _, f := range s.faults {
		all = append(all, faultState{f.Name, f.Summary, f.Signal, slices.Contains(broken, f.Name)})
	}
	return all
}

// list is a line for each fault.
func (s *Sandbox) list() string {
	var b strings.Builder
	for _, f := range s.states() {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// String is the line that shows the switch in a list.
func (t faultState) String() string {
	state := "ok"
	if t.Active {
		state = "BROKEN"
	}
	return fmt.Sprintf("%-7s %-23s %s", state, t.Name, t.Summary)
}

// setFault turns the fault that the path names and answers with its switch as it then stands.
func (s *Sandbox) setFault(turn func(name string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if err := s.checkName(name); err != nil {
			writeFailure(w, r, http.StatusNotFound, err)
			return
		}
		if err := turn(name); err != nil {
			writeFailure(w, r, http.StatusConflict, err)
			return
		}
		all := s.states()
		now := all[slices.IndexFunc(all, func(t faultState) bool { return t.Name == name })]
		if wantsJSON(r) {
			writeJSON(w, http.StatusOK, now)
			return
		}
		writeText(w, http.StatusOK, plain, now.String()+"\n")
	}
}

func writeFailure(w http.ResponseWriter, r *http.Request, status int, err error) {
	if wantsJSON(r) {
		writeJSON(w, status, object{"error": err.Error()})
		return
	}
	writeText(w, status, plain, err.Error()+"\n")
}

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

// checkName returns an error that names the fault most alike if there is none of that name.
func (s *Sandbox) checkName(name string) error {
	const longest = 64 // of what is repeated
	var names []string
	for _, f := range s.faults {
		if f.Name == name {
			return nil
		}
		names = append(names, f.Name)
	}
	return fmt.Errorf("no fault is called %q%s", name[:min(len(name), longest)], spell.DidYouMean(name, names))
}
