package probe

import (
	"runtime"
	"slices"
	"strings"
	"sync"

	"prober/internal/drop"
)

// shared is what a result has in common with its children. It serialises their writes; once closed, they are dropped.
type shared struct {
	sync.Mutex
	closed      bool
	interrupted *interruption   // nil: none can happen
	proven      map[Check]bool  // failures that no interruption explains
	answered    map[string]bool // exchanges that were complete before any interruption, by trace id
	omitted     []omission      // checks for which there was nothing to check
	forgotten   []omission      // that others of the same Each made, and one did not
	timedOut    bool            // an answer did not come in time
	after       map[Check]bool  // failures that were noted since
}

// An omission is a check that was not made of a target; an empty target means all of them.
type omission struct{ check, target string }

// prove remembers a failure that an interruption of the run does not explain: it was noted before, or is a breach.
func (s *shared) prove(c Check) {
	if c.Verdict == Fail && (c.Reason.Breach || !s.interrupted.happened()) {
		if s.proven == nil {
			s.proven = map[Check]bool{}
		}
		s.proven[c] = true
	}
	if c.Verdict == Fail && s.timedOut {
		if s.after == nil {
			s.after = map[Check]bool{}
		}
		s.after[c] = true
	}
}

// answer remembers an exchange that no interruption explains: whatever is concluded from it later is proven by it.
func (s *shared) answer(x Exchange) {
	s.timedOut = s.timedOut || timedOut(x.Reason)
	if x.Reason == OK && x.TraceID != "" && !s.interrupted.happened() {
		if s.answered == nil {
			s.answered = map[string]bool{}
		}
		s.answered[x.TraceID] = true
	}
}

// isProven reports whether a failure was proven before the run was interrupted, if it was.
func (s *shared) isProven(c Check) bool {
	if s.answered[c.TraceID] {
		return true
	}
	c.TraceID = "" // linked after it was noted
	return s.proven[c]
}

func (r *Result) append(f func()) {
	r.shared.Lock()
	defer r.shared.Unlock()
	if !r.shared.closed {
		f()
	}
}

// Each asks every target at the same time, by its index, each with a result of its own whose notes carry the target, and
// returns when all have been asked. The notes stand in the order of the targets. A panic spoils only its own target's notes. The
// targets are alike: a check that was made of one, and of another neither made nor omitted, makes a pass inconclusive.
func (r *Result) Each(targets []string, ask func(i int, r *Result)) {
	children := make([]*Result, len(targets))
	for i, target := range targets {
		children[i] = &Result{ID: r.ID, target: target, shared: r.shared}
	}
	r.append(func() { r.children = append(r.children, children...) })
	var wg sync.WaitGroup
	for i := range targets {
		wg.Go(func() {
			defer children[i].recoverPanic()
			ask(i, children[i])
		})
	}
	wg.Wait()
	r.append(func() {
		r.shared.compare(children)
		r.merge(children)
		// Another Each on the same result may still be at it, and gathers its own.
		r.children = drop.If(r.children, func(c *Result) bool { return slices.Contains(children, c) })
	})
}

// compare remembers the checks that were made of one target and not of another: who was not asked proves nothing.
func (s *shared) compare(children []*Result) {
	var names []string
	for _, r := range children {
		for _, c := range r.Checks {
			if c.Target == r.target && c.Name != RunCheck && !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	for _, r := range children {
		for _, name := range names {
			if !r.made(name, r.target) {
				s.forgotten = append(s.forgotten, omission{name, r.target})
			}
		}
	}
}

// recoverPanic turns a panic into a note. It says the type and the way, not the value, which might hold a secret.
func (r *Result) recoverPanic() {
	if p := recover(); p != nil {
		r.Inconclusive(RunCheck, Panicked, "the probe panicked (panic type=%T) in %s", p, stackNames())
	}
}

// stackNames names the functions that led to a panic, innermost first.
func stackNames() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var names []string
	for {
		frame, more := frames.Next()
		if name := frame.Function; !strings.HasPrefix(name, "runtime.") && name != "" {
			names = append(names, name[strings.LastIndexByte(name, '/')+1:])
		}
		if !more || len(names) == 4 {
			return strings.Join(names, " < ")
		}
	}
}

// close ends all writing and gathers what the children noted. It also tells which failures no interruption explains.
func (r *Result) close() (out Result, proven func(Check) bool) {
	r.shared.Lock()
	defer r.shared.Unlock()
	r.shared.closed = true
	out = *r
	out.merge(r.children)
	out.children, out.shared = nil, nil
	for i, c := range out.Checks {
		if x := out.exchangeFor(c.Name, c.Target); x >= 0 && c.TraceID == "" {
			out.Checks[i].TraceID = out.Exchanges[x].TraceID
		}
	}
	return out, r.shared.isProven
}

// merge appends what the children noted, and theirs. It is called once for each child: at the end of its Each or, if
// the probe never gets there, when the result is sealed.
func (r *Result) merge(children []*Result) {
	for _, c := range children {
		c.merge(c.children)
		r.Checks = append(r.Checks, c.Checks...)
		r.Samples = append(r.Samples, c.Samples...)
		r.Exchanges = append(r.Exchanges, c.Exchanges...)
	}
}
