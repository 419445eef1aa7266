package secret

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func TestRedact(t *testing.T) {
	for _, value := range values {
		for name, form := range forms {
			written := form.write(value)
			if strings.ToLower(value) == value && !strings.Contains(value, "\\u") && leak(form.read(written), value) == "" {
				t.Errorf("%s: the form cannot be read back, so nothing would be tested with %.40q", name, value)
			}
			m := newStore()
			m.learn("file a", value)
			for _, around := range []string{"%s", "wanted ok, got %s", "a%sz", `{"token":"%s"}`, "%[1]s and %[1]s"} {
				text := fmt.Sprintf(around, written)
				out := m.redact(text)
				if got := leak(form.read(out), value); got != "" {
					t.Errorf("%s: of %.40q the piece %q is left in %.200q", name, value, got, out)
				}
				if got := leak(out, written); got != "" && len(written) >= window && !strings.HasPrefix(redacted, got) {
					t.Errorf("%s: of %.40q as written the piece %q is left in %.200q", name, value, got, out)
				}
				if !utf8.ValidString(out) && utf8.ValidString(text) {
					t.Errorf("%s: %.40q left a broken text %.200q", name, value, out)
				}
			}
		}
	}
}

func TestRedact_base64(t *testing.T) {
	codings := map[string]*base64.Encoding{
		"std": base64.StdEncoding, "url": base64.URLEncoding, "raw std": base64.RawStdEncoding, "raw url": base64.RawURLEncoding,
	}
	for _, value := range values {
		m := newStore()
		m.learn("env A", value)
		for name, coding := range codings {
			for _, before := range []string{"", "u", "us", "user:", "Bearer "} {
				for _, after := range []string{"", "x", "xy", "xyz"} {
					coded := coding.EncodeToString([]byte(before + value + after))
					out := m.redact("Authorization: Basic " + coded + " was refused")
					// The characters in which the value meets its neighbours are nobody's piece.
					inner := coded[(len(before)*8+5)/6 : (len(before)+len(value))*8/6]
					if got := leak(out, inner); got != "" {
						t.Errorf("%s after %q: of %.40q in %.200q the piece %q is left", name, before, value, out, got)
					}
				}
			}
		}
	}
}

