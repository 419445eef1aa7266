package probe

import (
	"fmt"
	"slices"
	"testing"
)

// TestGroupChecks checks that the replicas that say the same are told of together, in the place of the first, and that
// nothing else is joined.
func TestGroupChecks(t *testing.T) {
	at := func(name, target, detail string) Check {
		return Check{Name: name, Target: target, TraceID: "of " + target, Verdict: Fail, Reason: Refused, Detail: detail}
	}
	const a, b, far = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:8080"
	var got []string
	for _, group := range GroupChecks([]Check{
		at("live", a, "("+a+" refuses, unlike "+far+")"),
		at("replicas", "", "one is gone"),
		at("live", "proxy/"+b, "("+b+" refuses, unlike "+far+")"),
		at("ready", a, "refuses"),
		at("replicas", "", "one is gone"),
		at("live", far, "refuses"),
		at("live", a, "("+a+" refuses, unlike "+far+")"),
		at("pods", "shop/eu", "shop/eu refuses in eu"),
		at("pods", "news/eu", "news/eu refuses in eu"),
	}) {
		c := group.Check()
		got = append(got, fmt.Sprintf("%d of %d: %s@%s %s %q", len(group), len(group.Targets()), c.Name, c.Target, c.TraceID, c.Detail))
	}
	want := []string{
		`3 of 2: live@  "(it refuses, unlike 10.0.0.1:8080)"`,
		`1 of 1: replicas@ of  "one is gone"`,
		`1 of 1: ready@10.0.0.1:80 of 10.0.0.1:80 "refuses"`,
		`1 of 1: replicas@ of  "one is gone"`,
		`1 of 1: live@10.0.0.1:8080 of 10.0.0.1:8080 "refuses"`,
		`2 of 2: pods@  "it refuses in eu"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nexpected\n%q", got, want)
	}
}
