package text

import "testing"

func TestWord_isNoSecret(t *testing.T) {
	for value, shown := range map[string]bool{
		"icmp": true, "http_2xx": true, "tcp_connect": true, "fine": true, "5 minutes": true, "30sec": true, "1.5h": true, "99.9%": true,
		"": false, "hunter2": false, "hunter2-marker": false, "Passw0rd": false, "correcthorsebatterystaple": false, "0123456789": false,
		"a b": false, "${TOKEN}": false, "eyJhbGciOi": false, "a\nb": false,
	} {
		if got := Word(value) != ""; got != shown {
			t.Errorf("%q is shown: %t", value, got)
		}
	}
}
