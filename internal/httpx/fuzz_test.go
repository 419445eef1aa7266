package httpx

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// FuzzAnswer answers a request with any bytes: the exchange ends, does not panic, has a reason of the closed set,
// and repeats nothing.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		okAnswer,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 103 Early\r\nLink: " + marker + "\r\n\r\nHTTP/1.1 503 " + marker + "\r\nAge: 60\r\nX-V: v1\r\n\r\n{}",
		"HTTP/1.1 302 Found\r\nLocation: http://" + marker + "/\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://[::1" + marker + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + string(gzipped([]byte(`{"v": "`+marker+`"}`))),
		"HTTP/1.1 101 Switching\r\nUpgrade: " + marker + "\r\nConnection: upgrade\r\n\r\n",
		"SSH-2.0-" + marker + "\r\n",
		zipped(func(b []byte) []byte { return b }),
	} {
		f.Add([]byte(seed), 1<<16)
		f.Add([]byte(seed), 3)
	}
	known(f, marker) // as a secret that was sent would be
	client, err := (&Settings{MaxBody: 1000, Version: &Source{Header: "X-V"}, Trace: &Source{JSON: path(f, "$.v")}}).Client("http://fuzz.test/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte, piece int) {
		ours, theirs := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer theirs.Close()
			br := bufio.NewReader(theirs)
			for {
				if line, err := br.ReadString('\n'); err != nil || line == "\r\n" {
					break
				}
			}
			for rest := answer; len(rest) > 0; { // in pieces, but not in too many
				n := min(max(piece, 1, len(answer)/500), len(rest))
				if _, err := theirs.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		client := &Client{settings: client.settings, bound: client.bound}
		client.init(client.settings, false, false)
		client.dialer.Open = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
		r := probe.NewResult(probe.ID{})
		a := client.Do(ctx, r, Request{URL: "http://fuzz.test/", Addr: "127.0.0.1:1"})
		if ctx.Err() != nil {
			t.Error("did not end before its deadline")
		}
		<-ended
		r.Checks = nil
		innocent(t, a, *r)
		if len(a.Body) > 1000 {
			t.Errorf("a body of %d bytes", len(a.Body))
		}
		if a.Reason == probe.OK && (a.Status < 200 || a.Status > 599) {
			t.Errorf("status %d", a.Status)
		}
	})
}

// FuzzHead holds that the scanner of heads sees two lengths exactly where they are, however the bytes arrive.
func FuzzHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 1)
	f.Add([]byte("HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: x\r\n\r\ncontent-length: 3\r\n"), 7)
	f.Add([]byte("HTTP/1.1 200 OK\nX-Content-Length: 5\nTRANSFER-ENCODING: y\nContent-length:3\n\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		var h head
		for rest := text; len(rest) > 0; {
			n := min(max(piece, 1), len(rest))
			h.scan(rest[:n])
			rest = rest[n:]
		}
		if want := twoLengths(text); h.ambiguous() != want {
			t.Errorf("%q: got %t, want %t", text, h.ambiguous(), want)
		}
	})
}

// twoLengths is what head does, in the simplest words.
func twoLengths(text []byte) bool {
	br := bufio.NewReader(bytes.NewReader(text))
	for {
		status, err := br.ReadString('\n')
		if err != nil {
			return false
		}
		status = strings.ReplaceAll(status, "\r", "")
		length, coding := false, false
		for {
			line, err := br.ReadString('\n')
			line = strings.ReplaceAll(line, "\r", "")
			name, _, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			if ok {
				length = length || asciiFold(name) == "content-length"
				coding = coding || asciiFold(name) == "transfer-encoding"
			}
			if err == io.EOF {
				return length && coding
			}
			if line == "\n" {
				break
			}
		}
		if len(status) < 11 || status[9] != '1' {
			return length && coding
		}
	}
}

func asciiFold(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
