package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// reports is a probe that reports the versions of its target.
type reports struct{ asks }

func (reports) MixedVersionsGrace() time.Duration { return 5 * time.Minute }

func TestSecretReflected(t *testing.T) {
	j := job(func(_ context.Context, r *Result) {
		r.Each([]string{"a", "b"}, func(i int, r *Result) {
			for range 2 {
				x := Exchange{Check: "it", TraceID: fmt.Sprintf("trace-%d", i), Reason: OK, SoughtCredential: true}
				if i == 1 {
					x.Reflected = "a header"
				}
				r.Exchanged(x)
			}
			r.Pass("it", "good")
		})
	})
	r := j.Do(t.Context())
	if got, want := lines(r), "it a pass(ok)\nit b pass(ok)\nsecrets b fail(secret_reflected)"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if last := r.Checks[2]; last.TraceID != "trace-1" || !last.Reason.Breach || !strings.Contains(last.Detail, "in a header") {
		t.Errorf("got %+v", last)
	}
}

// Of many versions the first three are named. A probe that reads no versions makes no such check.
func TestMixedVersions_named(t *testing.T) {
	j := job(nil)
	j.Versions = new(VersionHistory)
	j.Probe = reports{func(_ context.Context, r *Result) {
		for _, version := range []string{"5", "3", "1", "4", "2"} {
			r.Exchanged(Exchange{Check: "it", Method: "GET", URL: "http://x/", Version: version, Reason: OK})
		}
		r.Pass("it", "good")
	}}
	r := j.Do(t.Context())
	if got := r.Checks[len(r.Checks)-1].Detail; !strings.Contains(got, "is answered by 5 versions: 1, 2, 3; ") {
		t.Errorf("got %s", got)
	}
	if got := TargetChecks(j.Probe); !slices.Equal(got, []string{CheckSecrets, CheckVersions}) {
		t.Errorf("announced are %q", got)
	}
	if got := TargetChecks(asks(nil)); got != nil {
		t.Errorf("announced without versions are %q", got)
	}
}

func TestMixedVersions(t *testing.T) {
	answer := func(url, version string) Exchange {
		return Exchange{Check: "it", Method: "GET", URL: url, Version: version, TraceID: url + version, Reason: OK}
	}
	const a, b = "http://x/a", "http://x/b"
	mixed := []Exchange{answer(a, "1.0.0"), answer(a, "2.0.0"), answer(a, "1.0.0")}
	run := func(t *testing.T, j Job, exchanges ...Exchange) (Check, float64) {
		j.Probe = reports{func(_ context.Context, r *Result) {
			for _, x := range exchanges {
				r.Exchanged(x)
			}
			r.Pass("it", "good")
		}}
		r := j.Do(t.Context())
		return r.Checks[len(r.Checks)-1], float64(r.MaxVersions())
	}
	for name, c := range map[string]struct {
		runs [][]Exchange // one each minute
		want string       // of the last run
		max  float64
	}{
		"none":                               {[][]Exchange{{answer(a, ""), answer(a, "")}}, "it ok", 0},
		"the same":                           {[][]Exchange{{answer(a, "1"), answer(a, "1")}}, "it ok", 1},
		"two services":                       {[][]Exchange{{answer(a, "1"), answer(b, "2")}}, "it ok", 1},
		"one replica states none":            {[][]Exchange{{answer(a, "1"), answer(a, "")}}, "it ok", 1},
		"for the first time":                 {[][]Exchange{mixed}, "versions settling", 2},
		"for less than the grace":            {[][]Exchange{mixed, mixed, mixed, mixed, mixed}, "versions settling", 2},
		"for the grace":                      {[][]Exchange{mixed, mixed, mixed, mixed, mixed, mixed}, "versions mixed_versions", 2},
		"the rollout ended":                  {[][]Exchange{mixed, mixed, mixed, mixed, mixed, mixed, {answer(a, "2.0.0")}}, "it ok", 1},
		"another one begins":                 {[][]Exchange{mixed, mixed, mixed, {answer(a, "2.0.0")}, mixed, mixed, mixed}, "versions settling", 2},
		"a replica was silent in between":    {[][]Exchange{mixed, mixed, mixed, {answer(a, "1.0.0"), answer(a, "")}, mixed, mixed}, "versions mixed_versions", 2},
		"the URL was not asked in between":   {[][]Exchange{mixed, mixed, mixed, {answer(b, "1")}, mixed, mixed}, "versions mixed_versions", 2},
		"the URL that is mixed for longest":  {[][]Exchange{mixed, mixed, mixed, mixed, mixed, append([]Exchange{answer(b, "3"), answer(b, "4")}, mixed...)}, "versions mixed_versions", 2},
		"a method may be of another service": {[][]Exchange{{answer(a, "1"), {Method: "POST", URL: a, Version: "2", Reason: OK}}}, "it ok", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := job(nil)
				j.Versions = &VersionHistory{}
				var last Check
				var max float64
				for i, exchanges := range c.runs {
					if i > 0 {
						time.Sleep(time.Minute)
					}
					last, max = run(t, j, exchanges...)
				}
				if got := last.Name + " " + last.Reason.Word; got != c.want || max != c.max {
					t.Errorf("got %s, %v versions; want %s, %v\n%s", got, max, c.want, c.max, last.Detail)
				}
			})
		})
	}
	// Without a history, as in a single run, nobody knows for how long.
	if last, _ := run(t, job(nil), mixed...); last.Reason != Settling || !strings.Contains(last.Detail, "GET http://x/a is answered by 2 versions: 1.0.0, 2.0.0") {
		t.Errorf("got %+v", last)
	}
}

