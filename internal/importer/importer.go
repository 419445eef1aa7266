// Package importer translates the configurations of other monitors.
//
// It promises: what has no equivalent is a comment, in its place, and never left out in silence; no secret is copied; what
// would prove nothing is marked TODO, which no configuration is accepted with; and any input is bounded.
package importer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"prober/internal/strictyaml"
	"prober/internal/text"
)

// MaxBytes bounds a file that is read.
const MaxBytes = 2 << 20

// maxProbes bounds what a product of modules and targets may come to.
const maxProbes = 5000

// A File is the name and the bytes of one file of another monitor. The name is used in messages.
type File struct {
	Name string
	Data []byte
}

// A Result is a translated configuration, and what a person has to know about it.
type Result struct {
	YAML      []byte
	Warnings  []string // secrets that were not copied, each with its file and line
	Probes    int
	Unmatched int // keys without an equivalent, one comment each
	ToDo      int // values that somebody has to fill in
}

// A format is the configuration of one other monitor.
type format struct {
	name   string
	begins *regexp.Regexp // something that only this format has
	files  int            // how many it takes at most
	read   func(*draft, []File)
}

var formats = []format{
	{"blackbox", regexp.MustCompile(`(?m)^["']?modules["']?[ \t]*:`), 2, readBlackbox},
	{"gatus", regexp.MustCompile(`(?m)^["']?(endpoints|external-endpoints|suites)["']?[ \t]*:`), 1, readGatus},
	{"cloudprober", regexp.MustCompile(`(?m)^[ \t]*(probe|shared_targets|surfacer)[ \t]*:?[ \t]*[{<]`), 1, readCloudprober},
}

// Formats names the formats, as --from does.
func Formats() (names []string) {
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// Import translates files of another monitor. The format is recognized by the content of the first file if from is empty.
func Import(from, system string, files ...File) (Result, error) {
	f, err := formatOf(from, files)
	if err != nil {
		return Result{}, err
	}
	d := &draft{system: system, names: map[string]int{}, variables: map[string]bool{}}
	f.read(d, files)
	if len(d.wrong) > 0 {
		return Result{}, errors.New(strings.Join(d.wrong, "\n"))
	}
	return Result{YAML: d.render(f.name), Warnings: d.warnings, Probes: len(d.probes), Unmatched: d.unmatched, ToDo: d.toDo}, nil
}

func formatOf(from string, files []File) (format, error) {
	for _, file := range files {
		if len(file.Data) > MaxBytes {
			return format{}, fmt.Errorf("%s: the file is larger than %d MiB", file.Name, MaxBytes>>20)
		}
	}
	for _, f := range formats {
		if from == "" && !f.begins.Match(files[0].Data) || from != "" && f.name != from {
			continue
		}
		if len(files) > f.files {
			return format{}, fmt.Errorf("%s: %s takes at most %s", files[f.files].Name, f.name, text.Count(f.files, "file"))
		}
		return f, nil
	}
	known := strings.Join(Formats(), ", ")
	if from != "" {
		return format{}, fmt.Errorf("--from: expected one of %s%s", known, text.DidYouMean(from, Formats()))
	}
	return format{}, fmt.Errorf("%s: is not recognized as one of %s; --from says which", files[0].Name, known)
}

// parse reads a file of YAML. With a mistake there is no source.
func (d *draft) parse(f File) (s *source, ok bool) {
	root, wrong := strictyaml.Parse(quoteBinary(f.Data), MaxBytes)
	for _, m := range wrong {
		d.refuse(f.Name, m.Line, m.Text)
	}
	return &source{draft: d, file: f.Name, node: root, used: map[string]bool{}}, len(wrong) == 0
}

// maxMessages bounds the messages about a file that cannot be read.
const maxMessages = 20

// refuse records why there is no translation.
func (d *draft) refuse(file string, line int, message string) {
	if len(d.wrong) < maxMessages {
		at := file
		if line > 0 {
			at = fmt.Sprintf("%s:%d", file, line)
		}
		d.wrong = append(d.wrong, at+": "+message)
	}
}

const binaryMark = "!!binary "

var binaryTag = regexp.MustCompile(`!!binary +([A-Za-z0-9+/=]+)`)

// quoteBinary makes texts of bytes, which are written in base64, recognizable as such.
func quoteBinary(data []byte) []byte {
	return binaryTag.ReplaceAll(data, []byte(`"`+binaryMark+`$1"`))
}
