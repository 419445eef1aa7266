package alerts

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

func boardOf(t *testing.T, o Options, jobs ...probe.Job) (text string, d dashboard) {
	t.Helper()
	o.Kinds = kinds()
	var b strings.Builder
	if err := WriteDashboard(&b, jobs, o); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b.String()), &d); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, b.String())
	}
	return b.String(), d
}

// allPanels lists the rows too, and what is inside those that are closed.
func (d dashboard) allPanels() (all []grafanaPanel) {
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

// everything has a probe of each kind of kinds(), and an objective.
var everything = append([]probe.Job{up, proxy, gate, keys, tenants, clock, servers,
	change(leaf, func(j *probe.Job) { j.SLO = probe.Objective{Percent: 99.9, Window: 30 * 24 * time.Hour} })},
	job("cache", "redis", "P2", time.Minute, fake{}), job("workload", "pods", "P2", time.Minute, fake{}), job("releases", "deploys", "P3", time.Minute, fake{}),
	job("policies", "rls", "P1", time.Minute, fake{}), job("gatekeeper", "guard", "P1", time.Minute, fake{}), job("certificate", "tls", "P2", time.Minute, fake{}),
	job("traffic", "promql", "P2", time.Minute, fake{}))

// TestDashboard_uid: dashboards of other systems do not replace each other, and one that is generated again replaces its former self.
func TestDashboard_uid(t *testing.T) {
	_, shop := boardOf(t, Options{}, up, leaf)
	_, again := boardOf(t, Options{}, leaf, up, clock)
	_, other := boardOf(t, Options{}, odd)
	_, both := boardOf(t, Options{}, up, odd)
	if shop.UID != again.UID || shop.UID == other.UID || both.UID == shop.UID || len(shop.UID) > 40 {
		t.Errorf("uids %s, %s, %s and %s", shop.UID, again.UID, other.UID, both.UID)
	}
}

// TestDashboard_looks: failures are red, passes are never, axes begin at 0 unless values may be below, and Prometheus reads every
// expression.
func TestDashboard_looks(t *testing.T) {
	_, d := boardOf(t, Options{}, everything...)
	type config struct {
		Defaults struct {
			Min        *float64
			Thresholds struct{ Steps []struct{ Color string } }
		}
		Overrides []struct {
			Matcher struct{ Options string }
		}
	}
	var exprs []string
	var rules strings.Builder
	rules.WriteString("groups:\n- name: panels\n  rules:\n")
	chosen := strings.NewReplacer("$__rate_interval", "1m", "$__range", "10m", "$slo", "99.9", "$system", ".*", "$probe", ".*", "$job", ".*")
	for _, p := range d.allPanels() {
		if p.Type == "row" {
			continue
		}
		var c config
		if err := json.Unmarshal(p.FieldConfig, &c); err != nil {
			t.Fatal(err)
		}
		if p.Type == "timeseries" && (c.Defaults.Min == nil) != slices.Contains([]string{"Values of queries", "Values of PromQL queries", "Clock skew"}, p.Title) {
			t.Errorf("%s: the axis begins at %v", p.Title, c.Defaults.Min)
		}
		if p.Type == "stat" && len(c.Defaults.Thresholds.Steps) == 0 {
			t.Errorf("%s has no thresholds: Grafana's own are red from 80 on", p.Title)
		}
		if p.Title == "Verdicts now" && (len(c.Overrides) != 2 || len(c.Defaults.Thresholds.Steps) != 1 || c.Defaults.Thresholds.Steps[0].Color != "green") {
			t.Errorf("%s: %+v", p.Title, c)
		}
		for _, q := range p.Targets {
			exprs = append(exprs, q.Expr)
		}
		if p.Type == "table" && !regexp.MustCompile(`"excludeByName":\s*\{\s*"Time":\s*true`).Match(p.Transformations) {
			t.Errorf("%s shows the time of the query: %s", p.Title, p.Transformations)
		}
	}
	for _, a := range d.Annotations.List {
		exprs = append(exprs, a.Expr)
	}
	for _, e := range exprs {
		expr, err := json.Marshal(chosen.Replace(e))
		if err != nil {
			t.Fatal(err)
		}
		rules.WriteString("  - {record: panel, expr: " + string(expr) + "}\n")
	}
	if len(exprs) < 55 || len(d.Annotations.List) != 3 {
		t.Errorf("only %d expressions, and %d annotations", len(exprs), len(d.Annotations.List))
	}
	path := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := testenv.Run(t, exec.Command(testenv.Need(t, "promtool"), "check", "rules", "--lint=none", path)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDashboard_layout: ids differ, and the panels of each row cover the grid without holes and overlaps.
func TestDashboard_layout(t *testing.T) {
	for name, jobs := range map[string][]probe.Job{"everything": everything, "one": {up}, "none": nil} {
		_, d := boardOf(t, Options{}, jobs...)
		ids := map[int]bool{}
		for _, p := range d.allPanels() {
			if ids[p.ID] || p.ID == 0 {
				t.Errorf("%s: the id %d of %s is taken", name, p.ID, p.Title)
			}
			ids[p.ID] = true
		}
		covers(t, name, 0, d.Panels)
		for _, row := range d.Panels {
			if row.Type == "row" && row.Collapsed != (len(row.Panels) > 0) {
				t.Errorf("%s: the row %s is closed: %t, with %d panels inside", name, row.Title, row.Collapsed, len(row.Panels))
			}
			covers(t, name+" "+row.Title, row.GridPos.Y+1, row.Panels)
		}
	}
}

// covers requires panels to cover the grid from a line on, each cell once.
func covers(t *testing.T, name string, from int, panels []grafanaPanel) {
	t.Helper()
	type cell struct{ x, y int }
	taken, end := map[cell]int{}, from
	for _, p := range panels {
		at := p.GridPos
		for y := range at.H {
			for x := range at.W {
				taken[cell{at.X + x, at.Y + y}]++
			}
		}
		end = max(end, at.Y+at.H)
	}
	for y := from; y < end; y++ {
		for x := range 24 {
			if n := taken[cell{x, y}]; n != 1 {
				t.Fatalf("%s: %d panels at column %d of line %d", name, n, x, y)
			}
			delete(taken, cell{x, y})
		}
	}
	if len(taken) > 0 {
		t.Errorf("%s: %d cells outside of the grid", name, len(taken))
	}
}

// TestDashboard_onlyWhatExists: a panel is there if a probe can fill it.
func TestDashboard_onlyWhatExists(t *testing.T) {
	titles := func(jobs ...probe.Job) (all []string) {
		_, d := boardOf(t, Options{}, jobs...)
		for _, p := range d.allPanels() {
			all = append(all, p.Title)
		}
		return all
	}
	most, least := titles(everything...), titles(up)
	for _, s := range sections {
		if !slices.Contains(most, s.title) {
			t.Errorf("the row %s is missing", s.title)
		}
		for _, p := range s.panels {
			if !slices.Contains(most, p.title) || slices.Contains(least, p.title) != (p.needs == "") {
				t.Errorf("%s: with everything %t, with a probe of kind http %t", p.title, slices.Contains(most, p.title), slices.Contains(least, p.title))
			}
			if p.needs != "" && p.needs != budgetLost && !slices.Contains(KindSeries(), p.needs) {
				t.Errorf("%s needs %s, which is not among the series of kinds", p.title, p.needs)
			}
		}
	}
	for _, row := range []string{"Redis", "Databases", "Tenants and breaches"} {
		if slices.Contains(least, row) {
			t.Errorf("a probe of kind http has the row %s", row)
		}
	}
}

// TestDashboard_links: links lead to pages of probes and to runbooks, by labels that the expressions keep.
func TestDashboard_links(t *testing.T) {
	text, _ := boardOf(t, Options{}, everything...)
	if strings.Contains(text, "/probes/") {
		t.Error("a link to a page at an address that is not known")
	}
	_, d := boardOf(t, Options{ExternalURL: "https://prober.example/base/"}, everything...)
	name := regexp.MustCompile(`\$\{__(data\.fields|field\.labels)\.(\w+)(?::percentencode)?\}`)
	pages, runbooks := 0, 0
	for _, p := range d.allPanels() {
		for _, m := range regexp.MustCompile(`"url":\s*"([^"]*)"`).FindAllStringSubmatch(string(p.FieldConfig), -1) {
			for _, n := range name.FindAllStringSubmatch(m[1], -1) {
				if !regexp.MustCompile(`(by|group_left) \([^)]*\b` + n[2] + `\b`).MatchString(p.Targets[0].Expr) {
					t.Errorf("%s links by %s, which %s does not keep", p.Title, n[2], p.Targets[0].Expr)
				}
				if (n[1] == "data.fields") != (p.Type == "table") {
					t.Errorf("%s, a %s, links by %s", p.Title, p.Type, n[1])
				}
			}
			switch address := name.ReplaceAllString(m[1], "$2"); address {
			case "https://prober.example/base/probes/system/probe":
				pages++
			case "runbook_url":
				runbooks++
			default:
				t.Errorf("%s links to %s", p.Title, m[1])
			}
		}
		if p.Type == "table" && !strings.Contains(string(p.FieldConfig), "/probes/") {
			t.Errorf("the table %s does not link to the probes", p.Title)
		}
	}
	if pages < 20 || runbooks != 1 {
		t.Errorf("%d links to pages and %d to runbooks", pages, runbooks)
	}
}
