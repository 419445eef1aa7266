package httpx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Statuses is a set of HTTP statuses: codes from 200 to 599, and classes as their first digit. It is immutable.
type Statuses []int

// Success is every 2xx.
var Success = Statuses{2}

// Codes returns the set of these codes.
func Codes(codes ...int) Statuses { return Statuses(codes) }

// IsZero reports whether the set is empty.
func (s Statuses) IsZero() bool { return len(s) == 0 }

// Contains reports whether a code, or its class, is in the set.
//
//go:noinline
func (s Statuses) Contains(code int) bool {
	return code >= 100 && (slices.Contains(s, code) || slices.Contains(s, code/100))
}

// Codes lists the single codes of the set, without its classes.
func (s Statuses) Codes() []int {
	var codes []int
	for _, v := range s {
		if v >= 100 {
			codes = append(codes, v)
		}
	}
	return codes
}

// Denial reports whether every member is a 4xx: an expectation that a wrong or broken target may meet too.
func (s Statuses) Denial() bool {
	return len(s) > 0 && !slices.ContainsFunc(s, func(v int) bool { return v != 4 && v/100 != 4 })
}

// HasBody reports whether an answer with a status of the set may have a body (RFC 9110, section 6.4.1).
func (s Statuses) HasBody() bool {
	return slices.ContainsFunc(s, func(v int) bool { return v != 204 && v != 304 })
}

// String writes the set for a sentence: "200", "200 or 204", "200, 204 or 3xx".
func (s Statuses) String() string {
	words := s.words()
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (s Statuses) words() []string {
	words := make([]string, len(s))
	for i, v := range s {
		words[i] = strconv.Itoa(v)
		if v < 100 {
			words[i] += "xx"
		}
	}
	return words
}

// UnmarshalYAML reads 200, 2xx or a list of them.
func (s *Statuses) UnmarshalYAML(unmarshal func(any) error) error {
	var words []string
	if unmarshal(&words) != nil {
		words = make([]string, 1)
		if unmarshal(&words[0]) != nil {
			return fmt.Errorf("expected a status such as 200 or 2xx, or a list of them")
		}
	}
	if len(words) == 0 {
		return fmt.Errorf("expected a status such as 200 or 2xx, got an empty list")
	}
	out := make(Statuses, 0, len(words))
	for _, word := range words {
		v, err := parseStatus(word)
		if err != nil {
			return err
		}
		if slices.Contains(out, v) {
			return fmt.Errorf("the status %s is listed twice", word)
		}
		out = append(out, v)
	}
	*s = out
	return nil
}

func parseStatus(word string) (int, error) {
	digits, class := strings.CutSuffix(strings.ToLower(word), "xx")
	want := 3
	if class {
		want = 1
	}
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) != want || (class && (n < 1 || n > 5)) || (!class && (n < 100 || n > 599)) {
		return 0, fmt.Errorf("expected a status such as 200 or 2xx, got %q", word)
	}
	if n == 1 || n/100 == 1 {
		return 0, fmt.Errorf("expected a status such as 200 or 2xx, got %q: a 1xx comes before the answer and is none", word)
	}
	return n, nil
}

// MarshalYAML writes the set in the form that UnmarshalYAML reads.
func (s Statuses) MarshalYAML() (any, error) {
	list := make([]any, len(s))
	for i, word := range s.words() {
		list[i] = word
		if s[i] >= 100 {
			list[i] = s[i]
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return list, nil
}

// JSONSchema describes what UnmarshalYAML reads.
func (Statuses) JSONSchema() map[string]any {
	one := map[string]any{"oneOf": []any{
		map[string]any{"type": "integer", "minimum": 200, "maximum": 599},
		map[string]any{"type": "string", "pattern": "^([2-5][0-9][0-9]|[2-5][xX][xX])$"},
	}}
	return map[string]any{"oneOf": []any{
		one, map[string]any{"type": "array", "items": one, "minItems": 1, "uniqueItems": true},
	}}
}
