// Package memory bounds what the answers of all targets take in memory at a time, so that no target can have the prober
// killed for it.
package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"prober/internal/drop"
)

// free is what each run may take without a charge: nearly all answers are smaller, and there may be hundreds of runs.
const free = 32 << 10

// waiter is about what a run that waits takes for itself: what it needs no charge for, and what its target has sent
// meanwhile, which the kernel holds.
const waiter = 96 << 10

// lookAgain is after what time runs that wait because the process takes too much memory may go on, if it takes less by then.
const lookAgain = 50 * time.Millisecond

// An ErrLimit says which limit of the prober an answer does not fit into. It says nothing of the target.
type ErrLimit struct{ Limit string }

func (e *ErrLimit) Error() string { return e.Limit }

// IsLimit reports whether an error is a limit of the prober.
//
//go:noinline
func IsLimit(err error) bool {
	_, ok := errors.AsType[*ErrLimit](err)
	return ok
}

// A Budget is a number of bytes that the runs share. A run that needs more than is left waits its turn, unless too many wait
// already. No two runs can wait for each other: the one that has held memory for the longest has a part for itself.
type Budget struct {
	run    int64       // that one run may take
	shared int64       // that all but the oldest may take together
	queue  int         // how many may wait
	above  func() bool // the process takes more memory than it may

	mu      sync.Mutex
	used    int64      // of shared
	holders []*Account // the oldest first
	waiting []*request
	again   *time.Timer // looks again whether the process takes too much
}

type request struct {
	account *Account
	bytes   int64
	granted chan struct{}
}

// NewBudget returns a budget of two parts: one run may take the first, and all others together half as much.
func NewBudget(run int64) *Budget {
	shared := run / 2
	return &Budget{run: run, shared: shared, queue: max(8, int(shared/waiter)), above: func() bool { return false }}
}

// Within has all runs but the oldest wait while the process takes more memory of the system than limit, as the runtime counts for
// GOMEMLIMIT, and a 32nd: so much more is common while garbage is being collected. On a node that is very busy the collector comes
// late, and what is not read meanwhile need not be collected. It returns the budget.
func (b *Budget) Within(limit int64) *Budget {
	b.above = func() bool { return taken()-limit > limit/32 }
	return b
}

// taken returns how many bytes the runtime has taken of the system and not given back.
func taken() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}

// An Account is what one run has taken of a budget.
type Account struct {
	budget *Budget
	ctx    context.Context // of the run
	total  int64           // taken, or waited for
	held   int64           // charged to the budget
	asked  int64           // waited for

	waits  int           // Takes that wait
	since  time.Time     // when the first of them began to
	waited time.Duration // by those before

	mu       sync.Mutex
	exceeded []Excess
}

// An Excess is a limit that an answer did not fit into.
type Excess struct {
	TraceID string // of the exchange; empty if it is not known
	Limit   string // as ErrLimit has it
}

// Exceeded notes in the account of the run that an answer did not fit into a limit, if err is an ErrLimit: the run may
// not conclude anything from that answer, whatever the code that met the limit makes of it.
func Exceeded(ctx context.Context, traceID string, err error) {
	limit, isLimit := errors.AsType[*ErrLimit](err)
	if a, ok := ctx.Value(accountKey{}).(*Account); ok && isLimit {
		a.mu.Lock()
		defer a.mu.Unlock()
		if e := (Excess{traceID, limit.Limit}); !slices.Contains(a.exceeded, e) {
			a.exceeded = append(a.exceeded, e)
		}
	}
}

// Excesses lists what did not fit into a limit so far.
func (a *Account) Excesses() []Excess {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.exceeded)
}

type accountKey struct{}

// Open returns a context that carries the account of a run. A nil budget has no bound. The account must be closed when
// nothing of the run is needed any more.
func (b *Budget) Open(ctx context.Context) (context.Context, *Account) {
	a := &Account{budget: b}
	ctx = context.WithValue(ctx, accountKey{}, a)
	a.ctx = ctx
	return ctx, a
}

// Reserve takes what one run may take, for something else that needs much memory for a moment. It waits while ctx lasts and
// returns in any case what gives the memory back.
func (b *Budget) Reserve(ctx context.Context) (release func()) {
	if b == nil {
		return func() {}
	}
	ctx, account := b.Open(ctx)
	_ = account.take(ctx, b.run+free, math.MaxInt)
	return account.Close
}

// Run returns the context of the run that ctx belongs to, since a request may have a shorter time than its run. If ctx
// belongs to none, what Run returns never ends.
func Run(ctx context.Context) context.Context {
	if a, ok := ctx.Value(accountKey{}).(*Account); ok {
		return a.ctx
	}
	return context.WithoutCancel(ctx)
}