func TestTracePropagated(t *testing.T) {
	const sent = "4bf92f3577b34da6a3ce929d0e0e4736"
	for got, want := range map[string]string{
		"":                                     "unknown",
		sent:                                   "same",
		strings.ToUpper(sent):                  "same",
		"00-" + sent + "-00f067aa0ba902b7-01":  "same",
		"4bf92f35-77b3-4da6-a3ce-929d0e0e4736": "same",
		"a3ce929d0e0e4736":                     "same",
		"4bf92f3577b34da6":                     "another",
		"0af7651916cd43dd8448eb211c80319c":     "another",
		"0000000000000000":                     "another",
	} {
		x := Exchange{TraceID: sent, TargetTraceID: got}
		same, known := x.TracePropagated()
		word := map[[2]bool]string{{false, false}: "unknown", {true, true}: "same", {false, true}: "another"}[[2]bool{same, known}]
		if word != want {
			t.Errorf("%q: %s, want %s", got, word, want)
		}
	}
}

// TestVersions_bounded has a target report another version each time: a few are told apart in an hour, as in a busy day of
// rollouts, and no more. Those that are known stay known, and after an hour there is room again.
func TestVersions_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		version := ""
		j := job(func(_ context.Context, r *Result) {
			r.Exchanged(Exchange{Check: "it", Target: "a", Version: "1.0.0", Reason: OK})
			r.Exchanged(Exchange{Check: "it", Target: "b", Version: version, Reason: OK})
			r.Pass("it", "good")
		})
		j.Versions = &VersionHistory{}
		seen := map[string]bool{}
		for hour := range 3 {
			for i := range 300 {
				version = fmt.Sprintf("%d.%d", hour, i)
				r := j.Do(t.Context())
				if r.Exchanges[0].Version != "1.0.0" {
					t.Fatalf("forgot the version of a target that keeps it: %+v", r.Exchanges[0])
				}
				if v := r.Exchanges[1].Version; v != "" {
					seen[v] = true
				}
				time.Sleep(10 * time.Second)
			}
			time.Sleep(11 * time.Minute)
		}
		if len(seen) < 3*maxNewVersions-10 || len(seen) > 3*maxNewVersions {
			t.Errorf("told %d versions apart in three hours, expected about %d an hour", len(seen), maxNewVersions)
		}
	})
}
