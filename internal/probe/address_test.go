package probe

import (
	"fmt"
	"testing"
)

type addressed struct {
	Probe
	addresses []string
}

func (a addressed) Addresses() []string { return a.addresses }

func TestAddressesHoldNoSecret(t *testing.T) {
	j := Job{Probe: addressed{addresses: []string{
		"https://user:hunter2@shop.example:8443/a%20b?token=hunter2#x", "", "https://shop.example:8443/a%20b", "10.0.0.1:80", "[::1]:80", "?token=hunter2",
		"https://shop.example/{org}/notes?id={id}", "10.0.0.1:80",
	}}}
	want := "[https://shop.example:8443/a%20b 10.0.0.1:80 [::1]:80 https://shop.example/{org}/notes]"
	if got := fmt.Sprint(j.Addresses()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := j.Host(); got != "shop.example:8443" {
		t.Errorf("the host is %q", got)
	}
	j.Probe = addressed{addresses: []string{"10.0.0.1:80"}}
	if got := j.Host(); got != "10.0.0.1:80" {
		t.Errorf("the host of an address is %q", got)
	}
	if j.Probe = nil; j.Host() != "" || j.Addresses() != nil {
		t.Error("a probe that does not say whom it asks has addresses")
	}
}
