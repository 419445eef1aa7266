package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"

	"gopkg.in/yaml.v3"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// A checker is a setting whose value is read from its source at use, such as a secret.
type checker interface {
	Check() (warning string, err error)
}

// A fileUser is a struct of settings that name files. CheckFiles returns why some cannot be used, by their setting.
type fileUser interface {
	ResolveFiles(dir string)
	CheckFiles() map[string]error
}

// A sourceRef is a setting that names where its value comes from: a checker or a fileUser.
type sourceRef struct {
	path  string
	value any
	lines map[string]int // of the keys of a fileUser
	line  int            // from that of the entry on, as those of the keys
}

// A user is a probe with the sources that its settings name, by line.
type user struct {
	file, system, name string
	line               int // of the entry
	refs               []sourceRef
}

// readSources makes the decoder note the sources that an entry names, and look for files below the directory of the
// configuration file.
func (p *probeEntry) readSources(d *strictyaml.Decoder, env *secret.Environment) {
	dir := filepath.Dir(p.file)
	d.AfterDecode = func(v any, n *yaml.Node, path string) {
		ref := sourceRef{path: path}
		switch v := v.(type) {
		case *secret.Secret:
			if env != nil {
				*v = v.In(env)
			}
			*v = v.RelativeTo(dir)
			ref.value = *v
		case *secret.Public:
			ref.value = *v
		case fileUser:
			v.ResolveFiles(dir)
			ref.value, ref.lines = v, map[string]int{}
			for key := range strictyaml.Pairs(n) {
				ref.lines[key.Value] = key.Line - p.begins
			}
		default:
			return
		}
		ref.line = p.line(path) - p.begins
		// A text that may be public has read its source as a secret before.
		p.refs = drop.If(p.refs, func(r sourceRef) bool { return r.path == path })
		p.refs = append(p.refs, ref)
	}
}

// makeUsers returns the probes that name sources.
func makeUsers(entries []*probeEntry) (all []user) {
	for _, p := range entries {
		if len(p.refs) > 0 && p.each == nil {
			sorted.By(p.refs, func(a, b sourceRef) int { return cmp.Compare(a.line, b.line) })
			all = append(all, user{p.file, p.job.System, p.Name, p.begins, p.refs})
		}
	}
	return all
}

// CheckSources reads each secret and each file that the settings of the jobs name, once. It returns a line for each that
// cannot be used, or is kept carelessly: where it is named first, by which probe, and what is wrong; never a value. None of
// it is a mistake of the configuration: sources are read at each use, and may be there by then.
func (c *Config) CheckSources(jobs []probe.Job) []string {
	selected := map[[2]string]bool{}
	for _, j := range jobs {
		selected[[2]string{j.System, j.Name}] = true
	}
	var problems []*sourceProblem
	byText, bySource := map[string]*sourceProblem{}, map[any][]probe.SettingError{}
	for _, u := range c.users {
		if !selected[[2]string{u.system, u.name}] {
			continue
		}
		for _, r := range u.refs {
			found, read := bySource[r.key()]
			if !read {
				found = r.check()
				bySource[r.key()] = found
			}
			for _, e := range found {
				p := byText[e.Text]
				if p == nil {
					p = &sourceProblem{first: r.mistake(u, e), users: map[string]bool{}}
					byText[e.Text], problems = p, append(problems, p)
				}
				p.users[u.system+"/"+u.name] = true
			}
		}
	}
	var lines []string
	for _, p := range problems {
		line := p.first.Error()
		if others := len(p.users) - 1; others > 0 {
			line += fmt.Sprintf(" (and for %s)", text.Count(others, "more probe"))
		}
		lines = append(lines, line)
	}
	return lines
}

// A sourceProblem is what is wrong with one source.
type sourceProblem struct {
	first Mistake
	users map[string]bool // system/name
}

// key is the same for settings that name the same source.
func (r sourceRef) key() any {
	if v := reflect.ValueOf(r.value); v.Kind() == reflect.Pointer && v.Type().Elem().Comparable() {
		return v.Elem().Interface()
	}
	return r.value
}

func (r sourceRef) check() (found []probe.SettingError) {
	switch v := r.value.(type) {
	case checker:
		warning, err := v.Check()
		switch {
		case err != nil:
			return []probe.SettingError{{Text: err.Error()}}
		case warning != "":
			return []probe.SettingError{{Text: warning}}
		}
	case fileUser:
		wrong := v.CheckFiles()
		for _, setting := range sorted.Keys(wrong) {
			found = append(found, probe.SettingError{Path: setting, Text: wrong[setting].Error()})
		}
	}
	return found
}

// mistake returns what is wrong at the line of the setting.
func (r sourceRef) mistake(u user, e probe.SettingError) Mistake {
	line, known := r.lines[e.Path]
	if !known {
		line = r.line
	}
	return Mistake{File: u.file, Line: u.line + line, Probe: u.name, Text: oneLine(probe.InSetting(r.path, e).Error())}
}

// A secretRef is a secret and the probes that use it, as system/name.
type secretRef struct {
	secret secret.Secret
	by     []string
}

// secretRefs lists the secrets by the first probe that uses them, then by line.
func (c *Config) secretRefs() []*secretRef {
	var all []*secretRef
	known := map[secret.Secret]*secretRef{}
	for _, u := range c.users {
		name := u.system + "/" + u.name
		for _, r := range u.refs {
			s, ok := r.value.(secret.Secret)
			if !ok {
				continue
			}
			if known[s] == nil {
				known[s] = &secretRef{secret: s}
				all = append(all, known[s])
			}
			if by := known[s].by; len(by) == 0 || by[len(by)-1] != name {
				known[s].by = append(by, name)
			}
		}
	}
	return all
}
