// Package config turns YAML into jobs.
//
// It is strict. An unknown key, a value of the wrong shape, a name that leads nowhere: every mistake in all files is
// reported at once with its file and line, and any mistake refuses the whole load, since a probe that is left out in
// silence is a question that is no longer asked. A message repeats no value of a file but a plain word or a number: any other may be a
// secret in the wrong place.
//
// A file goes through stages, each a function that returns its value and its mistakes: Read (bytes), parseTree,
// readHeader, readEntries (probes), crosscheck, validate, and makeJobs.
package config

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// A Config is the content of a set of files, ready to run.
type Config struct {
	Jobs     []probe.Job // in the order of the files and of their lines
	Warnings []string    // what is allowed but probably not meant
	Hash     string      // of all bytes read, as Sum makes it

	Public *probe.PublicPage // nil if there is none

	Unasked map[string]string // by list, as SYSTEM/NAME, where those are that nobody has asked for Plan
	Refused []string          // by list, which of its targets have no probe, and why

	publicIn   string // the system whose file has the public page
	users      []user // the probes that name secrets or files
	own        []user // those of them that are not made from lists
	expander   *expander
	components map[probe.Key][]string // of the public page
	known      map[textKey]*known
}

// Load reads files and directories and turns them into jobs. Each file is read once; the bytes that are hashed are
// those that are used. The error is an Errors.
func Load(kinds probe.Kinds, paths ...string) (*Config, error) {
	return Parse(kinds, Read(paths...)...)
}

// Parse turns files into jobs. It returns a Config with at least one job, or an error: an Errors with every mistake
// in the files, or one that says what is wrong with kinds.
func Parse(kinds probe.Kinds, files ...File) (*Config, error) {
	return (&Config{}).Reparse(kinds, files...)
}

// Reparse is Parse, of the same kinds, for files that take the place of those of a running configuration. An entry whose text is the same
// as in the file of that name and system keeps its probe, if all that it says is in the text: not where it refers to an anchor. So does one
// that was made of a target, if its target and the text of the entry with for_each are the same.
func (c *Config) Reparse(kinds probe.Kinds, files ...File) (*Config, error) {
	l := &loader{decoder: &strictyaml.Decoder{}, kinds: kinds, before: c.known, used: map[textKey]bool{}, left: maxProbes}
	if err := checkKinds(l.decoder, kinds); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, Errors{{Text: "no configuration file is given"}}
	}
	var headers []*fileHeader
	var entries []*probeEntry
	var wrong Errors
	longs := l.split(files)
	for i, f := range files {
		header, some, mistakes := l.readFile(f, longs[i])
		headers, entries, wrong = append(headers, header), append(entries, some...), append(wrong, mistakes...)
	}
	wrong = append(wrong, crosscheck(headers, entries)...)
	wrong = append(wrong, validate(entries)...)
	if len(wrong) > 0 {
		return nil, wrong.arranged(files)
	}
	next := &Config{Jobs: l.makeJobs(headers, entries), Warnings: warnings(headers, entries), Hash: Sum(files...), users: makeUsers(entries)}
	next.Public, next.publicIn = makePublic(headers, next.Jobs)
	if next.expander = newExpander(kinds, headers, entries); next.expander != nil {
		next.known = knownIn(entries)
		next.expander.recall(c.expander)
		next.own, next.components = next.users, map[probe.Key][]string{}
		for i := range next.Jobs {
			next.components[next.Jobs[i].Key()] = next.Jobs[i].Components
		}
		return next.Expand(nil), nil
	}
	next.known = knownIn(entries)
	return next, nil
}

// A loader reads files.
type loader struct {
	decoder *strictyaml.Decoder
	kinds   probe.Kinds
	before  map[textKey]*known // of the configuration that there was
	used    map[textKey]bool   // of them: two entries cannot have the same probe
	left    int                // how many probes there may still be
	jobs    []probe.Job        // of the entries that were read, as far as there is room: those of a large configuration take much
}

// split splits the files that can be read in pieces, and makes room for the jobs of their entries.
func (l *loader) split(files []File) []*strictyaml.Long {
	longs, n := make([]*strictyaml.Long, len(files)), 0
	for i, f := range files {
		if f.problem == "" {
			longs[i] = strictyaml.ParseLong(f.Data, maxBytes, "probes", manyProbes)
		}
		if longs[i] != nil {
			n += longs[i].Len
		}
	}
	l.jobs = make([]probe.Job, 0, min(n, maxProbes))
	return longs
}

func (l *loader) newJob() *probe.Job {
	n := len(l.jobs)
	if n == cap(l.jobs) {
		return &probe.Job{}
	}
	l.jobs = l.jobs[:n+1]
	return &l.jobs[n]
}

// values returns how many values are in a text that is known and not used yet; 0 of any other.
func (l *loader) values(text textKey) int {
	k := l.before[text]
	if k == nil || l.used[text] {
		return 0
	}
	l.used[text] = true
	return k.values
}

// manyProbes is how many probes of a file are in memory as a tree at a time.
const manyProbes = 100