// Take takes bytes from the account of the run, and waits for them while ctx lasts. The error is an ErrLimit.
func Take(ctx context.Context, bytes int64) error {
	a, ok := ctx.Value(accountKey{}).(*Account)
	if !ok || a.budget == nil {
		return nil
	}
	return a.take(ctx, bytes, a.budget.queue)
}

// Taken returns how many bytes the account of the run has taken and not given back.
func Taken(ctx context.Context) int64 {
	a, ok := ctx.Value(accountKey{}).(*Account)
	if !ok || a.budget == nil {
		return 0
	}
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	return a.total
}

// Give gives bytes back before the run is over.
func Give(ctx context.Context, bytes int64) {
	if a, ok := ctx.Value(accountKey{}).(*Account); ok && a.budget != nil {
		a.give(bytes)
	}
}

// take takes bytes, and waits for them unless more than queue would wait then.
func (a *Account) take(ctx context.Context, bytes int64, queue int) error {
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	a.total += bytes
	more := max(0, a.total-free) - a.held - a.asked
	switch {
	case more <= 0:
		return nil
	case a.held+a.asked+more > b.run:
		a.total -= bytes
		return &ErrLimit{fmt.Sprintf("the answers of one run may take %s in memory (GOMEMLIMIT)", size(b.run))}
	}
	r := &request{account: a, bytes: more, granted: make(chan struct{})}
	a.asked += more
	b.waiting = append(b.waiting, r)
	b.grant()
	if len(b.waiting) > queue && b.withdraw(r, bytes) {
		return &ErrLimit{fmt.Sprintf("%d others wait for room already: the answers of all runs may take %s in memory (GOMEMLIMIT)", queue, size(b.run+b.shared))}
	}
	a.beginWait()
	b.mu.Unlock()
	select {
	case <-r.granted:
	case <-ctx.Done():
	}
	b.mu.Lock()
	a.endWait()
	if b.withdraw(r, bytes) {
		b.grant() // others may have waited behind it
		return &ErrLimit{fmt.Sprintf("there was no room in time: the answers of all runs may take %s in memory (GOMEMLIMIT)", size(b.run+b.shared))}
	}
	return nil
}

// withdraw takes back a request for so many bytes, if it waits still.
func (b *Budget) withdraw(r *request, bytes int64) bool {
	i := slices.Index(b.waiting, r)
	if i < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	r.account.asked -= r.bytes
	r.account.total -= bytes
	return true
}

func (a *Account) beginWait() {
	if a.waits++; a.waits == 1 {
		a.since = time.Now()
	}
}

func (a *Account) endWait() {
	if a.waits--; a.waits == 0 {
		a.waited += time.Since(a.since)
	}
}

// Waited returns for how long the run has waited for memory: in all that time it cannot have read what its target sent.
func (a *Account) Waited() time.Duration {
	if a.budget == nil {
		return 0
	}
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	if a.waits > 0 {
		return a.waited + time.Since(a.since)
	}
	return a.waited
}

// grant grants what fits, in the order in which it was asked for.
func (b *Budget) grant() {
	if len(b.waiting) == 0 {
		return
	}
	above := b.above()
	full := above
	b.waiting = drop.If(b.waiting, func(r *request) bool {
		oldest := len(b.holders) == 0 || b.holders[0] == r.account
		if !oldest && (full || b.used+r.bytes > b.shared) {
			full = true
			return false
		}
		if !oldest {
			b.used += r.bytes
		}
		if !slices.Contains(b.holders, r.account) {
			b.holders = append(b.holders, r.account)
		}
		r.account.held += r.bytes
		r.account.asked -= r.bytes
		close(r.granted)
		return true
	})
	if above && len(b.waiting) > 0 && b.again == nil {
		b.again = time.AfterFunc(lookAgain, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.again = nil
			b.grant()
		})
	}
}

func (a *Account) give(bytes int64) {
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	a.total -= bytes
	less := a.held - max(0, min(a.held, a.total-free-a.asked))
	a.held -= less
	if len(b.holders) > 0 && b.holders[0] != a {
		b.used -= less
	}
	b.grant()
}

// Close gives back all that the run has taken.
func (a *Account) Close() {
	b := a.budget
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch i := slices.Index(b.holders, a); {
	case i > 0:
		b.used -= a.held
		b.holders = slices.Delete(b.holders, i, i+1)
	case i == 0:
		b.holders = slices.Delete(b.holders, 0, 1)
		if len(b.holders) > 0 {
			b.used -= b.holders[0].held // which is the oldest now
		}
	}
	a.total, a.held = 0, 0
	b.grant()
}

func size(bytes int64) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}
