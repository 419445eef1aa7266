package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// ofTenants reports whether a fault is one of the memories API.
func ofTenants(f Fault) bool { return strings.HasPrefix(f.Name, "tenant-") }

// A story is what two orgs and others see, one request after another: all that a probe of isolation asks. It leaves
// nothing behind.
type story struct {
	t       *testing.T
	s       *Sandbox
	told    []string // a line for each request, the answer below it
	names   []string // of what differs from one telling to the next, in turn with its names
	a, b, c string   // paths
}

// tell tells the story, a request and its answer in each entry.
func tell(t *testing.T, s *Sandbox) []string {
	t.Helper()
	y := &story{t: t, s: s}
	e := s.Env()
	y.names = []string{e["PROBER_DEMO_MEMORY_A"], "<first id of A>", e["PROBER_DEMO_MEMORY_B"], "<first id of B>",
		e["PROBER_DEMO_CANARY_A"], "<first text of A>", e["PROBER_DEMO_CANARY_B"], "<first text of B>"}
	y.whoami("A", s.credentials.orgA)
	y.whoami("B", s.credentials.orgB)
	y.whoami("nobody", "")
	y.a = y.create("A", orgA, `{"text":"canary-of-a"}`)
	y.b = y.create("B", orgB, `{"text":"canary-of-b"}`)
	y.c = y.create("B, into A", orgB, `{"text":"planted-by-b","org_id":"org-a"}`)
	y.reading()
	y.context()
	y.writing()
	y.leaving()
	return y.told
}

func (y *story) reading() {
	y.say("A reads its own", orgA, "GET", y.a, "")
	y.say("B reads its own", orgB, "GET", y.b, "")
	y.say("B reads A's", orgB, "GET", y.a, "")
	y.say("A reads B's", orgA, "GET", y.b, "")
	y.say("B reads one that never was", orgB, "GET", "/v1/memories/never", "")
	y.say("B reads A's first", orgB, "GET", "/v1/memories/"+y.names[0], "")
	y.say("A lists", orgA, "GET", "/v1/memories", "")
	y.say("B lists", orgB, "GET", "/v1/memories", "")
	y.say("B searches A's", orgB, "GET", "/v1/memories?q=canary-of-a", "")
	y.say("B searches its own", orgB, "GET", "/v1/memories?q=canary-of-b", "")
	y.say("B exports", orgB, "GET", "/v1/memories/export", "")
	y.say("B counts", orgB, "GET", "/v1/memories/count", "")
}

func (y *story) context() {
	as := func(who, token string, orgs ...string) {
		y.ask(who, ask{host: memories, method: "GET", path: y.a, token: token, header: http.Header{orgHeader: orgs}})
	}
	a, b := y.s.credentials.orgA, y.s.credentials.orgB
	as("B reads A's, with A's header", b, orgA)
	as("B reads A's, without a header", b)
	as("B reads A's, with an empty header", b, "")
	as("B reads A's, with both headers", b, orgA, orgB)
	as("A reads its own, with B's header", a, orgB)
	as("A reads its own, without a header", a)
	as("nobody reads A's, with A's header", "", orgA)
	as("garbage reads A's, with A's header", "garbage", orgA)
	as("nobody reads A's, without a header", "")
	as("A's expired token reads A's, with A's header", y.s.credentials.orgAExpired, orgA)
}

func (y *story) writing() {
	y.say("B updates A's", orgB, "PUT", y.a, `{"text":"b-was-here"}`)
	y.say("B deletes A's", orgB, "DELETE", y.a, "")
	y.say("B deletes A's first", orgB, "DELETE", "/v1/memories/"+y.names[0], "")
	y.say("B deletes one that never was", orgB, "DELETE", "/v1/memories/never", "")
	y.say("A reads its own again", orgA, "GET", y.a, "")
	y.say("A reads its first again", orgA, "GET", "/v1/memories/"+y.names[0], "")
}

func (y *story) leaving() {
	y.say("A deletes its own", orgA, "DELETE", y.a, "")
	y.say("B deletes its own", orgB, "DELETE", y.b, "")
	if y.c != "" {
		y.say("B deletes what it planted", orgB, "DELETE", y.c, "")
	}
	y.told = append(y.told, fmt.Sprintf("there are\n      %v", y.s.Memories()))
	// What a fault left is of no other story.
	y.s.tenants.empty()
}

// empty leaves only the memories that are there from the start.
func (t *tenants) empty() {
	t.mu.Lock()
	t.memories = nil
	t.mu.Unlock()
	t.restoreSeeds()
}

func (y *story) say(what, org, method, path, body string) {
	y.ask(what, y.s.asking(org, method, path, body))
}

func (y *story) whoami(who, token string) {
	y.ask("whoami of "+who, ask{host: memories, method: "GET", path: "/v1/whoami", token: token})
}

