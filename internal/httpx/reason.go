package httpx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"prober/internal/probe"
)

var (
	errResent    = errors.New("the request would be sent again")
	errAmbiguous = errors.New("two lengths")
	errStatus    = errors.New("no status of an answer")
	errVersion   = errors.New("not the version that was spoken") // the last resort of explain says just that
)

// A fault is why there is no complete answer. Its sentence is ours: no error's own text and no byte of a server ever
// gets into it.
type fault struct {
	why    probe.Reason
	detail string
}

// explain finds the reason of an error by what it is, never by what it says.
func (x *exchange) explain(err error) (probe.Reason, string) {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // it has methods of its own that hide those of what it wraps
	}
	if errors.Is(context.Cause(x.Context()), errResent) {
		err = errResent
	}
	if f := x.classify(err); f != nil {
		return f.why, f.detail
	}
	if why, detail, ok := x.Classify(err); ok {
		return why, detail
	}
	_, peer := x.At()
	return probe.Protocol, "the answer" + withPeer(" of ", peer) + " is not the HTTP that was asked for"
}

func withPeer(word, peer string) string {
	if peer == "" {
		return ""
	}
	return word + peer
}

// classify knows the errors of HTTP.
func (x *exchange) classify(err error) *fault {
	for _, ask := range []func(error, string) *fault{x.classifyInternal, classifyResponse} {
		_, peer := x.At()
		if f := ask(err, peer); f != nil {
			return f
		}
	}
	return nil
}

// classifyInternal knows the errors of this package.
func (x *exchange) classifyInternal(err error, peer string) *fault {
	switch {
	case errors.Is(err, errResent):
		return &fault{probe.Protocol, "the server refuses the request for now; it is not sent again"}
	case errors.Is(err, errSpoke):
		return &fault{probe.Protocol, "the server" + withPeer(" at ", peer) + " spoke before it was asked"}
	case errors.Is(err, errAmbiguous):
		return &fault{probe.Protocol, "the answer has two lengths, a Content-Length and a Transfer-Encoding"}
	case errors.Is(err, errStatus):
		return &fault{probe.Protocol, "the status is none that an answer can have"}
	case errors.Is(err, errTooLarge):
		return &fault{probe.TooLarge, fmt.Sprintf("the body is larger than %d bytes", x.client.settings.maxBody())}
	case errors.Is(err, errCoding):
		return &fault{probe.Protocol, "the body comes in a content coding that was not asked for"}
	case errors.Is(err, errHungUp):
		return &fault{probe.Cancelled, "given up in the middle of the answer, on purpose"}
	case errors.Is(err, errGzip):
		return &fault{probe.Protocol, "the gzip data of the body is damaged"}
	}
	return nil
}

// A streamError has the shape of the error by which net/http reports an HTTP/2 RST_STREAM. The type itself is hidden
// there; errors.As fills in any type of its shape.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "stream reset" }

// classifyResponse knows the errors of net/http that have no type of their own.
func classifyResponse(err error, peer string) *fault {
	var stream streamError
	switch {
	case errors.As(err, &stream):
		if stream.Cause != nil && stream.Cause.Error() != "received from peer" {
			break // net/http's own verdict on what it read
		}
		return &fault{probe.Reset, fmt.Sprintf("stream reset%s with code %d", withPeer(" by ", peer), stream.Code)}
	case errors.Is(err, http.ErrSchemeMismatch):
		return &fault{probe.TLS, "the other side" + withPeer(" of ", peer) + " does not speak TLS"}
	case strings.Contains(err.Error(), "server closed idle connection"):
		return &fault{probe.Reset, "connection closed" + withPeer(" by ", peer) + " without an answer"}
	case strings.Contains(err.Error(), "response headers exceeded"):
		return &fault{probe.Protocol, fmt.Sprintf("the headers of the answer are larger than %d bytes", maxHeader)}
	case strings.Contains(err.Error(), "too many 1xx"):
		return &fault{probe.Protocol, "the server sends interim answers without end"}
	}
	return nil
}
