package deploys

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// TestRender_longCursor: a cursor goes into an address, so that it is bounded.
func TestRender_longCursor(t *testing.T) {
	t.Parallel()
	c := ofRender()
	var page []any
	for n := range renderPage {
		e := renderEntry(fmt.Sprintf("dep-%d", n), "build_failed", commitB, time.Duration(n+1)*time.Hour)
		e["cursor"] = strings.Repeat("c", 100_000)
		page = append(page, e)
	}
	c.answers["/v1/services/srv-1/deploys"] = page
	r := run(t, c.render(t))
	for _, asked := range c.asked {
		if len(asked) > 2000 {
			t.Errorf("asked for an address of %d bytes", len(asked))
		}
	}
	if got := probetest.NotPassed(r); !strings.Contains(got, "latest inconclusive(schema): ") {
		t.Errorf("got\n%.300s", got)
	}
}

// TestLeaks: no text of a run has the credential, a cursor or what the address of the version asks with.
func TestLeaks(t *testing.T) {
	t.Parallel()
	const secretOfQuery = "q9Xw4Lr8Tn1Vc6"
	for name, answer := range map[string]any{
		"refused": respond(401, key), "echoed": respond(500, key), "hung up": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"redirect": respond(302, "", "Location", "/x?key="+key),
		"versions": []any{renderEntry(key, "live", key, time.Hour)},
	} {
		c := ofRender()
		c.answers["/v1/services/srv-1/deploys"] = answer
		p := c.render(t).runsAt(t, service(t, key).URL+"/version?part="+secretOfQuery)
		r := run(t, p)
		text := probetest.Lines(r)
		for _, s := range r.Samples {
			text += strings.Join(s.Values, " ")
		}
		text += fmt.Sprint(r.Deploys, r.Running)
		for _, secret := range []string{key, secretOfQuery} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q is in\n%s", name, secret, text)
			}
		}
	}
}

// TestClassify_unavailable: a platform that is overloaded, and says for how long, is left alone as well.
func TestClassify_unavailable(t *testing.T) {
	t.Parallel()
	c := ofRender()
	c.answers["/v1/services/srv-1"] = respond(503, "{}", "Retry-After", "60")
	p := c.render(t)
	if r := run(t, p); r.Verdict() != probe.Inconclusive || len(c.asked) != 1 {
		t.Errorf("asked %q\n%s", c.asked, probetest.Lines(r))
	}
}
