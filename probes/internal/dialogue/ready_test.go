package dialogue

import (
	"testing"
)

// A run takes the patterns as they were compiled; IRC gets another name each time, since one that is in use is refused.
func TestReady(t *testing.T) {
	for _, name := range Protocols() {
		if n := testing.AllocsPerRun(10, func() { Ready(name, KnowsStartTLS(name)) }); n > 10 {
			t.Errorf("%s: a run allocates %v times before it sends anything: does it compile the patterns?", name, n)
		}
	}
	names := map[string]bool{}
	for range 20 {
		names[Ready("irc", false)[0].Send.Text] = true
	}
	if len(names) < 10 {
		t.Errorf("20 runs have %d names", len(names))
	}
	if protocols()["irc"].greet[0].Send.Text != "" {
		t.Error("a run has changed the steps that all share")
	}
}
