package dns

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/probes/internal/probetest"
)

// A test is a server, the settings of a probe, and what the probe says.
type dnsTest struct {
	reply    reply
	settings string // without the servers
	want     string
}

func runTests(t *testing.T, tests map[string]dnsTest) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, test.reply)
			p := load(t, "servers: [\""+address+"\"]\n"+test.settings)
			got := probetest.Lines(probetest.Run(t, Kind(), p))
			wantPattern(t, strings.ReplaceAll(got, "@"+address, ""), test.want)
		})
	}
}

const www = "query_name: www.shop.example\n"

// TestDNS shows what a server is told of.
func TestDNS(t *testing.T) {
	t.Parallel()
	refuses := changed(func(_ dnsmessage.Message, m *dnsmessage.Message) { m.Answers, m.RCode = nil, dnsmessage.RCodeRefused })
	control := "control: {query_name: www.shop.example}\n"
	runTests(t, map[string]dnsTest{
		"a name":               {sound(shop()), www, "pass\nquery pass(ok): answered over UDP\nrcode pass(ok): NOERROR\nanswer pass(ok): 192.0.2.1 and 192.0.2.2"},
		"over TCP":             {sound(shop()), www + "transport: tcp", "pass\nquery pass(ok): answered over TCP\n*\n*"},
		"an alias":             {sound(shop()), "query_name: ftp.shop.example\nexpect: {answer: {equals: [192.0.2.2, 192.0.2.1]}}", "pass\n*\n*\nanswer pass(ok): 3 records as expected"},
		"another address":      {sound(shop()), www + "expect: {answer: {equals: [192.0.2.1, 192.0.2.3]}}", "fail\n*\n*\nanswer fail(records): expected 192.0.2.1 and 192.0.2.3, got 192.0.2.1 and 192.0.2.2"},
		"one too few":          {sound(shop()), www + "expect: {answer: {equals: [192.0.2.1]}}", "fail\n*\n*\nanswer fail(records): *"},
		"no such name":         {sound(shop()), "query_name: old.shop.example", "fail\nquery pass(ok): *\nrcode fail(dns_nxdomain): expected NOERROR, got NXDOMAIN: the name does not exist"},
		"no such record":       {sound(shop()), www + "query_type: AAAA", "fail\n*\n*\nanswer fail(no_record): expected a record, got none: the name exists without such a record"},
		"refused":              {refuses, www, "fail\n*\nrcode fail(rcode): expected NOERROR, got REFUSED"},
		"servfail":             {changed(func(_ dnsmessage.Message, m *dnsmessage.Message) { m.Answers, m.RCode = nil, 2 }), www, "fail\n*\nrcode fail(servfail): expected NOERROR, got SERVFAIL"},
		"mx":                   {sound(shop()), "query_name: shop.example\nquery_type: MX\nexpect: {answer: {equals: [10 MAIL.shop.example]}}", "pass\n*\n*\n*"},
		"txt":                  {sound(shop()), "query_name: shop.example\nquery_type: TXT\nexpect: {answer: {equals: [v=spf1 -all]}}", "pass\n*\n*\n*"},
		"txt in other case":    {sound(shop()), "query_name: shop.example\nquery_type: TXT\nexpect: {answer: {equals: [V=spf1 -all]}}", "fail\n*\n*\nanswer fail(records): expected V=spf1 -all, got 1 record"},
		"caa":                  {sound(shop()), "query_name: shop.example\nquery_type: CAA\nexpect: {answer: {equals: ['0 issue \"letsencrypt.org\"']}}", "pass\n*\n*\n*"},
		"a type by its number": {sound(shop()), "query_name: shop.example\nquery_type: TYPE257", "pass\n*\n*\nanswer pass(ok): 1 record"},

		"a pattern":                         {sound(shop()), www + `expect: {answer: {match: ['\tA\t192\.0\.2\.2$'], every: ['^www\.shop\.example\.\t300\tIN\t'], not_match: ['192\.0\.2\.9']}}`, "pass\n*\n*\nanswer pass(ok): 2 records as expected"},
		"a pattern that none matches":       {sound(shop()), www + `expect: {answer: {match: ['192\.0\.2\.9']}}`, "fail\n*\n*\nanswer fail(records): expected a record that matches /192\\.0\\.2\\.9/, got 192.0.2.1 and 192.0.2.2: none does"},
		"a pattern that one does not match": {sound(shop()), www + `expect: {answer: {every: ['2\.1$']}}`, "fail\n*\n*\nanswer fail(records): *: one does not"},
		"a pattern that must not match":     {sound(shop()), www + `expect: {answer: {match: [A], not_match: ['2\.1$']}}`, "fail\n*\n*\nanswer fail(records): *: one does"},
		"a pattern that all match":          {sound(shop()), www + `expect: {answer: {not_every: ['192']}}`, "fail\n*\n*\nanswer fail(records): *: all do"},
		"too few":                           {sound(shop()), www + "expect: {answer: {min: 3}}", "fail\n*\n*\nanswer fail(records): expected at least 3 records, got 2"},
		"too many":                          {sound(shop()), www + "expect: {answer: {max: 1}}", "fail\n*\n*\nanswer fail(records): expected at most 1 record, got 2"},

		"absent":                           {sound(shop()), "query_name: old.shop.example\nexpect: {rcode: [NXDOMAIN]}\n" + control, "pass\n*\nrcode pass(ok): NXDOMAIN; the control www.shop.example has 2 records"},
		"absent, and so is the control":    {sound(zone{}), "query_name: old.shop.example\nexpect: {rcode: [NXDOMAIN]}\n" + control, "inconclusive\n*\nrcode inconclusive(control_failed): the control www.shop.example did not hold: expected NOERROR, got NXDOMAIN"},
		"absent, and the control is empty": {sound(shop()), "query_name: old.shop.example\nexpect: {rcode: [NXDOMAIN]}\ncontrol: {query_name: shop.example}\n", "inconclusive\n*\nrcode inconclusive(control_failed): the control shop.example did not hold: expected a record, got none"},
		"absent, and the control has one":  {sound(shop()), "query_name: old.shop.example\nexpect: {rcode: [NXDOMAIN]}\ncontrol: {query_name: shop.example, query_type: MX}\n", "pass\n*\nrcode pass(ok): NXDOMAIN; the control shop.example has 1 record"},
		"not absent":                       {sound(shop()), "query_name: ftp.shop.example\nexpect: {rcode: [NXDOMAIN]}\n" + control, "fail\n*\nrcode fail(rcode): expected NXDOMAIN, got NOERROR with 192.0.2.1 and 192.0.2.2"},
		"no data in place of NXDOMAIN":     {sound(shop()), "query_name: shop.example\nexpect: {rcode: [NXDOMAIN]}\n" + control, "fail\n*\nrcode fail(rcode): expected NXDOMAIN, got NOERROR with no record"},
		"no data":                          {sound(shop()), "query_name: shop.example\nexpect: {no_data: true}\n" + control, "pass\n*\nrcode pass(ok): the name exists and has no such record; *"},
		"NXDOMAIN in place of no data":     {sound(shop()), "query_name: old.shop.example\nexpect: {no_data: true}\n" + control, "fail\n*\nrcode fail(dns_nxdomain): *"},
		"data in place of none":            {sound(shop()), www + "expect: {no_data: true}\ncontrol: {query_name: shop.example, query_type: MX}", "fail\n*\nrcode fail(records): expected no record, got 192.0.2.1 and 192.0.2.2"},
		"refused as expected":              {refuses, "query_name: other.example\nexpect: {rcode: [REFUSED]}\n" + control, "inconclusive\n*\nrcode inconclusive(control_failed): *got REFUSED"},
		"a pattern that must be absent":    {sound(shop()), www + `expect: {answer: {not_match: ['192\.0\.2\.9']}}` + "\n" + `control: {query_name: ftp.shop.example, match: '192\.0\.2\.1'}`, "pass\n*\n*\nanswer pass(ok): 2 records as expected; the control ftp.shop.example has 2 records"},
		"a pattern that the control lacks": {sound(shop()), www + `expect: {answer: {not_match: ['192\.0\.2\.9']}}` + "\n" + `control: {query_name: ftp.shop.example, match: '192\.0\.2\.9'}`, "inconclusive\n*\n*\nanswer inconclusive(control_failed): the control ftp.shop.example did not hold: expected a record that matches /192\\.0\\.2\\.9/, got 3 records that do not"},

		"ttl":                   {sound(shop()), www + "expect: {ttl: {min: 1m, max: 5m}}", "pass\n*\n*\n*\nttl pass(ok): 300 s"},
		"a ttl that just holds": {sound(shop()), www + "expect: {ttl: {min: 5m, max: 5m}}", "pass\n*\n*\n*\nttl pass(ok): 300 s"},
		"a short ttl":           {sound(shop()), www + "expect: {ttl: {min: 10m}}", "fail\n*\n*\n*\nttl fail(ttl): expected a TTL of at least 10m, got 300 s"},
		"a long ttl":            {sound(shop()), www + "expect: {ttl: {max: 1m}}", "fail\n*\n*\n*\nttl fail(ttl): expected a TTL of at most 1m, got 300 s"},
		"the ttl of one record": {sound(shop()), "query_name: shop.example\nquery_type: MX\nexpect: {ttl: {min: 10m}}", "fail\n*\n*\n*\nttl fail(ttl): expected a TTL of at least 10m, got 300 s"},
		"a ttl of 0": {changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
			for i := range m.Answers {
				m.Answers[i].Header.TTL = 0
			}
		}), www + "expect: {ttl: {max: 0s}}", "pass\n*\n*\n*\nttl pass(ok): 0 s"},
		"absent, as is its ttl": {sound(shop()), "query_name: old.shop.example\nexpect: {rcode: [NXDOMAIN, NOERROR], ttl: {max: 1h}}\n" + control, "pass\n*\nrcode pass(ok): NXDOMAIN; *"},
		"the data of a SOA":     {sound(shop()), "query_name: shop.example\nquery_type: SOA\nexpect: " + `{answer: {match: ['\tSOA\t\S+\. \S+\. [0-9]+ [0-9]+ [0-9]+ [0-9]+ [0-9]+$']}}`, "pass\n*\n*\nanswer pass(ok): 1 record as expected"},
		"latency":               {sound(shop()), www + "latency: 4s", "pass\n*\nlatency pass(ok): *\n*\n*"},
		"edns":                  {sound(shop()), www + "expect: {edns: true}", "pass\n*\nedns pass(ok): *\n*\n*"},
		"no edns":               {changed(func(_ dnsmessage.Message, m *dnsmessage.Message) { m.Additionals = nil }), www + "expect: {edns: true}", "fail\n*\nedns fail(no_edns): *\n*\n*"},
		"authority":             {sound(shop()), www + "expect: {authoritative: true}", "pass\n*\nauthoritative pass(ok): *\n*\n*"},
		"no authority":          {changed(func(_ dnsmessage.Message, m *dnsmessage.Message) { m.Authoritative = false }), www + "expect: {authoritative: true}", "fail\n*\nauthoritative fail(lame): *"},
		"a code beyond four bits": {changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
			m.Answers = nil
			_ = m.Additionals[0].Header.SetEDNS0(1232, 16, false)
		}), www, "fail\n*\nrcode fail(rcode): expected NOERROR, got BADVERS"},
	})
}

