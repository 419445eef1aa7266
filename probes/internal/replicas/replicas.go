// Package replicas says where the replicas of a service are and finds them.
package replicas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/text"
)

// MaxReplicas bounds how many replicas are asked at once, whatever a name server says.
const MaxReplicas = 100

// Replicas says where the replicas of a service are and how many there must be. The number is always declared and
// never taken from what was found: "0 of 0 are healthy" would be a false OK.
type Replicas struct {
	Static []string `yaml:"static" doc:"addresses, IP:port each; of type icmp without the port"`
	DNS    string   `yaml:"dns" doc:"name:port; every address of the name is a replica; of type icmp without the port"`
	SRV    string   `yaml:"srv" doc:"name of an SRV record, _port._tcp.name; every target is a replica"`
	Want   int      `yaml:"want" doc:"how many there must be"`

	portless bool // addresses are IPs, and dns is a name
}

// WithoutPorts is called before Validate by a kind whose replicas have no ports.
func (c *Replicas) WithoutPorts() { c.portless = true }

// None reports whether no replicas are configured.
func (c Replicas) None() bool { return len(c.Static) == 0 && c.DNS == "" && c.SRV == "" }

// Host names the service by where its replicas are, for want of a better name.
func (c Replicas) Host() string {
	switch {
	case c.DNS != "":
		return c.DNS
	case len(c.Static) > 0:
		return c.Static[0]
	}
	return c.SRV
}

// Addresses lists where the replicas are as it is configured: the addresses, or the name that is looked up.
func (c Replicas) Addresses() []string {
	switch {
	case c.DNS != "":
		return []string{c.DNS}
	case c.SRV != "":
		return []string{c.SRV}
	}
	return c.Static
}

// ValidateIPVersion reports what is wrong with the setting ip_version of a probe of the host, or of its replicas.
func (c *Replicas) ValidateIPVersion(v dial.IPVersion, host string) error {
	if err := v.Check(host); err != nil {
		return probe.Settingf("ip_version", "%s", err)
	}
	if v != "" && !c.None() {
		return probe.Settingf("ip_version", "has no effect beside replicas: each has its own address")
	}
	return nil
}

// Validate reports all invalid settings, joined.
func (c *Replicas) Validate() error {
	var wrong []error
	ways := 0
	for _, used := range []bool{len(c.Static) > 0, c.DNS != "", c.SRV != ""} {
		if used {
			ways++
		}
	}
	if ways == 0 && c.Want == 0 {
		c.Want = 1
		return nil
	}
	if ways > 1 {
		wrong = append(wrong, probe.Settingf("", "expected one of static, dns and srv"))
	}
	if c.Want < 1 || c.Want > MaxReplicas {
		wrong = append(wrong, probe.Settingf("want", "expected 1 to %d, got %d", MaxReplicas, c.Want))
	}
	if ways == 0 && c.Want > 1 {
		wrong = append(wrong, probe.Settingf("want", "is above 1, but static, dns and srv are missing"))
	}
	if len(c.Static) > MaxReplicas {
		wrong = append(wrong, probe.Settingf("static", "expected at most %d, got %d", MaxReplicas, len(c.Static)))
	}
	for i, address := range c.Static {
		same, ok := c.canonical(address)
		if !ok {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("static[%d]", i), "expected %s", c.form("IP")))
			continue
		}
		c.Static[i] = same
		if slices.Contains(c.Static[:i], c.Static[i]) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("static[%d]", i), "%s is listed twice", c.Static[i]))
		}
	}
	if len(c.Static) > 0 && c.Want > len(c.Static) {
		wrong = append(wrong, probe.Settingf("want", "expected at most the %d listed, got %d", len(c.Static), c.Want))
	}
	if c.DNS != "" && !c.validName() {
		wrong = append(wrong, probe.Settingf("dns", "expected %s", c.form("name")))
	}
	if c.SRV != "" && c.portless {
		wrong = append(wrong, probe.Settingf("srv", "expected static or dns: there are no ports"))
	}
	return errors.Join(wrong...)
}

// form is how an address is written.
func (c *Replicas) form(host string) string {
	if c.portless {
		return host + " without a port"
	}
	return host + ":port"
}

