package probe

import (
	"fmt"
	"math"
	"time"
)

// A PublicPage is what the public page shows, as configured. All of its text is for customers.
type PublicPage struct {
	Title      string
	Text       string // a sentence below the title; may be empty
	URL        string // under which customers read it
	Logo       string // path of a picture; may be empty
	Notices    string // path of the file with announcements and maintenance; may be empty
	Components []Component
}

// A Component is a part of the product, as customers know it, and the probes that tell whether it works.
type Component struct {
	Name   string
	Text   string // what it is; may be empty
	Group  string // components of one group are shown together; may be empty
	Probes []ID
}

// A LastRun is what is remembered of the last run of a probe; the zero value if there is none.
type LastRun struct {
	At       time.Time // when it started
	Verdict  Verdict
	Since    Since
	Interval time.Duration // between runs
}

// String is the share of the known time that passed, never rounded up, and the share that is not known.
func (u Uptime) String() string {
	if u.Known <= 0 || u.Span <= 0 {
		return "unknown"
	}
	words := fmt.Sprintf("%g %%", math.Floor(float64(u.Passed)/float64(u.Known)*1e4)/100)
	switch unknown := 100 * (1 - float64(u.Known)/float64(u.Span)); {
	case unknown > 99:
		words += " (over 99 % unknown)"
	case unknown >= 1:
		words += fmt.Sprintf(" (%.0f %% unknown)", unknown)
	case unknown >= .01:
		words += " (under 1 % unknown)"
	}
	return words
}
