package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A mutant is a function with one part of its text replaced.
type mutant struct {
	file     string
	line     int
	from, to int // in text
	text     []byte
	with     string
	in       function
}

// body is the changed body of the function.
func (m mutant) body() string {
	return string(slices.Concat(m.text[m.in.from:m.from], []byte(m.with), m.text[m.to:m.in.to]))
}

// A function is where its body is, braces included, in the text of its file.
type function struct{ from, to int }

// String shows where the mutant is and what it changes.
func (m mutant) String() string {
	shown := func(s string) string {
		first, _, more := strings.Cut(s, "\n")
		if more || len(first) > 70 {
			first = first[:min(len(first), 70)] + "..."
		}
		return first
	}
	return fmt.Sprintf("%s:%d: %s  =>  %s", m.file, m.line, shown(string(m.text[m.from:m.to])), shown(m.with))
}

// mutants lists the mutants of a package, in the order of its files.
func mutants(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found, err := inFile(file, text)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func inFile(file string, text []byte) ([]mutant, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []mutant
	var in function
	replace := func(from, to token.Pos, with string) {
		at := set.Position(from)
		all = append(all, mutant{file: file, line: at.Line, from: at.Offset, to: set.Position(to).Offset, text: text, with: with, in: in})
	}
	written := func(n ast.Node) string {
		return string(text[set.Position(n.Pos()).Offset:set.Position(n.End()).Offset])
	}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		in = function{from: set.Position(f.Body.Lbrace).Offset, to: set.Position(f.Body.Rbrace).Offset + 1}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			mutate(n, replace, written)
			return true
		})
	}
	return all, nil
}

// others are the operators that stand for one another.
var others = map[token.Token]token.Token{
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND, token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
}

// mutate makes the mutants of one node.
func mutate(n ast.Node, replace func(from, to token.Pos, with string), written func(ast.Node) string) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if other, ok := others[n.Op]; ok {
			replace(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other.String())
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			replace(n.Pos(), n.X.Pos(), "")
		}
	case *ast.IfStmt:
		replace(n.Cond.Pos(), n.Cond.End(), "!("+written(n.Cond)+")")
	case *ast.Ident:
		switch n.Name {
		case "true":
			replace(n.Pos(), n.End(), "false")
		case "false":
			replace(n.Pos(), n.End(), "true")
		}
	case *ast.BasicLit:
		if number, err := strconv.Atoi(n.Value); err == nil && n.Kind == token.INT {
			replace(n.Pos(), n.End(), strconv.Itoa(number+1))
		}
	case *ast.ExprStmt:
		replace(n.Pos(), n.End(), "_ = 0")
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			replace(n.Pos(), n.End(), "_ = 0")
		}
	case *ast.CaseClause:
		if len(n.Body) > 0 {
			replace(n.Body[0].Pos(), n.Body[len(n.Body)-1].End(), "_ = 0")
		}
	}
}
