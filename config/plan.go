package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// Plan writes what the configuration comes to, for a person to read before it is used: each probe with its times,
// what it serves, what follows it and whom it asks, how much it asks, where the secrets come from (never what they are),
// and what was probably not meant. A table that is wider than the given width, unless that is 0, has its long columns on lines
// of their own, broken between words.
func (c *Config) Plan(w io.Writer, width int) error {
	var b strings.Builder
	systems := c.systems()
	for _, system := range systems {
		fmt.Fprintf(&b, "system %s\n", system)
		b.WriteString(c.table(system, width))
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
	for _, key := range sorted.Keys(c.Unasked) {
		fmt.Fprintf(&b, "\nnot asked: %s, from which %s makes probes like %s\n", c.Unasked[key], key, strings.Join(c.madeFrom(key), " and "))
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

// table lists the probes of a system.
func (c *Config) table(system string, width int) string {
	var jobs []probe.Job
	whole, short := [][]string{slices.Concat(columns, longColumns)}, [][]string{columns}
	for _, j := range c.Jobs {
		if j.System != system {
			continue
		}
		jobs = append(jobs, j)
		row := []string{j.Name, j.Type, probe.Duration(j.Interval).String(), probe.Duration(j.Timeout).String(), dash(served(j))}
		short = append(short, row)
		for _, long := range longCells(j) {
			row = append(slices.Clip(row), dash(long))
		}
		whole = append(whole, row)
	}
	lines := aligned(whole)
	if width == 0 || !slices.ContainsFunc(lines, func(line string) bool { return utf8.RuneCountInString(line) > width }) {
		return strings.Join(lines, "\n") + "\n"
	}
	var b strings.Builder
	for i, line := range aligned(short) {
		b.WriteString(line + "\n")
		if i == 0 {
			continue
		}
		for n, long := range longCells(jobs[i-1]) {
			if long != "" {
				b.WriteString(text.Wrap(strings.ToLower(longColumns[n])+" "+long, width-len(underRow), underRow) + "\n")
			}
		}
	}
	return b.String()
}

// The columns of the table. The long ones stand below the others where there is no room.
var columns, longColumns = []string{"PROBE", "TYPE", "EVERY", "TIMEOUT", "RUNBOOK"}, []string{"SIGNALS", "DEPENDS ON", "ASKS"}

const underRow = "      "

func longCells(j probe.Job) []string {
	return []string{followed(j), strings.Join(j.DependsOn, ", "), strings.Join(j.Addresses(), ", ")}
}

// aligned returns rows as lines, their cells in columns.
func aligned(rows [][]string) []string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, "  "+strings.Join(row, "\t"))
	}
	t.Flush() // to a strings.Builder, which takes everything
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
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
	for _, check := range sorted.Keys(j.Signals) {
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
