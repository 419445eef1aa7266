package httpx

import (
	"errors"
	"io"
	"net/url"
	"reflect"
	"strings"

	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/probe"
)

var (
	errUnsolicited = errors.New("the server sent data before it was asked")
	errHead        = errors.New("the head is too large")
	errAmbiguous   = errors.New("two lengths")
	errMalformed   = errors.New("headers that HTTP/2 forbids")
	errStatus      = errors.New("not a valid status")
	errOnlyHTTP1   = errors.New("no HTTP/2")
	errVersion     = errors.New("another version of HTTP") // to explain it is an answer that is not valid HTTP
)

// explain gives the reason why there is no complete answer, and a sentence that holds neither the error's own text nor a
// byte of the server's. They are found by what the error is, never by what it says.
func (x *exchange) explain(err error) probe.Outcome {
	o := x.blameProxy(x.outcome(err))
	if o == notSentAgain && x.conn != nil && x.conn.kept && !x.answering() {
		return x.idleClosed() // a server that shuts down in good order
	}
	_, left := goAwayCode(err)
	closed := left || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if o.Reason == probe.Reset && x.conn != nil && !x.answering() && x.conn.lost(closed) {
		return x.idleClosed()
	}
	return o
}

// idleClosed says that a kept connection ended before the server had the request, as far as can be known. The request is
// not sent again, in case it did.
func (x *exchange) idleClosed() probe.Outcome {
	return probe.Outcomef(probe.IdleClosed, "the kept connection was closed%s as the request was sent; it is not sent again", withPeer(" by ", x.Peer()))
}

// outcome finds what an error is.
func (x *exchange) outcome(err error) probe.Outcome {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // it has methods of its own that hide those of what it wraps
	}
	for _, classify := range []func(error) probe.Outcome{x.classifyInternal, x.classifyVersion, x.classifyResponse} {
		if o := classify(err); o != (probe.Outcome{}) {
			return o
		}
	}
	o, known := x.Classify(err)
	if cause := x.opening.ended(); cause != nil && (!known || o.Reason == probe.Reset) {
		if c, ok := x.Classify(cause); ok {
			return c
		}
	}
	if known {
		return o
	}
	if x.http1.cut() {
		return probe.Outcomef(probe.Truncated, "the answer%s is shorter than announced", withPeer(" of ", x.Peer()))
	}
	if x.onlyHTTP2 {
		return probe.Outcomef(probe.Protocol, "expected HTTP/2, got an answer%s that is not", withPeer(" of ", x.Peer()))
	}
	return probe.Outcomef(probe.Protocol, "the answer%s is not valid HTTP", withPeer(" of ", x.Peer()))
}

// classifyVersion recognizes a server that speaks HTTP/1 where only HTTP/2 will do.
func (x *exchange) classifyVersion(err error) probe.Outcome {
	http1, another := x.opening.answers()
	switch {
	case !x.onlyHTTP2:
		return probe.Outcome{}
	case dial.NoCommonProtocol(err), errors.Is(err, errOnlyHTTP1):
		return probe.Outcomef(probe.Protocol, "expected HTTP/2, got a server%s that does not agree to it in the TLS handshake (ALPN)", withPeer(" at ", x.Peer()))
	case http1:
		return probe.Outcomef(probe.Protocol, "expected HTTP/2, got an answer of HTTP/1%s", withPeer(" by ", x.Peer()))
	case another:
		return probe.Outcomef(probe.Protocol, "expected HTTP/2, got an answer%s that is not", withPeer(" of ", x.Peer()))
	}
	return probe.Outcome{}
}

func withPeer(word, peer string) string {
	if peer == "" {
		return ""
	}
	return word + peer
}

