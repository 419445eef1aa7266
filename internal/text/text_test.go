package text

import (
	"net/url"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	for got, want := range map[string]string{
		Count(0, "day"): "0 days", Count(1, "day"): "1 day", Count(-1, "day"): "-1 days",
		Plural(1, "key is", "keys are"): "1 key is", Plural(2, "key is", "keys are"): "2 keys are",
		List(nil, 2): "", List([]string{"a", "b"}, 2): "a, b", List([]string{"a", "b", "c"}, 2): "a, b and 1 more",
		Cut("abc", 3): "abc", Cut("abcd", 3): "abc…", Cut("aä", 2): "a…",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"wanted 200": "wanted 200", "é 日本語 😀": "é 日本語 😀", "a\nb\r\tc\x00\x1b[31m\x7f\u0085": "a b  c  [31m  ",
		"\u202eleft\u2066\u200f\u2028\u2029\u200b\ufeff": " left      ", "a\xffb": "a\uFFFDb", "\ufffe\uffff": "  ",
		"a\u3164b\u115f\u1160\uffa0\u034f\u17b5\u2800c": "a b     ⠀c", "x\U000e0101\U000e0041\U000e0fffy": "x   y", "\u26a0\ufe0f": "\u26a0\ufe0f",
	} {
		if got := Line(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := Lines("a\nb\x1b\r\n\u202ec"); got != "a\nb  \n c" {
		t.Errorf("got %q", got)
	}
}

func TestDurations(t *testing.T) {
	const ms = time.Millisecond
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 40 * time.Microsecond: "0.0 ms", 1234 * time.Microsecond: "1.2 ms", 9940 * time.Microsecond: "9.9 ms",
		9960 * time.Microsecond: "10 ms", -30 * ms: "30 ms", 999*ms + 600*time.Microsecond: "1.0 s", 4210 * ms: "4.2 s",
		59960 * ms: "1m0s", 90 * time.Second: "1m30s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "1 minute", time.Second: "1 minute", 2 * time.Minute: "2 minutes", 59 * time.Minute: "59 minutes",
		time.Hour: "1 hour", 23 * time.Hour: "23 hours", day: "1 day", 1000 * day: "1000 days",
	} {
		if got := Roughly(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"https://u:p@host:8443/a%2Fb?token=x#part": "https://host:8443/a%2Fb#part",
		"https://host/#/page?token=x":              "https://host/#/page",
		"https://host?":                            "https://host",
		"https://host/orgs/{org}/{id}?q={canary}":  "https://host/orgs/{org}/{id}",
		"https://host/%7Bid%7D":                    "https://host/%7Bid%7D",
		"ht\x00tp://host":                          "",
		"mailto:someone@host?body=x":               "mailto:someone@host",
		"https://host/\u202eevil":                  "https://host/%20evil",
	} {
		if got := Link(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
	u, err := url.Parse("https://u:p@host:8443/a%2Fb?token=x#part")
	if err != nil {
		t.Fatal(err)
	}
	if got := URL(u); got != "https://host:8443/a%2Fb" {
		t.Errorf("got %q", got)
	}
}

func TestSeries(t *testing.T) {
	if got := Series("up", nil); got != "up" {
		t.Errorf("got %s", got)
	}
	if got := Series("up", map[string]string{"b": `"\`, "a": "x\ny"}); got != `up{a="x\ny",b="\"\\"}` {
		t.Errorf("got %s", got)
	}
}
