package testenv

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"
)

// Vault starts the nodes of a Vault, which share one store in memory, on ports of 127.0.0.1, and returns their URLs. It is
// neither initialized nor unsealed.
func Vault(t testing.TB, nodes int) []string {
	t.Helper()
	Real(t)
	program := buildModule(t, "vault")
	var addresses, urls []string
	for range nodes {
		address := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
		addresses, urls = append(addresses, address), append(urls, "http://"+address)
	}
	Start(t, program, addresses...)
	for _, address := range addresses {
		Eventually(t, 2*time.Minute, func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err == nil {
				conn.Close()
			}
			return err
		})
	}
	return urls
}
