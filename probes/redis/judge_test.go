package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// A shape has nothing of a name but the words that are allowed.
func TestShape(t *testing.T) {
	words := []string{"org", "user", "session"}
	for name, want := range map[string]string{
		"user:4711:session": "user:N:session", "user:bob@shop.example:tok": "user:*:*", "org:7f3cf1a2-0b44-4c8e-9d52-0a1b2c3d4e5f:x": "org:UUID:*",
		"deadbeefcafe": "HEX", "": "*", "users": "*", "a::b": "*:*:*", marker: "*", strings.Repeat("user:", 9): "user:user:user:user:user:user:*",
		strings.Repeat("z", 1000): "*", "\x00\n": "*",
	} {
		if got := shape(name, words); got != want {
			t.Errorf("%.40q: got %q, expected %q", name, got, want)
		}
	}
}

func TestData(t *testing.T) {
	for name, want := range map[string]string{
		"org:a:bob@shop.example": "an e-mail address", "session:eyJhbGciOiJSUzI1NiJ9.eyJzdWIi": "a token", "cache:ghp_0123456789abcdefghij0123": "a credential",
		"org:a:note:1": "", "celery@host": "", "risk-analysis:5": "", "eyJ": "", "task-0123456789012345678901": "",
	} {
		if got := data(name); got != want {
			t.Errorf("%q: got %q, expected %q", name, got, want)
		}
	}
}

// What nobody has proven is not proven, and a right on another's key is found beside any number of refusals.
func TestJudgeACL(t *testing.T) {
	p := &Probe{Orgs: map[string]Org{"a": {User: "a", Key: "a:1", Prefix: "a:"}, "b": {User: "b", Key: "b:1", Prefix: "b:"}}}
	sound := func(q question) ruling {
		switch {
		case q.of == "":
			return noCommand
		case q.own:
			return granted
		}
		return noKey
	}
	for name, test := range map[string]struct {
		rule func(question) ruling
		want string
	}{
		"sound":        {sound, "ok: 32 refusals are proven"},
		"all granted":  {func(question) ruling { return granted }, "acl_open: "},
		"all refused":  {func(question) ruling { return noCommand }, "control_failed: "},
		"nothing said": {func(question) ruling { return unclear }, "control_failed: "},
		"one granted": {func(q question) ruling {
			if q.org == "b" && q.of == "a" && q.command == "DEL" {
				return granted
			}
			return sound(q)
		}, "acl_open: expected the users of orgs to have no right on each other's keys, but b may run DEL with a key of a"},
		"only behind the prefix": {func(q question) ruling {
			if q.of == "a" && !q.own && q.args[4] != "a:1" {
				return granted
			}
			return sound(q)
		}, "acl_open: "},
		"a common command": {func(q question) ruling {
			if q.command == "MONITOR" {
				return granted
			}
			return sound(q)
		}, "acl_commands: "},
		"a common command not known": {func(q question) ruling {
			if q.of == "" {
				return unclear
			}
			return sound(q)
		}, "control_failed: "},
		"one org without rights": {func(q question) ruling {
			if q.org == "a" {
				return noCommand
			}
			return sound(q)
		}, "control_failed: "},
		"refused as if not allowed": {func(q question) ruling {
			if q.of != "" && !q.own {
				return noCommand
			}
			return sound(q)
		}, "control_failed: "},
		"one refused as if not allowed": {func(q question) ruling {
			if q.of != "" && !q.own && q.command == "GET" {
				return noCommand
			}
			return sound(q)
		}, "control_failed: "},
		"an org that may only read": {func(q question) ruling {
			if q.of != "" && q.command != "GET" {
				return noCommand
			}
			return sound(q)
		}, "ok: 4 refusals are proven"},
		"open beside what is not said": {func(q question) ruling {
			if q.own {
				return unclear
			}
			return granted
		}, "acl_open: "},
	} {
		questions := p.questions()
		rulings := make([]ruling, len(questions))
		for i, q := range questions {
			rulings[i] = test.rule(q)
		}
		o := judgeACL(questions, rulings)
		if got := o.Reason.Word + ": " + o.Detail; !strings.HasPrefix(got, test.want) {
			t.Errorf("%s:\n got  %s\n want %s", name, got, test.want)
		}
	}
}

// A pass ends when all primaries have been looked at; one that is looked at from the beginning again is not done.
func TestAudit(t *testing.T) {
	var a audit
	now := time.Now()
	step := func(target, server, layout string, done bool, met, size int64) {
		w := a.enter(target, server, layout, now)
		w.met, w.size, w.begun = w.met+met, size, size
		if w.done = done; done {
			w.endDatabase(size)
		}
		w.cursor = "7"
		a.leave(target, w)
	}
	step("1", "x", "l", true, 10, 10)
	if a.finish(2, now) {
		t.Error("one of two ends a pass")
	}
	step("2", "y", "l", false, 5, 10)
	if a.finish(2, now) {
		t.Error("a part ends a pass")
	}
	if w := a.enter("2", "y", "l", now); w.cursor != "7" || w.met != 5 {
		t.Errorf("it goes on at %q with %d", w.cursor, w.met)
	}
	if w := a.enter("2", "restarted", "l", now); w.cursor != "" || w.met != 0 {
		t.Errorf("another run of the server goes on at %q", w.cursor)
	}
	step("2", "restarted", "l", true, 4, 10)
	if !a.finish(2, now) || fmt.Sprint(a.last.blind) != "[2]" || a.last.met != 14 {
		t.Errorf("the pass is %+v", a.last)
	}
	step("1", "x", "l", true, 10, 10)
	if step("2", "y", "moved", true, 10, 10); a.finish(2, now) {
		t.Error("slots that have moved since do not count")
	}
}

// A target that makes up shapes makes up no more than ten series and one.
func TestMeasureShapes(t *testing.T) {
	var a audit
	series := map[string]bool{}
	for run := range 5 {
		shapes := map[string]int{}
		for i := range 50 {
			shapes[fmt.Sprintf("made-up-%d-%d", run, i)] = i + 1
		}
		r := probe.NewResult(probe.ID{})
		a.measureShapes(r, shapes)
		total := 0.0
		for _, s := range r.Samples {
			series[s.Values[0]] = true
			total += s.Value
		}
		if total != 50*51/2 {
			t.Errorf("%g keys are exported", total)
		}
	}
	if len(series) != maxLabels+1 {
		t.Errorf("%d series", len(series))
	}
	shapes := map[string]int{}
	for i := range maxShapes + 5 {
		count(shapes, fmt.Sprint(i))
		count(shapes, "0")
	}
	if len(shapes) != maxShapes+1 || shapes[otherShape] != 5 || shapes["0"] != maxShapes+6 {
		t.Errorf("%d shapes are told apart, %d keys have others", len(shapes), shapes[otherShape])
	}
}

// What is wrong is wrong whatever else is not known, and what is open is not passed.
func TestJudgeTotals(t *testing.T) {
	open := probe.Outcomef(reasonUnfinished, "not yet")
	wrong := newTotals()
	wrong.unprefixed["*"], wrong.data["a token"] = 2, 1
	if got := judgeTotals(wrong, open).Reason; got != reasonUnprefixed {
		t.Error(got)
	}
	if got := judgeNames(wrong, open).Reason; got != reasonHoldsData {
		t.Error(got)
	}
	wrong.wrongOrg["a"] = 1
	if got := judgeTotals(wrong, open).Reason; got != reasonWrongOrg {
		t.Error(got)
	}
	if judgeTotals(newTotals(), open) != open || judgeNames(newTotals(), open) != open {
		t.Error("what is open is decided")
	}
}
