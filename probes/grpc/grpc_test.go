package grpc

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/encoding/protowire"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// TestGRPC names for each answer what it means.
func TestGRPC(t *testing.T) {
	const wantMessage = "fail\nstatus fail(malformed_message): expected one message, got "
	const unreadable = "fail\nstatus fail(malformed_message): expected a HealthCheckResponse, got * that cannot be read as one"
	message := func(b ...byte) func(*call) { return func(c *call) { c.say(b) } }
	body := func(b ...byte) func(*call) { return func(c *call) { c.body(b) } }
	fails := func(code string) func(*call) { return func(c *call) { c.fail(code) } }
	sends := func(pairs ...string) func(*call) { return func(c *call) { c.send(true, pairs...) } }
	ended := func(trailer ...string) func(*call) {
		return func(c *call) {
			c.begin()
			_ = c.WriteData(c.stream, len(trailer) == 0, frame(0, reply(serving)))
			if len(trailer) > 0 {
				c.send(true, trailer...)
			}
		}
	}
	for name, test := range map[string]struct {
		answer   func(*call)
		settings string
		want     string
	}{
		"serving":                  {always(serving), "", "pass\nstatus pass(ok): SERVING"},
		"not serving":              {always(notServing), "", "fail\nstatus fail(not_serving): expected SERVING, got NOT_SERVING"},
		"rightly not serving":      {always(notServing), "    status: NOT_SERVING\n", "pass\nstatus pass(ok): NOT_SERVING"},
		"wrongly serving":          {always(serving), "    status: NOT_SERVING\n", "fail\nstatus fail(serving): expected NOT_SERVING, got SERVING"},
		"unknown":                  {always(unknown), "", "fail\nstatus fail(unknown_health): expected SERVING, got UNKNOWN"},
		"unknown by an empty text": {message(), "", "fail\nstatus fail(unknown_health): expected SERVING, got UNKNOWN"},
		"a health that is new":     {always(4), "", "fail\nstatus fail(unknown_health): expected SERVING, got a value that does not exist"},
		"serving, cut to 32 bits":  {message(protowire.AppendVarint([]byte{8}, 1<<32+1)...), "", "fail\nstatus fail(unknown_health): *"},
		"service unknown":          {always(serviceUnknown), "", "fail\nstatus fail(service_unknown): expected SERVING, got SERVICE_UNKNOWN"},
		"fields that are new":      {message(append([]byte{0x12, 2, 'a', 'b', 0x1d, 1, 2, 3, 4}, reply(serving)...)...), "", "pass\nstatus pass(ok): SERVING"},
		"the last of two":          {message(append(reply(serving), reply(notServing)...)...), "", "fail\nstatus fail(not_serving): *"},

		"not found":            {fails("5"), "", "fail\nstatus fail(service_unknown): expected SERVING, got the status NOT_FOUND (5): the server says nothing of itself as a whole; name its services"},
		"unimplemented":        {fails("12"), "", "fail\nstatus fail(no_health_service): expected SERVING, got the status UNIMPLEMENTED (12): the server does not know grpc.health.v1.Health"},
		"unauthenticated":      {fails("16"), "", "fail\nstatus fail(grpc_status): expected SERVING, got the status UNAUTHENTICATED (16): no credential was sent, so anybody gets it"},
		"permission denied":    {fails("7"), "", "fail\nstatus fail(grpc_status): expected SERVING, got the status PERMISSION_DENIED (7): no credential was sent, so anybody gets it"},
		"token rejected":       {fails("16"), "    bearer: {env: GRPC_TEST_TOKEN}\n", "inconclusive\nstatus inconclusive(credential): expected SERVING, got the status UNAUTHENTICATED (16): the target does not accept the probe's credential"},
		"unavailable":          {fails("14"), "", "fail\nstatus fail(grpc_status): expected SERVING, got the status UNAVAILABLE (14)"},
		"a status that is new": {fails("17"), "", "fail\nstatus fail(grpc_status): expected SERVING, got the status a status that does not exist (17)"},

		"no trailer":                 {ended(), "", "fail\nstatus fail(missing_trailer): expected grpc-status in the trailer, got 7 bytes and no trailer"},
		"a trailer without a status": {ended("x-other", "0"), "", "fail\nstatus fail(missing_trailer): expected grpc-status in the trailer, got a trailer without it"},
		"a status that is no number": {ended("grpc-status", "OK"), "", "fail\nstatus fail(missing_trailer): expected grpc-status in the trailer, got one that is no number"},
		"a status below zero":        {ended("grpc-status", "-1"), "", "fail\nstatus fail(missing_trailer): *"},
		"two statuses":               {ended("grpc-status", "0", "grpc-status", "14"), "", "fail\nstatus fail(missing_trailer): expected grpc-status in the trailer, got it 2 times"},
		"another in the header": {func(c *call) {
			c.send(false, ":status", "200", "content-type", "application/grpc", "grpc-status", "14")
			_ = c.WriteData(c.stream, false, frame(0, reply(serving)))
			c.send(true, "grpc-status", "0")
		}, "", "fail\nstatus fail(missing_trailer): expected grpc-status in the trailer, got it 2 times"},
		"a status behind a message": {ended("grpc-status", "13"), "", "fail\nstatus fail(grpc_status): *INTERNAL (13)"},
		"a status in the header only": {func(c *call) {
			c.send(false, ":status", "200", "content-type", "application/grpc", "grpc-status", "0")
			_ = c.WriteData(c.stream, true, frame(0, reply(serving)))
		}, "", "fail\nstatus fail(missing_trailer): *"},
		"a header alone": {sends(":status", "200", "content-type", "application/grpc"), "", "fail\nstatus fail(missing_trailer): expected grpc-status in the trailer, got 0 bytes and no trailer"},
		"OK alone":       {fails("0"), "", wantMessage + "none, with the status OK"},

		"a web page":   {sends(":status", "200", "content-type", "text/html"), "", "fail\nstatus fail(not_grpc): expected the content type application/grpc, got text/html"},
		"another type": {sends(":status", "200", "content-type", "application/grpcx"), "", "fail\nstatus fail(not_grpc): expected the content type application/grpc, got another"},
		"no type":      {sends(":status", "200", "grpc-status", "0"), "", "fail\nstatus fail(not_grpc): expected the content type application/grpc, got 0 of them"},
		"a type with proto": {func(c *call) {
			c.send(true, ":status", "200", "content-type", "application/grpc+proto", "grpc-status", "5")
		}, "", "fail\nstatus fail(service_unknown): *"},
		"401 by HTTP to anybody":    {sends(":status", "401"), "", "fail\nstatus fail(status): expected 200, got 401*"},
		"403 by HTTP to anybody":    {sends(":status", "403"), "", "fail\nstatus fail(status): expected 200, got 403*"},
		"a token that HTTP rejects": {sends(":status", "401"), "    bearer: {env: GRPC_TEST_TOKEN}\n", "inconclusive\nstatus inconclusive(credential): *"},
		"not found by HTTP":         {sends(":status", "404", "content-type", "text/plain"), "", "fail\nstatus fail(status): expected 200, got 404"},
		"a bad gateway":             {sends(":status", "502"), "", "fail\nstatus fail(status): expected 200, got 502"},
		"a redirect":                {sends(":status", "302", "location", "/login"), "", "fail\nstatus fail(redirect): expected 200, got 302: redirects are not followed"},
		"too many requests":         {sends(":status", "429", "retry-after", "5"), "", "inconclusive\nstatus inconclusive(rate_limited): *"},
		"a Go server of HTTP": {func(c *call) {
			c.send(false, ":status", "200", "content-type", "application/grpc", "date", time.Now().Add(-24*time.Hour).UTC().Format(http.TimeFormat))
			_ = c.WriteData(c.stream, false, frame(0, reply(serving)))
			c.send(true, "grpc-status", "0")
		}, "", "pass\nstatus pass(ok): SERVING"},

		"a compressed message":       {func(c *call) { c.body(frame(1, reply(serving))) }, "", wantMessage + "a compressed one: the prober did not offer to decompress any"},
		"a flag that does not exist": {func(c *call) { c.body(frame(0x80, reply(serving))) }, "", wantMessage + "one with the flag 128, which does not exist"},
		"less than a prefix":         {body(0, 0), "", wantMessage + "2 bytes, fewer than stand before each"},
		"longer than it is":          {body(0, 0, 0, 0, 9, 8, 1), "", wantMessage + "2 bytes of one that announces 9"},
		"2 GiB":                      {body(0, 0x80, 0, 0, 0, 8, 1), "", wantMessage + "2 bytes of one that announces 2147483648"},
		"4 GiB":                      {body(0, 0xff, 0xff, 0xff, 0xff), "", wantMessage + "0 bytes of one that announces 4294967295"},
		"two messages":               {func(c *call) { c.body(append(frame(0, reply(serving)), frame(0, reply(notServing))...)) }, "", wantMessage + "one of 2 bytes and 7 behind it"},
		"a text for a health":        {message(0x0a, 1, 'a'), "", unreadable},
		"a number without its end":   {message(8, 0xff), "", unreadable},
		"a group without its end":    {message(0x0b), "", unreadable},
		"the field 0":                {message(0, 0), "", unreadable},
		"a text beyond the end":      {message(0x12, 9, 'a'), "", unreadable},

		"a reset":          {func(c *call) { _ = c.WriteRSTStream(c.stream, http2.ErrCodeInternal) }, "", "fail\nstatus fail(reset): stream reset by * with code 2"},
		"a reset behind":   {func(c *call) { c.begin(); _ = c.WriteRSTStream(c.stream, http2.ErrCodeCancel) }, "", "fail\nstatus fail(reset): stream reset by * with code 8"},
		"a refused stream": {func(c *call) { _ = c.WriteRSTStream(c.stream, http2.ErrCodeRefusedStream) }, "", "fail\nstatus fail(protocol): the server refuses the request for now; it is not sent again"},
		"GOAWAY":           {func(c *call) { _ = c.WriteGoAway(0, http2.ErrCodeNo, nil) }, "", "fail\nstatus fail(protocol): the server refuses the request for now; it is not sent again"},
		"GOAWAY, calmer":   {func(c *call) { _ = c.WriteGoAway(c.stream, http2.ErrCodeEnhanceYourCalm, nil); c.conn.Close() }, "", "inconclusive\nstatus inconclusive(rate_limited): *"},
		"the end":          {func(c *call) { c.conn.Close() }, "", "fail\nstatus fail(reset): *"},
		"the end behind":   {func(c *call) { c.begin(); c.conn.Close() }, "", "fail\nstatus fail(*): *"},
		"a long answer": {func(c *call) {
			c.begin()
			for range 200 {
				_ = c.WriteData(c.stream, false, make([]byte, 16<<10))
			}
		}, "    max_body: 1000\n", "fail\nstatus fail(too_large): *"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(test.settings, "GRPC_TEST_TOKEN") {
				t.Setenv("GRPC_TEST_TOKEN", "tok3n-of-the-test")
			} else {
				t.Parallel()
			}
			r := probetest.Run(t, Kind(), load(t, serve(t, nil, test.answer), test.settings))
			got := probetest.Lines(r)
			wantPattern(t, got, test.want)
			if strings.Contains(got, "secret text") {
				t.Errorf("the target's text is shown: %s", got)
			}
		})
	}
}

