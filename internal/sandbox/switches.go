package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"prober/internal/spell"
)

// Switches returns a handler that lists the faults (GET /) and turns them (POST /break/NAME, POST /mend/NAME). It
// answers in plain text, or in JSON to those who accept that. Pages of other sites cannot turn anything.
func (s *Sandbox) Switches() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if wantsJSON(r) {
			reply(w, http.StatusOK, object{"faults": s.switches()})
			return
		}
		text(w, http.StatusOK, plain, s.list())
	})
	mux.HandleFunc("POST /break/{name}", s.switched(s.Break))
	mux.HandleFunc("POST /mend/{name}", s.switched(s.Mend))
	return http.NewCrossOriginProtection().Handler(mux)
}

const plain = "text/plain; charset=utf-8"

// A toggle is a fault as the switches show it.
type toggle struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	Signal  string `json:"signal"`
	Broken  bool   `json:"broken"`
}

func (s *Sandbox) switches() []toggle {
	broken := s.Broken()
	var all []toggle
	for _, f := range s.faults {
		all = append(all, toggle{f.Name, f.Summary, f.Signal, slices.Contains(broken, f.Name)})
	}
	return all
}

// list is a line for each fault.
func (s *Sandbox) list() string {
	var b strings.Builder
	for _, f := range s.switches() {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// String is the line that shows the switch in a list.
func (t toggle) String() string {
	state := "ok"
	if t.Broken {
		state = "BROKEN"
	}
	return fmt.Sprintf("%-7s %-23s %s", state, t.Name, t.Summary)
}

// switched turns the fault that the path names and answers with its switch as it then stands.
func (s *Sandbox) switched(turn func(name string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if err := s.known(name); err != nil {
			refusal(w, r, http.StatusNotFound, err)
			return
		}
		if err := turn(name); err != nil {
			refusal(w, r, http.StatusConflict, err)
			return
		}
		all := s.switches()
		now := all[slices.IndexFunc(all, func(t toggle) bool { return t.Name == name })]
		if wantsJSON(r) {
			reply(w, http.StatusOK, now)
			return
		}
		text(w, http.StatusOK, plain, now.String()+"\n")
	}
}

func refusal(w http.ResponseWriter, r *http.Request, status int, err error) {
	if wantsJSON(r) {
		reply(w, status, object{"error": err.Error()})
		return
	}
	text(w, status, plain, err.Error()+"\n")
}

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

// known returns an error that names the fault most alike if there is none of that name.
func (s *Sandbox) known(name string) error {
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
