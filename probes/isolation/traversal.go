package isolation

import (
	"fmt"
	"net/url"
	"strings"
)

// One part of a service may judge a path as it was sent, and another decode or clean it before it looks for the object. A
// path that the first takes for the caller's own then leads to another org's object.

// traversals are such paths from an intruder's object to an owner's.
func (p *Probe) traversals(tmpl *Template, intruder, owner vars) []mutation {
	w := p.newWay(tmpl, intruder, owner)
	if w == nil {
		return nil
	}
	all := []mutation{w.fromCollection("..", "%2F")}
	for _, up := range []struct{ dots, separator string }{
		{"..", "/"}, {"..", "%2F"}, {"..", "%252f"}, {"..", "%5C"}, {"%2E%2E", "/"}, {"..;", "/"},
	} {
		all = append(all, w.fromObject(up.dots, up.separator))
	}
	id := w.to[w.id]
	all = append(all, w.spelled("//", w.from, w.id, "/"+id), w.spelled(".%2F", w.from, w.id, ".%2F"+id),
		w.spelled(";", w.from, w.id, id+";a=b"), w.spelled("an encoded letter", w.from, w.id, encodeFirst(id)))
	if other := otherCase(id); other != id { // a number has none
		all = append(all, w.spelled("the id in another letter case", w.from, w.id, other))
	}
	if w.first != w.id {
		all = append(all, w.spelled("// before the org", w.to, w.first, "/"+w.to[w.first]),
			w.spelled("an encoded letter in the org", w.to, w.first, encodeFirst(w.to[w.first])))
	}
	return all
}

// writeTraversal is the one that is tried with writes. It does not name the intruder's own object, which would be written to.
func (p *Probe) writeTraversal(tmpl *Template, intruder, owner vars) (mutation, bool) {
	w := p.newWay(tmpl, intruder, owner)
	if w == nil {
		return mutation{}, false
	}
	return w.fromCollection("..", "%2F"), true
}

// A way leads from the path of an intruder's object to that of an owner's, both by their segments.
type way struct {
	from, to  []string
	first, id int // the first segment that differs, and that with the id
}

// newWay returns nil if the path of a request does not name an object.
func (p *Probe) newWay(tmpl *Template, intruder, owner vars) *way {
	path, _, _ := strings.Cut(tmpl.URL, "?")
	w := &way{id: -1}
	for i, segment := range strings.Split(path, "/") {
		w.from, w.to = append(w.from, intruder.expand(segment, url.PathEscape)), append(w.to, owner.expand(segment, url.PathEscape))
		if strings.Contains(segment, "{id}") {
			w.id = i
		}
	}
	for w.first < len(w.from) && w.from[w.first] == w.to[w.first] {
		w.first++
	}
	// Where naming an org is acting as it, its path is nobody else's.
	if w.id < 0 || w.first > w.id || w.to[w.id] == "" || p.Mismatch == "trust" && w.first < w.id {
		return nil
	}
	return w
}

// fromObject goes up from the intruder's object, and down to the owner's.
func (w *way) fromObject(dots, separator string) mutation {
	return w.climb(strings.Join(w.from, "/")+separator, len(w.from)-w.first, dots, separator)
}

// fromCollection goes up from where the intruder's objects are.
func (w *way) fromCollection(dots, separator string) mutation {
	m := w.climb(strings.Join(w.from[:w.id], "/")+"/", w.id-w.first, dots, separator)
	if w.first == w.id { // in the same collection
		m.path = strings.Join(w.from[:w.id], "/") + "/" + dots + separator + strings.Join(w.to[w.id-1:], separator)
	}
	m.name = "a path with " + dots + separator + " in place of the id"
	return m
}

func (w *way) climb(path string, levels int, dots, separator string) mutation {
	path += strings.Repeat(dots+separator, levels) + strings.Join(w.to[w.first:], separator)
	return mutation{name: "a path with " + dots + separator, path: path}
}

// spelled replaces one segment of a path.
//
//go:noinline
func (w *way) spelled(name string, path []string, at int, segment string) mutation {
	changed := append([]string(nil), path...)
	changed[at] = segment
	return mutation{name: "a path with " + name, path: strings.Join(changed, "/")}
}

// otherCase writes a segment in capital letters, or in small ones if it has only capitals.
func otherCase(segment string) string {
	if upper := strings.ToUpper(segment); upper != segment {
		return upper
	}
	return strings.ToLower(segment)
}

// encodeFirst encodes the first character of a segment, which needs no encoding.
func encodeFirst(segment string) string {
	if segment == "" || segment[0] == '%' {
		return segment
	}
	return fmt.Sprintf("%%%02X%s", segment[0], segment[1:])
}
