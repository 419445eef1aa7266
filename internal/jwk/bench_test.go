package jwk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// manyKeys returns the text of a set of so many keys on P-256, 1.4 MiB for 10,000.
func manyKeys(tb testing.TB, n int) []byte {
	tb.Helper()
	var b strings.Builder
	b.WriteString(`{"keys":[`)
	for i := range n {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		text, err := jose.JSONWebKey{Key: private.Public(), KeyID: fmt.Sprint("k", i)}.MarshalJSON()
		if err != nil {
			tb.Fatal(err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(text)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// BenchmarkParse reads a set of 10,000 keys, far more than any issuer has: what a hostile one could cost.
func BenchmarkParse(b *testing.B) {
	const keys = 10_000
	body := manyKeys(b, keys)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		set, err := Parse(b.Context(), body)
		if err != nil || len(set) != keys || set[keys-1].Problem != "" {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(keys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
