package grpc

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"

	"prober/config"
	"prober/internal/probe"
)

// A call is one as a server sees it, frame by frame.
type call struct {
	*http2.Framer
	conn    net.Conn
	stream  uint32
	header  map[string]string
	service string // asked about
}

// send writes headers, or a trailer if they end the stream.
func (c *call) send(end bool, pairs ...string) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(pairs); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
}

// begin writes the headers of an answer.
func (c *call) begin() { c.send(false, ":status", "200", "content-type", "application/grpc") }

// say answers with a message.
func (c *call) say(message []byte) { c.body(frame(0, message)) }

// body answers with what a body holds.
func (c *call) body(data []byte) {
	c.begin()
	_ = c.WriteData(c.stream, false, data)
	c.send(true, "grpc-status", "0")
}

// fail answers with a status alone.
func (c *call) fail(code string) {
	c.send(true, ":status", "200", "content-type", "application/grpc", "grpc-status", code, "grpc-message", "%3Cb%3Esecret text")
}

// frame puts flag and length before a message.
func frame(flag byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(message))), message...)
}

// reply is a HealthCheckResponse.
func reply(h health) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, fieldStatus, protowire.VarintType), uint64(h))
}

// always answers each call with a health.
func always(h health) func(*call) { return func(c *call) { c.say(reply(h)) } }

// by answers by the name of the service, with NOT_FOUND for any other.
func by(known map[string]health) func(*call) {
	return func(c *call) {
		if h, ok := known[c.service]; ok {
			c.say(reply(h))
			return
		}
		c.fail("5")
	}
}

// serve has a function answer each call until the test ends, and returns the address.
func serve(t testing.TB, cfg *tls.Config, answer func(*call)) string {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", func(nc net.Conn) {
		if cfg != nil {
			nc = tls.Server(nc, cfg)
		}
		speak(nc, answer)
	})
}

// serveOn has a function handle each connection.
func serveOn(t testing.TB, address string, handle func(net.Conn)) string {
	t.Helper()
	return serveAt(t, "tcp", address, handle)
}

// serveAt is serveOn for any network.
func serveAt(t testing.TB, network, address string, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				handle(nc)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// speak reads calls off a connection.
func speak(nc net.Conn, answer func(*call)) {
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(nc, nc)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	c := &call{Framer: framer, conn: nc}
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			c.stream, c.header = f.StreamID, map[string]string{}
			for _, field := range f.Fields {
				c.header[field.Name] = field.Value
			}
		case *http2.DataFrame:
			c.header["the body"] = hex.EncodeToString(f.Data())
			if data := f.Data(); len(data) >= prefixBytes {
				_, _, n := protowire.ConsumeTag(data[prefixBytes:])
				name, _ := protowire.ConsumeString(data[prefixBytes+max(n, 0):])
				c.service = name
			}
			if f.StreamEnded() {
				answer(c)
			}
		}
	}
}

// load reads the settings of a probe as YAML.
func load(t testing.TB, address, settings string) *Probe {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prober.yaml")
	text := "system: test\nprobes:\n  - name: p\n    type: grpc\n    address: " + address + "\n" + settings
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(probe.Kinds{"grpc": Kind()}, path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Jobs[0].Probe.(*Probe)
}

// wantPattern compares lines with those expected, in which * stands for anything.
func wantPattern(t *testing.T, got, want string) {
	t.Helper()
	quoted := strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, ".*")
	if !regexp.MustCompile("^" + quoted + "$").MatchString(strings.TrimSpace(got)) {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}
