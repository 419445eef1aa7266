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
	if got := slices.Sorted(maps.Keys(maps.Collect(Sample(table, 3)))); !raceDetector && len(got) != len(table) || raceDetector && !slices.Equal(got, want) {
		t.Errorf("%s=1: got %v", every, got)
	}
	for range Sample(table, 1) {
		break // and no panic
	}
}

func TestWithoutRace(t *testing.T) {
	if f := try(t, func(f *fake) { WithoutRace(f) }); f.skipped != raceDetector {
		t.Errorf("expected skipped %t, got %t", raceDetector, f.skipped)
	}
}
