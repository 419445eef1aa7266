package config_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"prober/internal/probe"
	"prober/internal/secret"
)

// kinds are what the tests configure. They have what real kinds have: settings that several kinds share, nested ones
// at every kind of depth, settings that read themselves, and secrets.
func kinds() probe.Kinds {
	return probe.Kinds{
		"web": {New: func() probe.Probe { return &web{Method: "GET", Within: probe.Duration(2e9), Retry: retry{Times: 1}} }},
		"ping": {
			New:      func() probe.Probe { return &ping{Count: 3} },
			Summary:  "echo requests (SSH): replies",
			Measures: []*probe.Measure{{Name: "probe_ping_rtt_seconds", Labels: []string{"target", "peer", "path"}}},
		},
	}
}

type web struct {
	exchange `yaml:",inline"`
	URL      string            `yaml:"url" required:"true" doc:"The URL to request."`
	Method   string            `yaml:"method" doc:"The HTTP method."`
	Status   codes             `yaml:"status,omitempty"`
	Within   probe.Duration    `yaml:"within"`
	Port     uint16            `yaml:"port"`
	Offset   int               `yaml:"offset"`
	Ratio    float64           `yaml:"ratio"`
	HTTP2    bool              `yaml:"http2"`
	Kid      string            `yaml:"kid"`
	Pattern  *regexp.Regexp    `yaml:"pattern,omitempty"`
	Callers  map[string]caller `yaml:"callers"`
	Steps    []step            `yaml:"steps"`
	Retry    retry             `yaml:"retry"`
	Equals   map[string]any    `yaml:"equals"`
	Query    query             `yaml:"lookup"`

	ready func() // made by Validate, as clients are
}

// Addresses has what a URL may hold, so that the tests see whether it is left out.
func (w *web) Addresses() []string {
	return []string{w.URL, "https://user:hunter2@other.example/?token=hunter2"}
}

type exchange struct {
	Headers map[string]header `yaml:"headers" mask:"true"`
	Body    string            `yaml:"body" mask:"true"`
	Bearer  secret.Secret     `yaml:"bearer"`
	Basic   *basic            `yaml:"basic"`
}

type basic struct {
	Username string        `yaml:"username" required:"true"`
	Password secret.Secret `yaml:"password" required:"true"`
}

type caller struct {
	Status codes         `yaml:"status" required:"true"`
	Code   string        `yaml:"code"`
	Bearer secret.Secret `yaml:"bearer"`
}

type step struct {
	Do    string   `yaml:"do"`
	Wants []expect `yaml:"wants"`
}

type expect struct {
	Header string  `yaml:"header"`
	Limit  *limits `yaml:"limit"`
}

type limits struct {
	Low  float64 `yaml:"low"`
	High float64 `yaml:"high"`
}

type retry struct {
	Times int             `yaml:"times"`
	Pause *probe.Duration `yaml:"pause"`
}

// A header is written out, or a secret.
type header struct {
	text   string
	secret secret.Secret
}

func (h *header) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&h.text) == nil {
		return nil
	}
	return unmarshal(&h.secret)
}

func (h header) MarshalYAML() (any, error) {
	if !h.secret.IsZero() {
		return h.secret, nil
	}
	return h.text, nil
}

func (header) JSONSchema() map[string]any {
	return map[string]any{"type": []string{"string", "number", "boolean", "object"}}
}

// codes are a number or a list of them.
type codes []int

func (c *codes) UnmarshalYAML(unmarshal func(any) error) error {
	var one int
	if unmarshal(&one) == nil {
		*c = codes{one}
		return nil
	}
	return unmarshal((*[]int)(c))
}

func (codes) JSONSchema() map[string]any {
	return map[string]any{"oneOf": []any{map[string]any{"type": "integer"}, map[string]any{"type": "array", "items": map[string]any{"type": "integer"}}}}
}

// A query is a shorthand or a struct of its own: strictness must not end at a method of this form.
type query struct {
	name string
	Deep *deep
}

type deep struct {
	Name  string           `yaml:"name"`
	Parts map[string]*part `yaml:"parts"`
}

type part struct {
	Size int `yaml:"size"`
}

func (q *query) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&q.name) == nil {
		if q.name == "nothing" {
			return fmt.Errorf("a lookup is no %q", q.name)
		}
		return nil
	}
	return unmarshal(&q.Deep)
}

func (q query) MarshalYAML() (any, error) {
	if q.Deep != nil {
		return q.Deep, nil
	}
	return q.name, nil
}

func (query) JSONSchema() map[string]any { return map[string]any{"type": []string{"string", "object"}} }

func (w *web) Validate() error {
	w.ready = func() {}
	var errs []error
	if w.URL == "" {
		errs = append(errs, probe.Settingf("url", "is missing"))
	}
	if w.Port == 1 {
		errs = append(errs, probe.Settingf("port", "must not be 1"))
	}
	for name, c := range w.Callers {
		if c.Code == "bad" {
			errs = append(errs, probe.Settingf("callers."+name+".code", "there is no such code"))
		}
	}
	if w.Method == "PANIC" {
		panic(w.Kid)
	}
	return errors.Join(errs...)
}

func (w *web) Checks() []string                       { return []string{"status", "latency"} }
func (w *web) Ask(_ context.Context, r *probe.Result) { r.Pass("status", "asked") }

type ping struct {
	Hosts []string                 `yaml:"hosts" required:"true"`
	Count int                      `yaml:"count"`
	Pages map[string][]basic       `yaml:"pages,omitempty"`
	More  map[string]secret.Secret `yaml:"more,omitempty"`
	Kept  []*secret.Secret         `yaml:"kept,omitempty"`
}

func (p *ping) Validate() error {
	if p.Count < 1 {
		return probe.Settingf("count", "expected at least 1, got %d", p.Count)
	}
	return nil
}

func (p *ping) Checks() []string                       { return []string{"answer"} }
func (p *ping) Ask(_ context.Context, r *probe.Result) { r.Pass("answer", "asked") }
