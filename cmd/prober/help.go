package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prober/internal/text"
)

// Where the descriptions of flags begin, and the widths between which help is wrapped.
const (
	helpColumn   = 33
	minHelpWidth = 60
	maxHelpWidth = 100
)

// printHelp prints the help of a command for whoever reads it on w.
func printHelp(w io.Writer, cmd *cobra.Command) {
	cmd.InheritedFlags() // adds those of the root
	width := helpWidth(w)
	fmt.Fprintf(w, "usage: %s\n\n", cmd.UseLine())
	fmt.Fprintln(w, text.Wrap(cmp.Or(cmd.Long, cmd.Short), width, ""))
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n  %s\n", strings.ReplaceAll(cmd.Example, "\n", "\n  "))
	}
	if cmd.HasAvailableSubCommands() {
		printCommands(w, cmd, width)
		printFlags(w, cmd.PersistentFlags(), width)
		fmt.Fprintln(w, "\n\"prober run --help\" shows the flags of run, which is what prober does without a command.")
		return
	}
	printFlags(w, cmd.Flags(), width)
}

func printCommands(w io.Writer, cmd *cobra.Command, width int) {
	fmt.Fprintln(w, "\nCommands:")
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			printEntry(w, "  "+c.Name(), c.Short, 14, width)
		}
	}
}

// printFlags prints flags under the titles of their groups.
func printFlags(w io.Writer, flags *pflag.FlagSet, width int) {
	last := ""
	flags.SortFlags = false
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if title := f.Annotations[groupOf][0]; title != last {
			fmt.Fprintf(w, "\n%s:\n", title)
			last = title
		}
		name, usage := describe(f)
		printEntry(w, name, usage, helpColumn, width)
	})
}

// printEntry prints a name and what it is for, beside it or, if the name is too long for that, below.
func printEntry(w io.Writer, name, usage string, column, width int) {
	indent := strings.Repeat(" ", column)
	if len(name)+2 > column {
		name += "\n"
	} else {
		name += indent[len(name):]
	}
	wrapped := text.Wrap(usage, width-column, indent)
	if !strings.HasSuffix(name, "\n") {
		wrapped = strings.TrimPrefix(wrapped, indent)
	}
	fmt.Fprint(w, name, wrapped, "\n")
}

// describe returns a flag as it is typed, with its default or what stands for its value, and its description.
func describe(f *pflag.Flag) (name, usage string) {
	placeholder, usage := pflag.UnquoteUsage(f)
	name = "      --" + f.Name
	if f.Shorthand != "" {
		name = "  -" + f.Shorthand + ", --" + f.Name
	}
	if isBool(f) {
		if f.DefValue == "true" {
			return "      --[no-]" + f.Name, usage + " On by default."
		}
		return name, usage
	}
	value := f.DefValue
	_, list := f.Value.(pflag.SliceValue)
	if list {
		value = strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
	}
	if value == "" || value == "0" || value == "0s" {
		value = placeholder
	}
	if list || f.Value.Type() == "counter" {
		value += " ..."
	}
	return name + "=" + value, usage
}

// helpWidth returns how wide help is on w: as the terminal, but within what can be read, and 80 columns elsewhere.
func helpWidth(w io.Writer) int {
	return min(max(cmp.Or(terminalWidth(w), 80), minHelpWidth), maxHelpWidth)
}
