package isolation

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
)

// BenchmarkOrgs measures what a run costs by the number of its orgs, with a resource that has all eight operations.
func BenchmarkOrgs(b *testing.B) {
	for _, n := range []int{2, 3, 5} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			api := newNotesAPI("header")
			api.caller = func(r *http.Request) string {
				if org, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer token-of-"); ok {
					return org
				}
				return ""
			}
			server := httptest.NewServer(api)
			defer server.Close()
			orgs := ""
			for i := range n {
				name := fmt.Sprint("org", i)
				b.Setenv("TEST_ISO_"+name, "token-of-"+name)
				orgs += fmt.Sprintf("      %s: {bearer: {env: TEST_ISO_%s}}\n", name, name)
			}
			text := api.configuration(server.URL)
			before, rest, _ := strings.Cut(text, "      blue:")
			_, after, _ := strings.Cut(rest, "TEST_ISO_RED}}\n")
			text = strings.Replace(before+orgs+after, "interleave: {requests: 40}", "max_requests: 3000", 1)
			cfg, err := config.Parse(probe.Kinds{"isolation": Kind()}, config.File{Name: "bench.yaml", Data: []byte(text)})
			if err != nil {
				b.Fatal(err)
			}
			var took []time.Duration
			requests := int64(0)
			for b.Loop() {
				sent := api.requests.Load()
				r := cfg.Jobs[0].Do(b.Context())
				if r.Verdict() != probe.Pass {
					b.Fatalf("expected pass, got %+v", r.Decisive())
				}
				took, requests = append(took, r.Took), api.requests.Load()-sent
			}
			slices.Sort(took)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(requests), "requests/run")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}
