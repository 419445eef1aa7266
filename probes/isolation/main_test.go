package isolation

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain sets the credentials that all tests use once: a test that sets the environment cannot run beside others.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"RED": "token-of-the-red-org", "BLUE": "token-of-the-blue-org", "GREEN": "token-of-the-green-org",
		"EXPIRED": "tttttttt-over", "HOMELESS": "tttttttt-without-home", "SUSPENDED": "kkkkkkkk-of-org-three",
	} {
		if err := os.Setenv("TEST_ISO_"+name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