// classifyInternal recognizes the errors of this package.
func (x *exchange) classifyInternal(err error) probe.Outcome {
	if e, ok := errors.AsType[*proxyError](err); ok {
		return e.Outcome
	}
	switch {
	case memory.IsLimit(err):
		return probe.Outcomef(probe.SelfLimit, "the answer was not read to its end: %s", err)
	case errors.Is(err, errUnsolicited):
		return probe.Outcomef(probe.Protocol, "the server%s sent data before it was asked", withPeer(" at ", x.Peer()))
	case errors.Is(err, errHead):
		return probe.Outcomef(probe.Protocol, "the headers of the answer are larger than %d bytes", maxHeader)
	case errors.Is(err, errAmbiguous):
		return probe.Outcomef(probe.Protocol, "the answer has two lengths, a Content-Length and a Transfer-Encoding")
	case errors.Is(err, errMalformed):
		return probe.Outcomef(probe.Protocol, "the answer has a header that HTTP/2 forbids, such as Connection, or two lengths: clients reject it")
	case errors.Is(err, errStatus):
		return probe.Outcomef(probe.Protocol, "expected a status of 200 to 599, got %d", x.status)
	case errors.Is(err, errTooLarge):
		return probe.Outcomef(probe.TooLarge, "the body is larger than %d bytes", x.client.settings.maxBody())
	case errors.Is(err, errCoding):
		return probe.Outcomef(probe.Protocol, "the body has a content coding that was not requested")
	case errors.Is(err, errAbandoned):
		return probe.Outcomef(probe.Cancelled, "abandoned in the middle of the answer, on purpose")
	case errors.Is(err, errGzip):
		return probe.Outcomef(probe.Protocol, "the gzip data of the body is damaged")
	case errors.Is(err, errDeflate):
		return probe.Outcomef(probe.Protocol, "the deflate data of the body is damaged, or without the header of zlib")
	case errors.Is(err, errCodedEnd):
		return probe.Outcomef(probe.Truncated, "the compressed data of the body is cut off, or something follows it")
	case errors.Is(err, errBrotli):
		return probe.Outcomef(probe.Protocol, "the header says that the body is in br, and it is not")
	}
	return probe.Outcome{}
}

// A streamError has the shape of the error by which net/http reports an HTTP/2 RST_STREAM. The type itself is unexported
// there; errors.As fills in any type of its shape.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "stream reset" }

// Codes of HTTP/2 errors (RFC 9113, section 7).
const (
	refusedStream   = 7 // the server did not process the request
	enhanceYourCalm = 11
)

// Errors of net/http for a GOAWAY, which are known by their texts only. None has a byte of the server's.
const (
	goAway     = "http2: Transport received Server's graceful shutdown GOAWAY"
	goAwayWith = "http2: Transport received GOAWAY from server ErrCode:" // and the name of the error
	goAwayCalm = goAwayWith + "ENHANCE_YOUR_CALM"
)

// classifyResponse recognizes the errors of net/http.
func (x *exchange) classifyResponse(err error) probe.Outcome {
	var stream streamError
	code, left := goAwayCode(err)
	switch {
	case errors.As(err, &stream) && (stream.Cause == nil || stream.Cause.Error() != "received from peer"):
		if errors.Is(stream.Cause, errHead) {
			return x.classifyInternal(errHead)
		}
		// net/http's own verdict on what it read
	case stream.Code == refusedStream, err.Error() == goAway:
		return notSentAgain
	case stream.Code == enhanceYourCalm, err.Error() == goAwayCalm, code == enhanceYourCalm:
		return probe.Outcomef(probe.RateLimited, "the server%s asks for fewer requests (ENHANCE_YOUR_CALM)", withPeer(" at ", x.Peer()))
	case stream.StreamID != 0:
		return probe.Outcomef(probe.Reset, "stream reset%s with code %d", withPeer(" by ", x.Peer()), stream.Code)
	case strings.HasPrefix(err.Error(), goAwayWith):
		return probe.Outcomef(probe.Reset, "connection ended%s without an answer, by GOAWAY with %s", withPeer(" by ", x.Peer()), strings.TrimPrefix(err.Error(), goAwayWith))
	case left:
		return probe.Outcomef(probe.Reset, "connection closed%s in the middle of the exchange, after GOAWAY with code %d", withPeer(" by ", x.Peer()), code)
	}
	return probe.Outcome{}
}

// goAwayCode returns the code of a GOAWAY after which a server closed the connection; ok is false if there was none. The type
// of the error is unexported in net/http; its field can be read.
func goAwayCode(err error) (code uint64, ok bool) {
	for ; err != nil; err = errors.Unwrap(err) {
		if v := reflect.ValueOf(err); v.Kind() == reflect.Struct && strings.HasSuffix(v.Type().Name(), "GoAwayError") {
			return v.FieldByName("ErrCode").Uint(), true
		}
	}
	return 0, false
}

// notSentAgain is what happens to a request that a server leaves unprocessed.
var notSentAgain = probe.Outcomef(probe.Protocol, "the server refuses the request for now; it is not sent again")
