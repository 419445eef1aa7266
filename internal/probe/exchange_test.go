package probe

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What a check rests on: the last exchange that got no answer, else the last, of the check or of another with its target.
func TestEvidence(t *testing.T) {
	exchange := func(check, target string, why Reason) Exchange {
		return Exchange{Check: check, Target: target, Reason: why}
	}
	for name, test := range map[string]struct {
		exchanges []Exchange
		want      int
	}{
		"none":                      {nil, -1},
		"the last":                  {[]Exchange{exchange("a", "x", OK), exchange("a", "x", OK)}, 1},
		"the broken one":            {[]Exchange{exchange("a", "x", Timeout), exchange("a", "x", OK)}, 0},
		"the last broken one":       {[]Exchange{exchange("a", "x", Timeout), exchange("a", "x", Timeout), exchange("a", "x", OK)}, 1},
		"another target's":          {[]Exchange{exchange("a", "y", Timeout), exchange("a", "x", OK)}, 1},
		"that of another check":     {[]Exchange{exchange("b", "x", OK), exchange("b", "y", OK)}, 0},
		"of no check of the target": {[]Exchange{exchange("b", "y", OK)}, -1},
	} {
		c := Check{Name: "a", Target: "x"}
		r := Result{Checks: []Check{c, {Name: "b", Target: "x"}}, Exchanges: test.exchanges}
		if got := r.Evidence(c); got != test.want {
			t.Errorf("%s: got %d, expected %d", name, got, test.want)
		}
	}
}

// A 429 counts unless the probe provoked it, and so does a check that says so.
func TestRateLimited(t *testing.T) {
	for name, test := range map[string]struct {
		result  Result
		wait    time.Duration
		limited bool
	}{
		"no":              {Result{Exchanges: []Exchange{{Status: 200, RetryAfter: time.Minute}}}, 0, false},
		"a check":         {Result{Checks: []Check{{}, {Reason: RateLimited}, {}}}, 0, true},
		"an answer":       {Result{Exchanges: []Exchange{{Status: 429}, {Status: 200}}}, 0, true},
		"the longest":     {Result{Exchanges: []Exchange{{Status: 429, RetryAfter: time.Hour}, {Status: 429, RetryAfter: time.Minute}}}, time.Hour, true},
		"another check":   {Result{Checks: []Check{{Reason: Status}}}, 0, false},
		"one on purpose":  {Result{Exchanges: []Exchange{{Status: 429, Expected: true, RetryAfter: time.Hour}}}, 0, false},
		"another as well": {Result{Exchanges: []Exchange{{Status: 429, Expected: true, RetryAfter: time.Hour}, {Status: 429, RetryAfter: 1}}}, 1, true},
	} {
		if wait, limited := test.result.RateLimited(); wait != test.wait || limited != test.limited {
			t.Errorf("%s: got %s, %t", name, wait, limited)
		}
	}
}

// An exchange supports the check that cites it, or the one that it was made for and that cites none.
func TestExchange_supports(t *testing.T) {
	x := Exchange{Check: "read", Target: "a", TraceID: "1"}
	for c, want := range map[Check]bool{
		{Name: "read", Target: "a"}: true, {Name: "list", Target: "a"}: false, {Name: "read", Target: "b"}: false,
		{Name: "read", Target: "a", TraceID: "2"}: false, {Name: "list", TraceID: "1"}: true,
	} {
		if x.Supports(c) != want {
			t.Errorf("%+v: supported: %t", c, !want)
		}
	}
	if got := x.Answered() + ", " + (&Exchange{Status: 503}).Answered(); got != "answered, answered 503" {
		t.Errorf("got %s", got)
	}
}

func TestMark(t *testing.T) {
	if got := fmt.Sprint(Pass.Mark(), Fail.Mark(), Inconclusive.Mark()); got != "okFAILINCONCL" {
		t.Errorf("got %s", got)
	}
}

func TestValidateName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "9": true, "Org-1_b.c": true, strings.Repeat("a", 64): true,
		"": false, "-a": false, ".a": false, "a b": false, "a/b": false, "é": false, "a\n": false, strings.Repeat("a", 65): false,
	} {
		if err := ValidateName(name); (err == nil) != want {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// A setting and what is in it moves, and one whose name only begins like it stays.
func TestMoveSetting(t *testing.T) {
	err := errors.Join(Settingf("oauth2", "a"), Settingf("oauth2.scopes[0]", "b"), Settingf("oauth2_url", "c"), Settingf("url", "d"), errors.New("e"))
	if got := fmt.Sprint(MoveSetting("oauth2", "iat", err)); got != "iat: a\niat.scopes[0]: b\noauth2_url: c\nurl: d\ne" {
		t.Errorf("got\n%s", got)
	}
}

// A target that states another version each time makes no more than so many series, and one that goes on stating its own is
// not forgotten for it.
func TestVersionHistory_admits(t *testing.T) {
	var h VersionHistory
	at := time.Now()
	admit := func(count int, name string) (admitted int) {
		for i := range count {
			if h.admits(fmt.Sprint(name, i), at) {
				admitted++
			}
		}
		return admitted
	}
	if got := admit(25, "first"); got != maxNewVersions {
		t.Errorf("%d new versions are told apart", got)
	}
	at = at.Add(50 * time.Minute)
	if admit(1, "first") != 1 || admit(1, "second") != 0 {
		t.Error("within the hour: expected the known version, and no other")
	}
	at = at.Add(15 * time.Minute) // the first are forgotten, but for the one that was stated again
	if got := admit(25, "second"); got != maxNewVersions {
		t.Errorf("in the next hour %d new versions are told apart", got)
	}
	if admit(1, "first") != 1 || h.admits("first1", at) {
		t.Error("expected the version that was stated again to be known, and no other")
	}
	for hour := range 5 { // which keeps all known ones
		for range 3 {
			at = at.Add(30 * time.Minute)
			for version := range h.known {
				h.admits(version, at)
			}
		}
		admit(maxNewVersions, fmt.Sprint("hour", hour, "-"))
	}
	if len(h.known) != maxKnownVersions {
		t.Errorf("%d versions are known", len(h.known))
	}
}
