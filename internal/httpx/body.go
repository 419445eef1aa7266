package httpx

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

var (
	errTooLarge  = errors.New("the body is too large")
	errCoding    = errors.New("a content coding that was not requested")
	errGzip      = errors.New("the gzip data is damaged")
	errAbandoned = errors.New("abandoned in the middle of the answer")
)

// decompressors are reused: each is larger than many probes.
var decompressors = sync.Pool{New: func() any { return new(gzip.Reader) }}

// readBody reads a body to its end, decoded, at most limit bytes of it. It returns what it read even if it fails. The
// error is errTooLarge, errCoding, errGzip, io.ErrUnexpectedEOF or that of the connection.
func readBody(resp *http.Response, limit int64) ([]byte, error) {
	switch coding := resp.Header["Content-Encoding"]; {
	case resp.Body == http.NoBody:
		return nil, nil
	case len(coding) == 0 || (len(coding) == 1 && (coding[0] == "" || strings.EqualFold(coding[0], "identity"))):
		return readAll(resp.Body, resp.ContentLength, limit)
	case len(coding) == 1 && (strings.EqualFold(coding[0], "gzip") || strings.EqualFold(coding[0], "x-gzip")):
		return gunzip(resp.Body, limit)
	}
	return nil, errCoding
}

// readPart reads the first size bytes of a body without decoding them, and fails with errAbandoned if there may be more.
// It returns nothing of a coded body, because a part of one cannot be decoded.
func readPart(resp *http.Response, size int) ([]byte, error) {
	part := make([]byte, size)
	n, err := io.ReadFull(resp.Body, part)
	part = part[:n]
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		part = nil
	}
	switch err {
	case nil:
		return part, errAbandoned
	case io.EOF, io.ErrUnexpectedEOF:
		return part, nil
	}
	return part, err
}

// gunzip bounds both the coded and the decoded bytes: gzip data can be longer than what it encodes.
func gunzip(body io.Reader, limit int64) ([]byte, error) {
	const overhead = 64 << 10
	coded := &limitedReader{from: body, left: limit + overhead}
	z := decompressors.Get().(*gzip.Reader)
	defer decompressors.Put(z)
	err := z.Reset(coded)
	if err == io.EOF && coded.err == nil {
		return nil, nil // an empty body needs no coding
	}
	var out []byte
	if err == nil {
		out, err = readAll(z, -1, limit)
	}
	switch {
	case err == nil || err == errTooLarge:
		return out, err
	case coded.err != nil:
		return out, coded.err
	case errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF:
		return out, io.ErrUnexpectedEOF
	}
	return out, errGzip
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
func readAll(from io.Reader, announced, limit int64) ([]byte, error) {
	const small, page = 512, 16 << 10
	size := int64(small)
	if announced >= 0 {
		size = min(announced, limit, page) + 1 // one more, to reach the end without growing
	}
	buf := make([]byte, 0, size)
	for {
		if len(buf) == cap(buf) {
			more := min(int64(cap(buf))*2, limit+1)
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
