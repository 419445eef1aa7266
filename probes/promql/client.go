package promql

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
)

// A vector is the answer to a query: one sample for each series.
type vector []sample

// A sample is one series at the moment that was asked for.
type sample struct {
	labels    map[string]string
	at        time.Time
	value     float64
	histogram *nativeHistogram // in place of value
}

// maxClockDifference is how far the moment that an answer is for may be from the prober's clock.
const maxClockDifference = time.Minute

// ask asks an instant query as of a moment; the zero time is the server's own now. If there is no vector of at least one
// sample, the outcome says why.
func (p *Probe) ask(ctx context.Context, r *probe.Result, check, query string, at time.Time) (vector, probe.Outcome) {
	form := url.Values{"query": {query}}
	if !at.IsZero() {
		form.Set("time", strconv.FormatFloat(seconds(at), 'f', 3, 64))
	}
	if end, limited := ctx.Deadline(); limited { // the server must not go on when nobody waits any more
		form.Set("timeout", fmt.Sprintf("%dms", max(1, time.Until(end).Milliseconds())))
	}
	a := p.client.Do(ctx, r, httpx.Request{
		Check: check, Method: http.MethodPost, URL: p.endpoint(), Want: httpx.Codes(http.StatusOK), Body: []byte(form.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	})
	if c := a.Classify(httpx.ClassifyOptions{Want: httpx.Codes(http.StatusOK), Credential: p.Authenticates()}); !c.Passed() {
		if c.Class == httpx.ClassUnexpected || c.Class == httpx.ClassServerError {
			return nil, explainError(a, c.Outcome)
		}
		return nil, c.Outcome
	}
	v, o := decode(a)
	if !o.Passed() {
		return nil, o
	}
	if len(v) == 0 {
		return nil, probe.Outcomef(reasonNoData, "the answer is empty: no series matches, or none has had a sample lately")
	}
	for _, s := range v {
		if !at.IsZero() && s.at.Sub(at).Abs() > time.Second {
			return nil, probe.Outcomef(probe.StaleOrCached, "the answer is for another moment, %s from the one that was asked for: it may come out of a cache", s.at.Sub(at).Abs().Round(time.Second))
		}
	}
	return v, probe.Outcome{Reason: probe.OK}
}

// one asks a query whose answer is a single number.
func (p *Probe) one(ctx context.Context, r *probe.Result, check, query string, at time.Time) (sample, probe.Outcome) {
	v, o := p.ask(ctx, r, check, query, at)
	switch {
	case !o.Passed():
		return sample{}, o
	case len(v) > 1:
		return sample{}, probe.Outcomef(reasonManySeries, "expected one series, got %d: aggregate them, for instance by sum()", len(v))
	case v[0].histogram != nil:
		return sample{}, probe.Outcomef(probe.Schema, "expected a number, got a native histogram")
	case math.IsNaN(v[0].value) || math.IsInf(v[0].value, 0):
		return sample{}, probe.Outcomef(reasonNaN, "got %v: a division by zero, or a quantile of nothing", v[0].value)
	}
	return v[0], o
}

func (p *Probe) endpoint() string { return strings.TrimSuffix(p.URL, "/") + "/api/v1/query" }

func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }

