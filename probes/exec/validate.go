package exec

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"prober/internal/probe"
	"prober/internal/selector"
	"prober/internal/sorted"
	"prober/internal/text"
)

// Bounds of the settings.
const (
	maxWords  = 100 // of a command
	maxEnv    = 50
	maxValues = 20
	maxName   = 128 // of a value, in bytes: it becomes a label
)

var (
	envName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	envSecret = regexp.MustCompile(`(?i)passw(or)?d$|secret$|token$|_pwd$|api_?key$|(access|private|secret)_key$`)
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	var wrong []error
	if p.Directory == "" {
		p.Directory = "/"
	}
	if !filepath.IsAbs(p.Directory) {
		wrong = append(wrong, probe.Settingf("directory", "expected an absolute path"))
	}
	if len(p.Env) > maxEnv {
		wrong = append(wrong, probe.Settingf("env", "expected at most %d variables, got %d", maxEnv, len(p.Env)))
	}
	for _, name := range sorted.Keys(p.Env) {
		if envSecret.MatchString(name) && p.Env[name].Text != "" {
			wrong = append(wrong, probe.Settingf("env."+name, "is secret: name its source, {file: PATH} or {env: NAME}"))
		}
		if !envName.MatchString(name) || strings.ContainsRune(p.Env[name].Text, 0) {
			wrong = append(wrong, probe.Settingf("env."+name, "expected a name of letters, digits and _, and a value without NUL"))
		}
	}
	return errors.Join(append(wrong, p.validateCommand(), p.validateFormat(), p.validateValues())...)
}

func (p *Probe) validateCommand() error {
	var wrong []error
	switch {
	case len(p.Command) == 0:
		return nil // it is required
	case len(p.Command) > maxWords:
		wrong = append(wrong, probe.Settingf("command", "expected at most %d words, got %d", maxWords, len(p.Command)))
	}
	if !filepath.IsAbs(string(p.Command[0])) {
		wrong = append(wrong, probe.Settingf("command[0]", "expected the absolute path of a program: there is no PATH, and no shell"))
	}
	for i, word := range p.Command {
		if strings.ContainsRune(string(word), 0) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("command[%d]", i), "expected a text without NUL"))
		}
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateFormat() error {
	var wrong []error
	formats := []string{nagios, openMetrics}
	switch {
	case p.Format == "":
		p.Format = nagios
	case !slices.Contains(formats, p.Format):
		wrong = append(wrong, probe.Settingf("format", "expected %s%s", strings.Join(formats, " or "), text.DidYouMean(p.Format, formats)))
	case p.Format == openMetrics && len(p.Values) == 0:
		wrong = append(wrong, probe.Settingf("values", "expected some: without them any program that ends would pass"))
	}
	if p.Format == openMetrics && p.FailOnWarning {
		wrong = append(wrong, probe.Settingf("fail_on_warning", "has no effect: only the format nagios has warnings"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateValues() error {
	var wrong []error
	if len(p.Values) > maxValues {
		wrong = append(wrong, probe.Settingf("values", "expected at most %d, got %d", maxValues, len(p.Values)))
	}
	p.selectors = map[string]selector.Selector{}
	for _, name := range sorted.Keys(p.Values) {
		at, limit := "values."+name, p.Values[name]
		if limit.Min != nil && limit.Max != nil && *limit.Min > *limit.Max {
			wrong = append(wrong, probe.Settingf(at+".min", "is above max"))
		}
		if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c > '~' }) {
			wrong = append(wrong, probe.Settingf(at, "expected a name of 1 to %d printable letters of ASCII", maxName))
			continue
		}
		if p.Format != openMetrics {
			continue
		}
		series, err := selector.Parse(name)
		if err != nil {
			wrong = append(wrong, probe.Settingf(at, "%s", err))
		}
		p.selectors[name] = series
	}
	return errors.Join(wrong...)
}
