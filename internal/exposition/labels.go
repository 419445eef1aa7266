package exposition

import (
	"cmp"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"prober/internal/drop"
	"prober/internal/sorted"
)

// A Label is one label of a series.
type Label struct{ Name, Value string }

// Labels are the labels that several series share, prepared once for all formats. They are never changed.
type Labels struct {
	text  string // a="1",b="2"; escaped
	pairs []*dto.LabelPair
}

// NewLabels sorts the labels by name. Labels without a value are left out: to Prometheus they are the same as none.
// Names and values must be valid UTF-8. What is equal to some of the others is shared with them, in memory.
func NewLabels(labels []Label, others ...Labels) Labels {
	labels = drop.If(slices.Clone(labels), func(l Label) bool { return l.Value == "" })
	sorted.By(labels, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	var text []byte
	for _, l := range labels {
		text = appendLabel(text, l.Name, l.Value)
	}
	for _, o := range others {
		if o.text == string(text) {
			return o
		}
	}
	pairs := make([]*dto.LabelPair, len(labels))
	for i, l := range labels {
		pairs[i] = pairOf(l, others)
	}
	return Labels{text: string(text), pairs: pairs}
}

// pairOf returns a label as it stands in protobuf: one of the others' if they have it.
func pairOf(l Label, others []Labels) *dto.LabelPair {
	for _, o := range others {
		for _, p := range o.pairs {
			if *p.Name == l.Name && *p.Value == l.Value {
				return p
			}
		}
	}
	p := &struct {
		dto.LabelPair
		Label
	}{Label: l}
	p.LabelPair.Name, p.LabelPair.Value = &p.Label.Name, &p.Label.Value
	return &p.LabelPair
}

// Has reports whether a label of that name is among them.
func (l Labels) Has(name string) bool {
	return slices.ContainsFunc(l.pairs, func(p *dto.LabelPair) bool { return p.GetName() == name })
}

// String returns the labels as they stand between the braces of a series.
func (l Labels) String() string { return l.text }

// appendLabel appends a label to others in text form.
func appendLabel(b []byte, name, value string) []byte {
	if len(b) > 0 && b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, name...)
	b = append(b, '=', '"')
	b = appendEscaped(b, value, true)
	return append(b, '"')
}

// appendEscaped appends a text as a label value, or as the help of a family, where text format 0.0.4 leaves double
// quotes alone.
func appendEscaped(b []byte, text string, quotes bool) []byte {
	from := 0
	for i := range len(text) {
		c := text[i]
		if c != '\\' && c != '\n' && (c != '"' || !quotes) {
			continue
		}
		b = append(b, text[from:i]...)
		if c == '\n' {
			c = 'n'
		}
		b = append(b, '\\', c)
		from = i + 1
	}
	return append(b, text[from:]...)
}
