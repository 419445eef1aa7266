package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"prober/internal/probe"
	"prober/internal/secret"
)

// A secretHolder is a setting that keeps secrets where reflection cannot see them.
type secretHolder interface{ Secrets() []secret.Secret }

// A secretRef is a secret and the probes that use it, as system/name.
type secretRef struct {
	secret secret.Secret
	by     []string
}

// CheckSecrets reads every secret that the probes name, once for each source. A warning says that one is kept
// carelessly; the error, an Errors, says which cannot be used. Neither holds a value.
func (c *Config) CheckSecrets() (warnings []string, err error) {
	var errs Errors
	for _, u := range c.secretRefs() {
		who := u.by[0]
		if others := len(u.by) - 1; others > 0 {
			who += fmt.Sprintf(" (and %d more)", others)
		}
		warning, err := u.secret.Check()
		if warning != "" {
			warnings = append(warnings, who+": "+oneLine(warning))
		}
		if err != nil {
			errs = append(errs, Mistake{Text: who + ": " + oneLine(err.Error())})
		}
	}
	if errs != nil {
		return warnings, errs
	}
	return warnings, nil
}

// secretRefs lists the secrets by the first probe that uses them, then by source.
func (c *Config) secretRefs() []*secretRef {
	var all []*secretRef
	known := map[secret.Secret]*secretRef{}
	for _, j := range c.Jobs {
		for _, s := range secretsOf(j.Probe) {
			u := known[s]
			if u == nil {
				u = &secretRef{secret: s}
				known[s] = u
				all = append(all, u)
			}
			u.by = append(u.by, j.System+"/"+j.Name)
		}
	}
	return all
}

// secretsOf returns the secrets among a probe's settings, each once, by source. It looks at exported fields only:
// the others hold what a probe made of its settings, which may be in use.
func secretsOf(p probe.Probe) []secret.Secret {
	s := secretFinder{seen: map[any]bool{}}
	s.visit(reflect.ValueOf(p))
	s.found = slices.DeleteFunc(s.found, secret.Secret.IsZero)
	slices.SortFunc(s.found, func(a, b secret.Secret) int { return cmp.Or(strings.Compare(a.Source(), b.Source())) })
	return slices.Compact(s.found)
}

type secretFinder struct {
	found []secret.Secret
	seen  map[any]bool // pointers followed
}

func (s *secretFinder) visit(v reflect.Value) {
	if !v.IsValid() || !v.CanInterface() {
		return
	}
	if v.Type() == reflect.TypeFor[secret.Secret]() {
		s.found = append(s.found, v.Interface().(secret.Secret))
		return
	}
	if v.Kind() != reflect.Interface && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		if h, ok := reflect.TypeAssert[secretHolder](v); ok {
			s.found = append(s.found, h.Secrets()...)
		} else if v.CanAddr() {
			if h, ok := reflect.TypeAssert[secretHolder](v.Addr()); ok {
				s.found = append(s.found, h.Secrets()...)
			}
		}
	}
	switch v.Kind() {
	case reflect.Interface:
		s.visit(v.Elem())
	case reflect.Pointer:
		if !v.IsNil() && !s.seen[v.Interface()] {
			s.seen[v.Interface()] = true
			s.visit(v.Elem())
		}
	case reflect.Struct:
		s.fields(v)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			s.visit(v.Index(i))
		}
	case reflect.Map:
		for _, value := range v.Seq2() {
			s.visit(value)
		}
	}
}

// fields visits the exported fields, also those of an embedded struct that is not exported itself.
func (s *secretFinder) fields(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Type().Field(i); {
		case f.IsExported():
			s.visit(v.Field(i))
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			s.fields(v.Field(i))
		}
	}
}
