package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// The servers of TestReal_dns. They have port 53, since the name servers of a zone are asked there.
const (
	dnsResolver  = "127.77.0.1"
	dnsPrimary   = "127.77.0.2"
	dnsSecondary = "127.77.0.3"
	dnsStale     = "127.77.0.4" // has an old version of one zone, and not the other
	dnsNobody    = "127.77.0.9"
)

// TestReal_dns asks BIND and Unbound what dns asks: zones that are signed, one of them with a record that was changed afterwards, and a
// resolver that validates. Nothing is asked of anybody else: the resolver's servers for all other names are ours, and refuse.
func TestReal_dns(t *testing.T) {
	testenv.Real(t)
	if os.Getuid() != 0 {
		t.Skip("port 53 takes root")
	}
	dir, err := os.MkdirTemp("", "dns")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cert, key := certificate(t, 90*24*time.Hour)
	writeFile(t, dir, "cert.pem", cert)
	writeFile(t, dir, "key.pem", key)
	anchors := signZone(t, dir, "shop.example", 7, nil)
	anchors += signZone(t, dir, "bogus.example", 7, func(signed string) string { return strings.ReplaceAll(signed, "192.0.2.10", "192.0.2.66") })
	old := t.TempDir()
	signZone(t, old, "shop.example", 6, nil)
	for _, address := range []string{dnsPrimary, dnsSecondary, dnsStale} {
		loopbackAddress(t, address)
	}
	startBIND(t, dir, dnsPrimary, "shop.example", "bogus.example")
	startBIND(t, dir, dnsSecondary, "shop.example", "bogus.example")
	startBIND(t, old, dnsStale, "shop.example")
	startUnbound(t, dir, anchors)
	for _, address := range []string{dnsResolver + ":53", dnsResolver + ":853", dnsPrimary + ":53", dnsSecondary + ":53", dnsStale + ":53"} {
		testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err == nil {
				conn.Close()
			}
			return err
		})
	}

	var probes strings.Builder
	probes.WriteString("system: names\ntimeout: 10s\nprobes:\n")
	want := map[string]string{}
	add := func(name, settings, line string) {
		fmt.Fprintf(&probes, "  - {name: %s, type: dns, %s}\n", name, settings)
		want[name] = line
	}
	at := func(hosts ...string) string { return `servers: ["` + strings.Join(hosts, `:53", "`) + `:53"], ` }
	const (
		pass    = "ok"
		www     = "query_name: www.shop.example, "
		control = ", control: {query_name: www.shop.example}"
		found   = `resolver: "` + dnsResolver + `:53", zone: {name: shop.example, want: 2}, `
	)
	add("answer", at(dnsPrimary)+www+"expect: {answer: {equals: [192.0.2.10, 192.0.2.11]}, authoritative: true, edns: true, ttl: {max: 5m}}", pass)
	add("alias", at(dnsPrimary, dnsResolver)+"query_name: ftp.shop.example, expect: {answer: {equals: [192.0.2.10, 192.0.2.11]}}", pass)
	add("over-tcp", at(dnsPrimary, dnsResolver)+www+"transport: tcp", pass)
	add("truncated", at(dnsPrimary, dnsResolver)+"query_name: long.shop.example, query_type: TXT, expect: {answer: {min: 40}}", pass)
	add("without-edns", at(dnsPrimary)+www+"edns: {size: 0}", pass)
	add("mx", at(dnsResolver)+"query_name: shop.example, query_type: MX, expect: {answer: {equals: [10 mail.shop.example]}}", pass)
	add("caa", at(dnsPrimary)+`query_name: shop.example, query_type: CAA, expect: {answer: {equals: ['0 issue "ca.example"']}}`, pass)
	add("dnskey", at(dnsPrimary)+"query_name: shop.example, query_type: DNSKEY, edns: {dnssec_ok: true}, expect: {answer: {min: 2}}", pass)
	add("gone", at(dnsPrimary, dnsResolver)+"query_name: old.shop.example, expect: {rcode: [NXDOMAIN]}"+control, pass)
	add("no-data", at(dnsPrimary, dnsResolver)+"query_name: www.shop.example, query_type: MX, expect: {no_data: true}, control: {query_name: shop.example}", pass)
	add("not-open", at(dnsPrimary)+"query_name: www.other.example, expect: {rcode: [REFUSED]}"+control, pass)
	add("version", at(dnsPrimary)+"query_name: version.bind, query_type: TXT, query_class: CH, transport: tcp", pass) // BIND limits the rate of answers over UDP
	add("delegation", at(dnsPrimary)+`query_name: www.eu.shop.example, recursion_desired: false, expect: {authority: {match: ['\tNS\tns\.eu']}, additional: {match: ['\tA\t192\.0\.2\.53$']}}`, pass)
	add("zone", found+www+"expect: {answer: {min: 2}}", pass)
	add("validated", at(dnsResolver)+www+"expect: {dnssec: valid}", pass)
	add("over-tls", `servers: ["`+dnsResolver+`:853"], transport: tls, tls: {ca_file: cert.pem, server_name: 127.0.0.1}, certificate: {fail: 14d}, `+www+"expect: {dnssec: valid}", pass)
	add("bogus-is-refused", at(dnsResolver)+"query_name: www.bogus.example, expect: {dnssec: bogus}", pass)

	add("name-gone", at(dnsResolver)+"query_name: old.shop.example", "expected NOERROR, got NXDOMAIN")
	add("record-gone", at(dnsResolver)+www+"query_type: MX", "the name exists without such a record")
	add("changed", at(dnsPrimary)+www+"expect: {answer: {equals: [192.0.2.10]}}", "expected 192.0.2.10, got")
	add("refused", at(dnsPrimary)+"query_name: www.other.example", "expected NOERROR, got REFUSED")
	add("stale", at(dnsPrimary, dnsStale)+"zone: {name: shop.example, max_lag: 0s}, "+www, "expected serial 7, got 6 from "+dnsStale+":53")
	add("lame", at(dnsPrimary, dnsStale)+"zone: {name: bogus.example}, query_name: www.bogus.example", "expected an answer with authority, got REFUSED")
	add("too-few", strings.Replace(found, "want: 2", "want: 3", 1)+www, "expected 3 name servers, got 2")
	add("bogus", at(dnsResolver)+"query_name: www.bogus.example, expect: {dnssec: valid}", "DNSSEC is broken, and not the server")
	add("resolver-fails", at(dnsResolver)+"query_name: www.dead.example, expect: {dnssec: valid}", "expected NOERROR, got SERVFAIL")
	add("not-validated", at(dnsPrimary)+www+"expect: {dnssec: valid}", "expected an answer that is validated (AD)")
	add("nobody", at(dnsNobody)+www, "connection refused by "+dnsNobody+":53")
	add("untrusted", `servers: ["`+dnsResolver+`:853"], transport: tls, `+www, "the certificate")

	runs, err := strconv.Atoi(testenv.Runs())
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, dir, "prober.yaml", probes.String())
	for range runs {
		askRealDNS(t, file, want)
	}
}

