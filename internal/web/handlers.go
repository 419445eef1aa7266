package web

import (
	"fmt"
	"io"
	"net/http"
	"slices"

	"prober/internal/text"
)

// answer answers 200 if all is well and 503 with the reason if not.
func answer(ask func() error, state string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if why := reasonOf(ask); why != "" {
			http.Error(w, "prober is not "+state+": "+why, http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "prober is %s\n", state)
	}
}

func (s *site) reload(w http.ResponseWriter, r *http.Request) {
	if s.Reload == nil {
		http.Error(w, "reloading over HTTP is not enabled; SIGHUP does it", http.StatusForbidden)
		return
	}
	if err := s.Reload(r.Context()); err != nil {
		http.Error(w, "not reloaded, the configuration before keeps running:\n"+text.Lines(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "reloaded")
}

// document serves what write returns.
func document(kind string, write func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body := write()
		w.Header().Set("Content-Type", kind)
		w.Write(body)
	}
}

// incident serves the note as text: it is there to be copied into a ticket. Of a system that nobody probes there is no
// note, and not an empty one, which would read as if all were well.
func (s *site) incident(w http.ResponseWriter, r *http.Request) {
	system := r.URL.Query().Get("system")
	if system != "" && !slices.ContainsFunc(s.rows(), func(row Row) bool { return row.System == system }) {
		http.Error(w, "no such system; / lists all", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	io.WriteString(w, text.Lines(s.Incident(system)))
}

// reasonOf is the error as text, or empty; a question that nobody handed over has no complaint.
func reasonOf(ask func() error) string {
	if ask == nil {
		return ""
	}
	if err := ask(); err != nil {
		return text.Lines(err.Error())
	}
	return ""
}
