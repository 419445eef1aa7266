package canary

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

func TestMint(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	for host, replica := range map[string]string{
		"prober-0": "prober-0", "Prober.Example": "prober-example", "": "prober", "…": "prober",
		strings.Repeat("x", 99): strings.Repeat("x", 40),
	} {
		text := Mint(Replica(host), now)
		marks := Find(`{"id": 7, "text": "` + text + `"}, "cnry-someone-else"`)
		if len(marks) != 1 || marks[0] != (Mark{text, replica, now}) {
			t.Errorf("%q: found %+v in %s", host, marks, text)
		}
		if got := Secret(text); len(got) != 32 || strings.Contains(got, "-") || !strings.HasPrefix(text, "cnry-"+got) {
			t.Errorf("the secret of %s is %s", text, got)
		}
	}
	text := Mint("r", now)
	if sibling := Sibling(text); sibling != Sibling(text) || sibling == text || len(Find(sibling)) != 1 || Secret(sibling) == Secret(text) {
		t.Errorf("the sibling of %s is %s", text, sibling)
	}
	if a, b := Mint("r", now), Mint("r", now); a == b {
		t.Error("two canaries are the same")
	}
	if got := Secret("a long-lived canary"); got != "a long-lived canary" {
		t.Errorf("the secret of another text is %q", got)
	}
	if got := Hash("x"); len(got) != len("sha256:")+8 {
		t.Errorf("the hash is %s", got)
	}
}

// encodings are the forms that must be found, each as a server might write it.
func encodings(text string) map[string]string {
	var escaped, entity, units, numbers strings.Builder
	for _, c := range text {
		fmt.Fprintf(&escaped, `\u%04X`, c)
		fmt.Fprintf(&entity, `&#x%x;`, c)
		fmt.Fprintf(&numbers, `%%%02x`, c)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		units.WriteByte(byte(u))
		units.WriteByte(byte(u >> 8))
	}
	out := map[string]string{
		"plain":                       text,
		"capitals":                    strings.ToUpper(text),
		"hex":                         hex.EncodeToString([]byte(text)),
		"hex in capitals":             strings.ToUpper(hex.EncodeToString([]byte(text))),
		"percent, every character":    numbers.String(),
		"a query":                     url.QueryEscape(text),
		"JSON, every character":       escaped.String(),
		"HTML, every character":       entity.String(),
		"HTML":                        html.EscapeString(text),
		"JSON in a URL":               url.QueryEscape(escaped.String()),
		"UTF-16":                      units.String(),
		"base64 in a URL":             url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text))),
		"base64 with slashes escaped": strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(">>>???"+text)), "/", `\/`),
		"base64 in lines":             base64.StdEncoding.EncodeToString([]byte(text))[:20] + "\r\n" + base64.StdEncoding.EncodeToString([]byte(text))[20:],
	}
	for shift := range 3 {
		row := strings.Repeat("~", shift) + text + "?>"
		out[fmt.Sprintf("base64, alignment %d", shift)] = base64.StdEncoding.EncodeToString([]byte(row))
		out[fmt.Sprintf("base64 for URLs, alignment %d", shift)] = base64.RawURLEncoding.EncodeToString([]byte(row))
	}
	return out
}

func TestFind_everyForm(t *testing.T) {
	for _, text := range []string{Mint("prober-0", time.Now()), "a/long+lived?canary>>>of an org"} {
		needle := NewNeedle(text)
		for name, written := range encodings(text) {
			if NewHaystack([]byte("before "+written+" after")).Find(needle) == "" {
				t.Errorf("%s of %s is not found", name, text)
			}
		}
	}
}

func TestFind_absent(t *testing.T) {
	needle := NewNeedle(Mint("prober-0", time.Now()))
	for range 1000 {
		other := Mint("prober-0", time.Now())
		for name, written := range encodings(other) {
			if form := NewHaystack([]byte(written)).Find(needle); form != "" {
				t.Fatalf("%s of another canary is taken for it (%s)", name, form)
			}
		}
	}
	// What stands in pieces under 16 digits is a documented miss.
	text := Mint("prober-0", time.Now())
	split, _ := json.Marshal([]string{text[:20], text[20:30], text[30:]})
	if NewHaystack(split).Find(NewNeedle(text)) != "" {
		t.Error("the pieces are found: the documents say otherwise")
	}
	if NewHaystack([]byte("17 and 4711")).Find(NewNeedle("17")) != "" {
		t.Error("a text that is too short to tell is found")
	}
}

// TestFind_cut: half of the random digits are enough, in every form, so a title that is cut off shows its canary.
func TestFind_cut(t *testing.T) {
	text := Mint("prober-0", time.Now())
	needle := NewNeedle(text)
	for name, part := range map[string]string{
		"40 characters": text[:40], "the first digits": text[:len(Prefix)+16], "the last digits": text[len(Prefix)+16:][:16], "without its head": text[20:],
	} {
		for form, written := range encodings(part) {
			if NewHaystack([]byte("before "+written+"... after")).Find(needle) == "" {
				t.Errorf("%s, %s, are not found", name, form)
			}
		}
	}
	if got := NewHaystack([]byte(text[:len(Prefix)+15] + "...")).Find(needle); got != "" {
		t.Errorf("15 digits are found (%s)", got)
	}
}

