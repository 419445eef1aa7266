package dial

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

const day = 24 * time.Hour

// TestExpiry takes the end of the chain that lasts longest, and of each chain the earliest end in it.
func TestExpiry(t *testing.T) {
	now := time.Now()
	until := func(days ...int) (chain []*x509.Certificate) {
		for _, d := range days {
			chain = append(chain, &x509.Certificate{NotAfter: now.Add(time.Duration(d) * day)})
		}
		return chain
	}
	for _, c := range []struct {
		chains [][]*x509.Certificate
		shown  []*x509.Certificate
		want   int
	}{
		{[][]*x509.Certificate{until(30, 400, 4000)}, until(30, 400), 30},
		{[][]*x509.Certificate{until(90, 3), until(90, 400)}, until(90, 3, 400), 90}, // an old cross-signature beside a good chain
		{[][]*x509.Certificate{until(90, 400), until(90, 3)}, until(90, 3, 400), 90},
		{nil, until(90, -1), -1},
	} {
		if got := expiry(c.chains, c.shown); !got.Equal(now.Add(time.Duration(c.want) * day)) {
			t.Errorf("got %s from now, want %d days", got.Sub(now), c.want)
		}
	}
	if !expiry(nil, nil).IsZero() {
		t.Error("nothing shown, and yet an end")
	}
}

func TestTLSConfig_minVersion(t *testing.T) {
	for setting, want := range map[string]uint16{"": tls.VersionTLS12, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		cfg, err := New("", &TLS{MinVersion: setting}).TLSConfig("a.example", false)
		if err != nil || cfg.MinVersion != want {
			t.Errorf("%q: got %x, %v", setting, cfg.MinVersion, err)
		}
	}
}
