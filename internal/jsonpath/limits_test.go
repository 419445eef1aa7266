package jsonpath

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"prober/internal/memory"
	"prober/internal/testenv"
)

// members writes an object of n members, as large as a target may answer with.
func members(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"key%05d":"v"`, i)
	}
	return []byte("{" + b.String()[1:] + "}")
}

// A health answer of 49,000 members cost 26 MiB: three replicas of it had the prober killed.
func TestDecode_aDocumentCostsLittleMoreThanItsBody(t *testing.T) {
	body := members(49_000)
	path, err := Parse(`$.key48999`)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d, err := Decode(t.Context(), body)
	if err != nil || len(path.Find(d)) != 1 {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if passing := after.TotalAlloc - before.TotalAlloc; passing > 5<<20 {
		t.Errorf("decoding takes %d bytes for %d, even if not at once", passing, len(body))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 1<<20 {
		t.Errorf("the document keeps %d bytes beside the %d of its body", kept, len(body))
	}
	runtime.KeepAlive(d)
}

// What the prober does not read is no fault of the target, and not "no JSON".
func TestDecode_aLimitIsNoFaultOfTheTarget(t *testing.T) {
	testenv.WithoutRace(t)
	for _, c := range []struct{ body, want string }{
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), "deeper than 64 levels"},
		{strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "deeper than 64 levels"},
		{`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "deeper than 64 levels"},
		{`[` + strings.Repeat("1,", 99_999) + `1]`, "more than 100000 values"},
		{`{` + strings.Repeat(`"a":1,`, 1e5) + `"b":1}`, "more than 100000 values"},
		{`[` + strings.Repeat("9", 1001) + `]`, "longer than 1000 digits"},
		{`[0.` + strings.Repeat("0", 1001) + `]`, "longer than 1000 digits"},
		{`[1e400]`, "too large for a float64"},
	} {
		if _, err := Decode(t.Context(), []byte(c.body)); !memory.IsLimit(err) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "syntax error") {
			t.Errorf("%.20s...: got %v, want the limit %q", c.body, err, c.want)
		}
	}
	for _, body := range []string{
		strings.Repeat("[", 20_000), strings.Repeat("[", 65) + strings.Repeat("]", 64), `[` + strings.Repeat("1,", 1e5) + `]`,
		strings.Repeat("[", 20_000) + `"` + strings.Repeat("]", 20_000), `[` + strings.Repeat("9", 1001), `[` + strings.Repeat("9", 1001) + `x]`, `{"a":1,"a":2}`,
	} {
		if _, err := Decode(t.Context(), []byte(body)); err == nil || memory.IsLimit(err) {
			t.Errorf("%.20s...: got %v, want that it is no JSON", body, err)
		}
	}
}

func TestDecode_heedsTheTimeOfTheRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	body := members(10_000)
	d, err := Decode(ctx, body)
	if err != nil {
		t.Fatal(err)
	}
	late, end := context.WithTimeout(ctx, 0)
	defer end()
	d.run = late
	if _, err := Decode(late, body); !memory.IsLimit(err) || !strings.Contains(err.Error(), "over before the JSON was read") {
		t.Errorf("got %v, want that the run is over", err)
	}
	path, _ := Parse(`$.*`)
	if found := path.Find(d); found != nil {
		t.Errorf("found %d values after the run was over", len(found))
	}
}

// What a search cannot afford is found nowhere, and the run must know: "no such value" would be a lie.
func TestDocument_paysFromTheAccountOfTheRun(t *testing.T) {
	for _, c := range []struct {
		path string
		run  int64
		want int
	}{
		{`$.key09999`, 1 << 20, 1},
		{`$[?@ == 'v']`, 1 << 20, 10_000}, // one value after the other
		{`$[?@ == $.none]`, 8 << 20, 0},   // the root as plain values
		{`$[?@ == $.none]`, 1 << 20, -1},  // which are many times as large
		{`$..[?@ == 'v']`, 1 << 20, 10_000},
		{`$[*, *]`, 300 << 10, -1},
	} {
		ctx, account := memory.NewBudget(c.run).Open(t.Context())
		d, err := Decode(ctx, members(10_000))
		if err != nil {
			t.Fatal(err)
		}
		path, err := Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		found := path.Find(d)
		if exceeded := account.Excesses(); (c.want < 0) != (len(exceeded) > 0) {
			t.Errorf("%s with %d bytes: exceeded %v", c.path, c.run, exceeded)
		}
		if len(found) != max(0, c.want) {
			t.Errorf("%s with %d bytes: found %d values, want %d", c.path, c.run, len(found), c.want)
		}
		account.Close()
	}
	ctx, account := memory.NewBudget(64 << 10).Open(t.Context())
	defer account.Close()
	if _, err := Decode(ctx, members(20_000)); !memory.IsLimit(err) {
		t.Errorf("got %v, want that there is no memory for the document", err)
	}
}

func TestFind_boundsWhatIsFound(t *testing.T) {
	testenv.WithoutRace(t)
	ctx, account := (*memory.Budget)(nil).Open(t.Context())
	d, err := Decode(ctx, []byte(`[`+strings.Repeat("1,", 90_000)+`1]`))
	if err != nil {
		t.Fatal(err)
	}
	path, err := Parse(`$[0,1]..[*,*]`)
	if err != nil {
		t.Fatal(err)
	}
	_ = path.Find(d)
	path, _ = Parse(`$..[*,*]`)
	if found := path.Find(d); found != nil || len(account.Excesses()) != 1 {
		t.Errorf("found %d values, exceeded %v", len(found), account.Excesses())
	}
}

// FuzzDecode holds the scanner against the standard library: the same is JSON, and the values are the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		store, filters, `"\"`, `"\`, `"\u12`, `[1,]`, `{"a" 1}`, `{"a":}`, `-`, `01`, `1.`, `1e`, `-0.0e+1`, "[1\x002]", `tru`, `nullx`, `[[[{"a":[]}]]]`, `{"":""}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Decode(t.Context(), body)
		if memory.IsLimit(err) {
			return
		}
		if syntax := err != nil && strings.Contains(err.Error(), "at byte"); syntax && json.Valid(body) {
			t.Fatalf("valid JSON is refused: %v", err)
		} else if !json.Valid(body) && err == nil {
			t.Fatal("no JSON is accepted")
		}
		if errors.Is(err, errSyntax) {
			t.Fatalf("the standard library finds nothing wrong")
		}
		if err != nil {
			return
		}
		var want any
		if json.Unmarshal(body, &want) != nil {
			t.Fatal("the standard library cannot read it")
		}
		a, _ := json.Marshal(want)
		if b, _ := json.Marshal(d.plain(0)); string(a) != string(b) {
			t.Errorf("got %s, want %s", b, a)
		}
	})
}
