// Package html has the elements and attributes of HTML that pages are made of, as nodes of gomponents.
//
// The functions of gomponents/html return closures, and where the compiler inlines them, each call has a copy of the code that
// writes the element: 0.7 MB of the binary. Here an element is data until it is written.
package html

import (
	"io"

	g "maragu.dev/gomponents"
)

// An element is written as its start tag with the attributes among its children, the other children, and its end tag.
type element struct {
	name     string
	children []g.Node
}

// Render writes the element.
func (e element) Render(w io.Writer) error { return g.El(e.name, e.children...).Render(w) }

// An attribute belongs into the start tag of the element that it is a child of.
type attribute struct{ name, value string }

// Render writes the attribute with its value escaped.
func (a attribute) Render(w io.Writer) error { return g.Attr(a.name, a.value).Render(w) }

// Type makes the attribute one.
func (attribute) Type() g.NodeType { return g.AttributeType }

// A flag is an attribute without a value.
type flag string

// Render writes the attribute.
func (f flag) Render(w io.Writer) error { return g.Attr(string(f)).Render(w) }

// Type makes the flag an attribute.
func (flag) Type() g.NodeType { return g.AttributeType }

type text string

// Render writes the text, escaped.
func (t text) Render(w io.Writer) error { return g.Text(string(t)).Render(w) }

// Text is text between elements; it is escaped.
//
//go:noinline
func Text(t string) g.Node { return text(t) }

type list func(w io.Writer) error

// Render writes the nodes.
func (l list) Render(w io.Writer) error { return l(w) }

