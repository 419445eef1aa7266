package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// variable is where a test with mutants reads which one it runs.
const variable = "PROBER_MUTANT"

// choice is added to the package of the mutants.
const choice = `package %s

import "os"

var chosenMutant = os.Getenv("` + variable + `")
`

// withMutants is the text of a file with its mutants, by number. A function begins with a choice among its mutants, which
// are functions of their own at the end of the file. So all of them are compiled and linked once.
func withMutants(text []byte, mutants map[int]mutant) ([]byte, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	offset := func(p token.Pos) int { return set.Position(p).Offset }
	var changed, added strings.Builder
	done := 0
	replace := func(from, to int, with string) {
		changed.Write(text[done:from])
		changed.WriteString(with)
		done = to
	}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || f.Name.Name == "init" {
			continue
		}
		g := signatureOf(f, func(n ast.Node) string { return string(text[offset(n.Pos()):offset(n.End())]) })
		var choices strings.Builder
		for _, number := range inOrder(mutants) {
			m := mutants[number]
			if m.in.from != offset(f.Body.Lbrace) {
				continue
			}
			name := "mutant" + strconv.Itoa(number)
			fmt.Fprintf(&choices, " if chosenMutant == %q { %s };", strconv.Itoa(number), g.call(name))
			fmt.Fprintf(&added, "\n//line %s.go:1\n%s%s\n", name, g.declare(name), m.body())
		}
		if choices.Len() == 0 {
			continue
		}
		// The parameters are written again, since all of them need a name.
		replace(offset(f.Pos()), offset(f.Body.Lbrace)+1, g.declare(f.Name.Name)+"{"+choices.String())
	}
	changed.Write(text[done:])
	return []byte(changed.String() + added.String()), nil
}

func inOrder(mutants map[int]mutant) []int {
	var all []int
	for number := range mutants {
		all = append(all, number)
	}
	slices.Sort(all)
	return all
}

// A signature is that of a function, with a name for every parameter.
type signature struct {
	receiver, typeParameters, parameters, results string
	through, with, arguments                      string // how to call it: receiver, types, arguments
}

func signatureOf(f *ast.FuncDecl, written func(ast.Node) string) signature {
	var g signature
	count := 0
	named := func(fields *ast.FieldList) (declared, passed []string) {
		for _, field := range fields.List {
			names := field.Names
			if len(names) == 0 {
				names = []*ast.Ident{ast.NewIdent("_")}
			}
			for _, n := range names {
				name := n.Name
				if name == "_" {
					name = "unnamed" + strconv.Itoa(count)
					count++
				}
				declared = append(declared, name+" "+written(field.Type))
				if _, ok := field.Type.(*ast.Ellipsis); ok {
					name += "..."
				}
				passed = append(passed, name)
			}
		}
		return declared, passed
	}
	if f.Recv != nil {
		declared, passed := named(f.Recv)
		g.receiver, g.through = "("+declared[0]+") ", passed[0]+"."
	}
	if f.Type.TypeParams != nil {
		g.typeParameters = written(f.Type.TypeParams)
		_, passed := named(f.Type.TypeParams)
		g.with = "[" + strings.Join(passed, ", ") + "]"
	}
	declared, passed := named(f.Type.Params)
	g.parameters, g.arguments = strings.Join(declared, ", "), strings.Join(passed, ", ")
	if f.Type.Results != nil {
		g.results = written(f.Type.Results) + " "
	}
	return g
}

func (g signature) declare(name string) string {
	return "func " + g.receiver + name + g.typeParameters + "(" + g.parameters + ") " + g.results
}

func (g signature) call(name string) string {
	call := g.through + name + g.with + "(" + g.arguments + ")"
	if g.results == "" {
		return call + "; return"
	}
	return "return " + call
}

// build compiles the tests of each package of r.tests together with the mutants, and forgets those that do not compile.
func (r *runner) build(ctx context.Context, mutants map[int]mutant) error {
	for {
		overlay, err := r.overlay(mutants)
		if err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, "go", "build", "-o", os.DevNull, "-gcflags=-e", "-overlay", overlay, "./"+r.dir).CombinedOutput()
		if err == nil {
			return r.compile(ctx, ".test", "-overlay", overlay)
		}
		if !forget(mutants, string(out)) {
			return fmt.Errorf("%s does not compile with its mutants:\n%s", r.dir, out)
		}
	}
}

var atMutant = regexp.MustCompile(`\bmutant(\d+)\.go:`)

// forget deletes the mutants that a compiler names in its errors, and reports whether there was one.
func forget(mutants map[int]mutant, errors string) bool {
	before := len(mutants)
	for _, found := range atMutant.FindAllStringSubmatch(errors, -1) {
		number, _ := strconv.Atoi(found[1])
		delete(mutants, number)
	}
	return len(mutants) < before
}

// overlay writes the files with mutants, and which files they replace.
func (r *runner) overlay(mutants map[int]mutant) (string, error) {
	files := map[string]map[int]mutant{}
	for number, m := range mutants {
		if files[m.file] == nil {
			files[m.file] = map[int]mutant{}
		}
		files[m.file][number] = m
	}
	replaced := map[string]string{}
	write := func(name string, text []byte) error {
		path, err := filepath.Abs(filepath.Join(r.dir, name))
		if err != nil {
			return err
		}
		replaced[path] = filepath.Join(r.scratch, name)
		return os.WriteFile(replaced[path], text, 0o600)
	}
	name := ""
	for file, some := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, text, parser.PackageClauseOnly)
		if err != nil {
			return "", err
		}
		name = cmp.Or(name, tree.Name.Name)
		if text, err = withMutants(text, some); err != nil {
			return "", err
		}
		if err := write(filepath.Base(file), text); err != nil {
			return "", err
		}
	}
	if err := write("chosen_mutant.go", fmt.Appendf(nil, choice, name)); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.scratch, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// compile compiles the tests of all packages of r.tests.
func (r *runner) compile(ctx context.Context, suffix string, flags ...string) error {
	for i, dir := range r.tests {
		args := slices.Concat([]string{"test", "-c", "-vet=off", "-o", r.binary(i, suffix)}, flags, []string{"./" + dir})
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", dir, err, out)
		}
	}
	return nil
}

func (r *runner) binary(i int, suffix string) string {
	return filepath.Join(r.scratch, strconv.Itoa(i)+suffix)
}