// TestGRPC_services gives each service a verdict of its own, which counts only where a service that does not exist is answered
// otherwise.
func TestGRPC_services(t *testing.T) {
	const both = "    services: [\"\", shop.Orders]\n"
	const unproven = ", which proves nothing without the catch-all check"
	for name, test := range map[string]struct {
		answer   func(*call)
		settings string
		want     string
	}{
		"all serve": {by(map[string]health{"": serving, "shop.Orders": serving}), both,
			"pass\ncatch_all pass(ok): a service that does not exist is answered differently (NOT_FOUND)\nstatus@server pass(ok): SERVING\nstatus@shop.Orders pass(ok): SERVING"},
		"one does not": {by(map[string]health{"": serving, "shop.Orders": notServing}), both,
			"fail\nstatus@server pass(ok): SERVING\nstatus@shop.Orders fail(not_serving): expected SERVING, got NOT_SERVING"},
		"one is not known": {by(map[string]health{"": serving}), both,
			"fail\nstatus@server pass(ok): SERVING\nstatus@shop.Orders fail(service_unknown): expected SERVING, got the status NOT_FOUND (5): the server does not know the service"},
		"a server that says the same of all": {always(serving), both,
			"inconclusive\ncatch_all inconclusive(control_failed): expected NOT_FOUND for a service that does not exist, got SERVING: the server answers the same whatever it is asked\n" +
				"status@server pass(ok): SERVING\nstatus@shop.Orders inconclusive(control_failed): SERVING" + unproven},
		"a server that says no of all": {always(notServing), "    services: [shop.Orders]\n    status: NOT_SERVING\n",
			"inconclusive\ncatch_all inconclusive(control_failed): *, got NOT_SERVING: *\nstatus@shop.Orders inconclusive(control_failed): NOT_SERVING" + unproven},
		"no others by an answer": {func(c *call) {
			h := unknown
			if c.service == "shop.Orders" {
				h = serving
			}
			c.say(reply(h))
		}, "    services: [shop.Orders]\n",
			"pass\ncatch_all pass(ok): a service that does not exist is answered differently (UNKNOWN)\nstatus@shop.Orders pass(ok): SERVING"},
		"a control that fails": {func(c *call) {
			if c.service == "shop.Orders" {
				c.say(reply(serving))
				return
			}
			c.fail("14")
		}, "    services: [shop.Orders]\n",
			"inconclusive\ncatch_all inconclusive(control_failed): the call about a service that does not exist failed: *UNAVAILABLE (14)\nstatus@shop.Orders inconclusive(control_failed): *"},
		"a control without a message": {func(c *call) {
			if c.service == "shop.Orders" {
				c.say(reply(serving))
				return
			}
			c.fail("0")
		}, "    services: [shop.Orders]\n",
			"inconclusive\ncatch_all inconclusive(control_failed): the call about a service that does not exist failed: expected one message, got none*\nstatus@shop.Orders inconclusive(control_failed): *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantPattern(t, probetest.Lines(probetest.Run(t, Kind(), load(t, serve(t, nil, test.answer), test.settings))), test.want)
		})
	}
}

