package isolation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A mixer gives one response in so many, at random, to what the other org requested last.
type mixer struct {
	oneIn int
	dice  *rand.Rand

	mu    sync.Mutex
	last  map[string]string // by org, its last response
	mixed int
}

func (m *mixer) intercept(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
	if q.op != "read" && q.op != "list" && q.op != "export" || !q.namesOwnOrg() {
		next(w, q.Request)
		return
	}
	taken := httptest.NewRecorder()
	next(taken, q.Request)
	m.mu.Lock()
	defer m.mu.Unlock()
	body, other := taken.Body.String(), map[string]string{"red": "blue", "blue": "red"}[q.org]
	if taken.Code == 200 {
		m.last[q.org] = body
	}
	if m.last[other] != "" && m.dice.IntN(m.oneIn) == 0 {
		m.mixed++
		reply(w, 200, m.last[other])
		return
	}
	reply(w, taken.Code, body)
}

// TestMixUp_named: responses that are mixed up at random are not put down to a cache, to how the org was named, or to the
// operation that was answered wrongly first.
func TestMixUp_named(t *testing.T) {
	testenv.Slow(t, "it runs the probe often")
	for seed := range uint64(20) {
		if !testenv.Sampled(int(seed), 10) {
			continue
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			mix := &mixer{oneIn: 20, dice: rand.New(rand.NewPCG(seed, 1)), last: map[string]string{}}
			api := newNotesAPI("header")
			api.intercept = mix.intercept
			r := api.runProbe(t)
			got := probetest.Lines(r)
			for _, surface := range []string{"cache@", "context@", "control@"} {
				for line := range strings.Lines(got) {
					if strings.Contains(line, surface) && strings.Contains(line, " fail(leak") {
						t.Errorf("%d responses were mixed up, and put down to\n%s", mix.mixed, line)
					}
				}
			}
			if mix.mixed > 0 && !strings.Contains(got, "interleave@notes/interleave fail(cross_talk)") {
				t.Errorf("%d responses were mixed up; got\n%s", mix.mixed, got)
			}
		})
	}
}
