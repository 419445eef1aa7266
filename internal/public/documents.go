package public

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"prober/internal/xmldoc"
)

// The documents, by their names: those of the paths, and of the exported files.
const (
	pageName   = "index.html"
	feedName   = "feed.atom"
	statusName = "status.json"
	iconName   = "icon.svg"

	pageType = "text/html; charset=utf-8"
	feedType = "application/atom+xml"
	svgType  = "image/svg+xml"
)

// documents renders all that is served, the page last: it refers to the others.
func (v *view) documents() []document {
	c := compressor{gzip.NewWriter(nil)}
	all := []document{
		c.document(iconName, svgType, whole(v.icon())),
		c.document(statusName, "application/json", whole(v.json())),
		c.document(feedName, feedType, whole(v.feed())),
		c.document(pageName, pageType, func(w io.Writer) {
			out := bufio.NewWriter(w)
			_ = v.page().Render(out) // into memory: it cannot fail
			_ = out.Flush()
		}),
	}
	if l := v.logo; l != nil {
		all = append([]document{c.document(l.name, l.kind, whole(l.data))}, all...)
	}
	return all
}

func whole(t []byte) func(io.Writer) { return func(w io.Writer) { _, _ = w.Write(t) } }

// A compressor makes documents. They are never in memory as a whole but in the shorter of their forms.
type compressor struct{ zip *gzip.Writer }

func (c compressor) document(name, kind string, write func(io.Writer)) document {
	d := document{name: name, kind: kind}
	var b bytes.Buffer
	c.zip.Reset(&b)
	write(io.MultiWriter(c.zip, counter{&d.size}))
	_ = c.zip.Close()
	if b.Len() < d.size {
		d.zip = bytes.Clone(b.Bytes())
		return d
	}
	b.Reset()
	write(&b)
	d.plain = bytes.Clone(b.Bytes())
	return d
}

// A counter counts the bytes that are written.
type counter struct{ n *int }

func (c counter) Write(b []byte) (int, error) {
	*c.n += len(b)
	return len(b), nil
}

// open returns the document as it is before compression.
func (d *document) open() io.Reader {
	if d.zip == nil {
		return bytes.NewReader(d.plain)
	}
	r, _ := gzip.NewReader(bytes.NewReader(d.zip)) // of our own making: it cannot fail
	return r
}

// icon has the form and the colour of the state.
func (v *view) icon() []byte {
	form := map[state]string{
		operational:   `<circle cx="8" cy="8" r="7" fill="#1a7f37"/>`,
		inMaintenance: `<path d="M8 1l7 7-7 7-7-7z" fill="#8a5a00"/>`,
		disrupted:     `<path d="M8 1l7 14H1z" fill="#8a5a00"/>`,
		outage:        `<path d="M1 1h14v14H1z" fill="#b42318"/>`,
		unknown:       `<circle cx="8" cy="8" r="6" fill="none" stroke="#57606a" stroke-width="2"/>`,
	}[v.state]
	return []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">` + form + "</svg>\n")
}

// json is the status for programs.
func (v *view) json() []byte {
	type component struct {
		Name   string     `json:"name"`
		Group  string     `json:"group,omitempty"`
		Status string     `json:"status"`
		Since  *time.Time `json:"since,omitempty"`
	}
	out := struct {
		Updated    time.Time   `json:"updated"`
		Status     string      `json:"status"`
		Sentence   string      `json:"sentence"`
		Components []component `json:"components"`
	}{v.updated.UTC().Truncate(time.Second), stateNames[v.state], v.sentence, nil}
	for _, p := range v.parts {
		c := component{Name: p.Name, Group: p.Group, Status: stateNames[p.state]}
		if !p.since.At.IsZero() {
			at := p.since.At.UTC().Truncate(time.Second)
			c.Since = &at
		}
		out.Components = append(out.Components, c)
	}
	text, _ := json.MarshalIndent(out, "", "  ") // words and times: it cannot fail
	return append(text, '\n')
}

// maxEntries bounds the feed.
const maxEntries = 50

// feed lists notices and incidents, those that changed last first. The id of an entry never changes.
func (v *view) feed() []byte {
	var all []notice
	for _, some := range [][]notice{v.announcements, v.maintenance, v.past} {
		all = append(all, some...)
	}
	sort.SliceStable(all, func(a, b int) bool { return all[a].updated.After(all[b].updated) })
	all = all[:min(len(all), maxEntries)]
	address := strings.TrimSuffix(v.url, "/") + "/"
	changed := v.updated.UTC().Truncate(24 * time.Hour)
	if len(all) > 0 {
		changed = all[0].updated
	}
	out := xmldoc.Element{Name: "feed", Attrs: []xmldoc.Attr{{Name: "xmlns", Value: "http://www.w3.org/2005/Atom"}}, Children: []xmldoc.Element{ // RFC 4287
		xmldoc.Leaf("id", address), xmldoc.Leaf("title", v.title), xmldoc.Leaf("updated", rfc3339(changed)),
		{Name: "author", Children: []xmldoc.Element{xmldoc.Leaf("name", v.title)}},
		linkOf("self", feedType, address+feedName), linkOf("alternate", "text/html", address),
	}}
	for _, n := range all {
		at := address + "#" + n.id
		out.Children = append(out.Children, xmldoc.Element{Name: "entry", Children: []xmldoc.Element{
			xmldoc.Leaf("id", at), xmldoc.Leaf("title", n.heading()), xmldoc.Leaf("updated", rfc3339(n.updated)),
			linkOf("alternate", "text/html", at), xmldoc.Leaf("content", n.words()),
		}})
	}
	return xmldoc.Document(out, " ")
}

func linkOf(rel, kind, address string) xmldoc.Element {
	return xmldoc.Element{Name: "link", Attrs: []xmldoc.Attr{{Name: "rel", Value: rel}, {Name: "type", Value: kind}, {Name: "href", Value: address}}}
}

// words is a notice as text.
func (n notice) words() string {
	const layout = "2 Jan 2006, 15:04 UTC"
	words := n.from.Format(layout)
	switch {
	case n.open:
		words = "Since " + words + ", not over yet."
	case n.incident && n.to.IsZero():
		words = "From " + words + "; its end is not known."
	case n.to.IsZero():
		words += "."
	default:
		words = fmt.Sprintf("From %s to %s.", words, n.to.UTC().Format(layout))
	}
	if len(n.components) > 0 {
		words += " " + strings.Join(n.components, ", ") + "."
	}
	if n.text != "" {
		words += "\n\n" + n.text
	}
	return words
}