// TestGRPC_replicas asks each replica, and says if there are too few.
func TestGRPC_replicas(t *testing.T) {
	good, bad := serve(t, nil, by(map[string]health{"shop.Orders": serving})), serve(t, nil, always(notServing))
	replicas := fmt.Sprintf("    replicas: {static: [%q, %q], want: 2}\n", good, bad)
	r := probetest.Run(t, Kind(), load(t, "shop.example:50051", replicas+"    services: [shop.Orders]\n"))
	probetest.WantLines(t, r, "fail", "replicas pass(ok): expected 2 replicas, got 2",
		"catch_all@"+good+" pass(ok): a service that does not exist is answered differently (NOT_FOUND)",
		"status@"+good+"/shop.Orders pass(ok): SERVING", "status@"+bad+"/shop.Orders fail(not_serving): expected SERVING, got NOT_SERVING")
	_, port, _ := net.SplitHostPort(good)
	r = probetest.Run(t, Kind(), load(t, good, "    replicas: {dns: \"localhost:"+port+"\", want: 5}\n"))
	if lines := probetest.Lines(r); !strings.Contains(lines, "replicas fail(replicas): expected 5 replicas, got ") {
		t.Errorf("expected too few replicas, got %s", lines)
	}
}

// TestGRPC_request sends what the protocol asks for, and the headers of the settings.
func TestGRPC_request(t *testing.T) {
	heard := make(chan map[string]string, 1)
	address := serve(t, nil, func(c *call) { heard <- c.header; c.say(reply(serving)) })
	p := load(t, address, "    headers: {Host: orders.shop.example, x-tenant: acme}\n")
	probetest.WantLines(t, probetest.Run(t, Kind(), p), "pass", "status pass(ok): SERVING")
	got := <-heard
	for name, want := range map[string]string{
		":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check", ":authority": "orders.shop.example",
		"content-type": "application/grpc", "te": "trailers", "x-tenant": "acme",
	} {
		if got[name] != want {
			t.Errorf("%s: expected %q, got %q", name, want, got[name])
		}
	}
	if left := got["grpc-timeout"]; !strings.HasSuffix(left, "m") || len(left) > 9 {
		t.Errorf("grpc-timeout: expected the time that is left in milliseconds, got %q", left)
	}
	if got["the body"] != "0000000000" {
		t.Errorf("expected an uncompressed message without a name, got %s", got["the body"])
	}
}

