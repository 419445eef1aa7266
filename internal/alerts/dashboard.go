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

// A dashboard is what Grafana imports. Its panels read the series of the prober and need no rules.
type dashboard struct {
	Title         string         `json:"title"`
	UID           string         `json:"uid"`
	Tags          []string       `json:"tags"`
	SchemaVersion int            `json:"schemaVersion"`
	Editable      bool           `json:"editable"`
	Refresh       string         `json:"refresh"`
	Time          timeRange      `json:"time"`
	Templating    templating     `json:"templating"`
	Panels        []grafanaPanel `json:"panels"`
}

type (
	timeRange struct {
		From string `json:"from"`
		To   string `json:"to"`
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
		ID          int             `json:"id"`
		Type        string          `json:"type"`
		Title       string          `json:"title"`
		Description string          `json:"description,omitempty"`
		Datasource  *source         `json:"datasource,omitempty"`
		GridPos     gridPos         `json:"gridPos"`
		Targets     []query         `json:"targets,omitempty"`
		FieldConfig json.RawMessage `json:"fieldConfig"`
		Options     json.RawMessage `json:"options"`
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
		Templating: templating{variables(o)},
	}
	y := 0
	for i, d := range panels(jobs, o) {
		if d.new {
			y += d.place.H
		}
		p := grafanaPanel{
			ID: i + 1, Type: d.kind, Title: d.title, Description: d.description, Datasource: chosenDatasource,
			GridPos:     gridPos{d.place.H, d.place.W, d.place.X, y},
			FieldConfig: json.RawMessage(`{"defaults":` + d.fieldConfigJSON() + `,"overrides":[` + d.overridesJSON() + `]}`),
			Options:     json.RawMessage(d.optionsJSON()),
		}
		for k, q := range d.queries {
			p.Targets = append(p.Targets, query{
				RefID: string(rune('A' + k)), Expr: strings.ReplaceAll(q.expr, "SEL", chosenProbes), LegendFormat: q.legend,
				Format: q.format(d.kind), Instant: d.instant, Range: !d.instant, Datasource: chosenDatasource,
			})
		}
		b.Panels = append(b.Panels, p)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // people read the expressions
	enc.SetIndent("", "  ")
	if err := enc.Encode(b); err != nil {
		return fmt.Errorf("writing the dashboard: %w", err)
	}
	return nil
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
