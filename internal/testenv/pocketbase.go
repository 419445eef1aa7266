package testenv

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// PocketBase starts PocketBase on a port of 127.0.0.1, empty but for an administrator, and returns its URL.
func PocketBase(t testing.TB, email, password string) string {
	t.Helper()
	Real(t)
	program, dir := buildModule(t, "pocketbase"), t.TempDir()
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, append([]string{"--dir=" + dir}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		return cmd
	}
	if out, err := Run(t, command("superuser", "upsert", email, password)); err != nil {
		t.Fatalf("no administrator of PocketBase: %v\n%s", err, out)
	}
	address := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	StartCmd(t, command("serve", "--http="+address))
	url := "http://" + address
	Answers(t, url+"/api/health", "")
	return url
}

// Answers waits until a URL is answered with 200 to the bearer of a token, or to anybody if that is empty.
func Answers(t testing.TB, url, token string) {
	t.Helper()
	Eventually(t, 2*time.Minute, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: got %d", url, resp.StatusCode)
		}
		return nil
	})
}