// TestGRPC_share: a service gets a part of the time that is left, and the control the rest.
func TestGRPC_share(t *testing.T) {
	for settings, want := range map[string]float64{"": 1, "    services: [\"\"]\n": 1, "    services: [a]\n": 1. / 2, "    services: [a, b]\n": 1. / 3} {
		heard := make(chan string, 9)
		address := serve(t, nil, func(c *call) { heard <- c.header["grpc-timeout"]; c.say(reply(serving)) })
		job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "grpc"}, Kind: Kind(), Probe: load(t, address, settings), Timeout: time.Minute}
		job.Do(t.Context())
		left, err := time.ParseDuration(<-heard + "s")
		if share := left.Seconds() / 60; err != nil || share > want || share < want-0.1 {
			t.Errorf("%q: expected %.2f of a minute for the first, got %s (%v)", settings, want, left, err)
		}
	}
}

func TestCertificateWarning(t *testing.T) {
	for settings, want := range map[string]string{
		"": " false", "    tls: {}\n    certificate: {fail: 1d}\n": " false",
		"    tls: {}\n    certificate: {warn: 30d, fail: 1d, severity: warning}\n": "warning true",
	} {
		severity, ok := load(t, "shop.example:50051", settings).CertificateWarning()
		if got := fmt.Sprint(severity, " ", ok); got != want {
			t.Errorf("%q: got %s, expected %s", settings, got, want)
		}
	}
}

