package config

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"prober/internal/probe"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// Plan writes what the configuration comes to, for a person to read before it is used: each probe with its times,
// what it serves, what follows it and whom it asks, how much it asks, where the secrets come from (never what they are),
// and what was probably not meant.
func (c *Config) Plan(w io.Writer) error {
	var b strings.Builder
	systems := c.systems()
	for _, system := range systems {
		fmt.Fprintf(&b, "system %s\n", system)
		c.table(&b, system)
		b.WriteByte('\n')
	}
	c.windows(&b)
	rate := 0.0
	for _, j := range c.Jobs {
		rate += 1 / j.Interval.Seconds()
	}
	fmt.Fprintf(&b, "%s in %s, %.2f starts per second\n", text.Count(len(c.Jobs), "probe"), text.Count(len(systems), "system"), rate)
	for i, u := range c.secretRefs() {
		if i == 0 {
			b.WriteString("\nsecrets\n")
		}
		fmt.Fprintf(&b, "  %s, for %s\n", oneLine(u.secret.Source()), strings.Join(u.by, ", "))
	}
	for i, warning := range c.Warnings {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// systems lists the systems in the order of their first probes.
func (c *Config) systems() []string {
	var all []string
	for _, j := range c.Jobs {
		if !slices.Contains(all, j.System) {
			all = append(all, j.System)
		}
	}
	return all
}

func (c *Config) table(w io.Writer, system string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  PROBE\tTYPE\tEVERY\tTIMEOUT\tRUNBOOK\tSIGNALS\tDEPENDS ON\tASKS")
	for _, j := range c.Jobs {
		if j.System != system {
			continue
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", j.Name, j.Type, probe.Duration(j.Interval), probe.Duration(j.Timeout),
			dash(served(j)), dash(followed(j)), dash(strings.Join(j.DependsOn, ", ")), dash(strings.Join(j.Addresses(), ", ")))
	}
	t.Flush() // to a strings.Builder, which takes everything
}

// windows lists when alerts stay quiet, since nothing else shows it before the time has come.
func (c *Config) windows(w io.Writer) {
	for _, system := range c.systems() {
		for _, n := range c.maintained(system).Content {
			said := []string{"all probes"}
			var when []string
			why := ""
			for key, value := range strictyaml.Pairs(n) {
				switch key.Value {
				case "why":
					why = ": " + value.Value
				case "probes":
					said = nil
					for _, name := range value.Content {
						said = append(said, name.Value)
					}
				default:
					when = append(when, key.Value+" "+value.Value)
				}
			}
			fmt.Fprintf(w, "maintenance of %s, %s, %s%s\n\n", system, strings.Join(said, ", "), strings.Join(when, " "), why)
		}
	}
}

func served(j probe.Job) string {
	if j.Severity == "" {
		return j.Runbook
	}
	return strings.TrimSpace(j.Runbook + " (" + j.Severity + ")")
}

func followed(j probe.Job) string {
	var all []string
	for _, check := range slices.Sorted(maps.Keys(j.Signals)) {
		all = append(all, check+": "+j.Signals[check].String())
	}
	return strings.Join(all, ", ")
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
