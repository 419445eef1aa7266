package sandbox

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// describeLedger describes what the gRPC server says of each service, and of one that does not exist.
func (s *Sandbox) describeLedger(t testing.TB) string {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: answerTimeout}
	if slices.ContainsFunc(*s.active.Load(), func(f Fault) bool { return f.Name == "ledger-hangs" }) {
		client.Timeout = 50 * time.Millisecond
	}
	var words []string
	for _, service := range []string{"", ledgerService, archiveService, "nonexistent"} {
		words = append(words, cmp.Or(service, "server")+" "+checkLedger(t, client, s.address(ledger), service))
	}
	return strings.Join(words, "; ")
}

// checkLedger makes one call.
func checkLedger(t testing.TB, client *http.Client, address, service string) string {
	message := []byte{}
	if service != "" {
		message = append([]byte{0x0a, byte(len(service))}, service...)
	}
	body := append([]byte{0, 0, 0, 0, byte(len(message))}, message...)
	resp, err := client.Post("http://"+address+"/grpc.health.v1.Health/Check", "application/grpc", bytes.NewReader(body))
	timeout, _ := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case timeout != nil && timeout.Timeout():
		return "no answer"
	case err != nil:
		t.Error(err)
		return err.Error()
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	if kind := resp.Header.Get("Content-Type"); kind != "application/grpc" {
		return fmt.Sprintf("%d %s", resp.StatusCode, kind)
	}
	return fmt.Sprintf("%x code %s", got, cmp.Or(resp.Trailer.Get("Grpc-Status"), resp.Header.Get("Grpc-Status"), "none"))
}
