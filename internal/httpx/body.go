package httpx

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/internal/memory"
)

var (
	errTooLarge  = errors.New("the body is too large")
	errCoding    = errors.New("a content coding that was not requested")
	errGzip      = errors.New("the gzip data is damaged")
	errDeflate   = errors.New("the deflate data is damaged")
	errCodedEnd  = errors.New("the compressed data does not end where the body does")
	errBrotli    = errors.New("the data is not of brotli")
	errAbandoned = errors.New("abandoned in the middle of the answer")
)

// decompressors are reused: each is larger than many probes.
var decompressors = sync.Pool{New: func() any { return new(gzip.Reader) }}

// gzipBytes is what decompressing takes beside what it reads.
const gzipBytes = 44 << 10

// Content codings that an answer can be asked for (RFC 9110, section 8.4.1).
const (
	Identity = "identity"
	Gzip     = "gzip"
	Brotli   = "br"
	Deflate  = "deflate"
)

// readBody reads a body to its end, decoded, at most limit bytes of it: of one in brotli nothing, since it is not decoded, and nil of an
// empty one, whatever coding it says. It returns what it read even if it fails. The error is errTooLarge, errCoding, errGzip, errDeflate, errCodedEnd, errBrotli, io.ErrUnexpectedEOF, a
// memory.ErrLimit or that of the connection.
func readBody(m *meter, resp *http.Response, asked string, limit int64) ([]byte, error) {
	if resp.Body == http.NoBody {
		return nil, nil
	}
	coding, err := codingOf(resp.Header, asked)
	switch {
	case err != nil:
		return nil, err
	case coding == Gzip || coding == Deflate:
		return decompress(m, resp.Body, coding, limit)
	case coding == Brotli:
		body, err := readAll(m, resp.Body, resp.ContentLength, limit)
		if err == nil && len(body) > 0 && !mayBeBrotli(body) {
			err = errBrotli
		}
		if len(body) == 0 {
			return nil, err
		}
		return body[:0:0], err
	}
	return readAll(m, resp.Body, resp.ContentLength, limit)
}

// codingOf returns the coding of a body. Several lines are one list (RFC 9110, section 5.3). The error is errCoding for any other
// than gzip or the one that was asked for, once.
func codingOf(h http.Header, asked string) (coding string, err error) {
	coding = Identity
	lines := h["Content-Encoding"]
	if len(lines) == 0 {
		return coding, nil
	}
	for next := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		switch next = strings.ToLower(strings.Trim(next, " \t")); {
		case next == "" || next == Identity:
		case coding != Identity:
			return "", errCoding
		case next == Gzip || next == "x-gzip":
			coding = Gzip
		case next == asked:
			coding = asked
		default:
			return "", errCoding
		}
	}
	return coding, nil
}

// A meter takes memory from the account of a run, and knows how long it had to wait for it: that is not the target's time.
type meter struct {
	ctx    context.Context
	waited time.Duration
}

func (m *meter) take(bytes int64) error {
	began := time.Now()
	err := memory.Take(m.ctx, bytes)
	m.waited += time.Since(began)
	return err
}

// readPart reads the first size bytes of a body without decoding them, and fails with errAbandoned if there may be more, or
// with the errors of readBody. It returns nothing of a coded body, because a part of one cannot be decoded.
func readPart(resp *http.Response, asked string, size int) ([]byte, error) {
	if resp.Body == http.NoBody {
		return nil, nil
	}
	coding, err := codingOf(resp.Header, asked)
	if err != nil {
		return nil, err
	}
	part, n := make([]byte, size), 0
	for n < size && err == nil { // io.ReadFull would tell the end of a body like one that is cut off
		var more int
		more, err = resp.Body.Read(part[n:])
		n += more
	}
	part = part[:n]
	if coding != Identity {
		part = nil
	}
	switch {
	case n == size:
		return part, errAbandoned
	case err == io.EOF:
		return part, nil
	}
	return part, err
}

// decompress bounds both the coded and the decoded bytes: coded data can be longer than what it encodes. Deflate is what RFC 9110,
// section 8.4.1.2, calls so: data with the header and the checksum of zlib.
func decompress(m *meter, body io.Reader, coding string, limit int64) ([]byte, error) {
	const overhead = 64 << 10
	if err := m.take(gzipBytes); err != nil {
		return nil, err
	}
	defer memory.Give(m.ctx, gzipBytes)
	coded := &limitedReader{from: body, left: limit + overhead}
	in, damaged := bufio.NewReader(coded), errGzip
	if _, err := in.Peek(1); err == io.EOF {
		return nil, nil // an empty body needs no coding
	}
	var from io.Reader
	var err error
	if coding == Gzip {
		z := decompressors.Get().(*gzip.Reader)
		defer decompressors.Put(z)
		from, err = z, z.Reset(in)
	} else {
		damaged = errDeflate
		from, err = zlib.NewReader(in)
	}
	var out []byte
	if err == nil {
		out, err = readAll(m, from, -1, limit)
	}
	if err == nil {
		if _, err = in.ReadByte(); err == nil { // gzip reads to the end by itself
			err = damaged
		} else if err == io.EOF {
			return out, nil
		}
	}
	switch {
	case err == errTooLarge || memory.IsLimit(err):
		return out, err
	case coded.err != nil:
		return out, coded.err
	case errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF: // the answer itself is whole
		return out, errCodedEnd
	}
	return out, damaged
}

// A limitedReader reads at most left bytes and keeps its error, which a decoder above it may hide.
type limitedReader struct {
	from io.Reader
	left int64
	err  error
}

func (s *limitedReader) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.err = errTooLarge
		return 0, s.err
	}
	n, err := s.from.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// readAll reads to the end, at most limit bytes. The announced length, -1 if there is none, sizes the buffer; a false one
// costs no more than a page.
func readAll(m *meter, from io.Reader, announced, limit int64) ([]byte, error) {
	const small, page = 512, 16 << 10
	size := int64(small)
	if announced >= 0 {
		size = min(announced, limit, page) + 1 // one more, to reach the end without growing
	}
	if err := m.take(size); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, size)
	for {
		if len(buf) == cap(buf) {
			more := min(int64(cap(buf))*2, limit+1)
			if announced >= int64(len(buf)) {
				more = min(more, announced+1)
			}
			if err := m.take(more - int64(cap(buf))); err != nil {
				return buf, err
			}
			buf = append(make([]byte, 0, more), buf...)
		}
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return buf[:limit], errTooLarge
		case err == io.EOF:
			return slices.Clip(buf), nil
		case err != nil:
			return buf, err
		}
	}
}