// canonical is the one form of an address, which can be written in many ways.
func (c *Replicas) canonical(address string) (same string, ok bool) {
	if c.portless {
		ip, err := netip.ParseAddr(address)
		return ip.Unmap().String(), err == nil
	}
	at, err := netip.ParseAddrPort(address)
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String(), err == nil
}

// validName reports whether dns has a port, if it must.
func (c *Replicas) validName() bool {
	if c.portless {
		return dial.IsHostPort(c.DNS + ":1")
	}
	_, port, err := net.SplitHostPort(c.DNS)
	n, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && bad == nil && n > 0
}

// Find returns the addresses to dial, sorted; for a service without replicas the one "". If there is nothing to dial, it
// returns false and notes on r why: the addresses are then empty, or nil if it is unknown whether there are any.
func (c Replicas) Find(ctx context.Context, r *probe.Result, resolver *net.Resolver) ([]string, bool) {
	if c.None() {
		return []string{""}, true
	}
	if len(c.Static) > 0 {
		return c.Static, true
	}
	found, err := c.lookup(ctx, resolver)
	if n, is := errors.AsType[tooMany](err); is {
		r.Inconclusive("replicas", probe.TooLarge, "found %d replicas; more than %d cannot be asked at once", n, MaxReplicas)
		return nil, false
	}
	if err != nil {
		o := dial.Explain(ctx, err)
		r.Report("replicas", o.Reason, "expected %s: %s", text.Count(c.Want, "replica"), o.Detail)
		if o.Reason == probe.NXDomain || o.Reason == probe.NoAddress {
			return []string{}, false
		}
		return nil, false
	}
	if len(found) == 0 {
		r.Fail("replicas", probe.Replicas, "expected %s, got none", text.Count(c.Want, "replica"))
		return []string{}, false
	}
	return found, true
}

// Note notes whether as many replicas were found as there must be, if any are configured.
func (c Replicas) Note(r *probe.Result, check string, found []string) {
	if c.None() {
		return
	}
	if len(found) < c.Want {
		r.Fail(check, probe.Replicas, "expected %s, got %d", text.Count(c.Want, "replica"), len(found))
		return
	}
	r.Pass(check, "expected %s, got %d", text.Count(c.Want, "replica"), len(found))
}

// tooMany is how many replicas there are, if they are more than MaxReplicas.
type tooMany int

func (n tooMany) Error() string { return text.Count(int(n), "replica") }

// lookup returns the addresses of all replicas, sorted, or how many there are if they are too many. Some of them would not do:
// those that are not asked may be the sick ones.
func (c Replicas) lookup(ctx context.Context, resolver *net.Resolver) ([]string, error) {
	found, err := c.lookupAll(ctx, resolver)
	if err != nil {
		return nil, err
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if len(found) > MaxReplicas {
		return nil, tooMany(len(found))
	}
	return found, nil
}

func (c Replicas) lookupAll(ctx context.Context, resolver *net.Resolver) ([]string, error) {
	if c.DNS != "" && c.portless {
		return addresses(ctx, resolver, c.DNS, "")
	}
	if c.DNS != "" {
		name, port, err := net.SplitHostPort(c.DNS)
		if err != nil {
			return nil, err
		}
		return addresses(ctx, resolver, name, port)
	}
	records, err := dial.Services(ctx, resolver, c.SRV)
	if err != nil {
		return nil, err
	}
	if len(records) > MaxReplicas {
		return nil, tooMany(len(records))
	}
	var found []string
	for _, record := range records {
		more, err := addresses(ctx, resolver, record.Target, strconv.Itoa(int(record.Port)))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// addresses resolves a name to the IPv4 addresses, or where there are none the IPv6 ones: a pod that has both is one
// replica, not two. They have the port, if there is one.
func addresses(ctx context.Context, resolver *net.Resolver, name, port string) ([]string, error) {
	four, six, err := dial.Addresses(ctx, resolver, name)
	if err != nil {
		return nil, err
	}
	if len(four) == 0 {
		four = six
	}
	var found []string
	for _, ip := range four {
		address := ip.String()
		if port != "" {
			address = net.JoinHostPort(address, port)
		}
		found = append(found, address)
	}
	return found, nil
}
