package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/metrics"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes"
)

// generated matches a table that TestDocs_tables writes, with the comments around it.
var generated = regexp.MustCompile(`(?s)<!-- ([a-z ]+): begin -->\n.*?<!-- ([a-z ]+): end -->`)

// TestDocs_tables compares the generated tables in README and docs with the code, or writes them with -update, as
// `make docs` does.
func TestDocs_tables(t *testing.T) {
	tables := docTables(t)
	used := map[string]bool{}
	for _, pattern := range documents {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := generated.ReplaceAllStringFunc(string(old), func(match string) string {
				name := generated.FindStringSubmatch(match)
				table, ok := tables[name[1]]
				if !ok || name[1] != name[2] {
					t.Errorf("%s: no table %q ends with %q", file, name[1], name[2])
					return match
				}
				used[name[1]] = true
				return fmt.Sprintf("<!-- %s: begin -->\n%s<!-- %[1]s: end -->", name[1], linkKinds(t, table, filepath.Dir(file)))
			})
			testenv.Golden(t, file, text)
		}
	}
	for name := range tables {
		if !used[name] {
			t.Errorf("no document shows the table %q", name)
		}
	}
}

// docTables returns all generated tables by name. A kind is written as [[kind]], see linkKinds.
func docTables(t *testing.T) map[string]string {
	tables := map[string]string{}
	kinds := probes.Kinds()
	var list, allSeries [][]string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		kind, link := kinds[name], "[["+name+"]]"
		list = append(list, []string{link, cell(kind.Summary)})
		var series, reasons [][]string
		for _, m := range kind.Measures {
			row := []string{code(m.Name), measureType(m), codes(m.Labels), cell(m.Help)}
			series = append(series, row)
			allSeries = append(allSeries, append([]string{link}, row...))
		}
		for _, r := range kind.Reasons {
			row := []string{code(r.Word), r.Verdict.String(), cell(r.Text)}
			reasons = append(reasons, row)
		}
		tables[name+" series"] = table("series|type|labels|meaning", series)
		tables[name+" reasons"] = table("reason|verdict|meaning", reasons)
	}
	tables["kinds"] = table("kind|asks", list)
	tables["kind series"] = table("kind|series|type|labels|meaning", allSeries)
	var failing, inconclusive [][]string
	for _, r := range probe.CommonReasons {
		row := []string{code(r.Word), cell(r.Text), cell(r.Action)}
		if r.Verdict == probe.Fail {
			failing = append(failing, row)
		} else {
			inconclusive = append(inconclusive, row)
		}
	}
	tables["failing reasons"] = table("reason|meaning|what to do", failing)
	tables["inconclusive reasons"] = table("reason|meaning|what to do", inconclusive)
	tables["kind reasons"] = table("reason|kinds|verdict|meaning|what to do", kindReasons(kinds))
	tables["reference"] = referenceTable(t)
	exposition := exampleExposition(t)
	tables["series"] = table("series|type|labels|meaning", exported(exposition, "probe_"))
	tables["prober series"] = table("series|type|labels|meaning", exported(exposition, "prober_", "promhttp_"))
	return tables
}

// kindReasons returns a row for each reason that some kinds give and not all, with these kinds.
func kindReasons(kinds probe.Kinds) (rows [][]string) {
	givenBy := map[probe.Reason][]string{}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		for _, r := range kinds[name].Reasons {
			givenBy[r] = append(givenBy[r], "[["+name+"]]")
		}
	}
	for r, names := range givenBy {
		rows = append(rows, []string{code(r.Word), strings.Join(names, ", "), r.Verdict.String(), cell(r.Text), cell(r.Action)})
	}
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	return rows
}

// linkKinds replaces [[kind]] by a link from a document in dir to the page of the kind.
func linkKinds(t *testing.T, text, dir string) string {
	return regexp.MustCompile(`\[\[(\w+)\]\]`).ReplaceAllStringFunc(text, func(match string) string {
		kind := strings.Trim(match, "[]")
		path, err := filepath.Rel(dir, "../../docs/kinds/"+kind+".md")
		if err != nil {
			t.Error(err)
		}
		return fmt.Sprintf("[`%s`](%s)", kind, path)
	})
}

