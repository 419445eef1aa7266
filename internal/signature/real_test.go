package signature

import (
	"testing"
	"time"

	"prober/internal/testenv"
)

// What the libraries of real senders sign verifies, and nothing else does.
func TestVerify_real(t *testing.T) {
	all := testenv.SignedWebhooks(t, vectorSecret)
	by := map[string]int{}
	for _, d := range all {
		key := vectorSecret
		if d.Key != "" {
			key = d.Key
		}
		keys := keysOf(t, Standard, "whsec_c29tZSBvdGhlciBzZWNyZXQgb2Ygb2xk", key)
		var pairs []string
		for name, value := range d.Headers {
			pairs = append(pairs, name, value)
		}
		form, h := &Form{Scheme: Standard}, headers(pairs...)
		signed, err := form.Verify(h, []byte(d.Body), keys)
		if err != nil || time.Since(signed.Timestamp).Abs() > time.Minute || signed.ID == "" {
			t.Errorf("%s: got %+v, %v", d.By, signed, err)
		}
		tampered, bodies := form.Tampered(h, []byte(d.Body))
		for i := range tampered {
			if _, err := form.Verify(tampered[i], bodies[i], keys); err == nil {
				t.Errorf("%s: a changed copy verifies", d.By)
			}
		}
		by[d.By]++
	}
	if by["standardwebhooks"] != 4 || by["svix"] != 4 || by["node"] != 4 {
		t.Errorf("got %v", by)
	}
}
