package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"prober/internal/text"
)

// Handler returns a handler that lists the faults (GET /), injects one (POST /inject/NAME) and clears one (POST
// /clear/NAME). It answers in plain text, or in JSON if the request accepts that. Pages of other sites are refused.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if wantsJSON(r) {
			writeJSON(w, http.StatusOK, object{"faults": s.states()})
			return
		}
		writeText(w, http.StatusOK, plain, s.list())
	})
	mux.HandleFunc("POST /inject/{name}", s.setFault(s.Inject))
	mux.HandleFunc("POST /clear/{name}", s.setFault(s.Clear))
	return http.NewCrossOriginProtection().Handler(mux)
}

const plain = "text/plain; charset=utf-8"

// A faultState is a fault as the handler shows it.
type faultState struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	Signal  string `json:"signal"`
	Active  bool   `json:"active"`
}

func (s *Sandbox) states() []faultState {
	active := s.Active()
	var all []faultState
	for _, f := range s.faults {
		all = append(all, faultState{f.Name, f.Summary, f.Signal, slices.Contains(active, f.Name)})
	}
	return all
}

// list returns one line for each fault.
func (s *Sandbox) list() string {
	var b strings.Builder
	for _, f := range s.states() {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// String is the fault's line in the list.
func (t faultState) String() string {
	state := "ok"
	if t.Active {
		state = "ACTIVE"
	}
	return fmt.Sprintf("%-7s %-23s %s", state, t.Name, t.Summary)
}

// setFault injects or clears the fault that the path names, and answers with its new state.
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

// checkName returns an error with the most similar name if there is no such fault.
func (s *Sandbox) checkName(name string) error {
	const maxQuoted = 64 // characters of the unknown name
	var names []string
	for _, f := range s.faults {
		if f.Name == name {
			return nil
		}
		names = append(names, f.Name)
	}
	return fmt.Errorf("no fault is called %q%s", name[:min(len(name), maxQuoted)], text.DidYouMean(name, names))
}
