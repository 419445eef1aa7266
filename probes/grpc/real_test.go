package grpc

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestReal_etcd asks etcd, which has the health service of grpc-go: over TLS and without, of a service that it does not know, while
// it is suspended, and after its end.
func TestReal_etcd(t *testing.T) {
	testenv.Real(t)
	testenv.WithoutRace(t)
	_, dir := certificateFiles(t)
	for scheme, flags := range map[string][]string{"http": nil, "https": {"--cert-file=" + dir + "/cert", "--key-file=" + dir + "/key"}} {
		url, server := testenv.Etcd(t, scheme, flags...)
		_, address, _ := strings.Cut(url, "://")
		settings, certificate := "", ""
		if scheme == "https" {
			settings = "    tls: {ca_file: " + dir + "/cert}\n    certificate: {fail: 1d}\n"
			certificate = "certificate@server pass(ok): *\n"
		}
		ask := func(more string) string {
			job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "grpc"}, Kind: Kind(), Probe: load(t, address, settings+more), Timeout: 2 * time.Second}
			return probetest.Lines(job.Do(t.Context()))
		}
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			if got := ask(""); !strings.HasPrefix(got, "pass\nstatus pass(ok): SERVING\n") {
				return errors.New(got)
			}
			return nil
		})
		wantPattern(t, ask("    services: [\"\", shop.Orders]\n"),
			"fail\nstatus@server pass(ok): SERVING\n"+certificate+"status@shop.Orders fail(service_unknown): expected SERVING, got the status NOT_FOUND (5): the server does not know the service")
		wantPattern(t, ask("    status: NOT_SERVING\n"), "fail\nstatus fail(serving): expected NOT_SERVING, got SERVING")
		signal(t, server, syscall.SIGSTOP)
		wantPattern(t, ask(""), "fail\nstatus fail(timeout): *")
		signal(t, server, syscall.SIGCONT)
		signal(t, server, syscall.SIGTERM)
		<-server.Ended()
		wantPattern(t, ask(""), "fail\nstatus fail(refused): *")
	}
}

func signal(t *testing.T, server *testenv.Process, s syscall.Signal) {
	t.Helper()
	if err := server.Signal(s); err != nil {
		t.Fatal(err)
	}
}
