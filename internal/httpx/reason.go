package httpx

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"prober/internal/memory"
	"prober/internal/probe"
)

var (
	errResent    = errors.New("the request would be sent again")
	errAmbiguous = errors.New("two lengths")
	errStatus    = errors.New("not a valid status")
	errVersion   = errors.New("another version of HTTP") // to explain it is an answer that is not valid HTTP
)

// explain gives the reason why there is no complete answer, and a sentence that holds neither the error's own text nor a
// byte of the server's. They are found by what the error is, never by what it says.
func (x *exchange) explain(err error) probe.Outcome {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // it has methods of its own that hide those of what it wraps
	}
	if errors.Is(context.Cause(x.Context()), errResent) {
		err = errResent
	}
	for _, classify := range []func(error) probe.Outcome{x.classifyInternal, x.classifyResponse} {
		if o := classify(err); o != (probe.Outcome{}) {
			return o
		}
	}
	if o, ok := x.Classify(err); ok {
		return o
	}
	return probe.Outcomef(probe.Protocol, "the answer%s is not valid HTTP", withPeer(" of ", x.Peer()))
}

func withPeer(word, peer string) string {
	if peer == "" {
		return ""
	}
	return word + peer
}

// classifyInternal recognizes the errors of this package.
func (x *exchange) classifyInternal(err error) probe.Outcome {
	switch {
	case memory.IsLimit(err):
		return probe.Outcomef(probe.SelfLimit, "the answer was not read to its end: %s", err)
	case errors.Is(err, errResent):
		return probe.Outcomef(probe.Protocol, "the server refuses the request for now; it is not sent again")
	case errors.Is(err, errUnsolicited):
		return probe.Outcomef(probe.Protocol, "the server%s sent data before it was asked", withPeer(" at ", x.Peer()))
	case errors.Is(err, errAmbiguous):
		return probe.Outcomef(probe.Protocol, "the answer has two lengths, a Content-Length and a Transfer-Encoding")
	case errors.Is(err, errStatus):
		return probe.Outcomef(probe.Protocol, "the status is not a valid status of an answer")
	case errors.Is(err, errTooLarge):
		return probe.Outcomef(probe.TooLarge, "the body is larger than %d bytes", x.client.settings.maxBody())
	case errors.Is(err, errCoding):
		return probe.Outcomef(probe.Protocol, "the body has a content coding that was not requested")
	case errors.Is(err, errAbandoned):
		return probe.Outcomef(probe.Cancelled, "abandoned in the middle of the answer, on purpose")
	case errors.Is(err, errGzip):
		return probe.Outcomef(probe.Protocol, "the gzip data of the body is damaged")
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

// classifyResponse recognizes the errors of net/http.
func (x *exchange) classifyResponse(err error) probe.Outcome {
	var stream streamError
	switch {
	case errors.As(err, &stream):
		if stream.Cause != nil && stream.Cause.Error() != "received from peer" {
			break // net/http's own verdict on what it read
		}
		return probe.Outcomef(probe.Reset, "stream reset%s with code %d", withPeer(" by ", x.Peer()), stream.Code)
	case errors.Is(err, http.ErrSchemeMismatch):
		return probe.Outcomef(probe.TLS, "the server%s does not speak TLS", withPeer(" at ", x.Peer()))
	case strings.Contains(err.Error(), "server closed idle connection"):
		return probe.Outcomef(probe.Reset, "connection closed%s without an answer", withPeer(" by ", x.Peer()))
	case strings.Contains(err.Error(), "response headers exceeded"):
		return probe.Outcomef(probe.Protocol, "the headers of the answer are larger than %d bytes", maxHeader)
	case strings.Contains(err.Error(), "too many 1xx"):
		return probe.Outcomef(probe.Protocol, "the server sends interim answers without end")
	}
	return probe.Outcome{}
}
