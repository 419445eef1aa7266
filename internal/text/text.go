// Package text writes things for people: counts, lists, durations, addresses without secrets, and the word that somebody
// meant who wrote another.
package text

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"prober/internal/sorted"
)

// Count returns how many there are of a thing: "1 day", "3 days".
//
//go:noinline
func Count(n int, thing string) string { return Plural(n, thing, thing+"s") }

// Plural returns a number with the words that go with it: "1 key is", "3 keys are".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// List joins the first names, up to max, and counts the others.
func List(names []string, max int) string {
	if n := len(names) - max; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:max], ", "), n)
	}
	return strings.Join(names, ", ")
}

// Line makes a text one line that can be shown anywhere: valid UTF-8 without control characters, without those that
// are invisible or change the direction of writing, and without those that XML cannot hold.
func Line(text string) string { return strings.Map(printable, strings.ToValidUTF8(text, "\uFFFD")) }

// Lines is Line for a text of several lines, which stay.
func Lines(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' {
			return c
		}
		return printable(c)
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// printable returns a blank for what nobody would see. The whole of U+E0000 to U+E0FFF is invisible; of the selectors of a variant, those
// of emoji stay.
func printable(c rune) rune {
	if c > unicode.MaxASCII && (unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) || c>>12 == 0xe0) ||
		unicode.IsControl(c) || c == '\ufffe' || c == '\uffff' {
		return ' '
	}
	return c
}

// Cut bounds a text to a number of bytes, and shows with "…" that it goes on.
//
//go:noinline
func Cut(text string, max int) string {
	if len(text) <= max {
		return text
	}
	return strings.ToValidUTF8(text[:max], "") + "…"
}

// Duration returns a length of time as a person says it, without its sign: "30 ms", "4.2 s", "1m30s".
func Duration(d time.Duration) string {
	number := func(unit time.Duration, digits int) string {
		return strconv.FormatFloat(float64(d)/float64(unit), 'f', digits, 64)
	}
	switch d = d.Abs(); {
	case d.Round(time.Millisecond/10) < 10*time.Millisecond:
		return number(time.Millisecond, 1) + " ms"
	case d.Round(time.Millisecond) < time.Second:
		return number(time.Millisecond, 0) + " ms"
	case d.Round(time.Second/10) < time.Minute:
		return number(time.Second, 1) + " s"
	}
	return d.Round(time.Second).String()
}

// Roughly returns a length of time in the unit that matters, rounded down: "3 days", "1 hour", at least "1 minute".
func Roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return Count(int(d/day), "day")
	case d >= time.Hour:
		return Count(int(d/time.Hour), "hour")
	}
	return Count(max(int(d/time.Minute), 1), "minute")
}

// UTC returns a time as JSON shows it: in UTC, to the millisecond. A zero time stays zero.
func UTC(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// URL returns a URL without its user, query and fragment: they may be secret.
//
//go:noinline
func URL(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// Link returns an address without its user and query, which may be secret. The fragment stays, since it names the
// section of a runbook. Of a text that is no address it returns "".
func Link(address string) string {
	u, err := url.Parse(Line(address))
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.ForceQuery = nil, "", false
	u.Fragment, _, _ = strings.Cut(u.Fragment, "?") // where pages that a script draws keep their query
	u.RawFragment = ""
	shown := u.String()
	if strings.ContainsAny(u.RawPath, "{}") {
		shown = strings.NewReplacer("%7B", "{", "%7D", "}").Replace(shown) // a placeholder such as {id}
	}
	return shown
}

// Series returns a series as Prometheus writes it, with its labels sorted: equal series are equal texts.
func Series(name string, labels map[string]string) string {
	if len(labels) == 0 {
		return name
	}
	pairs := Labels(labels)
	return name + "{" + strings.Join(pairs, ",") + "}"
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// Labels returns labels as Prometheus writes them, sorted by their names.
func Labels(labels map[string]string) []string {
	var pairs []string
	for _, name := range sorted.Keys(labels) {
		pairs = append(pairs, name+`="`+escapeLabel.Replace(labels[name])+`"`)
	}
	return pairs
}
