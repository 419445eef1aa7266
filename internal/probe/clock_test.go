package probe

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// A clock that nobody sets keeps step, however long the watch lasts.
func TestAClockThatNobodySetsKeepsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watch := WatchClock()
		time.Sleep(100 * time.Hour)
		if by, tooFar := watch.Stepped(); by != 0 || tooFar {
			t.Errorf("got a step of %s, too far: %t", by, tooFar)
		}
		if got := time.Since(watch.Began()); got != 100*time.Hour {
			t.Errorf("the watch began %s ago, wanted 100h", got)
		}
	})
}

// set returns a reading as it would be had somebody set the wall clock ahead by that much before it. Nobody may set
// this machine's clock for a test, and package time has no way to tell it of the two clocks apart; a Time holds the
// monotonic one in its second word.
func set(reading time.Time, by time.Duration) time.Time {
	reading = reading.Add(by) // moves both
	*(*int64)(unsafe.Add(unsafe.Pointer(&reading), 8)) -= int64(by)
	return reading
}

func TestASetClockIsSeen(t *testing.T) {
	for by, tooFar := range map[time.Duration]bool{
		0: false, 40 * time.Millisecond: false, -40 * time.Millisecond: false,
		30 * time.Second: true, -30 * time.Second: true, 24 * time.Hour: true,
	} {
		watch := WatchClock()
		watch.began = set(watch.began, -by)
		got, far := watch.Stepped()
		if (got-by).Abs() > 5*time.Millisecond || far != tooFar {
			t.Errorf("set by %s: got %s, too far: %t", by, got, far)
		}
	}
}

func TestStepIsWhatTheMonotonicClockDoesNotExplain(t *testing.T) {
	from := time.Now()
	if got := Step(from, from.Add(time.Hour)); got != 0 {
		t.Errorf("an hour on both clocks: got a step of %s", got)
	}
	if got := Step(from.Round(0), from.Round(0).Add(-time.Hour)); got != 0 {
		t.Errorf("without a monotonic clock nothing is known: got a step of %s", got)
	}
}

// A thread that is held up between the two clocks must not look like a step.
func TestReadingsAreSteady(t *testing.T) {
	first := ReadClock()
	for range 10_000 {
		if by := Step(first, ReadClock()); by.Abs() > MaxClockStep {
			t.Fatalf("got a step of %s; either Reading is disturbed or somebody sets this machine's clock", by)
		}
	}
}
