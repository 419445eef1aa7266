package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestReal_discoveryDNS has a serving prober follow SRV, A and AAAA records of BIND while their zone changes: more than fit into a datagram,
// without the records, without the name, and while the server cannot answer.
func TestReal_discoveryDNS(t *testing.T) {
	testenv.Real(t)
	if os.Getuid() != 0 {
		t.Skip("port 53 takes root")
	}
	port := testenv.Listen(t, func(http.ResponseWriter, *http.Request) {}, "127.0.0.1", "127.0.0.2", "127.0.0.3", "::1")
	dir := t.TempDir()
	serial := 0
	zone := func(records string) {
		serial++
		writeFile(t, dir, "shop.test.signed", fmt.Sprintf("$TTL 1\n@ IN SOA ns hostmaster %d 3600 600 86400 1\n@ NS ns\nns A %s\na A 127.0.0.1\nb A 127.0.0.2\nc A 127.0.0.3\n%s", serial, dnsPrimary, records))
	}
	srv := func(hosts ...string) (records string) {
		for _, host := range hosts {
			records += fmt.Sprintf("_web._tcp SRV 0 0 %s %s\n", port, host)
		}
		return records
	}
	const four, six = "pods A 127.0.0.1\npods A 127.0.0.2\n", "pods AAAA ::1\n"
	zone(srv("a", "b") + four + six)
	writeFile(t, dir, "broken.test.signed", "this is no zone\n")
	loopbackAddress(t, dnsPrimary)
	bind := startBIND(t, dir, dnsPrimary, "shop.test", "broken.test")
	testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", dnsPrimary+":53")
		if err == nil {
			conn.Close()
		}
		return err
	})

	file := writeFile(t, dir, "prober.yaml", strings.NewReplacer("SERVER", dnsPrimary+":53", "PORT", port).Replace(`
system: shop
interval: 1s
timeout: 900ms
probes:
  - {name: services, type: targets, want: 2, dns: {name: _web._tcp.shop.test, resolver: "SERVER"}}
  - {for_each: services, name: "srv-{host}", type: http, url: "http://{target}/", resolver: "SERVER"}
  - {name: four, type: targets, want: 2, dns: {name: pods.shop.test, record_type: A, port: PORT, resolver: "SERVER"}}
  - {for_each: four, name: "a-{host}", type: http, url: "http://{target}/"}
  - {name: six, type: targets, want: 1, dns: {name: pods.shop.test, record_type: AAAA, port: PORT, resolver: "SERVER"}}
  - {for_each: six, name: "aaaa{host}", type: http, url: "http://{target}/health"}
  - {name: unloaded, type: targets, want: 1, dns: {name: _web._tcp.broken.test, resolver: "SERVER"}}
  - {for_each: unloaded, name: "unloaded-{host}", type: http, url: "http://{target}/"}
  - {name: foreign, type: targets, want: 1, dns: {name: _web._tcp.other.test, resolver: "SERVER"}}
  - {for_each: foreign, name: "foreign-{host}", type: http, url: "http://{target}/"}
`))
	kept := filepath.Join(dir, "state")
	p := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	series := func(lists, made string) {
		t.Helper()
		all := strings.Fields(made + "foreign=0 unloaded=0 " + lists)
		slices.Sort(all)
		p.waitForSeries(t, "probe_success", strings.Join(all, " ")+" ")
	}
	said := func(list, reason, part string) {
		t.Helper()
		p.waitForMetric(t, fmt.Sprintf(`probe_failures_total{probe="%s",system="shop",type="targets",check="list",reason="%s"`, list, reason))
		if _, page, err := p.get("/probes/shop/" + list); err != nil || !strings.Contains(page, part) || !strings.Contains(page, "the last list stays") {
			t.Errorf("%v: the page of %s does not say %q:\n%s", err, list, part, page)
		}
	}
	stay := func(lists, made string) {
		t.Helper()
		series(lists, made)
		_, body, _ := p.get("/metrics")
		p.waitForRuns(t, "services", countRuns(body, "services")+2)
		series(lists, made)
	}
	change := func(records string) {
		t.Helper()
		zone(records)
		if err := bind.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}

	const addresses = "a-127.0.0.1=1 a-127.0.0.2=1 aaaa--1=1 "
	series("four=1 services=1 six=1 ", addresses+"srv-a.shop.test=1 srv-b.shop.test=1 ")
	said("unloaded", "dns_servfail", "the name server fails")
	said("foreign", "dns_servfail", "the name server fails")
	change(srv("b", "c") + "pods A 127.0.0.2\npods A 127.0.0.3\n" + six)
	series("four=1 services=1 six=1 ", "a-127.0.0.2=1 a-127.0.0.3=1 aaaa--1=1 srv-b.shop.test=1 srv-c.shop.test=1 ")
	// More than a datagram holds: a list is whole, over TCP.
	var many []string
	made := addresses
	records := four + six
	for i := range 60 {
		host := fmt.Sprintf("one-of-many-hosts-with-a-long-name-%03d", i)
		many = append(many, host)
		records += host + " A 127.0.0.1\n"
		made += "srv-" + host + ".shop.test=1 "
	}
	change(srv(many...) + records)
	series("four=1 services=1 six=1 ", made)
	change(srv("a") + four + six) // too few, and believed
	series("four=1 services=0 six=1 ", addresses+"srv-a.shop.test=1 ")
	// Neither of the records, then not even the names: the last lists stay.
	change("_web._tcp TXT none\npods TXT none\n")
	stay("four=0 services=0 six=0 ", addresses+"srv-a.shop.test=1 ")
	said("six", "no_address", "the name exists and has no address")
	said("services", "no_address", "the name exists and has no SRV record")
	change("")
	said("four", "dns_nxdomain", "expected a list: the name does not exist")
	stay("four=0 services=0 six=0 ", addresses+"srv-a.shop.test=1 ")
	change("_web._tcp SRV 0 0 0 .\n" + four + six) // the service is decidedly not there (RFC 2782)
	stay("four=1 services=0 six=1 ", addresses+"srv-a.shop.test=1 ")
	said("services", "empty_list", "expected targets, got an empty list")
	if err := bind.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	stay("four=0 services=0 six=0 ", addresses+"srv-a.shop.test=0 ") // its own name is looked up there, too
}
