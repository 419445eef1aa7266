package sandbox

import (
	"net/http"
	"strings"
)

// telemetryFaults break what the services expose of themselves.
func telemetryFaults() []Fault {
	proxies, tenants := []string{proxy1, proxy2, proxy3}, []string{memories}
	const (
		rising     = "ibex_auth_validate_token_duration_seconds errors rising"
		codes      = "error codes in logs and metrics result labels"
		baseline   = "ibex_proxy_request_duration_seconds p99 back to baseline"
		impossible = "Cross-tenant access in telemetry (should be impossible)"
	)
	edit := func(hosts []string, old, replacement string) []*effect {
		return []*effect{on(hosts, metricsRoute, editText(func(text string) string { return strings.ReplaceAll(text, old, replacement) }))}
	}
	without := func(hosts []string, prefix, part string) []*effect {
		return []*effect{on(hosts, metricsRoute, editText(onLines(prefix, func(line string) string {
			if strings.Contains(line, part) {
				return ""
			}
			return line
		})))}
	}
	whole := func(change func(string) string) []*effect {
		return []*effect{on(proxies, metricsRoute, editText(change))}
	}
	return []Fault{
		{"family-renamed", "the proxy's histogram of durations has another name", baseline, edit(proxies, requestDuration, "ibex_proxy_request_latency_seconds")},
		{"label-renamed", "the label result of validations is called outcome", codes, whole(onLines(validations, func(line string) string { return strings.ReplaceAll(line, "result=", "outcome=") }))},
		{"label-value-missing", "a revoked token is not counted before the first one is seen", codes, without(proxies, validations, `result="revoked"`)},
		{"bucket-moved", "the histogram of durations has a bucket at 0.4 in place of 0.5", baseline, edit(proxies, `le="0.5"`, `le="0.4"`)},
		{"type-changed", "the counter of requests became a gauge", baseline, edit(proxies, requestsTotal+" counter", requestsTotal+" gauge")},
		{"counter-stuck", "validations are no longer counted: all their counters are 0", rising, whole(onLines(validations, atZero))},
		{"cross-tenant-counted", "the memories API counted three reads of another org's data", impossible, edit(tenants, crossTenant+" 0\n", crossTenant+" 3\n")},
		{"cross-tenant-unseen", "the memories API does not expose the counter of such reads", impossible, without(tenants, crossTenant, "")},
		{"cross-tenant-nan", "the counter of such reads is NaN", impossible, edit(tenants, crossTenant+" 0\n", crossTenant+" NaN\n")},
		{"metrics-cut", "the proxy's metrics end in the middle of a line", rising, whole(cutInLastLine)},
		{"metrics-empty", "the proxy's metrics are empty", rising, whole(func(string) string { return "" })},
		{"metrics-html", "the proxy's metrics are a login page: 200 and HTML", rising,
			[]*effect{on(proxies, metricsRoute, respondPage(http.StatusOK, loginPage))}},
		{"metrics-openmetrics", "the proxy exposes its metrics as OpenMetrics", rising,
			[]*effect{harmless(on(proxies, metricsRoute, openMetrics))}},
	}
}

// editText changes the text of a 200 answer.
//
//go:noinline
func editText(change func(string) string) interceptor {
	return func(at target, w http.ResponseWriter, r *http.Request) {
		taken := at.capture(w, r)
		writeText(w, taken.status, w.Header().Get("Content-Type"), change(taken.body.String()))
	}
}

// onLines changes the lines that begin with a text.
//
//go:noinline
func onLines(prefix string, change func(line string) string) func(text string) string {
	return func(text string) string {
		var b strings.Builder
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, prefix) {
				line = change(line)
			}
			b.WriteString(line)
		}
		return b.String()
	}
}

// atZero sets the value of a series to 0.
func atZero(line string) string { return line[:strings.LastIndexByte(line, ' ')] + " 0\n" }

// openMetrics answers in the other format of text, in which the name of a counter has no suffix where its type is.
func openMetrics(at target, w http.ResponseWriter, r *http.Request) {
	text := at.capture(w, r).body.String()
	for _, kind := range []string{"HELP", "TYPE"} {
		for _, name := range []string{requestsTotal, cacheLookups} {
			text = strings.ReplaceAll(text, "# "+kind+" "+name, "# "+kind+" "+strings.TrimSuffix(name, "_total"))
		}
	}
	writeText(w, http.StatusOK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text+"# EOF\n")
}

// cutInLastLine cuts metrics off where the name of the last series still goes on, whatever its value.
func cutInLastLine(text string) string {
	return text[:strings.LastIndexByte(strings.TrimSpace(text), '\n')+len("\nprocess_start")]
}
