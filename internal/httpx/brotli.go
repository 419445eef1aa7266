package httpx

import (
	"bytes"
	"unicode/utf8"
)

// otherCodings are how bodies in zlib, gzip and zstd begin: no coded body is one of another coding.
var otherCodings = [...]string{"\x78\x01", "\x78\x5e", "\x78\x9c", "\x78\xda", "\x1f\x8b", "\x28\xb5\x2f\xfd"}

// someText is as much of a text as tells it from a stream of brotli, whose first bytes have a size with zeros.
const someText = 32

// mayBeBrotli reports whether bytes can be a stream of brotli (RFC 7932). They are not decoded, which takes a dictionary of 120 KiB:
// text, other codings, and a beginning that goes wrong before the first compressed block are refused, and damage after it is not seen.
func mayBeBrotli(b []byte) bool {
	for _, other := range otherCodings {
		if bytes.HasPrefix(b, []byte(other)) {
			return false
		}
	}
	text := b
	if len(b) > someText {
		text = b[:someText]
		for range utf8.UTFMax - 1 { // the last character may be cut off
			if !utf8.Valid(text) {
				text = text[:len(text)-1]
			}
		}
	}
	control := func(c rune) bool { return c < ' ' && c != '\t' && c != '\n' && c != '\r' }
	if len(b) > 2 && utf8.Valid(text) && !bytes.ContainsFunc(text, control) { // two bytes are a stream of nothing
		return false
	}
	at, end := 0, 8*len(b) // in bits, the lowest of a byte first
	bits := func(n int) (v int) {
		for i := range n {
			if at < end {
				v |= int(b[at/8]>>(at%8)&1) << i
			}
			at++
		}
		return v
	}
	if bits(1) == 1 && bits(3) == 0 && bits(3) == 1 { // the size of the window; one is reserved
		return false
	}
	for at < end {
		last := bits(1) == 1
		if last && bits(1) == 1 { // nothing follows
			return at <= end && end-at < 8 && bits(end-at) == 0
		}
		nibbles, skipped := 4+bits(2), 0
		if nibbles < 7 {
			size := bits(4 * nibbles)
			if nibbles > 4 && size>>(4*nibbles-4) == 0 { // it would have been written shorter
				return false
			}
			if last || bits(1) == 0 {
				return at < end // a compressed block
			}
			skipped = size + 1
		} else {
			if last || bits(1) == 1 {
				return false
			}
			if n := 8 * bits(2); n > 0 {
				size := bits(n)
				if n > 8 && size>>(n-8) == 0 {
					return false
				}
				skipped = size + 1
			}
		}
		for at < end && at%8 > 0 {
			if bits(1) == 1 { // padding
				return false
			}
		}
		at += 8 * skipped
	}
	return false // it has no last block
}