// TestGRPC_measures names the status and the health as blackbox_exporter does.
func TestGRPC_measures(t *testing.T) {
	values := func(answer func(*call)) string {
		var all []string
		for _, s := range probetest.Run(t, Kind(), load(t, serve(t, nil, answer), "")).Samples {
			if strings.HasPrefix(s.Measure.Name, "probe_grpc_") {
				all = append(all, fmt.Sprint(strings.TrimPrefix(s.Measure.Name, "probe_grpc_"), s.Values, s.Value))
			}
		}
		return strings.Join(all, " ")
	}
	for answer, want := range map[string]string{
		values(always(notServing)):               "status_code[] 0 healthcheck_response[ UNKNOWN] 0 healthcheck_response[ SERVING] 0 healthcheck_response[ NOT_SERVING] 1 healthcheck_response[ SERVICE_UNKNOWN] 0",
		values(func(c *call) { c.fail("12") }):   "status_code[] 12",
		values(func(c *call) { c.conn.Close() }): "",
	} {
		if answer != want {
			t.Errorf("got  %s\nwant %s", answer, want)
		}
	}
}

// TestGRPC_http1 names a server that speaks HTTP/1, or nothing that is known.
func TestGRPC_http1(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	silent := func(says string) string {
		return serveOn(t, "127.0.0.1:0", func(nc net.Conn) {
			_, _ = io.ReadFull(nc, make([]byte, len(http2.ClientPreface)))
			fmt.Fprint(nc, says)
			_, _ = io.Copy(io.Discard, nc)
		})
	}
	for address, want := range map[string]string{
		plain.Listener.Addr().String():             "fail\nstatus fail(protocol): expected HTTP/2, got an answer of HTTP/1 by *",
		silent("HTTP/1.0 400 Bad Request\r\n\r\n"): "fail\nstatus fail(protocol): expected HTTP/2, got an answer of HTTP/1 by *",
		silent("220 mail.shop.example ESMTP\r\n"):  "fail\nstatus fail(protocol): expected HTTP/2, got an answer of * that is not",
		serveOn(t, "127.0.0.1:0", func(nc net.Conn) {
			_, _ = io.ReadFull(nc, make([]byte, len(http2.ClientPreface)))
			fmt.Fprint(nc, "\x15\x03\x01\x00\x02\x02\x46") // an alert of TLS
			nc.Close()
		}): "fail\nstatus fail(protocol): expected HTTP/2, got an answer of * that is not",
		serve(t, &tls.Config{}, func(*call) {}):                     "fail\nstatus fail(*): *",
		serveOn(t, "127.0.0.1:0", func(nc net.Conn) { nc.Close() }): "fail\nstatus fail(reset): *",
	} {
		wantPattern(t, probetest.Lines(probetest.Run(t, Kind(), load(t, address, ""))), want)
	}
}

