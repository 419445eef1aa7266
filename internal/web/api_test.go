package web

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// jsonFields lists the fields of a JSON type by their paths, those of lists with [].
func jsonFields(t reflect.Type, path string) (fields []string) {
	switch {
	case t.Kind() == reflect.Pointer:
		return jsonFields(t.Elem(), path)
	case t.Kind() == reflect.Slice:
		return jsonFields(t.Elem(), path+"[]")
	case t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]():
		return []string{path}
	case path != "":
		if _, text := t.MethodByName("MarshalText"); text {
			return []string{path}
		}
		path += "."
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, jsonFields(f.Type, path+name)...)
	}
	return fields
}

// TestStatus_documented requires docs/api.md to explain each field of /api/v1/status, and no other.
func TestStatus_documented(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| field | meaning |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var explained []string
	for row := range strings.Lines(table) {
		cells := strings.Split(row, " | ")
		for _, field := range regexp.MustCompile("`([a-z_.\\[\\]]+)`").FindAllStringSubmatch(cells[0], -1) {
			explained = append(explained, field[1])
		}
	}
	fields := jsonFields(reflect.TypeFor[jsonStatus](), "")
	slices.Sort(fields)
	slices.Sort(explained)
	if len(fields) < 30 || !slices.Equal(fields, explained) {
		t.Errorf("docs/api.md explains\n%s\nbut the fields are\n%s", strings.Join(explained, "\n"), strings.Join(fields, "\n"))
	}
}
