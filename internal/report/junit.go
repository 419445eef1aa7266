package report

import (
	"bytes"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string           `xml:"name,attr"`
	Tests      int              `xml:"tests,attr"`
	Failures   int              `xml:"failures,attr"`
	Errors     int              `xml:"errors,attr"`
	Skipped    int              `xml:"skipped,attr"`
	Time       string           `xml:"time,attr"`
	Timestamp  string           `xml:"timestamp,attr,omitempty"`
	Properties *junitProperties `xml:"properties"`
	Cases      []junitCase      `xml:"testcase"`
	Out        string           `xml:"system-out"`
}

type junitCase struct {
	Class      string           `xml:"classname,attr"`
	Name       string           `xml:"name,attr"`
	Time       string           `xml:"time,attr"`
	Properties *junitProperties `xml:"properties"`
	Failure    *junitProblem    `xml:"failure"`
	Error      *junitProblem    `xml:"error"`
}

type junitProperties struct {
	Property []junitProperty `xml:"property"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitProblem struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",cdata"`
}

// writeJUnit writes a suite for each system and a case for each probe. An inconclusive probe is an error. Nothing
// is ever skipped: CI systems show skipped tests as good.
func writeJUnit(b *bytes.Buffer, r Report) error {
	entries := r.testCases()
	out := junitSuites{Name: "prober"}
	var all time.Duration
	for _, system := range systems(entries) {
		suite := junitSuite{Name: system, Out: r.Summary()}
		if !r.Started.IsZero() {
			suite.Timestamp = r.Started.UTC().Format(time.RFC3339)
		}
		suite.Properties = properties(junitProperty{"prober_version", text.Line(r.Version)})
		var took time.Duration
		for _, e := range entries {
			if e.System != system {
				continue
			}
			took += e.result.Took
			suite.add(e)
		}
		suite.Time = seconds(took)
		all += took
		out.Suites = append(out.Suites, suite)
		out.Tests, out.Failures, out.Errors = out.Tests+suite.Tests, out.Failures+suite.Failures, out.Errors+suite.Errors
	}
	out.Time = seconds(all)
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(b)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return err
	}
	b.WriteByte('\n')
	return nil
}

func (s *junitSuite) add(e entry) {
	c := junitCase{Class: e.System + "." + e.Type, Name: e.Name, Time: seconds(e.result.Took)}
	c.Properties = properties(
		junitProperty{"severity", e.Severity}, junitProperty{"runbook", e.Runbook}, junitProperty{"runbook_url", e.RunbookURL},
		junitProperty{"trace_id", e.traces()}, junitProperty{"version", e.version()})
	trouble := &junitProblem{Type: e.decisive.Reason.Word, Message: e.sentence(e.decisive), Text: "\n" + strings.Join(e.explanation(), "\n") + "\n"}
	s.Tests++
	switch e.verdict {
	case probe.Pass:
	case probe.Fail:
		s.Failures++
		c.Failure = trouble
	default:
		s.Errors++
		c.Error = trouble
	}
	s.Cases = append(s.Cases, c)
}

// properties leaves out properties without a value; it returns nil if all are.
func properties(all ...junitProperty) *junitProperties {
	all = slices.DeleteFunc(all, func(p junitProperty) bool { return p.Value == "" })
	if len(all) == 0 {
		return nil
	}
	return &junitProperties{all}
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