// certificateFiles writes the certificate of a server, of example.com and 127.0.0.1, and its key to a folder.
func certificateFiles(t *testing.T) (*httptest.Server, string) {
	t.Helper()
	issuer := httptest.NewTLSServer(nil) // for its certificate, of example.com and 127.0.0.1
	issuer.Close()
	pair, dir := issuer.TLS.Certificates[0], t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return issuer, dir
}

// TestGRPC_tls verifies the server, shows a client certificate, and asks for HTTP/2 in the handshake.
func TestGRPC_tls(t *testing.T) {
	issuer, dir := certificateFiles(t)
	pair := issuer.TLS.Certificates[0]
	clients := x509.NewCertPool()
	clients.AddCert(issuer.Certificate())
	h2 := func(auth tls.ClientAuthType, protocols ...string) string {
		return serve(t, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: protocols, ClientAuth: auth, ClientCAs: clients}, always(serving))
	}
	for name, test := range map[string]struct{ address, settings, want string }{
		"trusted":             {h2(0, "h2"), "{ca_file: DIR/cert}\n    certificate: {fail: 1d}\n    latency: 5s", "pass\nstatus pass(ok): SERVING\nlatency pass(ok): *\ncertificate pass(ok): *"},
		"to be renewed":       {h2(0, "h2"), "{ca_file: DIR/cert}\n    certificate: {warn: 36500d}", "pass\nstatus pass(ok): SERVING\ncertificate pass(ok): *"},
		"about to end":        {h2(0, "h2"), "{ca_file: DIR/cert}\n    certificate: {fail: 36500d}", "fail\nstatus pass(ok): SERVING\ncertificate fail(cert): *"},
		"not trusted":         {h2(0, "h2"), "{}", "fail\nstatus fail(cert): *"},
		"another name":        {h2(0, "h2"), "{ca_file: DIR/cert, server_name: shop.example}", "fail\nstatus fail(cert): the certificate is not for shop.example"},
		"no client":           {h2(tls.RequireAnyClientCert, "h2"), "{ca_file: DIR/cert}", "fail\nstatus fail(tls): the server requires a client certificate"},
		"a client":            {h2(tls.RequireAnyClientCert, "h2"), "{ca_file: DIR/cert, cert_file: DIR/cert, key_file: DIR/key}", "pass\nstatus pass(ok): SERVING"},
		"HTTP/1 only":         {h2(0, "http/1.1"), "{ca_file: DIR/cert}", "fail\nstatus fail(protocol): expected HTTP/2, got a server at * that does not agree to it in the TLS handshake (ALPN)"},
		"without ALPN":        {h2(0), "{ca_file: DIR/cert}", "fail\nstatus fail(protocol): expected HTTP/2, got a server at * that does not agree to it in the TLS handshake (ALPN)"},
		"no TLS at all":       {serve(t, nil, always(serving)), "{}", "fail\nstatus fail(tls): *"},
		"its connection kept": {h2(0, "h2"), "{ca_file: DIR/cert}\n    connection: reuse\n    services: [\"\", a]", "inconclusive\ncatch_all *\nstatus@server pass(ok): SERVING\nstatus@a *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := load(t, test.address, "    tls: "+strings.ReplaceAll(test.settings, "DIR", dir)+"\n")
			defer p.Close()
			r := probetest.Run(t, Kind(), p)
			wantPattern(t, probetest.Lines(r), test.want)
			warned := slices.ContainsFunc(r.Samples, func(s probe.Sample) bool { return s.Measure == expect.CertificateExpiring && s.Value == 1 })
			if warned != strings.Contains(test.settings, "warn") {
				t.Errorf("the series of a certificate to be renewed is told: %t", warned)
			}
		})
	}
}

