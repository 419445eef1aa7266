package alerts

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// seenBy are the series of one of several probers, each in a region of its own: its verdict, and others that keep their values.
func seenBy(region, verdict string, others map[string]float64) map[string]string {
	all := map[string]string{}
	for _, v := range []string{"pass", "fail", "inconclusive"} {
		all[fmt.Sprintf("probe_verdict{region=%q,verdict=%q}", region, v)] = fmt.Sprintf("%gx60", boolFloat(v == verdict))
	}
	for name, value := range others {
		all[strings.Replace(name, "{", fmt.Sprintf("{region=%q,", region), 1)] = fmt.Sprintf("%gx60", value)
	}
	return all
}

func together(all ...map[string]string) map[string]string {
	merged := map[string]string{}
	for _, series := range all {
		maps.Copy(merged, series)
	}
	return merged
}

// TestAuthBypass_locations: one prober that sees a bypass is enough, whatever others are answered, and nobody is paged for a
// status that one prober got and a control that held at another.
func TestAuthBypass_locations(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	answered := func(status, control float64) map[string]float64 {
		return map[string]float64{`probe_http_status_code{check="status"}`: status, `probe_check_success{check="control"}`: control}
	}
	j := change(closed, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	bypass := []string{"ProbeAuthBypass critical"}
	testWorlds(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}), j, []world{
		{"one of two sees it", together(seenBy("eu", "fail", answered(200, 1)), seenBy("us", "pass", answered(401, 1))), "10m", bypass},
		{"the other has no connection", together(seenBy("eu", "fail", answered(200, 1)), seenBy("us", "inconclusive", answered(0, 0))), "10m", bypass},
		{"a portal at one, and no answer at the other", together(seenBy("eu", "inconclusive", answered(200, 0)), seenBy("us", "fail", answered(0, 1))), "10m", nil},
		{"both are denied", together(seenBy("eu", "pass", answered(401, 1)), seenBy("us", "pass", answered(403, 1))), "10m", nil},
	}, "ProbeAuthBypass")
}

// TestHealth_locations: how much is down is what most locations see, and not what the luckiest one does.
func TestHealth_locations(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	j := change(proxy, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	var worlds []world
	for seen, firing := range map[string][]string{
		"down down, down down, serving serving":                               {"ProbeDown critical"},
		"not_ready not_ready, not_ready not_ready, serving serving":           {"ProbeNotReady critical"},
		"down serving, down serving, serving serving":                         {"ProbeReplicasMissing warning"},
		"down serving, serving down":                                          {"ProbeReplicasMissing warning"},
		"serving serving, serving serving, down down":                         nil,
		"down down, unknown unknown":                                          {"ProbeDown critical"},
		"down down, down down, not_ready serving, serving serving, down down": {"ProbeDown critical"},
	} {
		w := world{name: seen, at: "10m", firing: firing, series: map[string]string{}}
		for i, states := range strings.Split(seen, ", ") {
			series, verdict := map[string]float64{}, "pass"
			for replica, state := range strings.Fields(states) {
				for _, s := range []string{"down", "not_ready", "serving", "unknown"} {
					series[fmt.Sprintf(`probe_health_state{target="%d",state=%q}`, replica, s)] = boolFloat(s == state)
				}
				switch state {
				case "unknown":
					verdict = "inconclusive"
					continue
				case "down", "not_ready":
					verdict = "fail"
				}
				series[fmt.Sprintf(`probe_check_success{target="%d",check="live"}`, replica)] = boolFloat(state != "down")
			}
			maps.Copy(w.series, seenBy(fmt.Sprint("r", i), verdict, series))
		}
		worlds = append(worlds, w)
	}
	testWorlds(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}), j, worlds, "ProbeNotReady", "ProbeReplicasMissing", "ProbeDown", "ProbeFailing")
}

// TestUnwatched_renamed: as many probes as before, of which one has another name, are not those of the rules, and nobody is told of what
// the new one finds.
func TestUnwatched_renamed(t *testing.T) {
	t.Parallel()
	named := func(name string) probe.Job {
		return change(up, func(j *probe.Job) { j.Name, j.Labels = name, map[string]string{"env": "prod"} })
	}
	f := Rules([]probe.Job{named("up"), named("old.name")}, Options{Kinds: kinds()})
	world := func(probes ...string) testCase {
		c := testCase{Name: strings.Join(probes, " "), Interval: promTime(step), Input: []inputSeries{{`up{job="prober"}`, "1x60"}}}
		for _, name := range probes {
			c.Input = append(c.Input, inputSeries{fmt.Sprintf(`probe_success{system="shop",probe=%q,env="prod"}`, name), "1x60"})
		}
		expected := assertion{`count by (alertname) (ALERTS{alertstate="firing"})`, "10m", []expectedSample{}}
		if probes[1] != "old.name" {
			expected.Samples = append(expected.Samples, expectedSample{`{alertname="SystemUnwatched"}`, 1})
		}
		unknown := assertion{`ALERTS{alertname="ProbeWithoutAlerts",alertstate="firing"}`, "16m", []expectedSample{}}
		for _, name := range probes {
			if name != "up" && name != "old.name" {
				unknown.Samples = append(unknown.Samples, expectedSample{fmt.Sprintf(`ALERTS{alertname="ProbeWithoutAlerts",alertstate="firing",env="prod",probe=%q,severity="info",runbook_severity="sev3",system="shop"}`, name), 1})
			}
		}
		c.Expected = append(c.Expected, expected, unknown)
		return c
	}
	if complaint := promtool(t, written(t, f.only("SystemUnwatched", "ProbeWithoutAlerts")), testsOf(t, []testCase{world("up", "old.name"), world("up", "new.name"), world("up", "oldxname"), world("up", "old.name", "added")})); complaint != "" {
		t.Error(complaint)
	}
}

// TestSLO_groupNames: Prometheus refuses a whole file in which two groups have one name.
func TestSLO_groupNames(t *testing.T) {
	with := func(system, runbook string) probe.Job {
		return change(up, func(j *probe.Job) {
			j.System, j.Runbook, j.SLO = system, runbook, probe.Objective{Percent: 99, Window: 30 * 24 * 3600e9}
		})
	}
	f := Rules([]probe.Job{with("shop", "down"), with("shop", "down-budget"), with("shop", "down-slo"), with("shop-slo-down", "budget"), with("shop-slo", "down")}, Options{Kinds: kinds()})
	seen := map[string]bool{}
	for _, g := range f.Groups {
		if seen[g.Name] {
			t.Errorf("two groups are called %s", g.Name)
		}
		seen[g.Name] = true
	}
}
