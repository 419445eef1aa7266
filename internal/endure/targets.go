package main

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// startTargets starts a process that serves the targets and returns where they are.
func startTargets() (base string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), targetsVariable+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if base, err = firstLine(out); err != nil {
		stop()
	}
	return base, stop, err
}

// serveTargets serves small answers, and the largest that the prober accepts: JSON in gzip and a key set, both under a head
// of nearly 64 KiB.
func serveTargets() {
	document, keys := maxJSON(), maxKeys()
	large := func(w http.ResponseWriter, coding string, body []byte) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		for i := range 400 {
			h.Set(fmt.Sprintf("X-Large-%d", i), strings.Repeat("x", 120))
		}
		if coding != "" {
			h.Set("Content-Encoding", coding)
		}
		w.Write(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/small/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) })
	mux.HandleFunc("/json/", func(w http.ResponseWriter, _ *http.Request) { large(w, "gzip", document) })
	mux.HandleFunc("/keys/", func(w http.ResponseWriter, _ *http.Request) { large(w, "", keys) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "endure:", err)
		os.Exit(1)
	}
	fmt.Println("http://" + l.Addr().String())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	fmt.Fprintln(os.Stderr, "endure:", server.Serve(l))
	os.Exit(1)
}

// maxJSON has nearly as many values and keys as are read, in gzip.
func maxJSON() []byte {
	var b strings.Builder
	b.WriteString(`{"status":"ok"`)
	for i := range 49_000 {
		fmt.Fprintf(&b, `,"m%05d":"v%02d"`, i, i%100)
	}
	b.WriteString("}")
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write([]byte(b.String()))
	_ = z.Close()
	return out.Bytes()
}

// maxKeys has as many keys as fit into the default of max_body for key sets.
func maxKeys() []byte {
	var b strings.Builder
	b.WriteString(`{"keys":[`)
	for i := 0; b.Len() < 250_000; i++ {
		public, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			panic(err)
		}
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"kty":"OKP","crv":"Ed25519","kid":"%d","x":"%s"}`, i, base64.RawURLEncoding.EncodeToString(public))
	}
	b.WriteString("]}")
	return []byte(b.String())
}
