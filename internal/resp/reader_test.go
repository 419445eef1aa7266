package resp

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// show writes a value as the tests compare it.
func show(v Value) string {
	switch v.Kind {
	case Null:
		return "null"
	case List:
		var items []string
		for _, i := range v.Items {
			items = append(items, show(i))
		}
		return "[" + strings.Join(items, " ") + "]"
	case Failure:
		return "error " + v.Text
	case Integer:
		return "#" + v.Text
	}
	return v.Text
}

func TestReader(t *testing.T) {
	for wire, want := range map[string]string{
		"+OK\r\n": "OK", "-ERR no\r\n": "error ERR no", ":-7\r\n": "#-7", "$3\r\nabc\r\n": "abc", "$0\r\n\r\n": "", "$-1\r\n": "null", "*-1\r\n": "null",
		"*2\r\n$1\r\na\r\n*1\r\n:1\r\n": "[a [#1]]", "*0\r\n": "[]",
		"$4\r\na\r\nb\r\n": "a\r\nb", // a text may hold what ends a line
		// RESP3.
		"_\r\n": "null", "#t\r\n": "#1", "#f\r\n": "#0", ",1.5\r\n": "1.5", "(12345678901234567890\r\n": "#12345678901234567890",
		"!3\r\nERR\r\n": "error ERR", "=7\r\ntxt:abc\r\n": "abc", "%1\r\n+a\r\n:1\r\n": "[a #1]", "~1\r\n+a\r\n": "[a]",
		">1\r\n+message\r\n+OK\r\n": "OK", "|1\r\n+ttl\r\n:9\r\n+OK\r\n": "OK", "*2\r\n|1\r\n+a\r\n:1\r\n+b\r\n+c\r\n": "[b c]",
		// What is no answer.
		"": "EOF", "+OK": "unexpected EOF", "+OK\n": "malformed", "\r\n": "malformed", "HTTP/1.1 400\r\n": "malformed", ":a\r\n": "malformed", ":\r\n": "malformed",
		"$3\r\nab": "unexpected EOF", "$3\r\nabcd\r\n": "malformed", "$-2\r\n": "malformed", "$+1\r\na\r\n": "malformed", "$a\r\n": "malformed", "$?\r\n": "malformed",
		"*1\r\n": "unexpected EOF", "#x\r\n": "malformed", "=1\r\na\r\n": "malformed", "_x\r\n": "malformed", "\x16\x03\x01\r\n": "malformed",
		// What is announced beyond the limits.
		"$1000000000\r\n": "too large", "*100000000\r\n": "too large", "$99999999999999999999\r\n": "too large", "$65537\r\n": "too large",
		"*10001\r\n": "too large", "%9999\r\n": "too large", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+a\r\n": "too large",
		"+" + strings.Repeat("a", 5000) + "\r\n": "too large", strings.Repeat(">1\r\n+a\r\n", 10_000) + "+OK\r\n": "too large",
		"*10000\r\n" + strings.Repeat("*1\r\n+a\r\n", 10_000):                               "too large",
		"*100\r\n" + strings.Repeat("$60000\r\n"+strings.Repeat("a", 60000)+"\r\n", 100):    "too large",
		"*9000\r\n" + strings.Repeat("+"+strings.Repeat("a", 1000)+"\r\n", 9000) + ":1\r\n": "too large",
	} {
		v, err := NewReader(strings.NewReader(wire)).Read()
		got := show(v)
		switch {
		case errors.Is(err, errMalformed):
			got = "malformed"
		case errors.Is(err, errTooLarge):
			got = "too large"
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			got = err.Error()
		case err != nil:
			got = "another error"
		}
		if got != want {
			t.Errorf("%.40q:\n got  %.80s\n want %s", wire, got, want)
		}
	}
}

// Each answer has the limits for itself.
func TestReader_next(t *testing.T) {
	r := NewReader(strings.NewReader(strings.Repeat("$60000\r\n"+strings.Repeat("a", 60000)+"\r\n", 100)))
	for i := range 100 {
		if _, err := r.Read(); err != nil {
			t.Fatalf("answer %d: %v", i+1, err)
		}
	}
}

// What is announced is not allocated.
func TestReader_memory(t *testing.T) {
	for _, wire := range []string{"$1000000000\r\n", "*100000000\r\n", "%100000000\r\n", strings.Repeat("*9999\r\n", 4)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			_, _ = NewReader(strings.NewReader(wire)).Read()
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 16<<10 {
			t.Errorf("%.20q: %d bytes are allocated", wire, n)
		}
	}
}

func TestAppendCommand(t *testing.T) {
	b := AppendCommand(AppendCommand(nil, "SET", "a b", ""), "PING")
	if got, want := string(b), "*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n"; got != want {
		t.Errorf("got %q, expected %q", got, want)
	}
}

// FuzzReader looks for an answer that crashes the reader, is beyond its limits, or is read otherwise when it is written again.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "-ERR a\r\n", ":1\r\n", "$3\r\nabc\r\n", "*2\r\n$-1\r\n*0\r\n", "%1\r\n+a\r\n_\r\n", "=7\r\ntxt:abc\r\n", ">1\r\n+a\r\n+b\r\n", "$1000000000\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		v, err := NewReader(strings.NewReader(string(wire))).Read()
		if err != nil {
			return
		}
		if items, bytes, depth := measure(v); items > maxItems+1 || bytes > maxAnswer || depth > maxDepth+1 {
			t.Fatalf("%d items, %d bytes, depth %d", items, bytes, depth)
		}
		again, err := NewReader(strings.NewReader(write(v))).Read()
		if err != nil || fmt.Sprint(again) != fmt.Sprint(v) {
			t.Fatalf("%v is read as %v: %v", v, again, err)
		}
	})
}

func measure(v Value) (items, bytes, depth int) {
	items, bytes = 1, len(v.Text)
	for _, item := range v.Items {
		i, b, d := measure(item)
		items, bytes, depth = items+i, bytes+b, max(depth, d)
	}
	return items, bytes, depth + 1
}

// write writes a value in RESP2, a text as one that may hold anything.
func write(v Value) string {
	switch v.Kind {
	case Null:
		return "$-1\r\n"
	case Integer:
		return "(" + v.Text + "\r\n"
	case Failure:
		return fmt.Sprintf("!%d\r\n%s\r\n", len(v.Text), v.Text)
	case List:
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(v.Items))
		for _, item := range v.Items {
			b.WriteString(write(item))
		}
		return b.String()
	}
	return fmt.Sprintf("$%d\r\n%s\r\n", len(v.Text), v.Text)
}
