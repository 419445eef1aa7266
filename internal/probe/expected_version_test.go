package probe

import (
	"context"
	"strings"
	"testing"
)

// TestExpectedVersion: each target that is to state a version states the expected one. One that states none may be any.
func TestExpectedVersion(t *testing.T) {
	t.Parallel()
	sought := func(target, version string) Exchange {
		return Exchange{Check: "it", Target: target, Method: "GET", URL: "http://x/", Version: version, Reason: OK, SoughtVersion: true, TraceID: "trace-" + target + version}
	}
	for name, test := range map[string]struct {
		exchanges []Exchange
		want      string
	}{
		"as expected":         {[]Exchange{sought("", "1.4.2")}, "expected_version pass(ok)"},
		"another":             {[]Exchange{sought("", "1.4.3")}, "expected_version fail(wrong_version)"},
		"one of two":          {[]Exchange{sought("a", "1.4.2"), sought("b", "1.4.1")}, "expected_version a pass(ok)\nexpected_version b fail(wrong_version)"},
		"one answer of two":   {[]Exchange{sought("", "1.4.2"), sought("", "1.4.1")}, "expected_version fail(wrong_version)"},
		"the other way round": {[]Exchange{sought("", "1.4.1"), sought("", "1.4.2")}, "expected_version fail(wrong_version)"},
		"none":                {[]Exchange{sought("", "")}, "expected_version inconclusive(no_version)"},
		"none of a replica":   {[]Exchange{sought("a", "1.4.2"), sought("b", "")}, "expected_version a pass(ok)\nexpected_version b inconclusive(no_version)"},
		"only some pages":     {[]Exchange{sought("", ""), sought("", "1.4.2"), sought("", "")}, "expected_version pass(ok)"},
		"not read":            {[]Exchange{{Check: "it", Version: "15.18", Reason: OK}}, ""},
		"nothing asked":       {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := job(func(_ context.Context, r *Result) {
				for _, x := range test.exchanges {
					r.Exchanged(x)
				}
				r.Pass("it", "good")
			})
			j.Versions = new(VersionHistory)
			j.ExpectVersion = "1.4.2"
			want := strings.TrimSpace("it pass(ok)\n" + test.want)
			r := j.Do(t.Context())
			if got := lines(r); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for _, c := range r.Checks {
				if c.Reason == WrongVersion && (c.TraceID == "" || !strings.HasPrefix(c.Detail, "expected version 1.4.2, got 1.4.")) {
					t.Errorf("got %+v", c)
				}
			}
			j.ExpectVersion = ""
			if got := lines(j.Do(t.Context())); got != "it pass(ok)" {
				t.Errorf("without an expected version: %s", got)
			}
		})
	}
}