// An envelope is the answer of the API.
type envelope struct {
	Status    string            `json:"status"`
	ErrorType string            `json:"errorType"`
	Warnings  []json.RawMessage `json:"warnings"`
	IsPartial bool              `json:"isPartial"` // of VictoriaMetrics
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// errorTypes are those of the API, with what they mean. Nothing else of the server's errors is shown.
var errorTypes = map[string]probe.Outcome{
	"bad_data":    {Reason: reasonBadQuery, Detail: "the server cannot parse the query (bad_data)"},
	"execution":   {Reason: reasonBadQuery, Detail: "the server cannot evaluate the query (execution)"},
	"timeout":     {Reason: probe.Timeout, Detail: "the query took the server too long (timeout)"},
	"canceled":    {Reason: probe.Timeout, Detail: "the server gave up the query (canceled)"},
	"unavailable": {Reason: probe.Status, Detail: "the server is not ready to answer (unavailable)"},
	"internal":    {Reason: probe.Status, Detail: "the server has an error of its own (internal)"},
}

// explainError says why the server did not answer the query, by the type of error that the API states, if it does.
func explainError(a *httpx.Answer, otherwise probe.Outcome) probe.Outcome {
	var e envelope
	if _, err := a.JSON(); err != nil || json.Unmarshal(a.Body, &e) != nil {
		return otherwise
	}
	if o, known := errorTypes[e.ErrorType]; known && e.Status == "error" {
		return probe.Outcomef(o.Reason, "got %d: %s", a.Status, o.Detail)
	}
	return otherwise
}

// decode reads the vector out of an answer.
func decode(a *httpx.Answer) (vector, probe.Outcome) {
	if _, err := a.JSON(); err != nil { // which bounds what the document costs, and refuses one that says two things
		return nil, httpx.NotJSON(err)
	}
	var e envelope
	if err := json.Unmarshal(a.Body, &e); err != nil {
		return nil, probe.Outcomef(probe.Schema, "expected an answer of the Prometheus HTTP API, got other JSON")
	}
	switch {
	case e.Status != "success":
		if o, known := errorTypes[e.ErrorType]; known && e.Status == "error" {
			return nil, o
		}
		return nil, probe.Outcomef(probe.Schema, "expected the status success in the answer, got none")
	case len(e.Warnings) > 0:
		return nil, probe.Outcomef(reasonPartial, "the answer has %d warnings: a part of the data may be missing", len(e.Warnings))
	case e.IsPartial:
		return nil, probe.Outcomef(reasonPartial, "the answer says that a part of the data is missing")
	case e.Data.ResultType != "vector":
		return nil, probe.Outcomef(probe.Schema, "expected an instant vector, got %s", resultType(e.Data.ResultType))
	}
	return decodeVector(e.Data.Result)
}

// resultType names the type of a result, if it is one of the API.
func resultType(word string) string {
	switch word {
	case "matrix":
		return "a range vector: the query needs a function such as increase() around it"
	case "scalar", "string":
		return "a " + word + ": vector() makes one of a scalar"
	}
	return "none"
}

func decodeVector(raw json.RawMessage) (vector, probe.Outcome) {
	var series []struct {
		Metric    map[string]string   `json:"metric"`
		Value     *[2]json.RawMessage `json:"value"`
		Histogram *[2]json.RawMessage `json:"histogram"`
	}
	wrong := probe.Outcomef(probe.Schema, "expected a vector in the form of the Prometheus HTTP API, got something else")
	if json.Unmarshal(raw, &series) != nil || series == nil {
		return nil, wrong
	}
	v := make(vector, 0, len(series))
	seen := map[string]bool{}
	for _, s := range series {
		if (s.Value == nil) == (s.Histogram == nil) {
			return nil, wrong
		}
		id, _ := json.Marshal(s.Metric) // with its labels in order
		if seen[string(id)] {
			return nil, probe.Outcomef(probe.Schema, "the answer has one series twice")
		}
		seen[string(id)] = true
		out := sample{labels: s.Metric}
		pair := s.Value
		if pair == nil {
			pair = s.Histogram
			if out.histogram = decodeNative(pair[1]); out.histogram == nil {
				return nil, wrong
			}
		} else {
			var text string
			if json.Unmarshal(pair[1], &text) != nil {
				return nil, wrong
			}
			out.value = parseValue(text)
		}
		var at float64
		if json.Unmarshal(pair[0], &at) != nil || !(at >= 0 && at < 1e11) {
			return nil, wrong
		}
		out.at = time.UnixMilli(int64(math.Round(at * 1000)))
		v = append(v, out)
	}
	return v, probe.Outcome{Reason: probe.OK}
}

// parseValue reads a value as the API writes it; NaN if it is no number.
func parseValue(text string) float64 {
	switch text {
	case "+Inf":
		return math.Inf(1)
	case "-Inf":
		return math.Inf(-1)
	}
	v, ok := jsonpath.ParseNumber(text)
	if !ok {
		return math.NaN()
	}
	return v
}
