// Package xmldoc writes XML from elements as data. encoding/xml, which reads XML elsewhere, would bring its encoder for any type of
// Go: 60 kB of the binary.
package xmldoc

import (
	"bytes"
	"encoding/xml"
	"strings"
	"unicode/utf8"
)

// An Element has children or else text. The prober names it and its attributes; what it holds may be any text.
type Element struct {
	Name     string
	Attrs    []Attr
	Text     string
	CDATA    bool // the text is written as it is, for those who read the source
	Children []Element
}

// An Attr is an attribute.
type Attr struct{ Name, Value string }

// Leaf is an element with nothing but text.
func Leaf(name, text string) Element { return Element{Name: name, Text: text} }

// Document returns the declaration and a root with all below it, each level indented by one more indent. A character that XML
// cannot have is written as U+FFFD.
func Document(root Element, indent string) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	root.write(&b, indent, "\n")
	b.WriteByte('\n')
	return b.Bytes()
}

// write writes an element. The margin is the beginning of its lines.
func (e *Element) write(b *bytes.Buffer, indent, margin string) {
	b.WriteString("<" + e.Name)
	for _, a := range e.Attrs {
		b.WriteString(" " + a.Name + `="`)
		escape(b, a.Value)
		b.WriteByte('"')
	}
	b.WriteByte('>')
	if e.CDATA {
		// The end of a section cannot be within one.
		b.WriteString("<![CDATA[" + strings.ReplaceAll(strings.Map(allowed, e.Text), "]]>", "]]]]><![CDATA[>") + "]]>")
	} else {
		escape(b, e.Text)
	}
	for i := range e.Children {
		b.WriteString(margin + indent)
		e.Children[i].write(b, indent, margin+indent)
	}
	if len(e.Children) > 0 {
		b.WriteString(margin)
	}
	b.WriteString("</" + e.Name + ">")
}

func escape(b *bytes.Buffer, text string) { _ = xml.EscapeText(b, []byte(text)) } // into memory: it cannot fail

// allowed returns a character if XML can have it (section 2.2), or else U+FFFD.
func allowed(r rune) rune {
	if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
		return utf8.RuneError
	}
	return r
}
