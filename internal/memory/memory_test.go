package memory

import (
	"context"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const mib = 1 << 20

func open(t *testing.T, b *Budget) (context.Context, *Account) {
	t.Helper()
	ctx, a := b.Open(t.Context())
	return ctx, a
}

func TestTake_withoutBudgetHasNoBound(t *testing.T) {
	if err := Take(t.Context(), 1<<40); err != nil {
		t.Error(err)
	}
	var none *Budget
	ctx, a := none.Open(t.Context())
	defer a.Close()
	if err := Take(ctx, 1<<40); err != nil {
		t.Error(err)
	}
	Give(ctx, 1<<40)
}

func TestTake_tooMuchForOneRunIsRefusedAtOnce(t *testing.T) {
	ctx, a := open(t, NewBudget(4*mib))
	defer a.Close()
	err := Take(ctx, 4*mib+free+1)
	if !IsLimit(err) || !strings.Contains(err.Error(), "4 MiB") {
		t.Fatalf("got %v, want the limit of one run", err)
	}
	if err := Take(ctx, 4*mib+free); err != nil {
		t.Errorf("what fits is refused after what does not: %v", err)
	}
}

func TestTake_waitsForRoomAndThenNamesTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4 * mib)
		first, oldest := open(t, b)
		if err := Take(first, 4*mib); err != nil {
			t.Fatal(err)
		}
		second, younger := open(t, b)
		if err := Take(second, 2*mib); err != nil {
			t.Fatal(err)
		}
		third, youngest := open(t, b)
		short, cancel := context.WithTimeout(third, time.Second)
		defer cancel()
		if err := Take(short, mib); !IsLimit(err) || !strings.Contains(err.Error(), "6 MiB") {
			t.Fatalf("got %v, want the limit of all runs", err)
		}
		got := make(chan error)
		go func() { got <- Take(third, mib) }()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("there is no room and yet Take returned %v", err)
		default:
		}
		oldest.Close() // the second is the oldest now, and what it holds is shared no longer
		if err := <-got; err != nil {
			t.Error(err)
		}
		younger.Close()
		youngest.Close()
		if b.used != 0 || len(b.holders) != 0 || len(b.waiting) != 0 {
			t.Errorf("left behind: %+v", b)
		}
	})
}

// On a busy node the collector comes late: what the runs have read and given back takes memory until then.
func TestTake_waitsWhileTheProcessTakesTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var above atomic.Bool
		above.Store(true)
		b := NewBudget(4 * mib)
		b.above = above.Load
		first, oldest := open(t, b)
		if err := Take(first, mib); err != nil {
			t.Fatalf("the oldest has to wait: %v", err)
		}
		if err := Take(first, mib); err != nil {
			t.Fatalf("the oldest has to wait for more: %v", err)
		}
		second, younger := open(t, b)
		short, cancel := context.WithTimeout(second, time.Second)
		defer cancel()
		if err := Take(short, mib); !IsLimit(err) {
			t.Fatalf("there is room, but the process takes too much: got %v, expected a limit", err)
		}
		got := make(chan error, 1)
		go func() { got <- Take(second, mib) }()
		synctest.Wait()
		above.Store(false)
		began := time.Now()
		if err := <-got; err != nil || time.Since(began) > lookAgain {
			t.Errorf("the process takes less again: got %v after %s", err, time.Since(began))
		}
		above.Store(true)
		third, youngest := open(t, b)
		go func() { got <- Take(third, mib) }()
		synctest.Wait()
		oldest.Close()
		younger.Close()
		if err := <-got; err != nil {
			t.Errorf("it is the only one now: got %v", err)
		}
		youngest.Close()
		if b.used != 0 || len(b.holders) != 0 || len(b.waiting) != 0 {
			t.Errorf("left behind: %+v", b)
		}
	})
}

func TestWithin(t *testing.T) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for limit, above := range map[int64]bool{1 << 20: true, int64(m.Sys) / 2 * 3: false, math.MaxInt64: false} {
		if got := NewBudget(mib).Within(limit).above(); got != above {
			t.Errorf("a limit of %d: got above %t of %d", limit, got, taken())
		}
	}
}

// Runs that hold a part and wait for more would wait for each other for ever.
func TestTake_runsNeverWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4 * mib)
		b.queue = 50
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				ctx, a := b.Open(t.Context())
				defer a.Close()
				for range 3 {
					if err := Take(ctx, mib); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		all.Wait()
		if b.used != 0 || len(b.holders) != 0 || len(b.waiting) != 0 {
			t.Errorf("left behind: %+v", b)
		}
	})
}

