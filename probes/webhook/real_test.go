package webhook

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/inbound"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestAsk_alertmanager has Debian's Alertmanager deliver alerts. It tries again at once after a 5xx and a connection that is closed,
// drops what is answered 4xx, but comes again with the next interval of the group, and follows a redirect without the body.
func TestAsk_alertmanager(t *testing.T) {
	testenv.Slow(t, "it waits for the intervals of Alertmanager")
	program := testenv.Need(t, "prometheus-alertmanager")
	t.Parallel()
	var receivers atomic.Pointer[inbound.Receivers]
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { receivers.Load().ServeHTTP(w, r) }))
	t.Cleanup(public.Close)
	address := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	credential := write("credential", "0123456789abcdef")
	job := load(t, `    public: `+public.URL+`/{token}
    signature: {scheme: token, header: Authorization, prefix: "Bearer ", secrets: [{file: `+credential+`}]}
    id: {json: $.groupLabels.event}
    key: {json: $.groupKey}
    trigger:
      url: http://`+address+`/api/v2/alerts
      body: '[{"labels": {"alertname": "{case}", "event": "{nonce}"}}]'
    within: 20s
    schedule: 8s
    cases:
      delivered: {answers: [200]}
      retried: {answers: [503, 200]}
      cut-off: {answers: [{close: true}, 200]}
      refused: {answers: [400]}
      redirected: {answers: [302]}
`)
	job.Kind = Kind()
	all := inbound.New(inbound.Options{}, nil)
	receivers.Store(all)
	job = all.SetJobs([]probe.Job{job})[0]
	token, err := job.Probe.(*Probe).Token.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	routes := write("alertmanager.yml", fmt.Sprintf("route: {receiver: hook, group_by: [event], group_wait: 0s, group_interval: 5s, repeat_interval: 1h}\n"+
		"receivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: false, http_config: {authorization: {credentials_file: %q}}}]}]\n", public.URL+"/"+token, credential))
	testenv.Start(t, program, "--config.file="+routes, "--storage.path="+filepath.Join(dir, "alerts"), "--web.listen-address="+address, "--cluster.listen-address=")
	testenv.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/-/ready", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	r := job.Do(t.Context())
	got := probetest.Lines(r)
	t.Logf("%s", got)
	for _, want := range []string{
		"delivered pass(ok): 5 events",
		"signature pass(ok)",
		"tampered pass(ok)",
		"same_key pass(ok)",
		"case@delivered pass(ok): 1 attempt",
		"case@retried pass(ok): 2 attempts",
		"case@cut-off pass(ok): 2 attempts",
		"case@refused fail(retried_unexpectedly): expected no attempt after one that was answered 400, got attempt 2 ", // after 5 s
		"case@redirected fail(redirect_followed): expected no request to where the redirect leads, got a GET without a body",
		"enabled pass(ok)",
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("expected %q", want)
		}
	}
}
