package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestReal_tls asks Debian's nginx for each version of TLS, where it speaks that version alone, and all of them.
func TestReal_tls(t *testing.T) {
	testenv.Real(t)
	dir := t.TempDir()
	cert, key := certificate(t, 90*24*time.Hour)
	writeFile(t, dir, "cert.pem", cert)
	writeFile(t, dir, "key.pem", key)
	speak := func(protocols string) (address string) {
		port := testenv.FreePort(t)
		testenv.Nginx(t, fmt.Sprintf(`
    listen 127.0.0.1:%[2]d ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
    ssl_protocols %[3]s; ssl_ciphers ALL:@SECLEVEL=0;`, dir, port, protocols))
		waitForPort(t, port)
		return fmt.Sprintf("127.0.0.1:%d", port)
	}
	var probes strings.Builder
	probes.WriteString("system: web\ntimeout: 10s\nprobes:\n")
	want := map[string]string{}
	add := func(name, address, settings, line string) {
		fmt.Fprintf(&probes, "  - {name: %s, type: tls, address: %q, tls: {ca_file: cert.pem}, certificate: {fail: 30d}%s}\n", name, address, settings)
		want[name] = line
	}
	oldest, older, old, newest := speak("TLSv1"), speak("TLSv1.1"), speak("TLSv1.2"), speak("TLSv1.3")
	sound, all := speak("TLSv1.2 TLSv1.3"), speak("TLSv1 TLSv1.1 TLSv1.2 TLSv1.3")
	const modern, refused = `, version: "1.2"`, `, refused_versions: ["1.0", "1.1"]`
	add("only-1-0", oldest, modern, "fail: the server supports no version of TLS that the prober does")
	add("only-1-1", older, modern, "fail: the server supports no version of TLS that the prober does")
	add("only-1-2", old, modern+refused, "pass: ")
	add("only-1-3", newest, `, version: "1.3", refused_versions: ["1.0", "1.1", "1.2"]`, "pass: ")
	add("too-old", old, `, version: "1.3"`, "fail: expected TLS 1.3")
	add("sound", sound, modern+refused, "pass: ")
	add("all", all, modern+refused, "fail: 1.0")
	wantSaid(t, writeFile(t, dir, "prober.yaml", probes.String()), want)
}
