package config_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/secret"
)

// silent is what these kinds have in common.
type silent struct{}

func (silent) Validate() error                    { return nil }
func (silent) Checks() []string                   { return nil }
func (silent) Ask(context.Context, *probe.Result) {}

type collides struct {
	silent  `yaml:"-"`
	Timeout string `yaml:"timeout"`
}

type doubled struct {
	silent `yaml:"-"`
	basic  `yaml:",inline"`
	User   string `yaml:"username"`
}

type nanoseconds struct {
	silent `yaml:"-"`
	Deep   []map[string]struct{ Wait time.Duration }
}

type unreadable struct {
	silent `yaml:"-"`
	Deep   *struct{ Call func() }
}

type numbered struct {
	silent `yaml:"-"`
	Deep   map[int]string
}

// selfish would take the settings of every probe along with its own.
type selfish struct {
	silent        `yaml:"-"`
	secret.Secret `yaml:",inline"`
}

// fragile panics where it is told to.
type fragile struct {
	silent `yaml:"-"`
	At     place  `yaml:"at"`
	Kid    string `yaml:"kid"`
}

type place string

func (p *place) UnmarshalYAML(unmarshal func(any) error) error {
	if err := unmarshal((*string)(p)); err != nil {
		return err
	}
	if *p == "unmarshal" {
		panic(marker)
	}
	return nil
}

func (f *fragile) Validate() error {
	if f.At == "validate" {
		panic(f.Kid)
	}
	return nil
}

func (f *fragile) Checks() []string { panic(f.Kid) }

func TestAKindThatPanicsIsAMistake(t *testing.T) {
	all := probe.Kinds{"x": {New: func() probe.Probe { return &fragile{} }}}
	for _, at := range []string{"unmarshal", "validate", "checks"} {
		text := "system: s\nprobes:\n  - {name: a, type: x, at: " + at + ", kid: " + marker + ", signals: {a: b}}\n"
		_, err := config.Parse(all, config.File{Name: "f", Data: []byte(text)})
		if want := "f:3: a: the kind panicked on its settings (panic type=string)"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", at, err, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	for word, want := range map[string]string{
		"tmieout": "timeout", "time_out": "timeout", "TimeOut": "timeout", "timeouts": "timeout", "depends-on": "depends_on",
		"dependson": "depends_on", "hots": "hosts", "lables": "labels", "runbok": "runbook", "entirely": "", "x": "", "to": "",
		strings.Repeat("timeout", 10): "",
	} {
		text := "system: s\nprobes:\n  - {name: a, type: ping, hosts: [a], " + word + ": 1}\n"
		_, err := config.Parse(kinds(), config.File{Name: "f", Data: []byte(text)})
		if err == nil {
			t.Errorf("%s was read", word)
			continue
		}
		if _, got, _ := strings.Cut(err.Error(), "; did you mean "); strings.TrimSuffix(got, "?") != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

func TestKindsThatCannotBeReadStrictlyAreRefused(t *testing.T) {
	for want, kind := range map[string]func() probe.Probe{
		"kind x: the key timeout belongs to every probe":                         func() probe.Probe { return &collides{} },
		"kind x: the key username stands twice in config_test.doubled":           func() probe.Probe { return &doubled{} },
		"kind x: time.Duration would read 5 as five nanoseconds":                 func() probe.Probe { return &nanoseconds{} },
		"kind x: func() cannot be read from YAML":                                func() probe.Probe { return &unreadable{} },
		"kind x: the keys of map[int]string are no strings":                      func() probe.Probe { return &numbered{} },
		"kind x: expected a pointer to a struct without an UnmarshalYAML of its": func() probe.Probe { return &selfish{} },
		"kind x: expected a pointer to a struct":                                 func() probe.Probe { return silent{} },
	} {
		all := probe.Kinds{"x": {New: kind}}
		_, err := config.Parse(all, config.File{Data: []byte(one("s", "a"))})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Parse: got %v, want %s", err, want)
		}
		if _, err := config.Schema(all); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Schema: got %v, want %s", err, want)
		}
	}
}
