package dns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// TestDNS_records shows the records of each type as zone files have them.
func TestDNS_records(t *testing.T) {
	t.Parallel()
	unknown := func(kind dnsmessage.Type, data string) []dnsmessage.ResourceBody {
		return []dnsmessage.ResourceBody{&dnsmessage.UnknownResource{Type: kind, Data: []byte(data)}}
	}
	z := zone{
		"x.example. AAAA":    {&dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}},
		"x.example. SRV":     {&dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 443, Target: dnsmessage.MustNewName("www.x.example.")}},
		"y.example. CNAME":   {cname("www.x.example.")},
		"x.example. NS":      {ns("ns1.x.example.")},
		"x.example. PTR":     {&dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("host.x.example.")}},
		"x.example. TXT":     {&dnsmessage.TXTResource{TXT: []string{"~ \"\\", "\x1f\x7f"}}},
		"x.example. DS":      unknown(typeDS, "\x01\x02\x0d\x02\xab"),
		"x.example. TLSA":    unknown(typeTLSA, "\x03\x01\x01\xcd"),
		"x.example. CAA":     unknown(typeCAA, "\x00\x05issuea.example"),
		"x.example. SSHFP":   unknown(44, "\x01\x02"),
		"ds.example. DS":     unknown(typeDS, "\x01\x02\x0d\x02"),
		"tlsa.example. TLSA": unknown(typeTLSA, "\x03\x01\x01"),
		"caa.example. CAA":   unknown(typeCAA, "\x00\x06issue"),
		"six.example. AAAA":  unknown(dnsmessage.TypeAAAA, "\x20\x01\x0d\xb8"),
		"soa.example. SOA":   unknown(dnsmessage.TypeSOA, "\x00\x00\x00\x00\x00\x07"),
		"soa2.example. SOA":  unknown(dnsmessage.TypeSOA, strings.Repeat("\x00", 21)),
		"mx.example. MX":     unknown(dnsmessage.TypeMX, "\x00\x0a"),
		"srv.example. SRV":   unknown(dnsmessage.TypeSRV, "\x00\x01\x00\x01\x01\xbb"),
		"ns.example. NS":     unknown(dnsmessage.TypeNS, ""),
		"ptr.example. PTR":   unknown(dnsmessage.TypePTR, ""),
		"label.example. NS":  unknown(dnsmessage.TypeNS, "\x40"),
		"txt.example. TXT":   unknown(dnsmessage.TypeTXT, "\x05abc"),
		"long.example. MX":   unknown(dnsmessage.TypeMX, "\x00\x0a\x00\x00"),
		"cut.example. NS":    unknown(dnsmessage.TypeNS, "\xc0"),
		"open.example. NS":   unknown(dnsmessage.TypeNS, "\x02ns"),
		"alias.example. A":   unknown(dnsmessage.TypeCNAME, ""),
	}
	tests := map[string]dnsTest{}
	for asked, data := range map[string]string{
		"x.example AAAA": `2001:db8::1`, "x.example SRV": `1 2 443 www.x.example`, "x.example PTR": `host.x.example`, "x.example NS": `ns1.x.example`, "y.example CNAME": `www.x.example`,
		"x.example TXT": `"~ \"\\" "\031\127"`, "x.example DS": `258 13 2 AB`, "x.example TLSA": `3 1 1 CD`, "x.example CAA": `0 issue "a.example"`,
		"x.example SSHFP": `\# 2 0102`, "ds.example DS": `\# 4 01020D02`, "tlsa.example TLSA": `\# 3 030101`, "caa.example CAA": `\# 7 00066973737565`,
	} {
		var name, kind string
		fmt.Sscan(asked, &name, &kind)
		tests[asked] = dnsTest{sound(z), fmt.Sprintf("query_name: %s\nquery_type: %s\nexpect: {answer: {equals: ['%s']}}", name, kind, data), "pass\n*\n*\n*"}
	}
	for _, short := range []string{"six AAAA", "soa SOA", "soa2 SOA", "mx MX", "srv SRV", "ns NS", "ptr PTR", "alias A", "label NS", "txt TXT", "long MX", "cut NS", "open NS"} {
		name, kind, _ := strings.Cut(short, " ")
		tests["not of the form: "+short] = dnsTest{sound(z), "query_name: " + name + ".example\nquery_type: " + kind,
			"fail\nquery fail(protocol): expected a DNS message, got one whose records cannot be read"}
	}
	tests["a ttl of no record"] = dnsTest{sound(shop()), www + "query_type: MX\nexpect: {ttl: {max: 1m}}", "fail\n*\nrcode pass(ok): NOERROR\nanswer fail(no_record): *"}
	runTests(t, tests)
}

