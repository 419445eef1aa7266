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

// isTenantFault reports whether a fault is one of the memories API.
func isTenantFault(f Fault) bool { return strings.HasPrefix(f.Name, "tenant-") }

// A tenantScenario is one run of all requests that an isolation probe sends, as two orgs and as other callers. It leaves
// nothing behind.
type tenantScenario struct {
	t       *testing.T
	s       *Sandbox
	lines   []string // one for each request, with the answer below it
	names   []string // values that differ between runs, each followed by its name in the golden file
	a, b, c string   // paths
}

// observeTenants runs the scenario. It returns a request and its answer in each entry.
func observeTenants(t *testing.T, s *Sandbox) []string {
	t.Helper()
	sc := &tenantScenario{t: t, s: s}
	e := s.Env()
	sc.names = []string{e["PROBER_DEMO_MEMORY_A"], "<first id of A>", e["PROBER_DEMO_MEMORY_B"], "<first id of B>",
		e["PROBER_DEMO_CANARY_A"], "<first text of A>", e["PROBER_DEMO_CANARY_B"], "<first text of B>"}
	sc.whoami("A", s.credentials.orgA)
	sc.whoami("B", s.credentials.orgB)
	sc.whoami("an anonymous caller", "")
	sc.send("whoami of A, with its header", orgA, "GET", "/v1/whoami", "")
	sc.send("whoami of B, with its header", orgB, "GET", "/v1/whoami", "")
	sc.a = sc.create("A", orgA, `{"text":"canary-of-a"}`)
	sc.b = sc.create("B", orgB, `{"text":"canary-of-b"}`)
	sc.c = sc.create("B, into A", orgB, `{"text":"planted-by-b","org_id":"org-a"}`)
	sc.reads()
	sc.orgContext()
	sc.writes()
	sc.deletes()
	return sc.lines
}

func (sc *tenantScenario) reads() {
	sc.send("A reads its own", orgA, "GET", sc.a, "")
	sc.send("B reads its own", orgB, "GET", sc.b, "")
	sc.send("B reads A's", orgB, "GET", sc.a, "")
	sc.send("A reads B's", orgA, "GET", sc.b, "")
	sc.send("B reads a nonexistent one", orgB, "GET", "/v1/memories/never", "")
	sc.send("B reads A's first", orgB, "GET", "/v1/memories/"+sc.names[0], "")
	sc.send("A lists", orgA, "GET", "/v1/memories", "")
	sc.send("B lists", orgB, "GET", "/v1/memories", "")
	sc.send("B lists a later page", orgB, "GET", "/v1/memories?cursor=zzzzzzzzzzzz", "")
	sc.send("B searches A's", orgB, "GET", "/v1/memories?q=canary-of-a", "")
	sc.send("B searches its own", orgB, "GET", "/v1/memories?q=canary-of-b", "")
	sc.send("B exports", orgB, "GET", "/v1/memories/export", "")
	sc.send("B counts", orgB, "GET", "/v1/memories/count", "")
}

func (sc *tenantScenario) orgContext() {
	as := func(who, token string, orgs ...string) {
		sc.record(who, request{host: memories, method: "GET", path: sc.a, token: token, header: http.Header{orgHeader: orgs}})
	}
	a, b := sc.s.credentials.orgA, sc.s.credentials.orgB
	as("B reads A's, with A's header", b, orgA)
	as("B reads A's, without a header", b)
	as("B reads A's, with an empty header", b, "")
	as("B reads A's, with both headers", b, orgA, orgB)
	as("A reads its own, with B's header", a, orgB)
	as("A reads its own, without a header", a)
	as("an anonymous caller reads A's, with A's header", "", orgA)
	as("an invalid token reads A's, with A's header", "garbage", orgA)
	as("an anonymous caller reads A's, without a header", "")
	as("A's expired token reads A's, with A's header", sc.s.credentials.orgAExpired, orgA)
}

func (sc *tenantScenario) writes() {
	sc.send("A updates its own", orgA, "PUT", sc.a, `{"text":"canary-of-a"}`)
	sc.send("B reads A's after that", orgB, "GET", sc.a, "")
	sc.send("B updates A's", orgB, "PUT", sc.a, `{"text":"b-was-here"}`)
	sc.send("A updates its own, and names B", orgA, "PUT", sc.a, `{"text":"a-was-here","org_id":"org-b"}`)
	sc.send("B deletes A's", orgB, "DELETE", sc.a, "")
	sc.send("B deletes A's first", orgB, "DELETE", "/v1/memories/"+sc.names[0], "")
	sc.send("B deletes a nonexistent one", orgB, "DELETE", "/v1/memories/never", "")
	sc.record("an anonymous caller exports, with A's header", request{host: memories, method: "GET", path: "/v1/memories/export", header: http.Header{orgHeader: {orgA}}})
	sc.record("an anonymous caller deletes A's first, with A's header", request{host: memories, method: "DELETE", path: "/v1/memories/" + sc.names[0], header: http.Header{orgHeader: {orgA}}})
	sc.send("A reads its own again", orgA, "GET", sc.a, "")
	sc.send("A reads its first again", orgA, "GET", "/v1/memories/"+sc.names[0], "")
	sc.send("A lists again", orgA, "GET", "/v1/memories", "")
}

