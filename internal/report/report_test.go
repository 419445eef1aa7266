package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

func write(t *testing.T, format string, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite_golden(t *testing.T) {
	for name, r := range fixtures() {
		for _, format := range Formats() {
			t.Run(name+"."+format, func(t *testing.T) { testenv.Golden(t, "testdata/"+name+"."+format, write(t, format, r)) })
		}
	}
	colourful := fixtures()["replicas"]
	colourful.Color, colourful.Width = true, 72
	testenv.Golden(t, "testdata/colour.text", write(t, "text", colourful))
}

func TestWrite_onlyAPassReadsAsGood(t *testing.T) {
	for name, r := range fixtures() {
		passes := r.Verdict() == probe.Pass
		if want := name == "green" || name == "repeat"; passes != want {
			t.Errorf("%s: the report passes: %t, wanted %t", name, passes, want)
		}
		for format, good := range map[string]func(string) bool{
			"json":   jsonGood,
			"junit":  junitGood,
			"tap":    tapGood,
			"github": func(s string) bool { return !strings.Contains(s, "::error ") && !strings.Contains(s, "::warning ") },
		} {
			if got := good(write(t, format, r)); got != passes {
				t.Errorf("%s.%s reads as good: %t, wanted %t", name, format, got, passes)
			}
		}
		if text := write(t, "text", r); !passes && !strings.Contains(text, "Not ") && !strings.Contains(text, "0 probes ran: ") {
			t.Errorf("%s.text reads as good:\n%s", name, text)
		}
	}
}

func jsonGood(text string) bool {
	var doc struct{ Verdict string }
	return json.Unmarshal([]byte(text), &doc) == nil && doc.Verdict == "pass"
}

// junitGood reads a report as CI systems do: good without failures and errors, and with at least one case.
func junitGood(text string) bool {
	var doc struct {
		XMLName  xml.Name `xml:"testsuites"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Suites   []struct {
			Cases []struct {
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		return false
	}
	cases, bad := 0, 0
	for _, s := range doc.Suites {
		for _, c := range s.Cases {
			cases++
			if c.Failure != nil || c.Error != nil {
				bad++
			}
		}
	}
	return cases > 0 && bad == 0 && doc.Failures+doc.Errors == 0
}

// tapGood reads a report as TAP harnesses do: any test that is not ok is bad, unless it is marked as to do.
func tapGood(text string) bool {
	for line := range strings.Lines(text) {
		upper := strings.ToUpper(line)
		if strings.HasPrefix(line, "not ok") && !strings.Contains(upper, "# TODO") && !strings.Contains(upper, "# SKIP") {
			return false
		}
	}
	return true
}

func TestVerdict(t *testing.T) {
	pass, fail, inconclusive := proxyPasses(), dashboardFails(), queueInconclusive()
	empty := probe.Result{ID: proxy.ID}
	for _, c := range []struct {
		name string
		r    Report
		want probe.Verdict
	}{
		{"no results", Report{Jobs: []probe.Job{proxy}}, probe.Inconclusive},
		{"nothing at all", Report{}, probe.Inconclusive},
		{"all pass", Report{Jobs: []probe.Job{proxy}, Results: []probe.Result{pass}}, probe.Pass},
		{"a job without result", Report{Jobs: []probe.Job{proxy, queue}, Results: []probe.Result{pass}}, probe.Inconclusive},
		{"a result without checks", Report{Results: []probe.Result{empty}}, probe.Inconclusive},
		{"a failure beats what is inconclusive", Report{Results: []probe.Result{inconclusive, fail, pass}}, probe.Fail},
		{"inconclusive beats pass", Report{Results: []probe.Result{inconclusive, pass}}, probe.Inconclusive},
		{"ended early", Report{Results: []probe.Result{pass}, Reason: "interrupted"}, probe.Inconclusive},
		{"fails and ended early", Report{Results: []probe.Result{fail}, Reason: "interrupted"}, probe.Fail},
		{"not every run clean", Report{Results: []probe.Result{pass}, Repeat: 10, Rounds: 10, Clean: 9}, probe.Inconclusive},
		{"every run clean", Report{Results: []probe.Result{pass}, Repeat: 10, Rounds: 10, Clean: 10}, probe.Pass},
	} {
		if got := c.r.Verdict(); got != c.want {
			t.Errorf("%s: got %s, wanted %s", c.name, got, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	pass := []probe.Result{proxyPasses(), dashboardPasses()}
	at := func(d time.Duration) Report { return Report{Results: pass, Started: begin, Ended: begin.Add(d)} }
	for want, r := range map[string]Report{
		"0 probes ran: none was selected.":                        {},
		"0 probes ran: interrupted.":                              {Jobs: []probe.Job{proxy}, Reason: "interrupted."},
		"All 2 passed in 1.3 s.":                                  at(1300 * time.Millisecond),
		"1 of 1 passed in 40 ms.":                                 {Results: pass[:1], Started: begin, Ended: begin.Add(40 * time.Millisecond)},
		"All 2 passed.":                                           {Results: pass},
		"All 2 passed, ran 4 times, held for 30s.":                {Results: pass, Rounds: 4, Held: 30 * time.Second},
		"1 of 2 passed, 1 failed: dashboard. Not healthy.":        {Results: []probe.Result{proxyPasses(), dashboardFails()}},
		"1 of 2 passed, 1 failed: dashboard. Not fixed.":          {Results: []probe.Result{proxyPasses(), dashboardFails()}, Awaited: true},
		"1 of 2 passed, 1 inconclusive: queue-depth. Not proven.": {Results: []probe.Result{proxyPasses(), queueInconclusive()}},
		"0 of 2 passed, 1 failed: dashboard; 1 inconclusive: queue-depth. " + "Not healthy.": {Results: []probe.Result{dashboardFails(), queueInconclusive()}},
		"All 2 passed; ended early: interrupted. Not proven.":                                {Results: pass, Reason: "interrupted"},
		"1 of 2 passed, 1 did not run: dashboard; ended early: interrupted. Not proven.": {
			Jobs: []probe.Job{proxy, dashboard}, Results: pass[:1], Reason: "interrupted"},
		"All 2 passed. 300 of 300 runs clean: a fault in more than 1.0 % of runs would have shown with 95 % confidence (3/N).": {
			Results: pass, Repeat: 300, Rounds: 300, Clean: 300},
		"All 2 passed. 700 of 700 runs clean: a fault in more than 0.5 % of runs would have shown with 95 % confidence (3/N).": {
			Results: pass, Repeat: 700, Rounds: 700, Clean: 700},
		"All 2 passed. 30000 of 30000 runs clean: a fault in more than 0.010 % of runs would have shown with 95 % confidence (3/N).": {
			Results: pass, Repeat: 30000, Rounds: 30000, Clean: 30000},
		"All 2 passed. 2 of 2 runs clean: too few to say how rare a fault would be.":                                        {Results: pass, Repeat: 2, Rounds: 2, Clean: 2},
		"All 2 passed. 3 of 3 runs clean: too few to say how rare a fault would be.":                                        {Results: pass, Repeat: 3, Rounds: 3, Clean: 3},
		"All 2 passed. 4 of 4 runs clean: a fault in more than 75.0 % of runs would have shown with 95 % confidence (3/N).": {Results: pass, Repeat: 4, Rounds: 4, Clean: 4},
		"All 2 passed. 299 of 300 runs clean. Not proven.":                                                                  {Results: pass, Repeat: 300, Rounds: 300, Clean: 299},
		"All 2 passed; ended early: interrupted. 120 of 120 runs clean, expected 300. Not proven.": {
			Results: pass, Repeat: 300, Rounds: 120, Clean: 120, Reason: "interrupted"},
	} {
		if got := r.Summary(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestSummary_namesTenAtMost(t *testing.T) {
	var r Report
	for i := range 12 {
		j := job("ibex", fmt.Sprintf("p%d", i), "http", "", "")
		r.Results = append(r.Results, result(j, time.Second, func(r *probe.Result) { r.Fail("status", probe.Status, "wanted 200, got 500") }))
	}
	want := "0 of 12 passed, 12 failed: p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more. Not healthy."
	if got := r.Summary(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWrite_unknownFormat(t *testing.T) {
	six := `is none of text, json, junit, tap, github, markdown`
	for format, want := range map[string]string{
		"jsn":      `format "jsn" ` + six + "; did you mean json?",
		"md":       `format "md" ` + six,
		"mark":     `format "mark" ` + six + "; did you mean markdown?",
		"JUnit":    `format "JUnit" ` + six + "; did you mean junit?",
		"":         `format "" ` + six,
		"\x1b[31m": `format " [31m" ` + six,
	} {
		err := Write(io.Discard, format, Report{})
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWrite_reportsErrors(t *testing.T) {
	for _, format := range Formats() {
		if err := Write(fullDisk{}, format, fixtures()["green"]); err == nil || err.Error() != "no space left" {
			t.Errorf("%s: got %v", format, err)
		}
	}
}

func TestFailureLines_citesTheUnansweredExchange(t *testing.T) {
	r := result(proxy, time.Second, func(r *probe.Result) {
		r.Report("dependency", probe.Timeout, "answered before, and not after")
		for i, why := range []probe.Reason{probe.OK, probe.Refused, probe.Timeout, probe.OK} {
			r.Exchanged(probe.Exchange{Check: "dependency", Method: "GET", URL: "http://auth.example/health", Reason: why, TraceID: fmt.Sprint("trace", i)})
		}
	})
	text := write(t, "text", Report{Jobs: []probe.Job{proxy}, Results: []probe.Result{r}})
	if !strings.Contains(text, "trace2") || strings.Count(text, "trace id") != 1 {
		t.Errorf("got:\n%s", text)
	}
}
