package testenv

import (
	"maps"
	"slices"
	"testing"
)

func TestSample(t *testing.T) {
	table := map[string]int{"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}
	want := []string{"a", "b", "c", "d", "e"}
	if raceDetector || testing.Short() {
		want = []string{"a", "d"}
	}
	t.Setenv(every, "")
	if got := slices.Sorted(maps.Keys(maps.Collect(Sample(table, 3)))); !slices.Equal(got, want) {
		t.Errorf("expected %v, got %v", want, got)
	}
	t.Setenv(every, "1")
	if got := len(maps.Collect(Sample(table, 3))); got != len(table) {
		t.Errorf("expected every case with %s, got %d", every, got)
	}
	for range Sample(table, 1) {
		break // and no panic
	}
}

func TestWithoutRace(t *testing.T) {
	for value, skipped := range map[string]bool{"": raceDetector, "1": false} {
		t.Setenv(every, value)
		if f := try(t, func(f *fake) { WithoutRace(f) }); f.skipped != skipped {
			t.Errorf("%s=%s: expected skipped %t, got %t", every, value, skipped, f.skipped)
		}
	}
}