// FuzzFind holds that a canary in any listed form, at any place of any text, is found, and that no text makes it panic.
func FuzzFind(f *testing.F) {
	f.Add([]byte(`{"a": "\u00e4%2`), []byte("&amp;"), uint8(3))
	f.Fuzz(func(t *testing.T, before, after []byte, which uint8) {
		text := "cnry-00112233445566778899aabbccddeeff-prober-0-1790000000"
		all := encodings(text)
		names := []string{"plain", "capitals", "hex", "percent, every character", "JSON, every character", "HTML, every character", "base64, alignment 0", "base64, alignment 1", "base64, alignment 2"}
		name := names[int(which)%len(names)]
		// What runs into the canary may change what its first character means, as a lone backslash does.
		body := append(append(append([]byte{}, before...), " "+all[name]+" "...), after...)
		if NewHaystack(body).Find(NewNeedle(text)) == "" {
			t.Errorf("%s is not found in %q", name, body)
		}
	})
}

func BenchmarkMegabyte(b *testing.B) {
	body := []byte(strings.Repeat(`{"id": "x", "text": "a \u00e9 & %20 b"}`, 1<<20/40))
	needle := NewNeedle(Mint("prober-0", time.Now()))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		NewHaystack(body).Find(needle)
	}
}

// TestMintBy: a canary tells its writer to whoever knows the writers, and to nobody else.
func TestMintBy(t *testing.T) {
	text := MintBy("org-a", "here", time.Now())
	for writer, want := range map[string]bool{"org-a": true, "org-b": false, "": false} {
		if got := WrittenBy(writer, text); got != want {
			t.Errorf("written by %q: got %t, want %t", writer, got, want)
		}
	}
	digits := strings.Repeat("0", randomDigits-writerDigits)
	for _, other := range []string{Mint("here", time.Now()), Sibling(text), "org-a", "", digits + writerMark(digits, "org-a")} {
		if WrittenBy("org-a", other) {
			t.Errorf("%q was not written by org-a", other)
		}
	}
	if got := Find(text); len(got) != 1 || got[0].Text != text || MintBy("org-a", "here", time.Now()) == text {
		t.Errorf("got %v", got)
	}
}

// TestFind_word: an id that may be part of others is found alone, unless an encoding hides where words end.
func TestFind_word(t *testing.T) {
	const id = "4711.471147"
	needle := NewWord(id)
	for text, want := range map[string]bool{
		id: true, "4711.471147.": true, "/4711.471147/": true, `"4711.471147"`: true, "x 4711.471147": true, "4711.471147 x": true,
		"a4711.471147": false, "z4711.471147": false, "04711.471147": false, "94711.471147": false, "A4711.471147": false,
		"4711.471147a": false, "4711.471147z": false, "4711.4711470": false, "4711.4711479": false, "4711.471147Z": false,
		"4711.47114": false, "": false,
		"{4711.471147}": true, "`4711.471147`": true, "@4711.471147:": true,
		"14711.471147, 4711.471147": true, "4711.4711471,4711.471147": true, "4711.4711471,14711.471147": false,
		strings.Repeat(". ", 20) + "4711.471147a": false, "94711.471147 4711.4711479 4711.471147": true,
		hex.EncodeToString([]byte("1" + id + "1")): true,
	} {
		if got := NewHaystack(text).Find(needle) != ""; got != want {
			t.Errorf("%q: found %t, expected %t", text, got, want)
		}
	}
	if NewHaystack("1"+id).Find(NewNeedle(id)) != Plain {
		t.Error("a text that is no word is not found within others")
	}
	for text, want := range map[string]bool{"123456789": false, "1234567890": true} {
		if got := NewHaystack("a "+text+" b").Find(NewNeedle(text)) != ""; got != want {
			t.Errorf("a text of %d bytes: found %t, expected %t", len(text), got, want)
		}
	}
}

// TestReplica: what is no letter or digit of ASCII is a hyphen, and nothing runs over.
func TestReplica(t *testing.T) {
	for host, want := range map[string]string{
		"az09": "az09", "AZ": "az", "a/b:c`d{e@f[g": "a-b-c-d-e-f-g", "---": "prober", "-a-": "-a-",
		strings.Repeat("a", 40): strings.Repeat("a", 40), strings.Repeat("a", 40) + "b": strings.Repeat("a", 40),
	} {
		if got := Replica(host); got != want {
			t.Errorf("%q: got %q, expected %q", host, got, want)
		}
	}
}

func TestSibling_anotherText(t *testing.T) {
	const text = "a canary of an org"
	if mark := Mint("r", time.Now()); strings.Contains(Sibling(mark+" of "+Secret(mark)), Secret(mark)) {
		t.Error("the secret of a canary is left")
	}
	if got := Sibling(text + text); len(got) != 32 || strings.Contains(got, text) {
		t.Errorf("got %s, expected a hash alone", got)
	}
}
