package testenv

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

//go:embed npm/package-lock.json
var npmLock []byte

// npmModules returns the directory into which install.sh installed the modules of a lock file. Without it the test fails
// or is skipped, as with Need; what says what the test needs them for.
func npmModules(t testing.TB, lock []byte, what string) string {
	t.Helper()
	Slow(t, "it runs npm's "+what)
	sum := sha256.Sum256(lock)
	folder := filepath.Join(cacheDir(), "npm-"+hex.EncodeToString(sum[:])[:12])
	if _, err := os.Stat(folder); err != nil {
		missing(t, "npm's "+what)
	}
	return folder
}
