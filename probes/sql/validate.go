package sql

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// Bounds of what is configured.
const (
	maxStatement = 8 << 10
	maxServers   = 16
	maxNames     = 100
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	var wrong []error
	switch p.Preset {
	case "":
		wrong = append(wrong, p.validateQuery())
	case presetReplication:
		wrong = append(wrong, p.validateReplication())
	case presetPrimary:
		wrong = append(wrong, p.validatePrimary())
	default:
		wrong = append(wrong, probe.Settingf("preset", "expected replication or primary"))
	}
	addresses := map[string]string{"address": p.Address}
	for i, a := range p.Servers {
		addresses[fmt.Sprintf("addresses[%d]", i)] = a
		if slices.Index(p.Servers, a) < i {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("addresses[%d]", i), "is listed twice"))
		}
	}
	client, err := p.Client(addresses)
	p.client = client
	return errors.Join(append(wrong, err, p.validateUnused())...)
}

// validateUnused refuses settings that the preset has no use for: nobody would notice that they have no effect.
func (p *Probe) validateUnused() error {
	presets := map[string]string{
		"address": "," + presetReplication, "query": "", "control": "", "violation": "", "values": "", "by": "", "empty": "",
		"addresses": presetPrimary, "heartbeat": presetReplication, "max_age": presetReplication,
	}
	given := map[string]bool{
		"address": p.Address != "", "query": p.Query != "", "control": p.Control != "", "violation": p.Violation != "", "values": p.Values != nil,
		"by": p.By != nil, "empty": p.Empty != "", "addresses": p.Servers != nil, "heartbeat": p.Heartbeat != "", "max_age": p.MaxAge != nil,
	}
	if !slices.Contains([]string{"", presetReplication, presetPrimary}, p.Preset) {
		return nil
	}
	var wrong []error
	for _, name := range sorted.Keys(given) {
		if given[name] && !slices.Contains(strings.Split(presets[name], ","), p.Preset) {
			wrong = append(wrong, probe.Settingf(name, "has no effect %s", beside(p.Preset)))
		}
	}
	return errors.Join(wrong...)
}

func beside(preset string) string {
	if preset == "" {
		return "without the preset that it is for"
	}
	return "with the preset " + preset
}

