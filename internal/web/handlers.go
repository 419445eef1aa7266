package web

import (
	"fmt"
	"io"
	"net/http"
	"slices"

	"prober/internal/text"
)

// healthHandler answers 200 if ask returns nil, else 503 with the reason.
func healthHandler(ask func() error, state string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if why := errorText(ask); why != "" {
			http.Error(w, "prober is not "+state+": "+why, http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "prober is %s\n", state)
	}
}

func (s *server) reload(w http.ResponseWriter, r *http.Request) {
	if s.Reload == nil {
		http.Error(w, "reloading over HTTP is not enabled; SIGHUP does it", http.StatusForbidden)
		return
	}
	if err := s.Reload(r.Context()); err != nil {
		http.Error(w, "not reloaded, the previous configuration keeps running:\n"+text.Lines(err.Error()), http.StatusInternalServerError)
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

const noSuchSystem = "no such system; / lists all"

// incident serves the note as text, to be copied into a ticket. An unknown system is an error: an empty note would read as
// if everything passed.
func (s *server) incident(w http.ResponseWriter, r *http.Request) {
	system := r.URL.Query().Get("system")
	if system != "" && !slices.ContainsFunc(s.statuses(), func(row ProbeStatus) bool { return row.System == system }) {
		http.Error(w, noSuchSystem, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	io.WriteString(w, text.Lines(s.Incident(system)))
}

// errorText is the error that ask returns as text; empty without an error, or without ask.
func errorText(ask func() error) string {
	if ask == nil {
		return ""
	}
	if err := ask(); err != nil {
		return text.Lines(err.Error())
	}
	return ""
}
