package targets

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"prober/internal/discovery"
	"prober/internal/kubernetes"
	"prober/internal/probe"
)

// Validate reports all invalid settings, joined.
func (p *Probe) Validate() error {
	var wrong []error
	given := 0
	for _, is := range []bool{len(p.File) > 0, p.HTTP != nil, p.DNS != nil, p.Kubernetes != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		wrong = append(wrong, probe.Settingf("", "expected one of file, http, dns and kubernetes"))
	}
	for i, pattern := range p.File {
		if err := discovery.ValidatePattern(pattern); err != nil {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("file[%d]", i), "%s", err))
		}
	}
	if p.HTTP != nil {
		s := p.HTTP.Settings
		s.MaxBody = cmp.Or(s.MaxBody, discovery.MaxBytes)
		client, err := s.Client(p.HTTP.URL)
		p.client = client
		wrong = append(wrong, probe.InSetting("http", err))
	}
	if p.DNS != nil {
		wrong = append(wrong, probe.InSetting("dns", p.DNS.validate()))
	}
	if p.Kubernetes != nil {
		client, err := p.Kubernetes.Client()
		p.kube = client
		wrong = append(wrong, probe.InSetting("kubernetes", errors.Join(err, p.Kubernetes.validate())))
	}
	if p.Want < 1 || p.Want > discovery.MaxTargets {
		wrong = append(wrong, probe.Settingf("want", "expected 1 to %d, got %d", discovery.MaxTargets, p.Want))
	}
	p.nets, p.zones = nil, nil
	for i, w := range p.Within {
		if ip, err := netip.ParsePrefix(w); err == nil {
			p.nets = append(p.nets, ip.Masked())
		} else if host := strings.TrimPrefix(w, "."); probe.ValidHost(host) && strings.Trim(host, "0123456789.:") != "" {
			p.zones = append(p.zones, "."+strings.ToLower(strings.TrimSuffix(host, ".")))
		} else {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("within[%d]", i), "expected a name such as shop.example, or a network such as 10.0.0.0/8"))
		}
	}
	return errors.Join(wrong...)
}

func (d *DNS) validate() error {
	var wrong []error
	if !probe.ValidHost(d.Name) {
		wrong = append(wrong, probe.Settingf("name", "expected a name in DNS"))
	}
	switch d.Type {
	case "", "SRV":
		if d.Port != 0 {
			wrong = append(wrong, probe.Settingf("port", "has no effect: SRV records have their own"))
		}
	case "A", "AAAA":
		if d.Port < 1 || d.Port > 65535 {
			wrong = append(wrong, probe.Settingf("port", "expected 1 to 65535"))
		}
	default:
		wrong = append(wrong, probe.Settingf("record_type", "expected A, AAAA or SRV"))
	}
	if d.Resolver != "" {
		_, port, err := net.SplitHostPort(d.Resolver)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
			wrong = append(wrong, probe.Settingf("resolver", "expected host:port"))
		}
	}
	return errors.Join(wrong...)
}

func (k *Kubernetes) validate() error {
	return probe.InSetting("service", kubernetes.ValidateName(k.Service))
}

// ResolveFiles makes relative paths of files start at the directory of the configuration.
func (p *Probe) ResolveFiles(dir string) {
	for i, name := range p.File {
		if name != "" && !filepath.IsAbs(name) {
			p.File[i] = filepath.Join(dir, name)
		}
	}
}

// CheckFiles tells what is wrong with the files as they are.
func (p *Probe) CheckFiles() map[string]error {
	if len(p.File) == 0 {
		return nil
	}
	if _, o, _ := p.Local(); !o.Passed() {
		return map[string]error{"file": errors.New(o.Detail)}
	}
	return nil
}
