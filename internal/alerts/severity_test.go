package alerts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

func TestSeverity(t *testing.T) {
	for word, want := range map[string]string{ // as it is, lowered, capped at 2 and 3, at least 1
		"P0":       "P0 critical, P1 critical, P2 warning, P3 info, P0 critical",
		"P1":       "P1 critical, P2 warning, P2 warning, P3 info, P1 critical",
		"sev2":     "sev2 warning, sev3 info, sev2 warning, sev3 info, sev1 critical",
		"P3":       "P3 info, P3 info, P3 info, P3 info, P1 critical",
		"sev5":     "sev5 info, sev5 info, sev5 info, sev5 info, sev1 critical",
		"critical": "critical critical, warning warning, warning warning, info info, critical critical",
		"warning":  "warning warning, info info, warning warning, info info, critical critical",
		"info":     "info info, info info, info info, info info, critical critical",
		"":         " warning,  warning,  warning,  warning,  critical",
	} {
		g := parseSeverity(word)
		var got []string
		for _, of := range []severity{g, g.lowered(), g.cappedAt(2), g.cappedAt(3), g.atLeast(1)} {
			got = append(got, of.word+" "+of.label())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: got %q, expected %q", word, strings.Join(got, ", "), want)
		}
	}
}

// What an alert asks of people is what the configuration says of its severity, and nothing else.
func TestRules_responses(t *testing.T) {
	plain := job("up", "http", "sev1", 15*time.Second, fake{})
	asked := change(plain, func(j *probe.Job) {
		j.AboutRunbook.Impact = "nobody buys for {{n}} minutes"
		j.Responses = map[int]probe.Response{1: {Respond: "at once", Escalate: "to {{Jo}}"}, 2: {Respond: "by noon"}}
	})
	for _, c := range []struct {
		job  probe.Job
		want map[string]string
	}{
		{plain, map[string]string{"ProbeFailing": "", "ProbeInconclusive": "", "ProbeFailsFromOneLocation": "", "ProberAbsent": ""}},
		{asked, map[string]string{"ProbeFailing": "respond at once escalate to " + escaped + "Jo}}", "ProbeInconclusive": "respond by noon", "ProbeFailsFromOneLocation": "", "ProberAbsent": ""}},
	} {
		for _, r := range Rules([]probe.Job{c.job}, Options{Kinds: kinds()}).alerts() {
			want, named := c.want[r.Alert]
			var got string
			for _, key := range []string{"respond", "escalate"} {
				if text, ok := r.Annotations[key]; ok {
					got += fmt.Sprintf(" %s %s", key, text)
				}
			}
			impact := r.Annotations["impact"]
			if meant := c.job.Impact() != "" && r.Alert != "ProberAbsent" && r.Alert != "ProbeFailsFromOneLocation"; named && (impact == "nobody buys for "+escaped+"n}} minutes") != meant {
				t.Errorf("%s: the impact is %q", r.Alert, impact)
			}
			if named && strings.TrimSpace(got) != want {
				t.Errorf("%s: got %q, expected %q", r.Alert, got, want)
			}
		}
	}
}