// create returns the path of what was created; empty if nothing was.
func (y *story) create(who, org, body string) string {
	answer := y.ask(who+" creates", y.s.asking(org, "POST", "/v1/memories", body))
	id, created := strings.CutPrefix(answer.header.Get("Location"), "/v1/memories/")
	if !created {
		return ""
	}
	y.names = append(y.names, id, "<id by "+who+">")
	y.told[len(y.told)-1] = y.settle(y.told[len(y.told)-1])
	return "/v1/memories/" + id
}

var base64Text = regexp.MustCompile(`"ref":"([^"]+)"`)

func (y *story) ask(what string, a ask) got {
	y.t.Helper()
	answer := y.s.must(y.t, a)
	words := []string{fmt.Sprint(answer.status)}
	for _, name := range []string{"Location", "Retry-After", "X-Debug"} {
		if value := answer.header.Get(name); value != "" {
			words = append(words, name+"="+value)
		}
	}
	body := strings.ReplaceAll(strings.TrimSpace(answer.body), "\n", " ")
	if found := base64Text.FindStringSubmatch(body); found != nil {
		decoded, err := base64.StdEncoding.DecodeString(found[1])
		if err != nil {
			y.t.Error(err)
		}
		body = strings.Replace(body, found[1], "base64 of "+string(decoded), 1)
	}
	if answer.header.Get("Age") != "" || answer.header.Get("X-Cache") != "" {
		y.t.Errorf("%s: a header tells of a cache", what)
	}
	y.told = append(y.told, what+"\n      "+y.settle(strings.Join(append(words, body), " ")))
	return answer
}

// settle names what differs from one telling to the next.
func (y *story) settle(told string) string {
	var pairs []string
	for pair := range slices.Chunk(y.names, 2) {
		pairs = append(pairs, pair[0], pair[1], strings.ToUpper(pair[0]), strings.ToUpper(pair[1]))
	}
	return strings.NewReplacer(pairs...).Replace(told)
}

// unseen are faults that only requests at the same time can show, or one hung up on.
var unseen = []string{"tenant-shared-buffer", "tenant-leak-cancelled"}

// Every fault of the memories API does what it says and nothing beside, and mending it leaves no trace. The golden
// file holds the story as it is when nothing is broken, and below each fault what is then another.
func TestTenantFaults(t *testing.T) {
	s := start(t, Options{VisibilityDelay: time.Hour, SwapOneIn: 4})
	whole := tell(t, s)
	var b strings.Builder
	fmt.Fprintf(&b, "nothing broken\n   %s\n", strings.Join(whole, "\n   "))
	for _, f := range s.Faults() {
		if !ofTenants(f) {
			continue
		}
		if err := s.Inject(f.Name); err != nil {
			t.Fatal(err)
		}
		changed := others(whole, tell(t, s))
		if err := s.Clear(f.Name); err != nil {
			t.Fatal(err)
		}
		if (len(changed) == 0) != slices.Contains(unseen, f.Name) {
			t.Errorf("%s: %d of the answers are others", f.Name, len(changed))
		}
		if left := others(whole, tell(t, s)); len(left) > 0 {
			t.Errorf("%s: mended, and still\n%s", f.Name, strings.Join(left, "\n"))
		}
		fmt.Fprintf(&b, "\n%s: %s\n", f.Name, f.Summary)
		for _, line := range folded(changed) {
			fmt.Fprintf(&b, "   %s\n", line)
		}
	}
	testenv.Golden(t, "testdata/tenants.golden", b.String())
}

// others lists what is told otherwise than when nothing is broken.
func others(whole, broken []string) []string {
	return slices.DeleteFunc(slices.Clone(broken), func(line string) bool { return slices.Contains(whole, line) })
}

// folded tells neighbours that are answered alike in one.
func folded(told []string) []string {
	var all []string
	before := ""
	for _, line := range told {
		what, answer, _ := strings.Cut(line, "\n")
		if answer == before {
			last, _, _ := strings.Cut(all[len(all)-1], "\n")
			all[len(all)-1] = last + "; " + what + "\n" + answer
			continue
		}
		all, before = append(all, line), answer
	}
	return all
}

func TestWhatTenantFaultsAreCalled(t *testing.T) {
	for _, f := range tenantFaults() {
		if !ofTenants(f) || len(f.Name) > 23 {
			t.Errorf("%s is no name for a fault of the tenants in a list of switches", f.Name)
		}
	}
	for _, f := range tenantFaults() {
		if f.Harmless() != slices.Contains([]string{"tenant-eventual", "tenant-cleanup-refused"}, f.Name) {
			t.Errorf("%s: harmless is %t", f.Name, f.Harmless())
		}
	}
}
