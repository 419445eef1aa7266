// Command notices prints the licences of all that is linked into a program: of Go itself and of every module. It reads them
// in the module cache, and fails for a module without one.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: notices PACKAGE")
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	err := write(out, os.Args[1])
	if err := errors.Join(err, out.Flush()); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

// A linked package, as go list describes it.
type linked struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Version string }
	}
}

// ours reports whether a package stands in this repository: in the main module, or in a folder that replaces another.
func (l linked) ours() bool {
	return l.Module.Main || l.Module.Replace != nil && l.Module.Replace.Version == ""
}

// write prints the notices of a program, those of Go first and then by module.
func write(w io.Writer, program string) error {
	packages, err := linkedInto(program)
	if err != nil {
		return err
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	texts := map[string][]string{}
	root := strings.TrimSpace(string(goroot))
	texts["Go "+runtime.Version()] = licences(root, root)
	for _, p := range packages {
		if m := p.Module; m != nil && !p.ours() {
			name := m.Path + " " + m.Version
			texts[name] = append(texts[name], licences(m.Dir, p.Dir)...)
		}
	}
	for _, name := range sorted(texts) {
		files := texts[name]
		if len(files) == 0 {
			return fmt.Errorf("%s has no licence", name)
		}
		slices.Sort(files)
		for _, file := range slices.Compact(files) {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%s\n%s: %s\n\n%s\n\n", strings.Repeat("=", 80), name, filepath.Base(file), bytes.TrimSpace(text))
		}
	}
	return nil
}

// linkedInto lists the packages that a program consists of.
func linkedInto(program string) (all []linked, err error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Module", program)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var p linked
		switch err := in.Decode(&p); {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, p)
	}
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice|copyright|patents)([-._].*)?$`)

// licences lists the files with licences and notices from a package's directory up to that of its module: parts of a module
// may have another licence than the rest.
func licences(module, dir string) (files []string) {
	for {
		entries, _ := os.ReadDir(dir) // what cannot be read has no licence, and is missed
		for _, e := range entries {
			if e.Type().IsRegular() && licenceFile.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
		if dir == module || len(dir) <= len(module) {
			return files
		}
		dir = filepath.Dir(dir)
	}
}

// sorted returns the names, that of Go first.
func sorted(texts map[string][]string) (names []string) {
	for name := range texts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if first := strings.HasPrefix(a, "Go "); first != strings.HasPrefix(b, "Go ") {
			if first {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}
