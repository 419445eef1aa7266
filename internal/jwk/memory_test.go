package jwk

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"prober/internal/memory"
)

// Fifty issuers may publish the largest set at once: what reading one allocates is bounded, not only its result.
func TestParse_allocatesLittle(t *testing.T) {
	const entry = `{"kty":"OKP","crv":"Ed25519","private_hint":"none","kid":"MCow","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	body := []byte(`{"keys":[` + strings.Repeat(entry+",", 1999) + entry + "]}")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	set, err := parse(t.Context(), body)
	runtime.ReadMemStats(&after)
	if err != nil || len(set) != 2000 {
		t.Fatal(len(set), err)
	}
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(80*len(body)); got > most {
		t.Errorf("allocated %d times the %d bytes of the set, expected at most 80 times", got/uint64(len(body)), len(body))
	} else {
		t.Logf("allocated %d times the set", got/uint64(len(body)))
	}
}

// A set is read only where there is room for the bytes that reading it takes, and for its keys.
func TestParse_takesMemory(t *testing.T) {
	body := []byte(`{"keys":[` + strings.Repeat(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},`, 999) + "{}]}")
	needed := int64((1+parseBytes)*len(body) + keyBytes*1001)
	for short, want := range map[int64]bool{0: true, 1: false} {
		run, account := memory.NewBudget(needed - short).Open(t.Context())
		if err := memory.Take(run, 32<<10); err != nil { // which every run has without asking
			t.Fatal(err)
		}
		if _, err := Parse(run, body); (err == nil) != want || err != nil && !memory.IsLimit(err) {
			t.Errorf("%d bytes short of what it takes: got %v", short, err)
		}
		account.Close()
	}
}

// A run whose time is up does not go on to read thousands of keys: it would count as one that ignores its timeout.
func TestParse_endsWithItsRun(t *testing.T) {
	const entry = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	for name, keys := range map[string]int{"a large set": 2000, "a small set": 10} {
		body := []byte(`{"keys":[` + strings.Repeat(entry+",", keys-1) + entry + "]}")
		late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
		defer cancel()
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := Parse(late, body); (keys > lookEvery) != memory.IsLimit(err) || err != nil && !strings.Contains(err.Error(), "the run was over") {
			t.Errorf("%s after the deadline: %v", name, err)
		}
		run, account := (*memory.Budget)(nil).Open(late)
		defer account.Close()
		if _, err := Parse(run, body); (err != nil) != (len(account.Excesses()) == 1) {
			t.Errorf("%s after the deadline: the run is told of %v", name, account.Excesses())
		}
		if set, err := Parse(gone, body); err != nil || len(set) != keys {
			t.Errorf("%s of a cancelled run: %v", name, err)
		}
	}
}
