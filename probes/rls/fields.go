package rls

import (
	"strings"

	"prober/internal/postgres"
)

// A reader takes the values of a row one after the other. What is not there is a zero value: a server that leaves values out
// makes tables look unprotected, never protected.
type reader struct{ rest []postgres.Value }

func fields(row []postgres.Value) *reader { return &reader{row} }

//go:noinline
func (r *reader) text() string {
	if len(r.rest) == 0 {
		return ""
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v.Text
}

//go:noinline
func (r *reader) bool() bool { return r.text() == "t" }

func (r *reader) letter() byte {
	if s := r.text(); s != "" {
		return s[0]
	}
	return 0
}

func (r *reader) oid() oid {
	s := r.text()
	if strings.Trim(s, "0123456789") != "" {
		return "0"
	}
	return oid(s)
}

func (r *reader) oids() []oid {
	var all []oid
	for _, s := range strings.Fields(r.text()) {
		if strings.Trim(s, "0123456789") == "" {
			all = append(all, oid(s))
		}
	}
	return all
}