func (p *Probe) validateQuery() error {
	var wrong []error
	if p.Address == "" {
		wrong = append(wrong, probe.Settingf("address", "is missing"))
	}
	if p.Query == "" {
		wrong = append(wrong, probe.Settingf("query", "is missing"))
	}
	for _, s := range []struct{ path, sql string }{{"query", p.Query}, {"control", p.Control}, {"violation", p.Violation}} {
		wrong = append(wrong, probe.InSetting(s.path, validateStatement(s.sql)))
	}
	if len(p.Values) == 0 {
		wrong = append(wrong, probe.Settingf("values", "expected at least one value with a limit"))
	}
	proves := true // the limits themselves show that there was something to count
	for _, name := range sorted.Keys(p.Values) {
		v := p.Values[name]
		wrong = append(wrong, probe.InSetting("values."+name, v.validate(name)))
		proves = proves && (v.Min != nil && *v.Min > 0 || v.Equal != nil && *v.Equal != 0)
	}
	if p.Control == "" && p.Violation == "" && !proves {
		wrong = append(wrong, probe.Settingf("control", "expected a control or a violation: a small number is also what an empty table gives, and a query that cannot fail"))
	}
	wrong = append(wrong, probe.InSetting("control", validateLooks(p.Control)))
	if p.Control == "" && !proves {
		wrong = append(wrong, probe.InSetting("violation", validateLooks(p.Violation)))
	}
	if p.By != nil {
		wrong = append(wrong, probe.InSetting("by", p.By.validate()))
	}
	if p.Empty != "" && p.Empty != emptyPass && p.Empty != emptyFail {
		wrong = append(wrong, probe.Settingf("empty", "expected pass or fail"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateReplication() error {
	var wrong []error
	if p.Address == "" {
		wrong = append(wrong, probe.Settingf("address", "expected that of the standby"))
	}
	if p.Heartbeat == "" {
		wrong = append(wrong, probe.Settingf("heartbeat", "is missing: on an idle primary nothing else tells a standby that follows from one that does not"))
	}
	wrong = append(wrong, probe.InSetting("heartbeat", errors.Join(validateStatement(p.Heartbeat), validateLooks(p.Heartbeat))))
	if p.MaxAge == nil || p.MaxAge.D() <= 0 {
		wrong = append(wrong, probe.Settingf("max_age", "expected how old the heartbeat may be, above zero"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validatePrimary() error {
	if n := len(p.Servers); n < 2 || n > maxServers {
		return probe.Settingf("addresses", "expected every server of the cluster, 2 to %d, got %d", maxServers, n)
	}
	return nil
}

func (v Value) validate(name string) error {
	var wrong []error
	if err := probe.ValidateName(name); err != nil {
		wrong = append(wrong, err)
	}
	switch {
	case v.Min == nil && v.Max == nil && v.Equal == nil:
		wrong = append(wrong, probe.Settingf("", "expected min, max or equal"))
	case v.Equal != nil && (v.Min != nil || v.Max != nil):
		wrong = append(wrong, probe.Settingf("equal", "leaves no room for min or max"))
	case v.Min != nil && v.Max != nil && *v.Min > *v.Max:
		wrong = append(wrong, probe.Settingf("min", "is above max"))
	}
	return errors.Join(wrong...)
}

func (b *By) validate() error {
	var wrong []error
	if len(b.Names) > maxNames {
		wrong = append(wrong, probe.Settingf("names", "expected at most %d, got %d", maxNames, len(b.Names)))
	}
	seen := map[string]bool{otherRows: true}
	for _, text := range sorted.Keys(b.Names) {
		name := b.Names[text]
		if err := probe.ValidateName(name); err != nil {
			wrong = append(wrong, probe.InSetting("names."+text, err))
		} else if seen[name] {
			wrong = append(wrong, probe.Settingf("names."+text, "the name %s is taken", name))
		}
		seen[name] = true
	}
	return errors.Join(wrong...)
}

// firstWord matches the first word of a statement, behind comments and parentheses.
var firstWord = regexp.MustCompile(`^(?:\s+|\(|--[^\n]*(?:\n|$)|/\*(?s:.*?)\*/)*([A-Za-z]+)`)

// validateStatement refuses what is surely no question. What else a statement might do is up to the read-only transaction and
// the rights of the role.
func validateStatement(sql string) error {
	if sql == "" {
		return nil
	}
	if len(sql) > maxStatement || strings.ContainsRune(sql, 0) {
		return probe.Settingf("", "expected at most %d bytes without a NUL", maxStatement)
	}
	found := firstWord.FindStringSubmatch(sql)
	if found == nil || !slices.Contains([]string{"SELECT", "WITH", "VALUES", "TABLE"}, strings.ToUpper(found[1])) {
		return probe.Settingf("", "expected a statement that reads: SELECT, WITH, VALUES or TABLE")
	}
	return nil
}

// quoted matches comments and texts of a statement, and looks what reads a table or calls a function.
var (
	quoted = regexp.MustCompile(`--[^\n]*|/\*(?s:.*?)\*/|'[^']*'`)
	looks  = regexp.MustCompile(`(?i)\b(from|table)\b|[a-z_0-9"]\s*\(`)
	calls  = regexp.MustCompile(`(?i)\b(values|as|select|in|with)\s*\(`)
)

// validateLooks refuses a constant: its answer is the same at every server, and proves nothing of this one.
func validateLooks(sql string) error {
	plain := calls.ReplaceAllString(quoted.ReplaceAllString(sql, " "), " ")
	if validateStatement(sql) != nil || sql == "" || looks.MatchString(plain) {
		return nil
	}
	return probe.Settingf("", "expected a statement that reads something: the answer of this one is the same at every server")
}