// readFile reads a file, whatever the others are, in pieces if it can be.
func (l *loader) readFile(f File, long *strictyaml.Long) (*fileHeader, []*probeEntry, Errors) {
	if long != nil && long.Len <= l.left {
		h, wrong := readHeader(l.decoder, f.Name, &tree{data: f.Data, head: long.Head})
		h.Probes = nil
		values := func(text []byte) int { return l.values(keyOfText(f, h.System, text)) }
		var entries []*probeEntry
		for piece := long.Next(values); piece != nil; piece = long.Next(values) {
			some, mistakes := l.readEntries(f, h, piece, len(entries))
			entries, wrong = append(entries, some...), append(wrong, mistakes...)
		}
		if long.Complete() {
			l.left -= long.Len
			return h, entries, wrong
		}
	}
	root, wrong := parseTree(f)
	t := &tree{data: f.Data, root: root}
	h, mistakes := readHeader(l.decoder, f.Name, t)
	wrong = append(wrong, mistakes...)
	if l.left -= len(h.Probes); l.left < 0 {
		h.Probes, h.known = nil, false
		wrong = append(wrong, h.mistake("probes", "more than %d probes, all files together; several probers may share them", maxProbes))
	}
	items := make([]strictyaml.Item, len(h.Probes))
	for i, n := range h.Probes {
		if items[i].Node = n; n != nil {
			items[i].Line = n.Line
		}
	}
	entries, mistakes := l.readEntries(f, h, items, 0)
	t.root, h.Probes = nil, nil
	return h, entries, append(wrong, mistakes...)
}

// A Mistake is one thing wrong with the configuration, and where.
type Mistake struct {
	File  string
	Line  int    // from 1; 0 for the file as a whole
	Probe string // empty for what is not in a probe
	Text  string // what was expected; no value out of the file
}

// Error returns "file:line: probe: text" without the parts that are empty.
func (m Mistake) Error() string {
	var b strings.Builder
	if m.File != "" {
		b.WriteString(m.File)
		if m.Line > 0 {
			fmt.Fprintf(&b, ":%d", m.Line)
		}
		b.WriteString(": ")
	}
	if m.Probe != "" {
		b.WriteString(m.Probe + ": ")
	}
	return b.String() + m.Text
}

// Errors are all mistakes found, in the order of the files and of their lines.
type Errors []Mistake

// Error returns one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, m := range e {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// maxMistakes bounds the mistakes that are reported: enough for a person, too few for a file that is no configuration. Of several files
// each has a share, of minMistakes at least.
const (
	maxMistakes = 200
	minMistakes = 3
)

// others follows the name of a probe whose mistake is that of others too.
const others = " and others"

// arranged returns the mistakes by file and line, each once, and says of each file how many there were if all of them are too many to be
// read. An anchor that is used twice is wrong once.
func (e Errors) arranged(files []File) (all Errors) {
	byFile, seen := map[string]Errors{}, map[Mistake]int{}
	for _, m := range e {
		once := m
		once.Probe = ""
		some := byFile[m.File]
		if at, known := seen[once]; !known {
			seen[once] = len(some)
			byFile[m.File] = append(some, m)
		} else if who := &some[at].Probe; *who != m.Probe && !strings.HasSuffix(*who, others) {
			*who += others
		}
	}
	share, alone := maxMistakes, ""
	if broken := len(byFile); broken > 1 && len(seen) > maxMistakes {
		share, alone = max(maxMistakes/broken, minMistakes), ", which are shown if this file is checked alone"
	}
	for _, f := range files {
		some := byFile[f.Name]
		delete(byFile, f.Name)
		sorted.By(some, func(a, b Mistake) int { return a.Line - b.Line })
		if more := len(some) - share; more > 0 {
			some = append(some[:share], Mistake{File: f.Name, Text: "and " + text.Count(more, "more mistake") + alone})
		}
		all = append(all, some...)
	}
	return all
}

// A tree is that of a file. It takes twenty times as much memory as the text, so it is made again for the lines of mistakes that are
// found once other files are read.
type tree struct {
	data []byte
	root *yaml.Node // nil until it is needed
	head *yaml.Node // all but the probes, of a file with very many; else nil
}

func (t *tree) get() *yaml.Node {
	if t.root == nil {
		t.root, _ = strictyaml.Parse(t.data, maxBytes)
	}
	return t.root
}

// A place is a mapping of a file: its header, or one of its probes.
type place struct {
	file  string
	tree  *tree
	probe int        // from 1; 0 for the header
	made  *yaml.Node // of an entry that is being read, or is not in the tree, since it was made for a target; nil for all others
	who   string     // the probe
}

// node returns the mapping.
func (p place) node() *yaml.Node {
	if p.made != nil {
		return p.made
	}
	if p.probe == 0 && p.tree.head != nil {
		return p.tree.head
	}
	root := p.tree.get()
	if p.probe == 0 {
		return root
	}
	_, list := strictyaml.Lookup(root, "probes")
	return list.Content[p.probe-1]
}

// mistake returns a mistake at the line of a setting, or of the place itself if the path is empty.
//
//go:noinline
func (p place) mistake(path, format string, args ...any) Mistake {
	return p.mistakeAt(p.line(path), format, args...)
}

//go:noinline
func (p place) mistakeAt(line int, format string, args ...any) Mistake {
	return Mistake{File: p.file, Line: line, Probe: p.who, Text: oneLine(fmt.Sprintf(format, args...))}
}

//go:noinline
func (p place) line(path string) int { return strictyaml.Line(p.node(), path) }

// seenFrom says where a setting of p is, in a mistake of another place.
func (p place) seenFrom(other place, path string) string {
	if p.file == other.file {
		return fmt.Sprintf("on line %d", p.line(path))
	}
	return fmt.Sprintf("at %s:%d", p.file, p.line(path))
}

// oneLine makes a text fit for a terminal and a log, whatever key or message it was made from.
func oneLine(s string) string { return text.Cut(text.Line(secret.Redact(s)), 400) }
