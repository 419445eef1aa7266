package xmldoc

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func TestDocument(t *testing.T) {
	got := string(Document(Element{Name: "a", Attrs: []Attr{{"b", `"<&>'` + "\n"}}, Children: []Element{
		Leaf("c", "<d>&amp;"), {Name: "e"}, {Name: "f", Text: "<g>\n]]>", CDATA: true}, {Name: "h", Children: []Element{Leaf("i", "j")}},
	}}, "  "))
	want := `<?xml version="1.0" encoding="UTF-8"?>
<a b="&#34;&lt;&amp;&gt;&#39;&#xA;">
  <c>&lt;d&gt;&amp;amp;</c>
  <e></e>
  <f><![CDATA[<g>
]]]]><![CDATA[>]]></f>
  <h>
    <i>j</i>
  </h>
</a>
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Whatever a text holds, the document has the same elements, and a reader gets the text back but for what XML cannot have.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{"", "]]>", "]]]]>>", "<b>", `"'&`, "a\r\nb\tc", "\x00\x1b\x7f\u0085", "\ufffe\uffff\ufffd", "\xff\xfe", "<!--", "&#0;", "\u202e", "<![CDATA["} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc := Document(Element{Name: "a", Attrs: []Attr{{"b", text}}, Children: []Element{Leaf("c", text), {Name: "d", Text: text, CDATA: true}}}, " ")
		read := struct {
			XMLName xml.Name `xml:"a"`
			B       string   `xml:"b,attr"`
			C       string   `xml:"c"`
			D       string   `xml:"d"`
		}{}
		if err := xml.Unmarshal(doc, &read); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		want := strings.Map(allowed, text)
		if read.B != want || read.C != want {
			t.Errorf("read as %q and %q, expected %q", read.B, read.C, want)
		}
		// In a section a carriage return cannot be escaped: readers take it for the end of a line (section 2.11).
		if want = strings.ReplaceAll(strings.ReplaceAll(want, "\r\n", "\n"), "\r", "\n"); read.D != want {
			t.Errorf("the section is read as %q, expected %q", read.D, want)
		}
		elements := 0
		for d := xml.NewDecoder(strings.NewReader(string(doc))); ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if _, ok := token.(xml.StartElement); ok {
				elements++
			}
		}
		if elements != 3 {
			t.Errorf("%d elements", elements)
		}
	})
}
