package alerts

import (
	"encoding/json"
	"strconv"
	"strings"
)

// valueNames are the words and colours of numbers that stand for something, as Grafana's mappings; empty for plain numbers.
type valueNames string

const (
	verdictNames valueNames = `[{"type":"value","options":{"0":{"text":"pass","color":"green"},"1":{"text":"inconclusive","color":"orange"},"2":{"text":"fail","color":"red"}}}]`
	goodNames    valueNames = `[{"type":"value","options":{"0":{"text":"bad","color":"red"},"1":{"text":"good","color":"green"}}}]`
)

// verdictColumn is the column of a table whose values are verdicts.
const verdictColumn = "verdict"

// instant reports whether a panel shows one moment.
func (p panel) instant() bool { return p.kind == "stat" || p.kind == "table" }

func (p panel) format() string {
	if p.kind == "table" {
		return "table"
	}
	return "time_series"
}

func (p panel) height() int {
	switch p.kind {
	case "stat":
		return 5
	case timeline:
		return 10
	}
	return 8
}

// fieldConfig is how Grafana formats the values. Series of a probe lead to its page below the address, if there is one.
func (p panel) fieldConfig(address string) json.RawMessage {
	var parts []string
	if p.kind == graph && !p.signed {
		parts = append(parts, `"min":0`)
	}
	if p.values != "" {
		parts = append(parts, `"mappings":`+string(p.values), `"custom":{"fillOpacity":80}`)
	}
	if p.kind != "table" {
		parts = append(parts, valueFormat(p.unit, p.thresholds)...)
	}
	if strings.HasPrefix(p.queries[0].legend, named) && address != "" {
		parts = append(parts, probeLink(address, "__field.labels"))
	}
	return json.RawMessage(`{"defaults":{` + strings.Join(parts, ",") + `},"overrides":[` + strings.Join(p.overrides(address), ",") + `]}`)
}

func valueFormat(unit string, thresholds []threshold) (parts []string) {
	if unit != "" {
		parts = append(parts, `"unit":"`+unit+`"`)
	}
	if thresholds != nil {
		parts = append(parts, `"thresholds":`+thresholdsJSON(thresholds))
	}
	return parts
}

// thresholdsJSON writes thresholds as Grafana reads them. The first has no beginning.
func thresholdsJSON(all []threshold) string {
	steps := make([]string, len(all))
	for i, t := range all {
		from := "null"
		if i > 0 {
			from = strconv.FormatFloat(t.from, 'g', -1, 64)
		}
		steps[i] = `{"color":"` + t.color + `","value":` + from + `}`
	}
	return `{"mode":"absolute","steps":[` + strings.Join(steps, ",") + `]}`
}

// overrides are about single values: in a stat failures are red and what is inconclusive is orange; columns of a table have
// units, colours and links.
func (p panel) overrides(address string) (all []string) {
	for _, q := range p.queries {
		switch {
		case p.kind == "stat" && q.legend == "fail":
			all = append(all, override(q.legend, `"thresholds":`+thresholdsJSON(failuresRed)))
		case p.kind == "stat" && q.legend == "inconclusive":
			all = append(all, override(q.legend, `"thresholds":`+thresholdsJSON(unknownGold)))
		case p.kind == "table" && q.legend == verdictColumn:
			all = append(all, override(q.legend, `"mappings":`+string(verdictNames), coloured))
		case p.kind == "table" && q.legend != "":
			all = append(all, override(q.legend, append(valueFormat(q.unit+p.unit, p.thresholds), coloured)...))
		}
	}
	if p.kind != "table" {
		return all
	}
	if address != "" {
		all = append(all, override("probe", probeLink(address, "__data.fields")))
	}
	if strings.Contains(p.queries[0].expr, "runbook_url") {
		all = append(all, override("runbook", link("Runbook", "${__data.fields.runbook_url}")), override("runbook_url", `"custom.hidden":true`))
	}
	return all
}

const coloured = `"custom.cellOptions":{"type":"color-text"}`

// override sets properties of the values of one name, each as "ID":VALUE.
func override(name string, properties ...string) string {
	for i, property := range properties {
		id, value, _ := strings.Cut(property, ":")
		properties[i] = `{"id":` + id + `,"value":` + value + `}`
	}
	return `{"matcher":{"id":"byName","options":"` + name + `"},"properties":[` + strings.Join(properties, ",") + `]}`
}

// probeLink leads to the page of the probe whose names are among the labels.
func probeLink(address, labels string) string {
	return link("Page of the probe", address+"/probes/${"+labels+".system:percentencode}/${"+labels+".probe:percentencode}")
}

func link(title, address string) string {
	quoted, _ := json.Marshal(address) // a string never fails
	return `"links":[{"title":"` + title + `","targetBlank":true,"url":` + string(quoted) + `}]`
}

// options is how Grafana draws this type of panel.
func (p panel) options() json.RawMessage {
	switch p.kind {
	case timeline:
		return json.RawMessage(`{"showValue":"never","mergeValues":true,"legend":{"showLegend":true,"displayMode":"list","placement":"bottom"}}`)
	case "stat":
		return json.RawMessage(`{"reduceOptions":{"calcs":["lastNotNull"]},"colorMode":"value"}`)
	}
	return json.RawMessage(`{}`)
}

// transformations make one table of all queries, without the time and without values that have no name.
func (p panel) transformations() json.RawMessage {
	if p.kind != "table" {
		return nil
	}
	hidden, names := []string{`"Time":true`}, []string{}
	for i, q := range p.queries {
		column := "Value"
		if len(p.queries) > 1 {
			column += " #" + refID(i)
		}
		if q.legend == "" {
			hidden = append(hidden, `"`+column+`":true`)
		} else {
			names = append(names, `"`+column+`":"`+q.legend+`"`)
		}
	}
	return json.RawMessage(`[{"id":"merge","options":{}},{"id":"organize","options":{"excludeByName":{` + strings.Join(hidden, ",") +
		`},"renameByName":{` + strings.Join(names, ",") + `}}}]`)
}

// refID names a query of a panel.
func refID(i int) string { return string(rune('A' + i)) }
