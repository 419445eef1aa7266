package html

import (
	"strings"
	"testing"

	g "maragu.dev/gomponents"
)

// TestRender escapes text and values, puts attributes into the start tag wherever they stand, and leaves void elements open.
func TestRender(t *testing.T) {
	for want, node := range map[string]g.Node{
		`<p class="a&#34;b">1 &lt; 2</p>`:                     P(Text("1 < 2"), Class(`a"b`)),
		`<!doctype html><html lang="en"><body></body></html>`: Doctype(HTML(Lang("en"), Body())),
		`<details open><summary>more</summary></details>`:     Details(Summary(Text("more")), Open()),
		`<br><rect x="1" aria-label="l" data-n="2"></rect>`:   g.Group{Br(), El("rect", Attr("x", "1"), Aria("label", "l"), Data("n", "2"))},
		`<ul><li>a</li><li class="x">b</li></ul>`:             Ul(g.Group{Li(Text("a")), Li(Class("x"), Text("b"))}),
	} {
		var b strings.Builder
		if err := node.Render(&b); err != nil || b.String() != want {
			t.Errorf("expected %s, got %s, %v", want, b.String(), err)
		}
	}
}
