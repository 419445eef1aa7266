package public

import g "maragu.dev/gomponents"

// The library's functions are small, so the compiler would copy what they return, a function, to each of a hundred calls: 100 kB.

// el is an element.
//
//go:noinline
func el(name string, children ...g.Node) g.Node { return g.El(name, children...) }

// attr is an attribute.
//
//go:noinline
func attr(name, value string) g.Node { return g.Attr(name, value) }

// txt is text, escaped.
//
//go:noinline
func txt(s string) g.Node { return g.Text(s) }