// TestGRPC_secret sends no token in clear to another machine, and finds one that comes back, percent-encoded.
func TestGRPC_secret(t *testing.T) {
	t.Setenv("GRPC_TEST_TOKEN", "tr0ub4dor&3 of the test")
	p := load(t, "localhost:50051", "    headers: {x-token: {env: GRPC_TEST_TOKEN}}\n")
	p.Address = "shop.example:50051"
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "in clear") {
		t.Errorf("expected the token to be kept, got %v", err)
	}
	p.Address, p.TLS = "shop.example:50051", &dial.TLS{InsecureSkipVerify: true}
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "insecure_skip_verify") {
		t.Errorf("expected the token to be kept from whoever answers, got %v", err)
	}
	p.TLS, p.Address, p.IPVersion = nil, "127.0.0.1:50051", "6"
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "ip_version: the host is an address of the other version") {
		t.Errorf("expected the address to be compared with ip_version, got %v", err)
	}
	heard := make(chan string, 1)
	address := serve(t, nil, func(c *call) {
		heard <- c.header["x-token"]
		c.send(true, ":status", "200", "content-type", "application/grpc", "grpc-status", "16", "grpc-message", "no such token: tr0ub4dor%263%20of the test")
	})
	r := probetest.Run(t, Kind(), load(t, address, "    headers: {x-token: {env: GRPC_TEST_TOKEN}}\n"))
	lines := probetest.Lines(r)
	if got := <-heard; got != "tr0ub4dor&3 of the test" {
		t.Errorf("expected the token to be sent, got %q", got)
	}
	if strings.Contains(lines, "tr0ub4dor") || !strings.Contains(lines, "secret_reflected") {
		t.Errorf("expected the reflection to be told without the token, got %s", lines)
	}
}

// TestGRPC_slow ends with the run, and leaves time for the services behind one that is not answered.
func TestGRPC_slow(t *testing.T) {
	address := serve(t, nil, func(c *call) {
		if c.service != "shop.Orders" {
			c.say(reply(serving))
		}
	})
	p := load(t, address, "    services: [shop.Orders, \"\"]\n")
	job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "grpc"}, Kind: Kind(), Probe: p, Timeout: time.Second}
	wantPattern(t, probetest.Lines(probetest.Do(t.Context(), job)), "fail\nstatus@shop.Orders fail(timeout): no complete answer within * (waited in processing)\nstatus@server pass(ok): SERVING")
}

// FuzzAnswer reads any body without a crash, and finds a health only in what one server could have written.
func FuzzAnswer(f *testing.F) {
	for _, body := range [][]byte{frame(0, reply(serving)), frame(0, nil), frame(1, reply(serving)), {0, 0xff, 0xff, 0xff, 0xff}, frame(0, []byte{0x0b, 0x0b, 0x0c, 0x0c})} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		inner, o := message(body)
		if !o.Passed() {
			return
		}
		h, o := parseHealth(inner)
		if o.Passed() && h == serving && !strings.Contains(string(inner), string([]byte{8})) {
			t.Errorf("%x is read as SERVING", body)
		}
	})
}
