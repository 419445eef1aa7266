package httpx

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"golang.org/x/net/http/httpguts"

	"prober/internal/dial"
)

const (
	bufferSize = 4 << 10
	// maxInline is the largest body that is written before the answer is awaited. The buffers of any connection hold it.
	maxInline = 4 << 10
)

// Buffers are lent to an exchange. A connection that is kept holds none.
var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, bufferSize) }}
)

// An http1 is one exchange over an HTTP/1 connection. It reads the connection below every layer that might loop over its
// bytes.
type http1 struct {
	nc       net.Conn
	exchange *exchange
	in       *bufio.Reader
	writing  chan error // the outcome of writing the request; nil if it was written inline
	wrote    error      // the outcome, if it was written inline

	begun    bool  // a byte of an answer has come
	ended    bool  // the server has closed the connection
	broken   error // of the connection, other than its end
	inBody   bool
	headLeft int // bytes that heads may still take, those of interim answers included
	head     head
	last     bool // the server will close the connection
}

// roundTrip sends a request and reads the head of its answer. The body is read from the connection.
func (h *http1) roundTrip(req *http.Request) (*http.Response, error) {
	h.headLeft = maxHeader
	h.in = readers.Get().(*bufio.Reader)
	h.in.Reset(h)
	h.write(req)
	resp, err := h.answer(req)
	if err != nil {
		if !h.begun && errors.Is(err, io.ErrUnexpectedEOF) && h.writeFailed() != nil {
			err = h.writeFailed() // it says more
		}
		return nil, err
	}
	h.last = resp.Close
	if resp.Body != http.NoBody {
		resp.Body = io.NopCloser(resp.Body) // to close it would be to read it to its end
	}
	return resp, nil
}

// write writes a request. A body that the server may answer before it has read it whole is written beside.
func (h *http1) write(req *http.Request) {
	if req.ContentLength <= maxInline {
		h.wrote = h.writeTo(req)
		return
	}
	h.writing = make(chan error, 1)
	go func() { h.writing <- h.writeTo(req) }()
}

func (h *http1) writeTo(req *http.Request) error {
	if h.exchange.forwards() {
		var err error
		if req, err = toProxy(req); err != nil {
			return err
		}
	}
	out := writers.Get().(*bufio.Writer)
	out.Reset(h.nc)
	err := req.Write(out)
	if err == nil {
		err = out.Flush()
	}
	out.Reset(nil)
	writers.Put(out)
	return err
}

// toProxy returns a request with the whole URL in its first line. That of Request.WriteProxy would have the header Host in place of
// the URL's, and lead the proxy there.
func toProxy(req *http.Request) (*http.Request, error) {
	out, u := *req, *req.URL
	host, err := httpguts.PunycodeHostPort(u.Host)
	u.Opaque = "//" + host + cmp.Or(u.EscapedPath(), "/")
	out.URL = &u
	return &out, err
}

// writeFailed returns why the request was not written; nil if it was, or is being written.
func (h *http1) writeFailed() error {
	if h.writing != nil {
		select {
		case h.wrote = <-h.writing:
			h.writing = nil
		default:
		}
	}
	return h.wrote
}

// answer reads heads until it has one that is not of an interim answer.
func (h *http1) answer(req *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(h.in, req)
		if err != nil {
			return nil, cmp.Or(h.broken, err) // what is cut off in a line is not valid either
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			h.inBody = true
			return resp, nil
		}
		h.exchange.noteInterim(resp.Header)
	}
}

// Read reads of the answer.
func (h *http1) Read(p []byte) (int, error) {
	if !h.inBody {
		if h.headLeft == 0 {
			h.broken = errHead
			return 0, errHead
		}
		p = p[:min(len(p), h.headLeft)]
	}
	n, err := h.nc.Read(p)
	h.ended = err == io.EOF
	if err != nil && !h.ended {
		h.broken = err
	}
	if n > 0 && !h.inBody {
		h.begun = true
		h.headLeft -= n
		limit := h.exchange.meter.take(headBytes(n, h.head.scan(p[:n])))
		if h.head.final() {
			h.exchange.Enter(dial.PhaseTransfer)
		}
		if limit == nil && h.head.foreign() {
			limit = errVersion // whoever speaks another protocol may wait for more, without a line of its own
		}
		if limit != nil {
			h.broken = limit
			return 0, limit
		}
	}
	return n, err
}

// cut reports whether the server closed the connection in the middle of the answer, where net/http says only that it is not valid.
func (h *http1) cut() bool { return h != nil && h.ended && h.begun && (h.inBody || !h.head.first) }

// end ends an exchange whose answer was read whole, and reports whether the connection may carry another.
func (h *http1) end() (again bool) {
	return h.sent() && !h.last && h.in.Buffered() == 0
}

// sent reports whether all of the request was written.
func (h *http1) sent() bool { return h.writeFailed() == nil && h.writing == nil }

// release gives the buffers back, once the connection is closed or no longer read.
func (h *http1) release() {
	if h.writing != nil {
		<-h.writing
	}
	if h.in != nil {
		h.in.Reset(nil)
		readers.Put(h.in)
		h.in = nil
	}
}
