package httpx

import (
	"encoding/hex"
	"strings"
	"testing"
)

// streams are what zlib of Node.js makes, in several qualities and windows.
var streams = map[string]string{
	"nothing":                         "3b",
	"nothing, with the least window":  "a101",
	"a word":                          "0b0280677265656e03",
	"JSON":                            "0b05807b226f6b223a747275657d03",
	"a page, not compressed":          "8b10803c21646f63747970652068746d6c3e3c7469746c653e73686f703c2f7469746c653e03",
	"a page":                          "1b210000a45e785a90422811462f53b53931f35500",
	"a page in the best quality":      "1b2100f8a55e785a90422811462f80810aa3388d2f00",
	"flushed before, between and end": "6b00100008677265080008656e03",
}

// TestMayBeBrotli believes what is brotli, and nothing that a server sends in its place.
func TestMayBeBrotli(t *testing.T) {
	for name, stream := range streams {
		b, err := hex.DecodeString(stream)
		if err != nil {
			t.Fatal(err)
		}
		if !mayBeBrotli(b) {
			t.Errorf("%s: refused", name)
		}
	}
	for name, body := range map[string]string{
		"a word": "pong", "a line": "healthy\n", "JSON": `{"ok":true}`, "a list": "[1,2,3]", "a page": "<!doctype html><title>shop</title>", "no byte": "",
		"a text that is cut in a character": strings.Repeat("x", someText-1) + "üü", "latin 1 is no text": "{\xfc}",
		"gzip": string(gzipped([]byte("green"))), "zlib": "\x78\x9cKO-J\xcd\x03\x00", "zstd": "\x28\xb5\x2f\xfd\x04\x58\x29\x00\x00green",
		"a reserved window": "\x11\x02\x80", "more after its end": "\x3b\x00", "bits after its end": "\xfb", "a last block of metadata": "\x7f\x00\x00", "a reserved bit": "\xec\x00\x00",
		"a size with too many nibbles": "\x2b\x01\x00\x00\x00\x00", "shorter than it says": "\x0b\x02\x80gre", "no last block": "\x0b\x02\x80green",
	} {
		if mayBeBrotli([]byte(body)) {
			t.Errorf("%s: taken for brotli", name)
		}
	}
}

// FuzzMayBeBrotli reads any bytes to an end.
func FuzzMayBeBrotli(f *testing.F) {
	for _, stream := range streams {
		b, _ := hex.DecodeString(stream)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if mayBeBrotli(b) && len(b) == 0 {
			t.Error("nothing is taken for a stream")
		}
	})
}