// Each is a node for each of all, one after the other. It is made when it is written, so that a long list takes no more memory than
// a short one.
func Each[T any](all []T, node func(T) g.Node) g.Node {
	return list(func(w io.Writer) error {
		for _, one := range all {
			if n := node(one); n != nil {
				if err := n.Render(w); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type document struct{ root g.Node }

// Render writes the declaration and the document.
func (d document) Render(w io.Writer) error {
	if _, err := io.WriteString(w, "<!doctype html>"); err != nil {
		return err
	}
	return d.root.Render(w)
}

// Doctype is a document of HTML.
func Doctype(root g.Node) g.Node { return document{root} }

// El is the element of a name.
func El(name string, children ...g.Node) g.Node { return element{name, children} }

// Attr is the attribute of a name.
//
//go:noinline
func Attr(name, value string) g.Node { return attribute{name, value} }

// Aria is the attribute aria-name.
func Aria(name, value string) g.Node { return attribute{"aria-" + name, value} }

// Data is the attribute data-name.
func Data(name, value string) g.Node { return attribute{"data-" + name, value} }

// The elements.
func A(children ...g.Node) g.Node          { return element{"a", children} }
func Article(children ...g.Node) g.Node    { return element{"article", children} }
func Body(children ...g.Node) g.Node       { return element{"body", children} }
func Br(children ...g.Node) g.Node         { return element{"br", children} }
func Button(children ...g.Node) g.Node     { return element{"button", children} }
func Code(children ...g.Node) g.Node       { return element{"code", children} }
func Dd(children ...g.Node) g.Node         { return element{"dd", children} }
func Details(children ...g.Node) g.Node    { return element{"details", children} }
func Div(children ...g.Node) g.Node        { return element{"div", children} }
func Dl(children ...g.Node) g.Node         { return element{"dl", children} }
func Dt(children ...g.Node) g.Node         { return element{"dt", children} }
func FigCaption(children ...g.Node) g.Node { return element{"figcaption", children} }
func Figure(children ...g.Node) g.Node     { return element{"figure", children} }
func Footer(children ...g.Node) g.Node     { return element{"footer", children} }
func Form(children ...g.Node) g.Node       { return element{"form", children} }
func H1(children ...g.Node) g.Node         { return element{"h1", children} }
func H2(children ...g.Node) g.Node         { return element{"h2", children} }
func H3(children ...g.Node) g.Node         { return element{"h3", children} }
func HTML(children ...g.Node) g.Node       { return element{"html", children} }
func Head(children ...g.Node) g.Node       { return element{"head", children} }
func Header(children ...g.Node) g.Node     { return element{"header", children} }
func Img(children ...g.Node) g.Node        { return element{"img", children} }
func Input(children ...g.Node) g.Node      { return element{"input", children} }
func Label(children ...g.Node) g.Node      { return element{"label", children} }
func Li(children ...g.Node) g.Node         { return element{"li", children} }
func Link(children ...g.Node) g.Node       { return element{"link", children} }
func Main(children ...g.Node) g.Node       { return element{"main", children} }
func Meta(children ...g.Node) g.Node       { return element{"meta", children} }
func Nav(children ...g.Node) g.Node        { return element{"nav", children} }
func Option(children ...g.Node) g.Node     { return element{"option", children} }
func P(children ...g.Node) g.Node          { return element{"p", children} }
func Pre(children ...g.Node) g.Node        { return element{"pre", children} }
func SVG(children ...g.Node) g.Node        { return element{"svg", children} }
func Script(children ...g.Node) g.Node     { return element{"script", children} }
func Section(children ...g.Node) g.Node    { return element{"section", children} }
func Select(children ...g.Node) g.Node     { return element{"select", children} }
func Span(children ...g.Node) g.Node       { return element{"span", children} }
func Strong(children ...g.Node) g.Node     { return element{"strong", children} }
func StyleEl(children ...g.Node) g.Node    { return element{"style", children} }
func Summary(children ...g.Node) g.Node    { return element{"summary", children} }
func TBody(children ...g.Node) g.Node      { return element{"tbody", children} }
func THead(children ...g.Node) g.Node      { return element{"thead", children} }
func Table(children ...g.Node) g.Node      { return element{"table", children} }
func Td(children ...g.Node) g.Node         { return element{"td", children} }
func Th(children ...g.Node) g.Node         { return element{"th", children} }
func Time(children ...g.Node) g.Node       { return element{"time", children} }
func TitleEl(children ...g.Node) g.Node    { return element{"title", children} }
func Tr(children ...g.Node) g.Node         { return element{"tr", children} }
func Ul(children ...g.Node) g.Node         { return element{"ul", children} }

// The attributes.
func Action(value string) g.Node  { return attribute{"action", value} }
func Alt(value string) g.Node     { return attribute{"alt", value} }
func Charset(value string) g.Node { return attribute{"charset", value} }

//go:noinline
func Class(value string) g.Node     { return attribute{"class", value} }
func Content(value string) g.Node   { return attribute{"content", value} }
func DateTime(value string) g.Node  { return attribute{"datetime", value} }
func Height(value string) g.Node    { return attribute{"height", value} }
func Href(value string) g.Node      { return attribute{"href", value} }
func ID(value string) g.Node        { return attribute{"id", value} }
func Lang(value string) g.Node      { return attribute{"lang", value} }
func MaxLength(value string) g.Node { return attribute{"maxlength", value} }
func Method(value string) g.Node    { return attribute{"method", value} }
func Name(value string) g.Node      { return attribute{"name", value} }
func Rel(value string) g.Node       { return attribute{"rel", value} }
func Role(value string) g.Node      { return attribute{"role", value} }
func Scope(value string) g.Node     { return attribute{"scope", value} }
func Src(value string) g.Node       { return attribute{"src", value} }
func Title(value string) g.Node     { return attribute{"title", value} }
func Type(value string) g.Node      { return attribute{"type", value} }
func Value(value string) g.Node     { return attribute{"value", value} }
func Width(value string) g.Node     { return attribute{"width", value} }
func Required() g.Node              { return flag("required") }
func Selected() g.Node              { return flag("selected") }
func Open() g.Node                  { return flag("open") }
