package config_test

import (
	"fmt"
	"strings"
	"testing"

	"prober/internal/probe"
)

// written are settings as lines, the parts of each below it.
func written(all []probe.Setting, indent string) string {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s%s=%s\n%s", indent, s.Name, s.Value, written(s.Parts, indent+" "))
	}
	return b.String()
}

func TestSettings(t *testing.T) {
	c := good(t)
	want := `body=<hidden>
basic
 username=prober
 password › file=/run/secrets/basic
url=https://shop.example/api?<hidden>
method=POST
`
	got := written(c.Settings(probe.Key{System: "shop", Name: "callers"}), "")
	if !strings.HasPrefix(got, strings.Replace(want, "basic\n", "basic=\n", 1)) || !strings.Contains(got, "status=401, 403\n") || !strings.Contains(got, "lookup\n") && !strings.Contains(got, "lookup=\n") {
		t.Errorf("got:\n%s", got)
	}
	for _, common := range []string{"name=", "type=", "interval=", "labels", "depends_on"} {
		if strings.HasPrefix(got, common) || strings.Contains(got, "\n"+common) {
			t.Errorf("%s is no setting of the kind:\n%s", common, got)
		}
	}
	for _, j := range c.Jobs { // each finds its own
		if got := written(c.Settings(j.Key()), ""); (j.Name == "gateways") != strings.Contains(got, "hosts=a.shop.example, b.shop.example") {
			t.Errorf("%s has:\n%s", j.Name, got)
		}
	}
	if got := c.Settings(probe.Key{System: "shop", Name: "nobody"}); got != nil {
		t.Errorf("got %v", got)
	}
}
