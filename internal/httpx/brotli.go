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
	r, end := &bitReader{b: b}, 8*len(b)
	if r.bits(1) == 1 && r.bits(3) == 0 && r.bits(3) == 1 { // the size of the window; one is reserved
		return false
	}
	for r.at < end {
		last := r.bits(1) == 1
		if last && r.bits(1) == 1 { // nothing follows
			return r.at <= end && end-r.at < 8 && r.bits(end-r.at) == 0
		}
		nibbles, skipped := 4+r.bits(2), 0
		if nibbles < 7 {
			size := r.bits(4 * nibbles)
			if nibbles > 4 && size>>(4*nibbles-4) == 0 { // it would have been written shorter
				return false
			}
			if last || r.bits(1) == 0 {
				return r.at < end // a compressed block
			}
			skipped = size + 1
		} else {
			if last || r.bits(1) == 1 {
				return false
			}
			if n := 8 * r.bits(2); n > 0 {
				size := r.bits(n)
				if n > 8 && size>>(n-8) == 0 {
					return false
				}
				skipped = size + 1
			}
		}
		for r.at < end && r.at%8 > 0 {
			if r.bits(1) == 1 { // padding
				return false
			}
		}
		r.at += 8 * skipped
	}
	return false // it has no last block
}

// A bitReader reads bits, the lowest of a byte first, and zeros behind the end.
type bitReader struct {
	b  []byte
	at int
}

//go:noinline
func (r *bitReader) bits(n int) (v int) {
	for i := range n {
		if r.at < 8*len(r.b) {
			v |= int(r.b[r.at/8]>>(r.at%8)&1) << i
		}
		r.at++
	}
	return v
}
