package alerts

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"prober/internal/probe"
)

// A dashboard is what Grafana imports. Its panels read the series of the prober, and need no rules but for the budgets of
// objectives.
type dashboard struct {
	Title         string         `json:"title"`
	UID           string         `json:"uid"`
	Tags          []string       `json:"tags"`
	SchemaVersion int            `json:"schemaVersion"`
	Editable      bool           `json:"editable"`
	Refresh       string         `json:"refresh"`
	Time          timeRange      `json:"time"`
	Templating    templating     `json:"templating"`
	Annotations   annotations    `json:"annotations"`
	Panels        []grafanaPanel `json:"panels"`
}

type (
	timeRange struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	annotations struct {
		List []annotation `json:"list"`
	}
	// An annotation marks the times at which an expression has a value, or those that are its values, in milliseconds.
	annotation struct {
		Name            string  `json:"name"`
		Datasource      *source `json:"datasource"`
		Enable          bool    `json:"enable"`
		IconColor       string  `json:"iconColor"`
		Expr            string  `json:"expr"`
		Step            string  `json:"step"`
		TitleFormat     string  `json:"titleFormat"`
		TextFormat      string  `json:"textFormat"`
		UseValueForTime bool    `json:"useValueForTime,omitempty"`
	}
	templating struct {
		List []variable `json:"list"`
	}
	variable struct {
		Name       string  `json:"name"`
		Label      string  `json:"label"`
		Type       string  `json:"type"`
		Query      any     `json:"query"`
		Datasource *source `json:"datasource,omitempty"`
		Definition string  `json:"definition,omitempty"`
		Refresh    int     `json:"refresh,omitempty"`
		IncludeAll bool    `json:"includeAll,omitempty"`
		Multi      bool    `json:"multi,omitempty"`
		AllValue   string  `json:"allValue,omitempty"`
		Current    *option `json:"current,omitempty"`
	}
	option struct {
		Text  string `json:"text"`
		Value string `json:"value"`
	}
	source struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	grafanaPanel struct {
		ID              int             `json:"id"`
		Type            string          `json:"type"`
		Title           string          `json:"title"`
		Description     string          `json:"description,omitempty"`
		Datasource      *source         `json:"datasource,omitempty"`
		GridPos         gridPos         `json:"gridPos"`
		Targets         []query         `json:"targets,omitempty"`
		FieldConfig     json.RawMessage `json:"fieldConfig,omitempty"`
		Options         json.RawMessage `json:"options,omitempty"`
		Transformations json.RawMessage `json:"transformations,omitempty"`
		Collapsed       bool            `json:"collapsed,omitempty"`
		Panels          []grafanaPanel  `json:"panels,omitzero"` // of a closed row
	}
	gridPos struct {
		H int `json:"h"`
		W int `json:"w"`
		X int `json:"x"`
		Y int `json:"y"`
	}
	query struct {
		RefID        string  `json:"refId"`
		Expr         string  `json:"expr"`
		LegendFormat string  `json:"legendFormat,omitempty"`
		Format       string  `json:"format,omitempty"`
		Instant      bool    `json:"instant,omitempty"`
		Range        bool    `json:"range,omitempty"`
		Datasource   *source `json:"datasource"`
	}
)

// chosenDatasource is the data source that the reader of the dashboard chooses.
var chosenDatasource = &source{Type: "prometheus", UID: "${datasource}"}

// WriteDashboard writes a dashboard for Grafana. It has the panels for series that only some kinds export if a probe of
// such a kind is configured. The error is the writer's.
func WriteDashboard(w io.Writer, jobs []probe.Job, o Options) error {
	b := dashboard{
		Title: "Prober", UID: dashboardUID(jobs), Tags: []string{"prober"}, SchemaVersion: 39, Editable: true, Refresh: "30s",
		Time:       timeRange{"now-6h", "now"},
		Templating: templating{variables(o)}, Annotations: annotations{annotationsFor(jobs, o)},
	}
	b.Panels = place(sectionsFor(jobs, o), strings.TrimSuffix(o.ExternalURL, "/"))
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // people read the expressions
	enc.SetIndent("", "  ")
	if err := enc.Encode(b); err != nil {
		return fmt.Errorf("writing the dashboard: %w", err)
	}
	return nil
}