// TestDNS_sections shows what is expected of the sections beside the answer.
func TestDNS_sections(t *testing.T) {
	t.Parallel()
	delegated := changed(func(_ dnsmessage.Message, m *dnsmessage.Message) {
		m.RCode, m.Authoritative, m.Answers = 0, false, nil
		m.Authorities = []dnsmessage.Resource{resource("eu.shop.example.", ns("ns1.eu.shop.example.")), resource("other.example.", ns("ns.other.example."))}
		m.Additionals = append(m.Additionals, resource("ns1.eu.shop.example.", a("192.0.2.53")), resource("ns.other.example.", a("192.0.2.66")))
	})
	const name = "query_name: www.eu.shop.example\n"
	runTests(t, map[string]dnsTest{
		"a delegation":                 {delegated, name + `expect: {authority: {match: ['NS\tns1\.eu'], max: 1}, additional: {match: ['A\t192\.0\.2\.53$'], max: 1}}`, "pass\n*\n*\nauthority pass(ok): 1 record as expected\nadditional pass(ok): 1 record as expected"},
		"a delegation has no TTL":      {delegated, name + `expect: {authority: {match: ['NS\tns1\.eu'], max: 1}, ttl: {max: 1h}}`, "fail\n*\n*\nanswer fail(no_record): expected a record, got a referral to other name servers\n*"},
		"a delegation elsewhere":       {delegated, name + `expect: {authority: {match: ['NS\tns\.other']}}`, "fail\n*\n*\nauthority fail(records): expected a record that matches /NS\\tns\\.other/, got 1 record: none does"},
		"glue for another host":        {delegated, name + `expect: {additional: {match: ['192\.0\.2\.66$']}}`, "fail\n*\n*\nadditional fail(records): *, got 192.0.2.53: none does"},
		"a referral, and no answer":    {delegated, name, "fail\n*\n*\nanswer fail(no_record): expected a record, got a referral to other name servers"},
		"a referral is not no data":    {delegated, name + "expect: {no_data: true}\ncontrol: {query_name: www.shop.example}", "fail\n*\nrcode fail(records): expected an answer without records, got a referral to other name servers"},
		"a section that must be empty": {delegated, name + "expect: {additional: {max: 0}}\ncontrol: {query_name: www.shop.example}", "fail\n*\n*\nadditional fail(records): expected at most 0 records, got 1"},
	})
}

