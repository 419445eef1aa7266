package grpc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestAddresses: whoever is asked is announced, so that a limit of where probes may go holds for all.
func TestAddresses(t *testing.T) {
	for settings, want := range map[string][]string{
		"":                           {"shop.example:50051"},
		"    unix: /run/shop.sock\n": {"shop.example:50051", "unix:/run/shop.sock"},
		"    tls: {}\n    proxy: {url: \"http://proxy.example:3128\"}\n":        {"shop.example:50051", "http://proxy.example:3128"},
		"    replicas: {static: [\"127.0.0.1:1\", \"127.0.0.2:1\"], want: 2}\n": {"127.0.0.1:1", "127.0.0.2:1"},
	} {
		got := slices.DeleteFunc(load(t, "shop.example:50051", settings).Addresses(), func(a string) bool { return a == "" })
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", settings, got, want)
		}
	}
}

// TestValidate_services: as many services, and names as long, as there may be.
func TestValidate_services(t *testing.T) {
	for _, c := range []struct {
		services, length int
		want             string
	}{
		{20, 256, ""}, {21, 256, "services: expected at most 20, got 21"}, {1, 257, "services[0]: expected a name of at most 256 bytes without spaces"},
	} {
		p := load(t, "shop.example:50051", "")
		p.Services = nil
		for i := range c.services {
			name := fmt.Sprintf("shop.Service%02d", i)
			p.Services = append(p.Services, name+strings.Repeat("x", c.length-len(name)))
		}
		got := ""
		if err := p.validateServices(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%d of %d bytes: got %s", c.services, c.length, got)
		}
	}
}
