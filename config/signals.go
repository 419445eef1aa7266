package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
)

// A signal is a series that follows a check. Its short form is the series alone.
type signal struct {
	Series  series  `yaml:"series" required:"true" short:"true" doc:"Name and labels, such as process_up{service=\"proxy\"}."`
	Targets targets `yaml:"targets" doc:"How to sum up several targets: worst, one series that is 0 while any target fails; best, one series that is 1 while any target passes; each, one series for each target with the label replica." default:"worst"`
}

// targets is a probe.SignalTargets.
type targets string

// JSONSchema describes the values to editors.
func (targets) JSONSchema() map[string]any {
	return map[string]any{"enum": signalTargets, "default": probe.WorstTarget}
}

// A series is a signal as it is in the file, in the form in which Prometheus writes it:
// process_up{service="proxy"}.
type series string

// JSONSchema describes the series to editors.
func (series) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": `^[a-zA-Z_:][a-zA-Z0-9_:]*\s*(\{.*\})?$`}
}

var (
	signalTargets = []probe.SignalTargets{probe.WorstTarget, probe.BestTarget, probe.EachTarget}

	metricPattern = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`)
	pairPattern   = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\["\\n])*)"\s*`)
	unescape      = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
)

var errSeries = errors.New(`wants a series such as process_up{service="proxy"}`)

// taken are names, or beginnings of names, of series that somebody else writes.
var taken = []string{"probe_", "prober_", "go_", "promhttp_", "scrape_"}

// parseSignal reads a series. Its errors repeat nothing of the text.
func parseSignal(text string) (probe.Signal, error) {
	text = strings.TrimSpace(text)
	s := probe.Signal{Name: metricPattern.FindString(text)}
	rest := strings.TrimSpace(text[len(s.Name):])
	if s.Name == "" || len(s.Name) > 128 {
		return s, errSeries
	}
	for _, prefix := range taken {
		if strings.HasPrefix(s.Name, prefix) {
			return s, fmt.Errorf("a signal must not begin with %s", prefix)
		}
	}
	if s.Name == "up" {
		return s, errors.New("a signal must not be called up, which Prometheus writes itself")
	}
	if rest == "" {
		return s, nil
	}
	if rest[0] != '{' {
		return s, errSeries
	}
	var err error
	s.Labels, err = parsePairs(rest[1:])
	return s, err
}

// readSignals reads the series that follow the checks of a probe.
func (p *probeEntry) readSignals() (wrong Errors) {
	for _, check := range sorted.Keys(p.Signals) {
		if p.Signals[check].Series == "" {
			continue // reported as missing
		}
		s, err := parseSignal(string(p.Signals[check].Series))
		s.Targets = cmp.Or(probe.SignalTargets(p.Signals[check].Targets), probe.WorstTarget)
		if !slices.Contains(signalTargets, s.Targets) {
			wrong = append(wrong, p.mistake("signals."+check+".targets", "signals.%s.targets: expected worst, best or each", strictyaml.Shown(check)))
		}
		if err != nil {
			wrong = append(wrong, p.mistake("signals."+check, "signals.%s: %s", strictyaml.Shown(check), err))
			continue
		}
		if p.job.Signals == nil {
			p.job.Signals = map[string]probe.Signal{}
		}
		p.job.Signals[check] = s
	}
	return wrong
}

// parsePairs reads what follows the opening brace.
func parsePairs(text string) (map[string]string, error) {
	labels := map[string]string{}
	for {
		if strings.TrimSpace(text) == "}" {
			return labels, nil
		}
		m := pairPattern.FindStringSubmatch(text)
		if m == nil {
			return nil, errSeries
		}
		name, value := m[1], unescape.Replace(m[2])
		if _, twice := labels[name]; twice {
			return nil, errors.New("a label stands twice in the series")
		}
		switch {
		case !validLabelName(name):
			return nil, fmt.Errorf("the name of a label %s", labelNameRule)
		case name == "replica" || name == "le" || name == "quantile":
			return nil, fmt.Errorf("the label %s is given by the prober or by Prometheus", name)
		case !validLabelValue(value):
			return nil, fmt.Errorf("the value of a label %s", labelValueRule)
		}
		labels[name] = value
		text = text[len(m[0]):]
		if after, comma := strings.CutPrefix(text, ","); comma {
			text = after
		} else if text != "}" && strings.TrimSpace(text) != "}" {
			return nil, errSeries
		}
	}
}