// TestDNS_validation shows how broken DNSSEC is told from a broken server, and whom the prober believes.
func TestDNS_validation(t *testing.T) {
	t.Parallel()
	validates := changed(func(q dnsmessage.Message, m *dnsmessage.Message) { m.AuthenticData = true })
	bogus := changed(func(q dnsmessage.Message, m *dnsmessage.Message) {
		if !q.CheckingDisabled {
			m.RCode, m.Answers = dnsmessage.RCodeServerFailure, nil
		}
	})
	broken := changed(func(q dnsmessage.Message, m *dnsmessage.Message) {
		m.RCode, m.Answers = dnsmessage.RCodeServerFailure, nil
	})
	const valid, refused = www + "expect: {dnssec: valid}", www + "expect: {dnssec: bogus}"
	runTests(t, map[string]dnsTest{
		"validated":            {validates, valid, "pass\n*\n*\n*\ndnssec pass(ok): validated by the resolver"},
		"not validated":        {sound(shop()), valid, "fail\n*\n*\n*\ndnssec fail(not_validated): *"},
		"broken signatures":    {bogus, valid, "fail\nquery pass(ok): *\ndnssec fail(dnssec_bogus): expected an answer that is validated, got SERVFAIL, and NOERROR with checking disabled (CD): DNSSEC is broken, and not the server"},
		"a broken server":      {broken, valid, "fail\n*\nrcode fail(servfail): expected NOERROR, got SERVFAIL"},
		"bogus is refused":     {bogus, refused, "pass\n*\nrcode pass(ok): SERVFAIL\ndnssec pass(ok): *"},
		"bogus is not refused": {sound(shop()), refused, "fail\n*\nrcode fail(bogus_accepted): *"},
		"all is refused":       {broken, refused, "inconclusive\n*\nrcode pass(ok): SERVFAIL\ndnssec inconclusive(control_failed): expected a record with checking disabled (CD), got SERVFAIL with no record"},
	})
	server := httptest.NewTLSServer(nil)
	server.Close()
	overTLS := func(nc net.Conn, _ string) {
		serveStream(tls.Server(nc, &tls.Config{Certificates: server.TLS.Certificates}), validates)
	}
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[string]string{ // of a resolver elsewhere
		"":                 "inconclusive\n*\n*\n*\ndnssec@* inconclusive(unprotected_path): *",
		"transport: tcp\n": "inconclusive\n*\n*\n*\ndnssec@* inconclusive(unprotected_path): *",
		"transport: tls\ntls: {insecure_skip_verify: true}\n":                           "inconclusive\n*\n*\n*\ndnssec@* inconclusive(unprotected_path): *",
		"transport: tls\ntls: {ca_file: " + authority + ", server_name: example.com}\n": "pass\n*\n*\n*\ndnssec@* pass(ok): validated by the resolver",
	} {
		n := network{"192.0.2.53:53": talks(validates), "192.0.2.53:853": overTLS}
		port := "53"
		if strings.Contains(settings, "tls") {
			port = "853"
		}
		got := n.run(t, load(t, "servers: [\"192.0.2.53:"+port+"\"]\n"+settings+valid))[0]
		wantPattern(t, probetest.Lines(got), want)
	}
}

