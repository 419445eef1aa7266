package grpc

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
)

// contentType is that of gRPC; a suffix names the coding of the messages.
const contentType = "application/grpc"

// An answer is what a server said of one service.
type answer struct {
	probe.Outcome
	target   string
	service  string
	http     *httpx.Answer
	code     int    // the status of gRPC; -1 if there is none
	health   health // if answered
	answered bool   // there is a HealthCheckResponse
}

// Codes of gRPC that are looked for.
const (
	codeNotFound         = 5
	codePermissionDenied = 7
	codeUnimplemented    = 12
	codeUnauthenticated  = 16
)

// serverErrors are the codes of a server, or of a proxy, that could not answer: CANCELLED, UNKNOWN, DEADLINE_EXCEEDED,
// RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE and DATA_LOSS.
var serverErrors = []int{1, 2, 4, 8, 10, 13, 14, 15}

// codeNames are those of gRPC, by their number.
var codeNames = strings.Fields(`OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED
	RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED`)

func codeName(code int) string {
	if code >= len(codeNames) {
		return "a status that does not exist"
	}
	return codeNames[code]
}

// judge compares what was answered with what is expected.
func (p *Probe) judge(a *answer) {
	c := a.http.Classify(httpx.ClassifyOptions{
		Want: httpx.Codes(http.StatusOK), AnyDate: true, Credential: p.Authenticates(), Public: !p.Authenticates(),
	})
	if a.Outcome = c.Outcome; c.Class != httpx.ClassExpected {
		return
	}
	if a.Outcome = judgeContentType(a.http.Header); !a.Passed() {
		return
	}
	if a.code, a.Outcome = statusOf(a.http); !a.Passed() {
		return
	}
	if a.code != 0 {
		a.Outcome = p.judgeCode(a)
		return
	}
	var body []byte
	if body, a.Outcome = message(a.http.Body); !a.Passed() {
		return
	}
	if a.health, a.Outcome = parseHealth(body); !a.Passed() {
		return
	}
	a.answered = true
	a.Outcome = p.judgeHealth(a)
}

// judgeContentType says what an answer is that is not of gRPC. Only types that are known are named: it is the target's text.
func judgeContentType(header http.Header) probe.Outcome {
	const expected = "expected the content type " + contentType + ", got "
	values := header["Content-Type"]
	if len(values) != 1 {
		return probe.Outcomef(reasonContent, expected+"%d of them", len(values))
	}
	kind, _, err := mime.ParseMediaType(values[0])
	switch {
	case err == nil && (kind == contentType || strings.HasPrefix(kind, contentType+"+")):
		return probe.Outcome{Reason: probe.OK}
	case slices.Contains([]string{"text/html", "text/plain", "application/json", "application/grpc-web", "application/grpc-web+proto"}, kind):
		return probe.Outcomef(reasonContent, expected+"%s", kind)
	}
	return probe.Outcomef(reasonContent, expected+"another")
}

// statusOf returns the status of gRPC. It stands in the trailer or, if nothing else is answered, in the header.
func statusOf(a *httpx.Answer) (int, probe.Outcome) {
	const name, expected = "Grpc-Status", "expected grpc-status in the trailer, got "
	values, head := a.Trailer[name], a.Header[name]
	if len(values) == 0 && len(a.Body) == 0 || len(values) == 1 && len(head) == 1 && head[0] != values[0] {
		values = append(head[:len(head):len(head)], values...)
	}
	switch {
	case len(values) == 0 && len(a.Trailer) == 0:
		return -1, probe.Outcomef(reasonTrailer, expected+"%s and no trailer", text.Count(len(a.Body), "byte"))
	case len(values) == 0:
		return -1, probe.Outcomef(reasonTrailer, expected+"a trailer without it")
	case len(values) > 1:
		return -1, probe.Outcomef(reasonTrailer, expected+"it %d times", len(values))
	}
	code, err := strconv.ParseUint(values[0], 10, 31)
	if err != nil {
		return -1, probe.Outcomef(reasonTrailer, expected+"one that is no number")
	}
	return int(code), probe.Outcome{Reason: probe.OK}
}

// judgeCode says what a status other than OK means.
func (p *Probe) judgeCode(a *answer) probe.Outcome {
	got := "expected " + p.Status + ", got the status " + codeName(a.code) + " (" + strconv.Itoa(a.code) + ")"
	refused := a.code == codeUnauthenticated || a.code == codePermissionDenied
	switch {
	case refused && p.Authenticates():
		return probe.Outcomef(probe.Credential, "%s: the target does not accept the probe's credential", got)
	case refused:
		return probe.Outcomef(reasonStatus, "%s: no credential was sent, so anybody gets it", got)
	case a.code == codeUnimplemented:
		return probe.Outcomef(reasonNoHealth, "%s: the server does not know grpc.health.v1.Health", got)
	case a.code == codeNotFound && a.service == "":
		return probe.Outcomef(reasonService, "%s: the server says nothing of itself as a whole; name its services", got)
	case a.code == codeNotFound:
		return probe.Outcomef(reasonService, "%s: the server does not know the service", got)
	}
	return probe.Outcomef(reasonStatus, "%s", got)
}

// judgeHealth compares the health with the expected one.
func (p *Probe) judgeHealth(a *answer) probe.Outcome {
	if a.health.String() == p.Status {
		return probe.Outcomef(probe.OK, "%s", a.health)
	}
	why := reasonUnknown
	switch a.health {
	case serving:
		why = reasonServing
	case notServing:
		why = reasonNotServing
	case serviceUnknown:
		why = reasonService
	}
	return probe.Outcomef(why, "expected %s, got %s", p.Status, a.health)
}