// TestRecords_absence: where nothing must be there, an answer that has nothing to do with the question would do.
func TestRecords_absence(t *testing.T) {
	one := []*expect.Pattern{nil}
	for name, c := range map[string]struct {
		records Records
		want    bool
	}{
		"min: 1":               {Records{Min: new(1)}, false},
		"max: 0":               {Records{Max: new(0)}, true},
		"max: 1":               {Records{Max: new(1)}, false},
		"not_match":            {Records{NotMatch: one}, true},
		"not_match, min: 0":    {Records{NotMatch: one, Min: new(0)}, true},
		"not_match, min: 1":    {Records{NotMatch: one, Min: new(1)}, false},
		"not_match, match":     {Records{NotMatch: one, Match: one}, false},
		"not_match, every":     {Records{NotMatch: one, Every: one}, false},
		"not_match, equals":    {Records{NotMatch: one, Equals: []string{"x"}}, false},
		"not_match, not_every": {Records{NotMatch: one, NotEvery: one}, false},
		"not_every":            {Records{NotEvery: one}, false},
	} {
		if got := c.records.absence(); got != c.want {
			t.Errorf("%s: got %t, expected %t", name, got, c.want)
		}
	}
	if (*Records)(nil).absence() {
		t.Error("a section of which nothing is expected need not be empty")
	}
}

func TestChecks(t *testing.T) {
	const one = "servers: [\"127.0.0.1:53\"]\n" + www
	for settings, want := range map[string]string{
		one: "[query rcode answer]",
		one + "expect: {authority: {min: 1}, additional: {min: 1}, edns: true}":                "[query rcode authority additional edns]",
		one + "expect: {authoritative: true, ttl: {max: 1h}}":                                  "[query authoritative rcode answer ttl]",
		one + "expect: {dnssec: valid}\nlatency: 1s":                                           "[query rcode answer dnssec latency]",
		one + "transport: tls\ncertificate: {fail: 1d}":                                        "[query rcode answer certificate]",
		"servers: [\"127.0.0.1:53\", \"127.0.0.2:53\"]\n" + www + "zone: {name: shop.example}": "[query authoritative rcode answer serial agreement]",
		www + "zone: {name: shop.example, want: 2}":                                            "[query authoritative rcode answer serial name_servers agreement]",
	} {
		if got := fmt.Sprint(load(t, settings).Checks()); got != want {
			t.Errorf("%s\ngot %s, expected %s", settings, got, want)
		}
	}
}

func TestCertificateWarning(t *testing.T) {
	const tls = "servers: [\"127.0.0.1:53\"]\ntransport: tls\n" + www
	for settings, want := range map[string]string{
		tls: " false", tls + "certificate: {fail: 1d}": " false", tls + "certificate: {warn: 30d, fail: 1d, severity: warning}": "warning true",
	} {
		severity, ok := load(t, settings).CertificateWarning()
		if got := fmt.Sprint(severity, " ", ok); got != want {
			t.Errorf("%s\ngot %s, expected %s", settings, got, want)
		}
	}
}

// TestDNS_share: a silent server takes half of the time where another question may follow from the answer, and all of it where
// none does.
func TestDNS_share(t *testing.T) {
	t.Parallel()
	const whole, half = 5*time.Second - margin, (5*time.Second - margin) / 2
	const at = "servers: [\"192.0.2.53:53\"]\n" + www
	for settings, want := range map[string]time.Duration{
		at: whole, at + "expect: {edns: true}": whole, at + "expect: {dnssec: valid}": half, "servers: [\"192.0.2.53:53\", \"192.0.2.54:53\"]\n" + www + "zone: {name: shop.example}": half,
		at + "expect: {answer: {not_match: [x]}}\ncontrol: {query_name: ftp.shop.example}": half,
	} {
		r := network{}.run(t, load(t, settings))[0]
		if took := r.Exchanges[0].Took; took != want {
			t.Errorf("%s\ngot %s, expected %s\n%s", settings, took, want, probetest.Lines(r))
		}
	}
}

// TestExpect_bogusAlone: an answer that must be refused has nothing that could be expected of it.
func TestExpect_bogusAlone(t *testing.T) {
	for name, e := range map[string]Expect{
		"rcode": {RCode: []string{"SERVFAIL"}}, "no_data": {NoData: true}, "answer": {Answer: &Records{Min: new(1)}}, "authority": {Authority: &Records{Min: new(1)}},
		"additional": {Additional: &Records{Min: new(1)}}, "ttl": {TTL: &TTL{Max: new(probe.Duration(1))}},
	} {
		e.DNSSEC = dnssecBogus
		if err := e.validateDNSSEC(&Probe{RecursionDesired: true}); err == nil {
			t.Errorf("%s: expected a mistake", name)
		}
	}
	if err := (&Expect{DNSSEC: dnssecBogus}).validateDNSSEC(&Probe{RecursionDesired: true}); err != nil {
		t.Error(err)
	}
}

// TestDomainName: a name has at most 253 bytes, and a label 63 (RFC 1035, section 2.3.4).
func TestDomainName(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:61]}, ".")
	for name, want := range map[string]bool{
		label + ".example": true, label + "a.example": false, long: true, long + ".": true, long + "a": false, ".": true, "a..example": false,
	} {
		if _, ok := domainName(name); ok != want {
			t.Errorf("%d bytes, %.70q: got %t", len(name), name, ok)
		}
	}
	for name, want := range map[string]bool{"WWW.Shop.example.": true, "shop.EXAMPLE.": true, "workshop.example.": false, "example.": false} {
		if got := within(name, "shop.example."); got != want {
			t.Errorf("%s within shop.example: got %t", name, got)
		}
	}
}
