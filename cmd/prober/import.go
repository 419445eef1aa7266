package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prober/internal/file"
	"prober/internal/importer"
	"prober/internal/text"
)

const importExamples = `prober import blackbox.yml prometheus.yml > shop.yaml
prober import --output=shop.yaml --system=shop blackbox.yml
prober import --from=gatus config.yaml
prober import cloudprober.cfg > shop.yaml`

// importFlags are those of the command import.
type importFlags struct {
	from, system, output string
	overwrite            bool
}

func (o *options) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import [flags] FILE ...", Example: importExamples,
		Short: "Translate the configuration of another monitor. What has no equivalent is a comment, and no secret is copied.",
		Args:  expectFile,
	}
	var f importFlags
	group(cmd.Flags(), "Import", func(flags *pflag.FlagSet) {
		flags.StringVar(&f.from, "from", "", "The `MONITOR` that the file is of: "+strings.Join(importer.Formats(), ", ")+". By default recognized by the content.")
		flags.StringVar(&f.system, "system", "imported", "The `NAME` of the system, a label of every series.")
		flags.StringVar(&f.output, "output", "", "Write to `FILE`, which must not exist yet, instead of to standard output.")
		flags.BoolVar(&f.overwrite, "overwrite", false, "Write to that file although it exists.")
	})
	return o.does(cmd, endable(func() int { return o.importFiles(f) }))
}

func expectFile(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("import: expected a file, as in prober import blackbox.yml prometheus.yml")
	}
	return nil
}

// importFiles prints a translated configuration, and on standard error what a person has to do about it.
func (o *options) importFiles(f importFlags) int {
	got, err := readImport(f, o.args)
	if err == nil {
		err = o.writeImport(f, got.YAML)
	}
	if err != nil {
		fmt.Fprintln(o.stderr, "prober: import:", text.Lines(err.Error()))
		return exitUsage
	}
	for _, w := range got.Warnings {
		fmt.Fprintln(o.stderr, "warning:", text.Line(w))
	}
	fmt.Fprintf(o.stderr, "%s, %s without equivalent, %s to fill in (TODO)\n",
		text.Count(got.Probes, "probe"), text.Count(got.Unmatched, "key"), text.Count(got.ToDo, "value"))
	return exitPass
}

func readImport(f importFlags, names []string) (importer.Result, error) {
	var files []importer.File
	for _, name := range names {
		data, err := file.Read(name, importer.MaxBytes)
		if err != nil {
			return importer.Result{}, err
		}
		files = append(files, importer.File{Name: name, Data: data})
	}
	return importer.Import(f.from, validName(f.system, "system"), files...)
}

func (o *options) writeImport(f importFlags, data []byte) error {
	switch {
	case f.output == "":
		_, err := o.stdout.Write(data)
		return err
	case f.overwrite:
		return os.WriteFile(f.output, data, 0o644)
	}
	err := writeNew(f.output, data)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and stays as it is; --overwrite replaces it", f.output)
	}
	return err
}
