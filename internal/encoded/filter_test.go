package encoded

import (
	"crypto/rand"
	"strings"
	"testing"
)

// TestFilter: a filter says of every text that is in a view, wherever it stands, that it may be there, and of most others that
// they are not.
func TestFilter(t *testing.T) {
	var none Filter
	for _, text := range []string{
		"xxx" + rand.Text() + "é…" + rand.Text(),
		"Content-Type: text/html\r\nVary: *\nX-Id: " + rand.Text() + " \t" + rand.Text(),
		`{"id": "` + rand.Text() + `\u0041", "a": "b%20c&amp;d` + rand.Text() + `"}`,
		"a\x00b\x00c\x00d\x00e\x00f\x00" + rand.Text(),
		strings.Repeat(rand.Text()+"%41 ", maxFiltered/25),
		"abcd", "abc", "",
	} {
		filter := NewFilter(text)
		Views(text, Gaps, func(v View) {
			view := Folded(v.Text)
			for at := range max(0, min(len(view), 500)-gramBytes+1) {
				for _, length := range []int{gramBytes, MinFound} {
					part := view[at:min(at+length, len(view))]
					if !filter.MayContain(SampleOf(part)) {
						t.Errorf("%q is in a view of %.99q, and the filter says that it is not", part, text)
					}
					if none.MayContain(SampleOf(part)) {
						t.Error("the filter of no text says that something may be there")
					}
				}
			}
		})
	}
	filter, found := NewFilter("xxx"+rand.Text()+" "+rand.Text()), 0
	for range 1000 {
		if filter.MayContain(SampleOf(Folded(rand.Text()))) {
			found++
		}
	}
	if found > 5 {
		t.Errorf("of 1000 texts that are not there %d may be: the filter saves no search", found)
	}
}

// TestFolded: the text is the same but for the capitals of ASCII.
func TestFolded(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc é": "abc é", "ABC": "abc", "aBÉ\xffZ": "abÉ\xffz"} {
		if got := Folded(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// BenchmarkFinder measures the search of a usual head and of a usual body for a credential that is in neither.
func BenchmarkFinder(b *testing.B) {
	finder := NewFinder(rand.Text() + rand.Text())
	for name, text := range map[string]string{
		"head":    "200 OK\nContent-Type: application/json\nContent-Length: 142\nDate: Sat, 28 Nov 2026 16:26:10 GMT\nCache-Control: private, no-store\nX-Trace-Id: " + rand.Text() + "\n",
		"body":    `{"id":"` + rand.Text() + `","text":"` + rand.Text() + `","org":"org-a","archived":false}`,
		"escaped": `{"id":"` + rand.Text() + `","text":"\"` + rand.Text() + `\"","org":"a&b","archived":false}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if finder.In(text) {
					b.Fatal("found")
				}
			}
		})
	}
}
