package main

import (
	"strings"
	"testing"
)

func TestInFile_everyKindOfChange(t *testing.T) {
	const before = `package a

func f(x int, ok bool) bool {
	if x < 3 && !ok {
		g()
		x = x + 1
		y := true
		return y
	}
	switch {
	case x == 4:
		return false
	}
	return ok
}
`
	all, err := inFile("a.go", []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, m := range all {
		got.WriteString(strings.TrimPrefix(m.String(), "a.go:") + "\n")
		if changed := m.body(); strings.Contains(before, changed) {
			t.Errorf("%s changes nothing", m)
		}
	}
	const want = `4: x < 3 && !ok  =>  !(x < 3 && !ok)
4: &&  =>  ||
4: <  =>  <=
4: 3  =>  4
4: !  =>  
5: g()  =>  _ = 0
6: x = x + 1  =>  _ = 0
6: +  =>  -
6: 1  =>  2
7: true  =>  false
12: return false  =>  _ = 0
11: ==  =>  !=
11: 4  =>  5
12: false  =>  true
`
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}
