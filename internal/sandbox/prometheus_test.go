package sandbox

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ask sends a query and returns the answer in short: the type, and each sample.
func ask(t *testing.T, s *Sandbox, query string, at time.Time) string {
	t.Helper()
	form := url.Values{"query": {query}}
	if !at.IsZero() {
		form.Set("time", at.UTC().Format(time.RFC3339Nano))
	}
	answer := s.mustDo(t, request{host: promHost, method: "GET", path: "/api/v1/query?" + form.Encode()})
	var body struct {
		Error    string
		Warnings []string
		Data     struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(answer.body), &body); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if answer.status != http.StatusOK {
		return fmt.Sprintf("%d %s", answer.status, body.Error)
	}
	var samples []struct {
		Metric map[string]string
		Value  []any
	}
	if body.Data.ResultType == "scalar" {
		var value []any
		_ = json.Unmarshal(body.Data.Result, &value)
		return fmt.Sprint("scalar ", value[1])
	}
	if err := json.Unmarshal(body.Data.Result, &samples); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, sample := range samples {
		all = append(all, labelText(sample.Metric)+" "+fmt.Sprint(sample.Value[1]))
	}
	slices.Sort(all)
	return strings.TrimSpace(strings.Join(all, "\n") + " " + strings.Join(body.Warnings, ","))
}

func TestQuery(t *testing.T) {
	s := start(t, Options{})
	since := s.host(proxy1).meter.since
	at := since.Add(24 * time.Hour).Truncate(scrapeInterval) // long before any real call
	for query, want := range map[string]string{
		`sum(increase(ibex_proxy_requests_total{code="200"}[10m]))`:                                                           ` 10800`,
		`sum(rate(ibex_proxy_requests_total{code="200"}[10m]))`:                                                               ` 18`,
		`sum by (code) (increase(ibex_proxy_requests_total{code=~"5..",code!="501"}[1h]))`:                                    `{code="500"} 324`,
		`sum(increase(ibex_proxy_requests_total{code=~"5.."}[1h])) by (code)`:                                                 "{code=\"500\"} 324\n{code=\"501\"} 0",
		`sum(increase(ibex_proxy_requests_total{code="500"}[1h])) / sum(increase(ibex_proxy_requests_total{code="200"}[1h]))`: ` 0.005`,
		`sum by (le) (increase(ibex_proxy_request_duration_seconds_bucket[1h])) * 0`:                                          strings.Join([]string{`{le="+Inf"} 0`, `{le="0.1"} 0`, `{le="0.25"} 0`, `{le="0.5"} 0`, `{le="1"} 0`, `{le="2.5"} 0`}, "\n"),
		`max(timestamp(ibex_proxy_requests_total))`:                                                                           fmt.Sprintf(" %d", at.Unix()),
		`time() - max(timestamp(up{job="proxy"}))`:                                                                            ` 0`,
		`count(up)`:              ` 4`,
		`up{instance="proxy-2"}`: `{__name__="up",instance="proxy-2",job="proxy"} 1`,
		`nothing`:                ``,
		`absent(nothing)`:        ` 1`,
		`nothing or vector(0)`:   ` 0`,
		`sum(increase(ibex_proxy_requests_total{code="200"}[1h])) - sum(increase(nothing[1h]))`: ``,
		`0 / 0`:                               `scalar NaN`,
		`(1 + 2) * 3 - 4 / 2`:                 `scalar 7`,
		`sum(ibex_cross_tenant_access_total)`: ` 0`,
		`sum(resets(ibex_proxy_requests_total[1h]))`: ` 0`,
	} {
		want = strings.TrimSpace(want)
		if got := ask(t, s, query, at); got != want {
			t.Errorf("%s: expected %q, got %q", query, want, got)
		}
	}
	for _, query := range []string{
		``, `sum(`, `histogram_quantile(0.99, up)`, `rate(up)`, `up[5m]`, `rate(up[])`, `rate(up[5])`, `rate(up[5y])`, `up{job="proxy"`, `up{job~"a"}`,
		`up{job=~"("}`, `up > 0`, `1 2`, `"text"`, strings.Repeat("(", maxQuery+1), strings.Repeat("(", maxQuery-1),
	} {
		if got := ask(t, s, query, at); !strings.HasPrefix(got, "400 ") {
			t.Errorf("%.40s: expected a refusal, got %q", query, got)
		}
	}
}

