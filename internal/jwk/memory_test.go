package jwk

import (
	"runtime"
	"strings"
	"testing"
)

// Fifty issuers may publish the largest set at once: what reading one allocates is bounded, not only its result.
func TestParse_allocatesLittle(t *testing.T) {
	const entry = `{"kty":"OKP","crv":"Ed25519","private_hint":"none","kid":"MCow","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	body := []byte(`{"keys":[` + strings.Repeat(entry+",", 1999) + entry + "]}")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	set, err := parse(body)
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
