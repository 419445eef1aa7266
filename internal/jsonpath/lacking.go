package jsonpath

import "prober/internal/memory"

// Lacking returns how many items of the lists on the path lead to no value: those of $.items[*] that have no status, for
// $.items[*].status. An item that has no list where the path goes on into one counts too; one whose list is empty does not.
func (p Path) Lacking(d Document) (n int) {
	if p.query == nil || d.document == nil {
		return 0
	}
	f := finder{document: d.document}
	items, inList, anywhere := []uint32{0}, false, false
	for segments := p.query.Segments(); ; {
		run := 0
		for run < len(segments) && singular(segments[run]) {
			run++
		}
		ends := run == len(segments)
		var next []uint32
		for _, item := range items {
			found := f.all(segments[:run], []uint32{item})
			lists := ends || anywhere && run == 0 || len(found) > 0 && f.holds(found[0])
			if (inList || ends) && (len(found) == 0 || !lists) {
				n++
			}
			for _, list := range found {
				if !ends {
					next = f.apply(segments[run], list, next) // bounds all of them together
				}
			}
		}
		if ends {
			break
		}
		anywhere = segments[run].IsDescendant()
		items, inList, segments = next, true, segments[run+1:]
	}
	if f.err != nil {
		memory.Exceeded(d.run, "", f.err)
	}
	return n
}

// holds reports whether a node is an array or an object.
func (f *finder) holds(n uint32) bool {
	kind := f.kind(n)
	return kind == "array" || kind == "object"
}
