package schedule

import "sync/atomic"

// maxIdleWorkers is how many goroutines wait for a next run: as many as usually end before the next begins.
const maxIdleWorkers = 8

// workers are the goroutines of the runs. Some of them wait for the next run, with the stack that the last one made them grow.
type workers struct {
	next chan func()
	idle atomic.Int32
}

func newWorkers() *workers { return &workers{next: make(chan func())} }

// do calls f in a goroutine.
func (w *workers) do(f func()) {
	select {
	case w.next <- f:
	default:
		go w.work(f)
	}
}

func (w *workers) work(f func()) {
	for open := true; open; {
		f()
		if w.idle.Add(1) > maxIdleWorkers {
			open = false
		} else {
			f, open = <-w.next
		}
		w.idle.Add(-1)
	}
}

// end ends those that wait. Nothing may be done any more.
func (w *workers) end() { close(w.next) }
