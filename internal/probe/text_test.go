package probe

import (
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

func TestTextIsClean(t *testing.T) {
	tests := map[string]string{
		"wanted 200, got 503":                                         "wanted 200, got 503",
		"grüße, 日本語 und 🔑":                                            "grüße, 日本語 und 🔑",
		"two\nlines\r\nand\ttab":                                      "two lines  and tab",
		"\x1b[31mred\x1b[0m":                                          " [31mred [0m",
		"\x00\x07\x7f":                                                "   ",
		"c1 \u009b31m \u0085":                                         "c1  31m  ",
		"bidi \u202eabc\u202c":                                        "bidi  abc ",
		"\u2066iso\u2069late":                                         " iso late",
		"marks \u200e\u200f\u061c of direction":                       "marks     of direction",
		"hid\u200bden \ufeff\u00ad\u2060":                             "hid den    ",
		"tag \U000e0041":                                              "tag  ",
		"separators \u2028 and \u2029.":                               "separators   and  .",
		"broken \xff\xfe utf-8 \xc3":                                  "broken \ufffd utf-8 \ufffd",
		strings.Repeat("x", maxText):                                  strings.Repeat("x", maxText),
		strings.Repeat("x", maxText+1):                                strings.Repeat("x", maxText) + "…",
		strings.Repeat("x", maxText-1) + "ü":                          strings.Repeat("x", maxText-1) + "…",
		strings.Repeat("<script>alert(1)</script>", 5<<20/25)[:4<<20]: strings.Repeat("<script>alert(1)</script>", 20) + "…",
	}
	for text, want := range tests {
		if got := clean(text); got != want {
			t.Errorf("%.80q became %.600q, want %.80q", text, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("wanted \x1b[31m \u202e \xff " + strings.Repeat("ü", 300))
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		if len(got) > maxText+len("…") || !utf8.ValidString(got) {
			t.Errorf("%q is too long or broken", got)
		}
		for _, c := range got {
			if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || unicode.Is(unicode.Zl, c) || unicode.Is(unicode.Zp, c) {
				t.Errorf("%q holds %U", got, c)
			}
		}
		if again := clean(got); len(got) <= maxText && again != got {
			t.Errorf("%q cleaned again is %q", got, again)
		}
		if label := Label(text); len(label) > 200 || strings.ContainsFunc(label, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%q is no label", label)
		}
	})
}

func TestTextCostsNoMoreThanItShows(t *testing.T) {
	huge := strings.Repeat("\xff\u202e%22 ", 10<<20/8)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	clean(huge)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes for a text of which 500 are kept", n)
	}
}

func TestLabel(t *testing.T) {
	tests := map[string]string{
		"":                       "",
		"v1.2.3":                 "v1.2.3",
		"a b":                    "a b",
		"~alpha":                 "~alpha",
		strings.Repeat("a", 128): strings.Repeat("a", 128),
	}
	for value, want := range tests {
		if got := Label(value); got != want {
			t.Errorf("%q became %q, want %q", value, got, want)
		}
	}
	seen := map[string]string{}
	for _, value := range []string{strings.Repeat("a", 129), strings.Repeat("a", 10<<20), "é", "a\nb", "\xff", "\x1b", "\u202e"} {
		got := Label(value)
		if len(got) != len("sha256:")+12 || !strings.HasPrefix(got, "sha256:") || seen[got] != "" {
			t.Errorf("%.20q became %q, want a short hash of its own", value, got)
		}
		seen[got] = value
	}
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	good := map[string]struct {
		is   time.Duration
		text string
	}{
		"30s": {30 * time.Second, "30s"}, "1h30m": {90 * time.Minute, "1h30m"}, "14d": {14 * day, "14d"}, "24h": {day, "1d"},
		"36h": {36 * time.Hour, "36h"}, "250ms": {250 * time.Millisecond, "250ms"}, "0s": {0, "0s"}, "0d": {0, "0s"},
		"-1d": {-day, "-1d"}, "106751d": {106751 * day, "106751d"}, "1.5h": {90 * time.Minute, "1h30m"},
	}
	for text, want := range good {
		var got struct{ In Duration }
		if err := yaml.Unmarshal([]byte("in: "+text), &got); err != nil || got.In.D() != want.is || got.In.String() != want.text {
			t.Errorf("%s: %s, %v; want %s", text, got.In, err, want.text)
		}
		if b, err := yaml.Marshal(got); string(b) != "in: "+want.text+"\n" || err != nil {
			t.Errorf("%s is written %q, %v", text, b, err)
		}
		if again, err := ParseDuration(want.text); err != nil || again != got.In {
			t.Errorf("%s is written %s and read as %s, %v", text, want.text, again, err)
		}
	}
	for _, text := range []string{"5", "0", "5.5", "d", "1d12h", "1.5d", "14 d", "''", "[5s]", "{a: 5s}", "true", "5 minutes",
		"106752d", "200000d", "2147483647d", "99999999999d", "-106752d", "9999999h"} {
		var got struct{ In Duration }
		if err := yaml.Unmarshal([]byte("in: "+text), &got); err == nil || !strings.Contains(err.Error(), "a duration is written as 30s, 5m, 1h or 14d") || got.In != 0 {
			t.Errorf("%s: read as %s, %v; want it refused", text, got.In, err)
		}
	}
}