// place lays out the sections below each other. The panels of a closed one are inside its row.
func place(sections []section, address string) (all []grafanaPanel) {
	y, id := 0, 0
	for _, s := range sections {
		id++
		row := grafanaPanel{ID: id, Type: "row", Title: s.title, GridPos: gridPos{1, fullWidth, 0, y}, Collapsed: !s.open, Panels: []grafanaPanel{}}
		y++
		end, inside := y, []grafanaPanel{}
		for _, line := range inLines(s.panels) {
			height, width := 0, fullWidth/len(line)
			for _, p := range line {
				height = max(height, p.height())
			}
			for i, p := range line {
				id++
				inside = append(inside, p.grafana(id, gridPos{height, width, i * width, end}, address))
			}
			end += height
		}
		if s.open {
			all = append(append(all, row), inside...)
			y = end
		} else {
			row.Panels = inside
			all = append(all, row)
		}
	}
	return all
}

// inLines breaks panels into lines.
func inLines(panels []panel) (all [][]panel) {
	used := fullWidth
	for _, p := range panels {
		if used += p.width; used > fullWidth {
			all, used = append(all, nil), p.width
		}
		last := len(all) - 1
		all[last] = append(all[last], p)
	}
	return all
}

// grafana is the long form of a panel.
func (p panel) grafana(id int, at gridPos, address string) grafanaPanel {
	g := grafanaPanel{
		ID: id, Type: p.kind, Title: p.title, Description: p.description, Datasource: chosenDatasource, GridPos: at,
		FieldConfig: p.fieldConfig(address), Options: p.options(), Transformations: p.transformations(),
	}
	for i, q := range p.queries {
		legend := q.legend
		if p.kind == "table" {
			legend = "" // the name of a column
		}
		g.Targets = append(g.Targets, query{
			RefID: refID(i), Expr: strings.ReplaceAll(q.expr, "SEL", chosenProbes), LegendFormat: legend,
			Format: p.format(), Instant: p.instant(), Range: !p.instant(), Datasource: chosenDatasource,
		})
	}
	return g
}

// annotationsFor are marks in all graphs: maintenance, versions that nothing reported before, and deploys if they are known.
func annotationsFor(jobs []probe.Job, o Options) []annotation {
	mark := func(name, color, expr, title, text string) annotation {
		return annotation{
			Name: name, Datasource: chosenDatasource, Enable: true, IconColor: color, Step: "60s",
			Expr: strings.ReplaceAll(expr, "SEL", chosenProbes), TitleFormat: title, TextFormat: text,
		}
	}
	const before = `last_over_time(probe_target_version_info{SEL}[1h] offset 5m)`
	all := []annotation{
		mark("Maintenance", "blue", `group by (system) (probe_in_maintenance{SEL} == 1)`, "Maintenance of {{system}}", ""),
		mark("New versions", "purple", `group by (system, version) (probe_target_version_info{SEL}) unless on (system, version) `+before+` and on (system) `+before,
			"{{system}}: version {{version}}", ""),
	}
	if o.anyExports(jobs, deployInfo) {
		a := mark("Deploys", "green", `max by (system, probe, deploy) (probe_deploy_started_timestamp_seconds{SEL}) * 1000`, "Deploy {{deploy}} of {{system}}", "{{probe}}")
		a.UseValueForTime = true
		all = append(all, a)
	}
	return all
}

// dashboardUID is the same for the same systems, and another one for others: Grafana replaces a dashboard of the same uid.
func dashboardUID(jobs []probe.Job) string {
	var systems []string
	for _, j := range jobs {
		systems = append(systems, j.System)
	}
	slices.Sort(systems)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(systems), "\x00")))
	return "prober-" + hex.EncodeToString(sum[:8])
}

// chosenProbes matches the probes that the reader chose. It replaces SEL in the expressions of panels.
const chosenProbes = `system=~"$system",probe=~"$probe"`

// variables are the choices of the reader.
func variables(o Options) []variable {
	all := &option{"All", "$__all"}
	ask := func(name, label, q string) variable {
		return variable{
			Name: name, Label: label, Type: "query", Query: map[string]string{"query": q, "refId": name}, Definition: q,
			Datasource: chosenDatasource, Refresh: 2, IncludeAll: true, Multi: true, AllValue: ".*", Current: all,
		}
	}
	return []variable{
		{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Current: &option{"default", "default"}},
		ask("job", "Job of the probers", "label_values(prober_build_info, job)").withCurrent(o.job()),
		ask("system", "System", "label_values(probe_info, system)"),
		ask("probe", "Probe", `label_values(probe_info{system=~"$system"}, probe)`),
		{Name: "slo", Label: "Objective, percent", Type: "textbox", Query: "99.9", Current: &option{"99.9", "99.9"}},
	}
}

// withCurrent sets the first choice.
func (v variable) withCurrent(value string) variable {
	v.Current = &option{value, value}
	return v
}
