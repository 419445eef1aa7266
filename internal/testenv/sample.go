package testenv

import (
	"iter"
	"maps"
	"os"
	"slices"
	"testing"
)

// every is the variable with which `make soak` asks for every case of every test in spite of -short.
const every = "PROBER_TEST_EVERY"

// Sampled reports whether case i of a test is run: every case as a rule, and every n-th with -short or with the race
// detector, which takes four times the CPU time and does not depend on what a case is about. `make test` and `make soak` run the tests
// that call Sampled, Sample or WithoutRace once more without the detector, with all of their cases.
func Sampled(i, n int) bool {
	return i%n == 0 || !raceDetector && (!testing.Short() || os.Getenv(every) != "")
}

// WithoutRace skips a test with the race detector: other tests run the same code with it, or its processes are too slow for their
// timeouts then, or the test measures memory, of which the detector has the same code take several times as much. `make test` and
// `make soak` run the test once more, without the detector.
func WithoutRace(t testing.TB) {
	t.Helper()
	if raceDetector {
		t.Skipf("run without the race detector")
	}
}

// Sample returns the cases of a table by name, in order: those of which Sampled says that they are run.
func Sample[C any](table map[string]C, n int) iter.Seq2[string, C] {
	return func(yield func(string, C) bool) {
		for i, name := range slices.Sorted(maps.Keys(table)) {
			if Sampled(i, n) && !yield(name, table[name]) {
				return
			}
		}
	}
}