func TestRedact_otherText(t *testing.T) {
	m := newStore()
	m.learn("env A", "hunter2-0123456789abcdef")
	m.learn("env B", "f/ur")
	tests := map[string]string{
		"":                                  "",
		"wanted 200, got 503":               "wanted 200, got 503",
		"got hunter2-0123456789abcdef!":     "got <redacted>!",
		"HUNTER2-0123456789ABCDEF":          "<redacted>",
		"got hunter2-0123 and 456789abcdef": "got <redacted> and <redacted>",
		"hunter2":                           "hunter2", // seven bytes tell nothing
		"f/ur, F%2fur and 662F7572":         "<redacted>, <redacted> and <redacted>",
		`{"a":"x\nhunter2-\u0030123"}`:      `{"a":"x\n<redacted>"}`,
		"100 % sure, a\\b & c; &bogus; %zz": "100 % sure, a\\b & c; &bogus; %zz",
		"héllo wörld — 日本語":                 "héllo wörld — 日本語",
	}
	for text, want := range tests {
		if got := m.redact(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// A search that finds nothing proves nothing, unless it finds the same in what was not redacted.
func TestRedact_searchControl(t *testing.T) {
	m := newStore()
	m.learn("env A", "another-value-altogether")
	for name, form := range forms {
		const value = "hunter2-0123456789abcdef"
		out := m.redact("got " + form.write(value) + ".")
		if name == "go" || name == "go ascii" {
			out = form.write(value)
		}
		if leak(form.read(out), value) == "" {
			t.Errorf("%s: the value is not found in %q, though nothing redacted it", name, out)
		}
	}
}

func TestLearn(t *testing.T) {
	const long = "hunter2-0123456789abcdef"
	t.Run("too short", func(t *testing.T) {
		m := newStore()
		m.learn("env A", "abc")
		if got := m.redact("xabcx"); got != "xabcx" {
			t.Errorf("got %q: a value of three bytes is not told from ordinary text", got)
		}
	})
	t.Run("rotation keeps the value before", func(t *testing.T) {
		m := newStore()
		m.learn("file a", "first-value-of-all")
		m.learn("file a", "second-value-of-all")
		m.learn("file a", "second-value-of-all")
		if got := m.redact("first-value-of-all second-value-of-all"); got != "<redacted> <redacted>" {
			t.Errorf("got %q, want both gone: answers to the first may still be under way", got)
		}
		m.learn("file a", "third-one-is-new")
		if got := m.redact("first-value second-value-of-all third-one-is-new"); got != "first-value <redacted> <redacted>" {
			t.Errorf("got %q, want the first forgotten", got)
		}
	})
	t.Run("NUL bytes", func(t *testing.T) {
		m := newStore()
		m.learn("token", "\x00\x00\x00\x00\x00\x00\x00abcdefgh")
		if got := m.redact("a, ab, abcdefgh"); got != "a, ab, "+redacted {
			t.Errorf("got %q", got)
		}
	})
	t.Run("one value of two sources", func(t *testing.T) {
		m := newStore()
		m.learn("file a", long)
		m.learn("file b", long)
		for i := range 3 {
			m.learn("file a", fmt.Sprintf("rotated-value-%d", i))
		}
		if got := m.redact(long); got != redacted {
			t.Errorf("got %q: b still holds the value that a has lost", got)
		}
	})
}

func TestLearn_bounded(t *testing.T) {
	m := newStore()
	size := func() int { return len(m.pieces.pieces) + len(m.filter) }
	var early int
	for i := range 10_000 {
		m.learn("file a", fmt.Sprintf("value-%032d", i*7919))
		if i == 100 {
			early = size()
		}
	}
	if late := size(); late > 2*early {
		t.Errorf("after 100 rotations there are %d entries, after 10,000 there are %d", early, late)
	}
	set := 0
	for _, word := range m.filter {
		set += bits.OnesCount64(word)
	}
	if share := float64(set) / float64(64*len(m.filter)); share > 0.25 {
		t.Errorf("%.0f %% of the filter's bits are set, want few: it must let most text pass", 100*share)
	}
	if got := m.redact(fmt.Sprintf("value-%032d", 9999*7919)); got != redacted {
		t.Errorf("the last value became %q", got)
	}
}

// With work that grows as the square of the sources this would not end.
func TestLearn_manySources(t *testing.T) {
	m := newStore()
	value := func(i int) string { return fmt.Sprintf("%08x", uint32(i)*2654435761) + "-" + strconv.Itoa(i) }
	for i := range 5000 {
		m.learn("file "+strconv.Itoa(i), value(i))
	}
	for i := range 5000 {
		if got := m.redact("got " + value(i) + "."); got != "got <redacted>." {
			t.Fatalf("value %d became %q", i, got)
		}
	}
}

func TestLearn_concurrent(t *testing.T) {
	m := newStore()
	m.learn("file b", "hunter2-0123456789abcdef")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 500 {
				m.learn("file a", fmt.Sprintf("value-%032d", i))
			}
		})
		wg.Go(func() {
			for range 500 {
				if got := m.redact("got hunter2-0123456789abcdef"); got != "got <redacted>" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzRedact(f *testing.F) {
	for _, value := range values {
		f.Add(value, "got ", " instead")
		f.Add(value, "%", "\\")
	}
	f.Fuzz(func(t *testing.T, value, before, after string) {
		if len(value) < MinBytes || strings.ContainsAny(value, "\r\n\x00") || !utf8.ValidString(value) || strings.ToValidUTF8(strings.ToLower(value), "") != value {
			return
		}
		m := newStore()
		m.learn("file a", value)
		for name, form := range forms {
			out := m.redact(before + form.write(value) + after)
			if got := leak(out, value); got != "" && !strings.Contains(redacted, got) && !strings.Contains(leak(before, value)+leak(after, value), got) {
				t.Errorf("%s: of %q the piece %q is left in %q", name, value, got, out)
			}
			out = m.redact(form.write(value))
			if got := leak(form.read(out), value); got != "" && !strings.Contains(redacted, got) && !strings.Contains(out, redacted) {
				t.Errorf("%s: of %q the piece %q can be read in %q", name, value, got, out)
			}
		}
		m.redact(before + after) // whatever the text
	})
}

func BenchmarkRedact(b *testing.B) {
	m := newStore()
	chance := rand.New(rand.NewPCG(1, 1))
	for i := range 5 {
		m.learn("env "+strconv.Itoa(i), fmt.Sprintf("%016x%016x%016x", chance.Uint64(), chance.Uint64(), chance.Uint64()))
	}
	for name, text := range map[string]string{
		"80 bytes":         "wanted status 200, got 503 Service Unavailable after 1.234s from 10.0.0.17:8080.",
		"80 bytes escaped": `wanted "a\nb" & 100% of it, got "c\td" after 1.234s from 10.0.0.17:8080 as before`,
		"64 KiB":           strings.Repeat("It was the best of times, it was the worst of times, it was ...\n", 1024),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m.redact(text)
			}
		})
	}
}

func BenchmarkLearn(b *testing.B) {
	m := newStore()
	for i := range 1000 {
		m.learn("env "+strconv.Itoa(i), fmt.Sprintf("value-%032d", i))
	}
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			m.learn("env 7", fmt.Sprintf("value-%032d", 7))
		}
	})
	b.Run("rotated", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			m.learn("env 7", fmt.Sprintf("value-%032d", i))
		}
	})
}
