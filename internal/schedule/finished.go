package schedule

import "sync"

// finished are the runs that have ended and that the loop has not seen yet. It sees them when it iterates, as it does for each tick,
// and is woken for what cannot wait for that.
type finished struct {
	wake chan struct{} // room for one

	mu      sync.Mutex
	list    []ended
	spare   []ended // the list before, for its memory
	running int
	urgent  bool // the loop waits for any run to end, which frees a slot
	idle    bool // the loop would not iterate for a while
}

// begin counts a run that starts.
func (f *finished) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running++
}

// add adds a run that ended. The loop is woken if it waits for that, if it would not soon see that no other run is in progress, or if
// the target asked for fewer requests.
func (f *finished) add(e ended) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, e)
	if f.running--; f.running == 0 && f.idle || f.urgent || e.limited {
		f.notify()
	}
}

// hurry says whether the loop waits for any run to end, and whether it would not iterate for a while.
func (f *finished) hurry(urgent, idle bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.urgent, f.idle = urgent, idle; len(f.list) > 0 && (urgent || f.running == 0 && idle) {
		f.notify()
	}
}

func (f *finished) notify() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take returns the runs that have ended since. They are valid until the next call.
func (f *finished) take() []ended {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.spare[:cap(f.spare)])
	taken := f.list
	f.list, f.spare = f.spare[:0], taken
	return taken
}
