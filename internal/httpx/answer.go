package httpx

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"prober/internal/jsonpath"
	"prober/internal/memory"
	"prober/internal/probe"
)

// An Answer is the result of one request. If Reason is probe.OK a complete answer was read, with any status; otherwise
// Detail says why not, in a sentence that holds no byte of the server's, and Status, Header and Body are what was read
// until then. Header, StatusText, Interim, Body and Trailer come from the server: no part of them belongs in a message or a label.
type Answer struct {
	probe.Exchange
	Header     http.Header
	StatusText string        // the status as sent, with the reason phrase
	Interim    []http.Header // of the 1xx answers before it, in their order
	Body       []byte
	Trailer    http.Header
	Detail     string
	Cached     string // why the answer may come out of a cache, such as "Age: 60"; empty if nothing suggests it

	oldDate     bool // Cached was said of the Date alone
	unasked     bool // the server did not ask for the client certificate that there is
	askedToWait bool // a 429 that asks for less, from a target that was not given the time yet

	run    context.Context // that the answer belongs to
	waited time.Duration   // for memory, in the middle of the answer
	decode sync.Once
	doc    jsonpath.Document
	docErr error
}

// Incomplete reports whether there is no complete answer, and notes why as the check's outcome.
func (a *Answer) Incomplete(r *probe.Result, check string) bool {
	if a.Reason == probe.OK {
		return false
	}
	r.Report(check, a.Reason, "%s", a.Detail)
	return true
}

// Redirected reports whether the answer is a redirect. None is ever followed.
func (a *Answer) Redirected() bool {
	return a.Status >= 300 && a.Status < 400 && a.Status != http.StatusNotModified
}

// JSON returns the body as JSON, decoded once. The error never repeats the body. If it is a limit of the prober's, nothing
// that the run concludes from the answer counts.
func (a *Answer) JSON() (jsonpath.Document, error) {
	doc, err := a.document()
	if err != nil && a.run != nil {
		memory.Exceeded(a.run, a.TraceID, err)
	}
	return doc, err
}

func (a *Answer) document() (jsonpath.Document, error) {
	a.decode.Do(func() {
		run := a.run
		if run == nil {
			run = context.Background()
		}
		a.doc, a.docErr = jsonpath.Decode(run, a.Body)
	})
	return a.doc, a.docErr
}

// Coding returns the content coding in which the body came: identity, gzip or the one that was asked for. It is empty for any
// other.
func (a *Answer) Coding(asked string) string {
	coding, _ := codingOf(a.Header, asked)
	return coding
}

// NotJSON is the outcome of a check that needs the JSON of an answer, by the error of JSON.
func NotJSON(err error) probe.Outcome {
	if memory.IsLimit(err) {
		return probe.Outcomef(probe.SelfLimit, "%s", err)
	}
	return probe.Outcomef(probe.Schema, "the answer is not JSON: %s", err)
}

// traceHeaders are where an answer states its trace id unless the settings say where: that of W3C Trace Context, level 2,
// and names in common use.
var traceHeaders = []string{"Traceresponse", "Traceparent", "X-Trace-Id", "Trace-Id"}

// readTrace returns the trace id that an answer states; empty without one.
func (s *Settings) readTrace(a *Answer) string {
	if s.Trace != nil {
		return s.Trace.Read(a)
	}
	for _, name := range traceHeaders {
		if id := a.Header.Get(name); id != "" {
			return id
		}
	}
	return ""
}

// traceID returns text if it has the form of a trace id: 16 to 64 of the characters 0-9, a-f and "-".
func traceID(text string) string {
	if len(text) < 16 || len(text) > 64 || strings.Trim(text, "0123456789abcdef-") != "" {
		return ""
	}
	return text
}

// ParseVersion returns text if it has the form of a version: up to 128 letters, digits and . _ + : -, a letter or digit first. It
// stands in notes and chats, so it can be neither an address to click on nor somebody's name.
func ParseVersion(text string) string {
	if len(text) > 128 {
		return ""
	}
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("._+:-", c) < 0 || i == 0 && strings.IndexByte("._+:-", c) >= 0 {
			return ""
		}
	}
	return text
}