// table formats rows in Markdown. The header has its cells separated by bars.
func table(header string, rows [][]string) string {
	if len(rows) == 0 {
		return "None of its own.\n"
	}
	cells := strings.Split(header, "|")
	text := "| " + strings.Join(cells, " | ") + " |\n|" + strings.Repeat("---|", len(cells)) + "\n"
	for _, row := range rows {
		text += strings.TrimRight("| "+strings.Join(row, " | "), " ") + " |\n"
	}
	return strings.ReplaceAll(text, "|  |", "| |")
}

func code(word string) string { return "`" + word + "`" }

func codes(words []string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, code(w))
	}
	return strings.Join(quoted, ", ")
}

// cell escapes what would end a cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func measureType(m *probe.Measure) string {
	if m.Counter {
		return "counter"
	}
	return "gauge"
}

// exampleExposition returns the metrics of one probe whose last run has everything that a run can have.
func exampleExposition(t *testing.T) string {
	job := probe.Job{
		ID:    probe.ID{System: "s", Name: "n", Type: "t", Runbook: "r", Severity: "P1"},
		Probe: everything{}, RunbookURL: "https://docs.example/r", Interval: time.Minute, Timeout: time.Second,
	}
	m := metrics.New(metrics.Build{Version: "1", Revision: "2", Branch: "3"})
	m.SetJobs([]probe.Job{job})
	m.Observe(job.Do(t.Context()))
	m.Notifies([]string{"alertmanager am:9093"})
	m.SelfCheck("clock", true)
	m.PublicPart("logo", true)
	m.Shard(0, 3)
	m.InboundRequests("unknown", 0)
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	return rec.Body.String()
}

// everything is a probe whose run has everything that a run can have.
type everything struct{}

func (everything) Validate() error                    { return nil }
func (everything) Checks() []string                   { return []string{"a", "b"} }
func (everything) ExpectedStatuses() map[string][]int { return map[string][]int{"target": {401}} }
func (everything) Ask(_ context.Context, r *probe.Result) {
	x := probe.Exchange{Check: "a", Target: "target", Status: 401, Expected: true, Reason: probe.OK, Connections: 1,
		TraceID: "1", TargetTraceID: "1", SoughtCredential: true, Version: "1", CertExpiry: time.Now().Add(time.Hour), Took: time.Millisecond}
	for _, phase := range probe.PhaseNames {
		x.Phases = append(x.Phases, probe.Phase{Name: phase, Took: time.Millisecond})
	}
	r.Exchanged(x)
	r.Each([]string{"target"}, func(_ int, r *probe.Result) { r.Pass("a", "held") })
	r.Fail("b", probe.Status, "expected 200, got 401")
}

// exported reads the families with one of the prefixes from an exposition: name, type, labels and help.
func exported(exposition string, prefixes ...string) (rows [][]string) {
	var row []string
	var labels []string
	end := func() {
		if row != nil {
			rows = append(rows, []string{code(row[0]), row[1], codes(labels), cell(row[2])})
		}
		row, labels = nil, nil
	}
	help := ""
	for line := range strings.Lines(exposition) {
		line = strings.TrimSpace(line)
		fields := strings.SplitN(line, " ", 4)
		switch {
		case strings.HasPrefix(line, "# HELP "):
			end()
			help = fields[3]
		case strings.HasPrefix(line, "# TYPE "):
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(fields[2], p) }) {
				row = []string{fields[2], fields[3], help}
			}
		case row != nil:
			for _, m := range regexp.MustCompile(`[{,](\w+)="`).FindAllStringSubmatch(line, -1) {
				if !slices.Contains([]string{"system", "probe", "type"}, m[1]) && !slices.Contains(labels, m[1]) {
					labels = append(labels, m[1])
				}
			}
		}
	}
	end()
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	return rows
}