func TestTake_theSumStaysWithinTheBudget(t *testing.T) {
	b := NewBudget(4 * mib)
	b.queue = 40
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			ctx, a := b.Open(t.Context())
			defer a.Close()
			for range 5 {
				n := int64(free + i*10_000)
				if err := Take(ctx, n); err != nil {
					t.Error(err)
				}
				b.mu.Lock()
				sum := int64(0)
				for _, h := range b.holders {
					sum += h.held
				}
				if sum > b.run+b.shared || b.used > b.shared || b.used < 0 {
					t.Errorf("%d bytes are held, %d of them shared", sum, b.used)
				}
				b.mu.Unlock()
				Give(ctx, n/2)
			}
		})
	}
	all.Wait()
	if b.used != 0 || len(b.holders) != 0 {
		t.Errorf("left behind: %+v", b)
	}
}

func TestGive_makesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4 * mib)
		first, a := open(t, b)
		defer a.Close()
		_ = Take(first, mib)
		second, c := open(t, b)
		defer c.Close()
		if err := Take(second, 2*mib); err != nil {
			t.Fatal(err)
		}
		third, d := open(t, b)
		defer d.Close()
		got := make(chan error)
		go func() { got <- Take(third, mib) }()
		synctest.Wait()
		Give(second, mib)
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

func TestReserve_keepsTheAnswersSmallMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4 * mib)
		release := b.Reserve(t.Context())
		ctx, a := open(t, b)
		defer a.Close()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := Take(short, 3*mib); !IsLimit(err) {
			t.Errorf("got %v, want that there is no room", err)
		}
		release()
		if err := Take(ctx, 3*mib); err != nil {
			t.Error(err)
		}
		short, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.Reserve(short)() // there is none, and it returns all the same
	})
	(*Budget)(nil).Reserve(t.Context())()
}

func TestRun_outlivesARequest(t *testing.T) {
	ctx, a := open(t, NewBudget(mib))
	defer a.Close()
	short, cancel := context.WithCancel(ctx)
	cancel()
	if Run(short).Err() != nil {
		t.Error("the run ended with one of its requests")
	}
}

// What several parts of a run wait for at the same time is waited once.
func TestWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4 * mib)
		first, oldest := open(t, b)
		second, younger := open(t, b)
		if Take(first, 4*mib) != nil || Take(second, 2*mib) != nil {
			t.Fatal("no memory")
		}
		third, account := open(t, b)
		if account.Waited() != 0 {
			t.Errorf("waited %s before it took anything", account.Waited())
		}
		var parts sync.WaitGroup
		for range 3 {
			parts.Go(func() { Take(third, mib) })
		}
		time.Sleep(time.Second)
		if account.Waited() != time.Second {
			t.Errorf("waited %s so far, expected 1s", account.Waited())
		}
		time.Sleep(time.Second)
		oldest.Close()
		younger.Close()
		parts.Wait()
		time.Sleep(time.Second)
		if account.Waited() != 2*time.Second {
			t.Errorf("waited %s, expected 2s", account.Waited())
		}
		account.Close()
	})
}

// Those who wait take memory too, most of it in the kernel, where it is counted as the prober's: not everybody may wait.
func TestTake_aLongQueueIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4 * mib)
		first, oldest := open(t, b)
		second, younger := open(t, b)
		if Take(first, 4*mib) != nil || Take(second, 2*mib) != nil {
			t.Fatal("no memory")
		}
		var queue sync.WaitGroup
		for range b.queue {
			ctx, a := open(t, b)
			queue.Go(func() {
				defer a.Close()
				if err := Take(ctx, mib); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, late := open(t, b)
		if err := Take(ctx, mib); !IsLimit(err) || !strings.Contains(err.Error(), "others wait for room already") {
			t.Errorf("got %v, want the limit", err)
		}
		if late.total != 0 || late.asked != 0 || late.Waited() != 0 {
			t.Errorf("left behind: %+v", late)
		}
		reload := make(chan func())
		go func() { reload <- b.Reserve(t.Context()) }() // waits its turn in any case
		synctest.Wait()
		if len(b.waiting) != b.queue+1 {
			t.Errorf("%d wait, want a reload behind %d", len(b.waiting), b.queue)
		}
		oldest.Close()
		younger.Close()
		queue.Wait()
		(<-reload)()
		if b.used != 0 || len(b.holders) != 0 || len(b.waiting) != 0 {
			t.Errorf("left behind: %+v", b)
		}
	})
}
