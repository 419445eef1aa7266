package importer

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// A draft is a configuration that is being written.
type draft struct {
	system    string
	head      mapping // what the file says before its probes
	templates []template
	probes    []*mapping
	tail      mapping // comments about what became no probe

	names     map[string]int  // of probes and templates, and how many wanted to be called so
	variables map[string]bool // environment variables that were made up

	warnings, wrong []string
	unmatched, toDo int
}

// A template is what several probes have in common.
type template struct {
	name     string
	settings *mapping
}

// todo is a value that no setting accepts, so that the configuration is refused until somebody has replaced it.
const todo plain = "TODO"

// without writes a comment for a key that has no equivalent. It has many callers, too many for each to have a copy.
//
//go:noinline
func (d *draft) without(m *mapping, key, why string) {
	d.unmatched++
	m.note(key + ": " + why)
}

// ask sets a value that somebody has to fill in.
//
//go:noinline
func (d *draft) ask(m *mapping, key, why string) {
	d.toDo++
	value := todo
	if key == "host" { // which may be called TODO
		value = "{TODO: the host}"
	}
	m.set(key, value).comment = why
}

// add takes a probe in, up to the bound on their number.
func (d *draft) add(s *source, m *mapping) {
	if len(d.probes) == maxProbes {
		s.refuse(fmt.Sprintf("more than %d probes", maxProbes))
	}
	if len(d.probes) < maxProbes {
		d.probes = append(d.probes, m)
	}
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// name makes a text a name that no other probe has.
func (d *draft) name(wanted string) string {
	const longest = 56 // room for a number
	base := strings.Trim(notInNames.ReplaceAllString(wanted, "-"), "-_.")
	if base == "" || !('a' <= base[0]|0x20 && base[0]|0x20 <= 'z') {
		base = strings.Trim("probe-"+base, "-")
	}
	base = strings.TrimRight(base[:min(len(base), longest)], "-_.")
	name := base
	for d.names[name] > 0 {
		d.names[base]++
		name = base + "-" + strconv.Itoa(d.names[base])
	}
	d.names[name] = 1
	return name
}

var notInVariables = regexp.MustCompile(`[^A-Z0-9]+`)

// variable returns where a secret is to come from, and warns that it was not copied.
func (d *draft) variable(s *source, key string) plain {
	base := strings.Trim(notInVariables.ReplaceAllString(strings.ToUpper(s.at(key)), "_"), "_")
	for _, prefix := range []string{"MODULES_", "ENDPOINTS_"} {
		base = strings.TrimPrefix(base, prefix)
	}
	base = "PROBER_" + base[max(0, len(base)-80):]
	name := base
	for n := 2; d.variables[name]; n++ {
		name = base + "_" + strconv.Itoa(n)
	}
	d.variables[name] = true
	d.warnings = append(d.warnings, fmt.Sprintf("%s:%d: %s: the secret was not copied; put it into the environment as %s, or name a file that holds it", s.file, s.line(key), s.at(key), name))
	return plain("{env: " + name + "}")
}

// A use is one probe by a template: what is its own.
type use struct {
	from *source
	own  *mapping
}

// expand writes one probe for each use of common settings. Several share them by an anchor.
func (d *draft) expand(name string, common *mapping, uses []use) {
	if len(uses) == 1 {
		own := uses[0].own
		own.entries = append(own.entries, common.entries...)
		d.add(uses[0].from, own)
		return
	}
	name = d.name(name)
	d.templates = append(d.templates, template{name, common})
	for _, u := range uses {
		u.own.entries = append([]entry{{key: mergeKey, value: plain("*" + name)}}, u.own.entries...)
		d.add(u.from, u.own)
	}
}

// times writes how often a probe runs and for how long; 0 is not given.
func (d *draft) times(m *mapping, interval, timeout time.Duration) {
	switch {
	case interval == 0:
	case interval < time.Second:
		d.without(m, "interval "+interval.String(), "1s is the shortest")
		interval = time.Second
	case interval > 24*time.Hour:
		d.without(m, "interval "+interval.String(), "24h is the longest")
		interval = 24 * time.Hour
	}
	if interval > 0 {
		m.set("interval", plain(probe.Duration(interval).String()))
	}
	every := interval
	if every == 0 {
		every = 30 * time.Second
	}
	if timeout >= every {
		m.note(fmt.Sprintf("timeout: was %s; here it is shorter than the interval", probe.Duration(timeout)))
		timeout = max(every*4/5, time.Millisecond).Truncate(time.Millisecond)
	}
	if timeout > 0 {
		m.set("timeout", plain(probe.Duration(timeout).String()))
	}
}

// render writes the configuration.
func (d *draft) render(from string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Translated from %s. A comment stands for what has no equivalent; see docs/coming-from.md.\n", from)
	if d.toDo > 0 {
		fmt.Fprintf(&b, "# %s to be filled in: look for TODO.\n", text.Plural(d.toDo, "value has", "values have"))
	}
	b.WriteByte('\n')
	for _, t := range d.templates {
		fmt.Fprintf(&b, "x-%s: &%s\n", t.name, t.name)
		t.settings.render(&b, "  ")
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "system: %s # a label of every series\n", scalar(d.system, false))
	d.head.render(&b, "")
	b.WriteString("probes:\n")
	if len(d.probes) == 0 {
		b.WriteString("  []\n")
	}
	for i, p := range d.probes {
		if i > 0 {
			b.WriteByte('\n')
		}
		var one bytes.Buffer
		p.render(&one, "    ")
		b.WriteString("  - " + strings.TrimPrefix(one.String(), "    "))
	}
	if len(d.tail.entries) > 0 {
		b.WriteByte('\n')
		d.tail.render(&b, "")
	}
	return b.Bytes()
}
