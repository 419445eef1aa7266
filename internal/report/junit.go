package report

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
	"prober/internal/xmldoc"
)

// A junitSuite is the probes of one system.
type junitSuite struct {
	tests, failures, errors int
	took                    time.Duration
	cases                   []xmldoc.Element
}

// writeJUnit writes a suite for each system and a case for each probe. An inconclusive probe is an error. Nothing
// is ever skipped: CI systems show skipped tests as good.
func writeJUnit(b *bytes.Buffer, r Report) error {
	entries := r.testCases()
	var all junitSuite
	for _, system := range systems(entries) {
		var suite junitSuite
		for _, e := range entries {
			if e.System == system {
				suite.add(e)
			}
		}
		out := xmldoc.Element{Name: "testsuite", Attrs: suite.attributes(system, xmldoc.Attr{Name: "skipped", Value: "0"})}
		if !r.Started.IsZero() {
			out.Attrs = append(out.Attrs, xmldoc.Attr{Name: "timestamp", Value: r.Started.UTC().Format(time.RFC3339)})
		}
		out.Children = append(properties("prober_version", text.Line(r.Version)), suite.cases...)
		out.Children = append(out.Children, xmldoc.Leaf("system-out", r.Summary()))
		all.tests, all.failures, all.errors, all.took = all.tests+suite.tests, all.failures+suite.failures, all.errors+suite.errors, all.took+suite.took
		all.cases = append(all.cases, out)
	}
	b.Write(xmldoc.Document(xmldoc.Element{Name: "testsuites", Attrs: all.attributes("prober"), Children: all.cases}, "  "))
	return nil
}

// attributes are those of suites, with more of them before the time.
func (s *junitSuite) attributes(name string, more ...xmldoc.Attr) []xmldoc.Attr {
	all := []xmldoc.Attr{
		{Name: "name", Value: name}, {Name: "tests", Value: strconv.Itoa(s.tests)},
		{Name: "failures", Value: strconv.Itoa(s.failures)}, {Name: "errors", Value: strconv.Itoa(s.errors)},
	}
	return append(append(all, more...), xmldoc.Attr{Name: "time", Value: seconds(s.took)})
}

func (s *junitSuite) add(e entry) {
	c := xmldoc.Element{
		Name:  "testcase",
		Attrs: []xmldoc.Attr{{Name: "classname", Value: e.System + "." + e.Type}, {Name: "name", Value: e.Name}, {Name: "time", Value: seconds(e.result.Took)}},
		Children: properties("severity", e.Severity, "runbook", e.Runbook, "runbook_url", e.RunbookURL,
			"trace_id", e.traces(), "version", e.version()),
	}
	trouble := xmldoc.Element{
		Name:  "error",
		Attrs: []xmldoc.Attr{{Name: "type", Value: e.decisive.Reason.Word}, {Name: "message", Value: e.sentence(e.decisive)}},
		Text:  "\n" + strings.Join(e.explanation(), "\n") + "\n", CDATA: true,
	}
	s.tests++
	s.took += e.result.Took
	switch e.verdict {
	case probe.Pass:
	case probe.Fail:
		s.failures++
		trouble.Name = "failure"
		c.Children = append(c.Children, trouble)
	default:
		s.errors++
		c.Children = append(c.Children, trouble)
	}
	s.cases = append(s.cases, c)
}

// properties are names, each with its value, without those that have none; no element if there is none.
func properties(pairs ...string) []xmldoc.Element {
	out := xmldoc.Element{Name: "properties"}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out.Children = append(out.Children, xmldoc.Element{Name: "property", Attrs: []xmldoc.Attr{{Name: "name", Value: pairs[i]}, {Name: "value", Value: pairs[i+1]}}})
		}
	}
	if out.Children == nil {
		return nil
	}
	return []xmldoc.Element{out}
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