// askRealDNS runs all probes once. Each must pass, or fail for what is wanted.
func askRealDNS(t *testing.T, file string, want map[string]string) {
	t.Helper()
	for _, p := range askOnce(t, file, len(want)) {
		said := p.said(false)
		line := want[p.Name]
		if line == "ok" && p.Verdict != "pass" || line != "ok" && (p.Verdict != "fail" || !strings.Contains(said, line)) {
			t.Errorf("%s: expected %q, got %s: %s", p.Name, line, p.Verdict, said)
		}
	}
}

// signZone writes a zone and signs it, then changes what was signed. It returns the trust anchor.
func signZone(t *testing.T, dir, name string, serial int, change func(string) string) string {
	t.Helper()
	var zone strings.Builder
	fmt.Fprintf(&zone, `$TTL 300
@ IN SOA ns1 hostmaster %d 3600 600 86400 60
@ NS ns1
@ NS ns2
@ A 192.0.2.10
@ MX 10 mail
@ CAA 0 issue "ca.example"
ns1 A %s
ns2 A %s
mail A 192.0.2.25
www A 192.0.2.10
www A 192.0.2.11
ftp CNAME www
eu NS ns.eu
ns.eu A 192.0.2.53
`, serial, dnsPrimary, dnsSecondary)
	for i := range 40 {
		fmt.Fprintf(&zone, "long TXT \"%02d %s\"\n", i, strings.Repeat("x", 60))
	}
	writeFile(t, dir, name, zone.String())
	in := func(program string, args ...string) string {
		cmd := exec.Command(testenv.Need(t, program), args...)
		cmd.Dir = dir
		out, err := testenv.Run(t, cmd)
		if err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
		return out
	}
	in("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", name)
	in("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", name)
	in("dnssec-signzone", "-S", "-o", name, "-f", name+".signed", name)
	signed, err := os.ReadFile(filepath.Join(dir, name+".signed"))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		writeFile(t, dir, name+".signed", change(string(signed)))
	}
	anchors, err := os.ReadFile(filepath.Join(dir, "dsset-"+name+"."))
	if err != nil {
		t.Fatal(err)
	}
	return string(anchors)
}