// What the services count and what the Prometheus says of it is the same.
func TestQuery_countsRealCalls(t *testing.T) {
	s := start(t, Options{})
	count := func() string {
		return ask(t, s, `sum(ibex_proxy_requests_total{code="501",instance="proxy-2"})`, time.Now().Add(scrapeInterval))
	}
	if got := count(); got != "0" {
		t.Fatalf("before: got %s", got)
	}
	for range 3 {
		s.mustDo(t, request{host: proxy2, method: "POST", path: "/v1/chat/completions", token: s.Env()["PROBER_DEMO_TOKEN_VALID"]})
	}
	s.mustDo(t, request{host: proxy2, method: "POST", path: "/v1/chat/completions", token: s.Env()["PROBER_DEMO_TOKEN_REVOKED"]})
	if got := count(); got != "3" {
		t.Errorf("expected 3 answers with 501, got %s", got)
	}
	own := `sum by (code) (probe_expected_status_total{instance="proxy-2"})`
	if got, want := ask(t, s, own, time.Now().Add(scrapeInterval)), "{code=\"401\"} 1\n{code=\"403\"} 0\n{code=\"501\"} 3"; got != want {
		t.Errorf("the prober's own calls: expected %q, got %q", want, got)
	}
	text := s.mustDo(t, request{host: proxy2, method: "GET", path: "/metrics"}).body
	for _, want := range []string{
		`ibex_proxy_requests_total{code="501"} 3`, `ibex_auth_validate_token_duration_seconds_count{result="revoked"} 1`,
		`ibex_auth_validate_token_duration_seconds_bucket{le="+Inf",result="org_suspended"} 0`, `# TYPE ibex_proxy_request_duration_seconds histogram`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// A meter that has counted more calls than it remembers has lost none.
func TestMeter_forgetsNoCall(t *testing.T) {
	m := newMeter(proxyFamilies())
	for range maxEvents + 5 {
		m.count(requestsTotal, "501", 0)
	}
	if got := m.real(event{family: requestsTotal, value: "501"}, time.Now()); got != maxEvents+5 || len(m.events) != maxEvents {
		t.Errorf("got %v calls, %d of them with their time", got, len(m.events))
	}
}

// TestWitnessFaults asks the questions of the runbooks while each fault is active.
func TestWitnessFaults(t *testing.T) {
	s := start(t, Options{})
	const (
		errorRate = `sum(increase(ibex_proxy_requests_total{code=~"5..",code!="501"}[10m])) / sum(increase(ibex_proxy_requests_total[10m]))`
		refused   = `sum(increase(ibex_proxy_requests_total{code="401"}[10m])) / sum(increase(ibex_proxy_requests_total[10m]))`
		slow      = `1 - sum(increase(ibex_proxy_request_duration_seconds_bucket{le="1"}[10m])) / sum(increase(ibex_proxy_request_duration_seconds_count[10m]))`
		hits      = `sum(increase(ibex_proxy_auth_cache_lookups_total{result="hit"}[10m])) / sum(increase(ibex_proxy_auth_cache_lookups_total[10m]))`
		calls     = `sum(increase(ibex_proxy_requests_total[10m]))`
		crossed   = `sum(increase(ibex_cross_tenant_access_total[10m]))`
		age       = `time() - max(timestamp(ibex_proxy_requests_total))`
	)
	whole := map[string]string{errorRate: "0.005", refused: "0.01", slow: "0.008", hits: "0.9", calls: "11000", crossed: "0", age: "0"}
	for fault, changed := range map[string]map[string]string{
		"":                       {},
		"errors-high":            {errorRate: "0.1", calls: "12000"},
		"p99-high":               {slow: "0.06"},
		"unauthorized-high":      {refused: "0.2", errorRate: "0.004", calls: "14000"},
		"cache-misses":           {hits: "0.5"},
		"traffic-gone":           {errorRate: "NaN", refused: "NaN", slow: "NaN", hits: "NaN", calls: "0"},
		"cross-tenant-seen":      {crossed: "6"},
		"prometheus-down":        nil,
		"prometheus-login-page":  nil,
		"prometheus-unavailable": {errorRate: "503", refused: "503", slow: "503", hits: "503", calls: "503", crossed: "503", age: "503"},
		"prometheus-empty":       {errorRate: "none", refused: "none", slow: "none", hits: "none", calls: "none", crossed: "none", age: "none"},
		"prometheus-nan":         {errorRate: "NaN", refused: "NaN", slow: "NaN", hits: "NaN", calls: "NaN", crossed: "NaN", age: "NaN"},
		"prometheus-partial":     {calls: "11000 partial"},
		"prometheus-stale":       {calls: "8800", age: "120"},
	} {
		active := []Fault{}
		for _, f := range slices.Concat(witnessFaults(), tokenTrafficFaults()) {
			if f.Name == fault {
				active = append(active, f)
			}
		}
		if len(active) == 0 && fault != "" {
			t.Errorf("there is no fault %s", fault)
		}
		if s.active.Store(&active); changed == nil {
			continue
		}
		for query, want := range whole {
			if changed[query] != "" {
				want = changed[query]
			}
			if got := ask(t, s, query, time.Now().Truncate(scrapeInterval)); !about(got, want) {
				t.Errorf("%s: %s: expected about %s, got %s", fault, query, want, got)
			}
		}
	}
}

// about reports whether an answer is a number within a fifth of another, or says what it must.
func about(got, want string) bool {
	wanted, err := strconv.ParseFloat(want, 64)
	value, bad := strconv.ParseFloat(got, 64)
	switch {
	case want == "none":
		return got == ""
	case want == "NaN":
		return got == "NaN"
	case want == "503":
		return strings.HasPrefix(got, "503 ")
	case err != nil:
		return strings.HasSuffix(got, "some StoreAPI replicas did not respond") && about(strings.Fields(got)[0], strings.Fields(want)[0])
	case strings.HasSuffix(got, "did not respond"): // of the partial ones, one is compared as a whole
		return true
	}
	return bad == nil && math.Abs(value-wanted) <= 0.2*math.Abs(wanted)+5*map[bool]float64{true: 1}[wanted == 120]
}
