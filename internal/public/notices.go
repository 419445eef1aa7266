package public

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"prober/internal/file"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// Bounds of the file of notices.
const (
	maxNoticesBytes = 256 << 10
	maxNotices      = 100 // of each sort
	maxTitle        = 200
	maxText         = 2000
)

// notices is what operators say on the page.
type notices struct {
	Announcements []announcement `yaml:"announcements" empty:"true" doc:"What customers are to know."`
	Maintenance   []maintenance  `yaml:"maintenance" empty:"true" doc:"Planned work."`
	Incidents     []incidentText `yaml:"incidents" empty:"true" doc:"What customers are to know of incidents that the page lists."`
}

// A words is a text and which components it is about.
type words struct {
	At         moment   `yaml:"at" required:"true" doc:"When it was announced, after RFC 3339; not shown before. The feed knows it by this time: keep it when you change the text."`
	Title      string   `yaml:"title" required:"true" doc:"The heading."`
	Text       string   `yaml:"text" doc:"More of it. An empty line begins a paragraph."`
	Components []string `yaml:"components" empty:"true" doc:"The components that it is about. By default none in particular."`
	Updated    moment   `yaml:"updated" doc:"When it was changed last, after RFC 3339; tells readers of the feed that it is news."`
}

type announcement struct {
	Until moment `yaml:"until" doc:"From when on it is among the past ones. By default it stays on top until it is removed."`
	words `yaml:",inline"`
}

type maintenance struct {
	From  moment `yaml:"from" required:"true" doc:"When it begins."`
	To    moment `yaml:"to" required:"true" doc:"When it ends."`
	words `yaml:",inline"`
}

type incidentText struct {
	Start   moment `yaml:"start" required:"true" doc:"When the incident began, as the page shows it, after RFC 3339."`
	Text    string `yaml:"text" required:"true" doc:"What happened."`
	Updated moment `yaml:"updated" doc:"When it was changed last, after RFC 3339."`
}

// A moment is a time after RFC 3339.
type moment struct{ time.Time }

// UnmarshalText reads a moment.
func (m *moment) UnmarshalText(text []byte) (err error) {
	if m.Time, err = time.Parse(time.RFC3339, string(text)); err != nil || m.Year() < 2000 || m.Year() > 9999 {
		return errors.New("wants a time after RFC 3339, such as 2026-11-22T22:00:00Z")
	}
	return nil
}

// readNotices reads the file of notices. The error has all mistakes, each with its line. No message repeats a value of the file.
func readNotices(path string, components []probe.Component) (*notices, error) {
	data, err := readFile(path, maxNoticesBytes)
	if err != nil {
		return nil, err
	}
	n := &notices{}
	if len(strings.TrimSpace(string(data))) == 0 {
		return n, nil
	}
	root, found := strictyaml.Parse(data, maxNoticesBytes)
	check := checker{file: path, root: root, components: components}
	for _, m := range found {
		check.at(m.Line, "%s", m.Text)
	}
	if root != nil {
		decoder := &strictyaml.Decoder{}
		check.found = decoder.Decode(root, n)
		for _, m := range check.found {
			check.at(m.Line, "%s", m.Text)
		}
		check.all(n)
	}
	if len(check.wrong) > 0 {
		return nil, errors.New(strings.Join(check.wrong, "\n"))
	}
	return n, nil
}

// A checker collects the mistakes in a file of notices.
type checker struct {
	file       string
	root       *yaml.Node
	components []probe.Component
	found      []strictyaml.Mistake // by the decoder
	wrong      []string
}

func (c *checker) at(line int, format string, args ...any) {
	const maxMistakes = 50
	if message := fmt.Sprintf("%s:%d: %s", c.file, line, text.Cut(text.Line(fmt.Sprintf(format, args...)), 300)); len(c.wrong) < maxMistakes && !slices.Contains(c.wrong, message) {
		c.wrong = append(c.wrong, message)
	}
}

// mistake notes a mistake at a setting, unless the decoder has complained about it.
func (c *checker) mistake(path, format string, args ...any) {
	if !slices.ContainsFunc(c.found, func(m strictyaml.Mistake) bool { return m.Concerns(path) }) {
		c.at(strictyaml.Line(c.root, path), format, args...)
	}
}

func (c *checker) all(n *notices) {
	for _, list := range []struct {
		key    string
		length int
	}{{"announcements", len(n.Announcements)}, {"maintenance", len(n.Maintenance)}, {"incidents", len(n.Incidents)}} {
		if list.length > maxNotices {
			c.mistake(list.key, "%s: expected at most %d, got %d", list.key, maxNotices, list.length)
		}
	}
	var seen []time.Time
	for i, a := range n.Announcements {
		path := fmt.Sprintf("announcements[%d].", i)
		c.once(&seen, path+"at", a.At)
		c.words(path, a.words)
		if !a.Until.IsZero() && !a.Until.After(a.At.Time) {
			c.mistake(path+"until", "until must be after at")
		}
	}
	seen = nil
	for i, m := range n.Maintenance {
		path := fmt.Sprintf("maintenance[%d].", i)
		c.once(&seen, path+"at", m.At)
		c.words(path, m.words)
		if !m.To.After(m.From.Time) {
			c.mistake(path+"to", "to must be after from")
		} else if m.To.Sub(m.From.Time) > 31*24*time.Hour {
			c.mistake(path+"to", "it lasts longer than 31 days")
		}
	}
	seen = nil
	for i, t := range n.Incidents {
		path := fmt.Sprintf("incidents[%d].", i)
		c.once(&seen, path+"start", t.Start)
		if !validText(t.Text, maxText) {
			c.mistake(path+"text", "text wants 1 to %d printable characters", maxText)
		}
	}
}

// once refuses a time by which another notice is known.
func (c *checker) once(seen *[]time.Time, path string, at moment) {
	second := at.Truncate(time.Second)
	if !at.IsZero() && slices.ContainsFunc(*seen, second.Equal) {
		c.mistake(path, "another one of the same time is listed already")
	}
	*seen = append(*seen, second)
}

func (c *checker) words(path string, w words) {
	if !validText(w.Title, maxTitle) || strings.Contains(w.Title, "\n") {
		c.mistake(path+"title", "title wants a line of 1 to %d printable characters", maxTitle)
	}
	if w.Text != "" && !validText(w.Text, maxText) {
		c.mistake(path+"text", "text wants at most %d printable characters", maxText)
	}
	var names []string
	for _, known := range c.components {
		names = append(names, known.Name)
	}
	for i, name := range w.Components {
		if !slices.Contains(names, name) {
			c.mistake(fmt.Sprintf("%scomponents[%d]", path, i), "components names no component of the page%s", text.DidYouMean(name, names))
		}
	}
}

func validText(s string, most int) bool {
	return strings.TrimSpace(s) != "" && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '\n' && !unicode.IsPrint(r) || r == utf8.RuneError
	})
}

// redact returns a text of the file without secrets: somebody may have pasted one.
func redact(s string) string { return secret.Redact(s) }

// readFile reads a regular file of bounded size.
func readFile(path string, most int) ([]byte, error) {
	data, err := file.Read(filepath.Clean(path), most)
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s: larger than %d KiB", path, most>>10)
	}
	return data, err
}