// TestProbe_asks shows what is sent.
func TestProbe_asks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings      string
		recursion, do bool
		size          int
	}{
		"by default":        {"", true, false, 1232},
		"without recursion": {"recursion_desired: false\n", false, false, 1232},
		"without EDNS":      {"edns: {size: 0}\n", true, false, 0},
		"with signatures":   {"edns: {size: 4096, dnssec_ok: true}\n", true, true, 4096},
		"DNSSEC":            {"expect: {dnssec: valid}\n", true, true, 1232},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan dnsmessage.Message, 10)
			address := serve(t, func(q dnsmessage.Message, _ string) [][]byte {
				asked <- q
				return [][]byte{pack(shop().answer(q))}
			})
			probetest.Run(t, Kind(), load(t, www+test.settings+"servers: [\""+address+"\"]"))
			q := <-asked
			size, do := 0, false
			for _, one := range q.Additionals {
				size, do = int(one.Header.Class), one.Header.DNSSECAllowed()
			}
			if q.RecursionDesired != test.recursion || do != test.do || size != test.size || q.CheckingDisabled {
				t.Errorf("got RD %t, DO %t, size %d, CD %t", q.RecursionDesired, do, size, q.CheckingDisabled)
			}
			if len(asked) > 0 {
				t.Errorf("expected one question, got %d more", len(asked))
			}
		})
	}
}
