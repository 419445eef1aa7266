package schedule

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// TestWorkers_keepNothing checks that a goroutine that waits for another run holds nothing of its last one, which has a whole set of
// jobs that a reload may have replaced.
func TestWorkers_keepNothing(t *testing.T) {
	w := newWorkers()
	defer w.end()
	for range 2 { // a run that it is started for, and one that it is handed
		ended, gone := make(chan bool), make(chan bool)
		set := new([1 << 10]byte)
		runtime.AddCleanup(set, func(c chan bool) { close(c) }, gone)
		w.do(func() { set[0]++; close(ended) })
		<-ended
		for w.idle.Load() == 0 {
			runtime.Gosched()
		}
		for cycle := 0; ; cycle++ {
			runtime.GC()
			select {
			case <-gone:
			default:
				if cycle == 100 {
					t.Fatal("an idle goroutine holds what its last run had")
				}
				runtime.Gosched()
				continue
			}
			break
		}
	}
}

// Some goroutines wait for another run, and no more than are allowed to.
func TestWorkers_idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkers()
		for range 3 {
			ended := make(chan bool)
			for range 3 * maxIdleWorkers {
				w.do(func() { <-ended })
			}
			close(ended)
			synctest.Wait()
			if n := w.idle.Load(); n != maxIdleWorkers {
				t.Errorf("%d goroutines wait, want %d", n, maxIdleWorkers)
			}
		}
		w.end()
	})
}