// loopbackAddress gives the loopback interface one more address. BIND listens only on those that an interface has, though all of
// 127.0.0.0/8 leads there.
func loopbackAddress(t *testing.T, address string) {
	t.Helper()
	ip := testenv.Need(t, "ip")
	if out, err := testenv.Run(t, exec.Command(ip, "address", "add", address+"/32", "dev", "lo")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		if err := exec.Command(ip, "address", "delete", address+"/32", "dev", "lo").Run(); err != nil {
			t.Error(err)
		}
	})
}

// startBIND serves zones with authority, and answers nothing else.
func startBIND(t *testing.T, dir, address string, zones ...string) *testenv.Process {
	t.Helper()
	var conf strings.Builder
	fmt.Fprintf(&conf, `options {
	directory "%s";
	listen-on port 53 { %s; };
	listen-on-v6 { none; };
	pid-file none;
	session-keyfile none;
	recursion no;
	notify no;
	empty-zones-enable no;
	dnssec-validation no;
};
controls { };
`, t.TempDir(), address)
	for _, zone := range zones {
		fmt.Fprintf(&conf, "zone %q { type primary; file %q; };\n", zone, filepath.Join(dir, zone+".signed"))
	}
	return testenv.Start(t, testenv.Need(t, "named"), "-g", "-4", "-n", "1", "-c", writeFile(t, t.TempDir(), "named.conf", conf.String()))
}

// startUnbound starts a resolver that validates by the trust anchors. It asks our servers only, whatever the name.
func startUnbound(t *testing.T, dir, anchors string) {
	t.Helper()
	writeFile(t, dir, "anchors", anchors)
	conf := strings.NewReplacer("DIR", dir, "SELF", dnsResolver, "PRIMARY", dnsPrimary).Replace(`server:
  interface: SELF@53
  interface: SELF@853
  tls-port: 853
  tls-service-key: DIR/key.pem
  tls-service-pem: DIR/cert.pem
  directory: DIR
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  trust-anchor-file: DIR/anchors
remote-control:
  control-enable: no
stub-zone:
  name: "."
  stub-addr: PRIMARY
stub-zone:
  name: shop.example
  stub-addr: PRIMARY
stub-zone:
  name: bogus.example
  stub-addr: PRIMARY
`)
	testenv.Start(t, testenv.Need(t, "unbound"), "-d", "-c", writeFile(t, dir, "unbound.conf", conf))
}