func (sc *tenantScenario) deletes() {
	sc.send("A deletes its own", orgA, "DELETE", sc.a, "")
	sc.send("B reads what A deleted", orgB, "GET", sc.a, "")
	sc.send("B deletes its own", orgB, "DELETE", sc.b, "")
	if sc.c != "" {
		sc.send("B deletes what it planted", orgB, "DELETE", sc.c, "")
	}
	sc.lines = append(sc.lines, fmt.Sprintf("memories left\n      %v", sc.s.Memories()))
	// Memories that a fault left must not show in the next scenario.
	sc.s.tenants.deleteAll()
}

// deleteAll leaves only the seeds.
func (t *tenants) deleteAll() {
	t.mu.Lock()
	t.memories = nil
	t.mu.Unlock()
	t.restoreSeeds()
}

func (sc *tenantScenario) send(what, org, method, path, body string) {
	sc.record(what, sc.s.orgRequest(org, method, path, body))
}

func (sc *tenantScenario) whoami(who, token string) {
	sc.record("whoami of "+who, request{host: memories, method: "GET", path: "/v1/whoami", token: token})
}

// create returns the path of the created memory; empty if none was created.
func (sc *tenantScenario) create(who, org, body string) string {
	answer := sc.record(who+" creates", sc.s.orgRequest(org, "POST", "/v1/memories", body))
	id, created := strings.CutPrefix(answer.header.Get("Location"), "/v1/memories/")
	if !created {
		return ""
	}
	sc.names = append(sc.names, id, "<id by "+who+">")
	sc.lines[len(sc.lines)-1] = sc.normalize(sc.lines[len(sc.lines)-1])
	return "/v1/memories/" + id
}

var base64Text = regexp.MustCompile(`"ref":"([^"]+)"`)

func (sc *tenantScenario) record(what string, a request) response {
	sc.t.Helper()
	answer := sc.s.mustDo(sc.t, a)
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
			sc.t.Error(err)
		}
		body = strings.Replace(body, found[1], "base64 of "+string(decoded), 1)
	}
	if answer.header.Get("Age") != "" || answer.header.Get("X-Cache") != "" {
		sc.t.Errorf("%s: a header shows the cache", what)
	}
	sc.lines = append(sc.lines, what+"\n      "+sc.normalize(strings.Join(append(words, body), " ")))
	return answer
}

// normalize replaces values that differ between runs by their names.
func (sc *tenantScenario) normalize(line string) string {
	var pairs []string
	for pair := range slices.Chunk(sc.names, 2) {
		pairs = append(pairs, pair[0], pair[1], strings.ToUpper(pair[0]), strings.ToUpper(pair[1]))
	}
	return strings.NewReplacer(pairs...).Replace(line)
}

// unknownID matches the id of a memory whose creation was not answered with it.
var unknownID = regexp.MustCompile(`"id":"[A-Z2-7]{26}"`)

// invisibleAlone are faults that only show with concurrent requests, after a caller hung up, after many requests, with paths
// and texts that the scenario does not send, or before the response.
var invisibleAlone = []string{
	"tenant-blind-midway", "tenant-frozen-midway", "tenant-shared-buffer", "tenant-leak-cancelled", "tenant-leak-hint", "tenant-cleans-late", "tenant-unique-texts",
}

// Every tenant fault has the effects that its summary names and no others, and clearing it leaves no trace. The golden
// file has the scenario without faults, and for each fault the answers that change.
func TestTenantFaults(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it sends every request under every fault")
	s := start(t, Options{VisibilityDelay: time.Hour, SwapOneIn: 4})
	whole := observeTenants(t, s)
	var b strings.Builder
	fmt.Fprintf(&b, "no faults\n   %s\n", strings.Join(whole, "\n   "))
	for _, f := range s.Faults() {
		if !isTenantFault(f) {
			continue
		}
		if err := s.Inject(f.Name); err != nil {
			t.Fatal(err)
		}
		changed := changedLines(whole, observeTenants(t, s))
		if err := s.Clear(f.Name); err != nil {
			t.Fatal(err)
		}
		if (len(changed) == 0) != slices.Contains(invisibleAlone, f.Name) {
			t.Errorf("%s: %d answers changed", f.Name, len(changed))
		}
		if left := changedLines(whole, observeTenants(t, s)); len(left) > 0 {
			t.Errorf("%s: cleared, but still changed\n%s", f.Name, strings.Join(left, "\n"))
		}
		fmt.Fprintf(&b, "\n%s: %s\n", f.Name, f.Summary)
		for _, line := range merged(changed) {
			fmt.Fprintf(&b, "   %s\n", unknownID.ReplaceAllString(line, `"id":"<another id>"`))
		}
	}
	testenv.Golden(t, "testdata/tenants.golden", b.String())
}

// changedLines lists the entries that differ from those without faults.
func changedLines(whole, broken []string) []string {
	return slices.DeleteFunc(slices.Clone(broken), func(line string) bool { return slices.Contains(whole, line) })
}

// merged joins neighbouring entries that have the same answer.
func merged(lines []string) []string {
	var all []string
	before := ""
	for _, line := range lines {
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

func TestTenantFaults_names(t *testing.T) {
	for _, f := range tenantFaults() {
		if !isTenantFault(f) || len(f.Name) > 23 {
			t.Errorf("%s: expected a name that starts with tenant- and fits the list", f.Name)
		}
	}
	for _, f := range tenantFaults() {
		if f.Harmless() != slices.Contains([]string{"tenant-eventual", "tenant-late-index", "tenant-strict-ids", "tenant-cleanup-refused"}, f.Name) {
			t.Errorf("%s: harmless is %t", f.Name, f.Harmless())
		}
	}
}
