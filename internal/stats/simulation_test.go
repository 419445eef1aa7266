package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sort"
	"testing"

	"prober/internal/testenv"
)

// binomial returns the probability of each number of bad events among n.
func binomial(n int, p float64) []float64 {
	logFactorial := func(k int) float64 { v, _ := math.Lgamma(float64(k + 1)); return v }
	out := make([]float64, n+1)
	for k := range out {
		if p > 0 || k == 0 {
			out[k] = math.Exp(logFactorial(n) - logFactorial(k) - logFactorial(n-k) + float64(k)*math.Log(max(p, 1e-300)) + float64(n-k)*math.Log1p(-p))
		}
	}
	return out
}

// TestCompare_ratioErrors adds up the probabilities of all outcomes, which leaves nothing to chance: over a grid of shares
// and sizes, one window is wrong in at most one of a hundred runs, whether the truth is that before or just at the limit.
func TestCompare_ratioErrors(t *testing.T) {
	testenv.Slow(t, "it adds up the probabilities of all outcomes")
	testenv.WithoutRace(t)
	t.Parallel()
	tolerance := Tolerance{Factor: 1.25, Add: 0.01}
	alpha := Level(1, tolerance)
	estimates := func(n int) (all []Estimate) {
		for k := range n + 1 {
			all = append(all, Ratio(float64(k), float64(n), alpha))
		}
		return all
	}
	old, fresh := map[int][]Estimate{}, map[int][]Estimate{}
	var worstFail, worstPass float64
	for _, before := range []int{50, 200, 1000} {
		old[before] = estimates(before)
		for _, now := range []int{50, 300, 1200} {
			if fresh[now] == nil {
				fresh[now] = estimates(now)
			}
			for _, p := range []float64{0, 0.001, 0.005, 0.02, 0.3} {
				was := binomial(before, p)
				wrong := func(truth float64, is Decision) (sum float64) {
					seen := binomial(now, truth)
					for i, x := range was {
						for j, y := range seen {
							if x*y > 1e-7 && Compare(fresh[now][j], old[before][i], tolerance) == is {
								sum += x * y
							}
						}
					}
					return sum
				}
				fails, passes := wrong(p, Beyond), wrong(tolerance.Limit(p), Within)
				if fails > maxError || passes > maxError {
					t.Errorf("%d before, %d now, a share of %v: %.2f %% false fails, %.2f %% false passes at the limit", before, now, p, 100*fails, 100*passes)
				}
				worstFail, worstPass = max(worstFail, fails), max(worstPass, passes)
			}
		}
	}
	t.Logf("at most %.2f %% false fails, %.2f %% false passes", 100*worstFail, 100*worstPass)
	if worstPass < maxError/20 {
		t.Errorf("false passes at the limit: %v, so the bounds decide hardly anything", worstPass)
	}
}

// A world draws windows of one service, each of which holds the one before.
type world struct {
	random *rand.Rand
	window func(r *rand.Rand, truth float64, n int) counts
	value  func(c counts, alpha float64) Estimate
}

// counts are bad events and others, or those of buckets.
type counts []float64

func (c counts) plus(other counts) counts {
	sum := make(counts, max(len(c), len(other)))
	for i := range sum {
		if i < len(c) {
			sum[i] += c[i]
		}
		sum[i] += other[i]
	}
	return sum
}

// sequence plays one run: windows of n, 3n and 6n events.
func (w world) sequence(before, now float64, n, sizeBefore int, tolerance Tolerance) Decision {
	alpha := Level(3, tolerance)
	s := Sequence{Before: w.value(w.window(w.random, before, sizeBefore), alpha), Tolerance: tolerance}
	var all counts
	for _, more := range []int{n, 2 * n, 3 * n} {
		all = all.plus(w.window(w.random, now, more))
		if d := s.Next(w.value(all, alpha)); d != Undecided {
			return d
		}
	}
	return Undecided
}

// rates returns how often a run of a world decides each way.
func (w world) rates(t *testing.T, before, now float64, n, sizeBefore, runs int, tolerance Tolerance) (within, beyond float64) {
	t.Helper()
	for range runs {
		switch w.sequence(before, now, n, sizeBefore, tolerance) {
		case Within:
			within++
		case Beyond:
			beyond++
		}
	}
	return within / float64(runs), beyond / float64(runs)
}

// draw returns how many of n events fall into each class, by normal or exact draws of one after the other.
func draw(r *rand.Rand, n int, shares []float64) counts {
	out, left, rest := make(counts, len(shares)), n, 1.0
	for i, p := range shares {
		if i == len(shares)-1 || rest <= 0 {
			out[i] = float64(left)
			break
		}
		k := binomialDraw(r, left, min(p/rest, 1))
		out[i], left, rest = float64(k), left-k, rest-p
	}
	return out
}

// binomialDraw skips from one event to the next, which is fast where they are rare.
func binomialDraw(r *rand.Rand, n int, p float64) int {
	switch {
	case p <= 0 || n == 0:
		return 0
	case p >= 1:
		return n
	case p > 0.5:
		return n - binomialDraw(r, n, 1-p)
	}
	k, at, scale := 0, 0.0, math.Log1p(-p)
	for {
		at += math.Floor(math.Log(1-r.Float64())/scale) + 1
		if at > float64(n) {
			return k
		}
		k++
	}
}

func ratioWorld(seed uint64) world {
	return world{
		random: rand.New(rand.NewPCG(seed, 1)),
		window: func(r *rand.Rand, truth float64, n int) counts { return draw(r, n, []float64{truth, 1 - truth}) },
		value:  func(c counts, alpha float64) Estimate { return Ratio(c[0], c[0]+c[1], alpha) },
	}
}

// edges are those of a classic histogram.
var edges = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, math.Inf(1)}

// shares are those of the buckets if the latencies are spread log-normally around a median.
func shares(edges []float64, median float64) (all []float64) {
	below := 0.0
	for _, e := range edges {
		upTo := 1.0
		if !math.IsInf(e, 1) {
			upTo = 0.5 * math.Erfc(-math.Log(e/median)/(0.8*math.Sqrt2))
		}
		all, below = append(all, upTo-below), upTo
	}
	return all
}

// fineEdges are those of a native histogram of schema 3.
func fineEdges() (all []float64) {
	for i := -60; i <= 20; i++ {
		all = append(all, math.Pow(2, float64(i)/8))
	}
	return append(all, math.Inf(1))
}

func quantileWorld(seed uint64, edges []float64, exponential bool) world {
	histogram := func(c counts) Histogram {
		h, lower := Histogram{Exponential: exponential}, 0.0
		for i, edge := range edges {
			h.Buckets = append(h.Buckets, Bucket{lower, edge, c[i]})
			lower = edge
		}
		return h
	}
	return world{
		random: rand.New(rand.NewPCG(seed, 2)),
		window: func(r *rand.Rand, median float64, n int) counts { return draw(r, n, shares(edges, median)) },
		value:  func(c counts, alpha float64) Estimate { return histogram(c).Quantile(0.99, alpha) },
	}
}

// true99 is the 99th percentile that any number of events would give.
func (w world) true99(edges []float64, median float64) float64 {
	c := counts(shares(edges, median))
	for i := range c {
		c[i] *= 1e12
	}
	return w.value(c, 0.01).Value
}

// medianFor returns the median of a world whose 99th percentile is so many times that of another.
func (w world) medianFor(edges []float64, median, factor float64) float64 {
	want := factor * w.true99(edges, median)
	at := sort.Search(1_000_000, func(i int) bool { return w.true99(edges, median*(1+float64(i)/1e5)) >= want })
	return median * (1 + float64(at)/1e5)
}

// TestSequence_errors plays runs of three windows, over a grid of shares, sizes and effects, and of medians for quantiles.
func TestSequence_errors(t *testing.T) {
	testenv.Slow(t, "it plays thousands of runs")
	testenv.WithoutRace(t)
	t.Parallel()
	runs := 200
	if os.Getenv("PROBER_TEST_EVERY") != "" {
		runs = 3000 // those of the figures in docs/kinds/promql.md
	}
	allowed := maxError + 3*math.Sqrt(maxError*(1-maxError)/float64(runs)) // three standard errors
	type figures struct{ falseFail, falsePass, healthy, called float64 }
	check := func(t *testing.T, w world, before, atLimit, beyond float64, n, sizeBefore int, tolerance Tolerance) figures {
		t.Helper()
		var f figures
		f.healthy, f.falseFail = w.rates(t, before, before, n, sizeBefore, runs, tolerance)
		f.falsePass, _ = w.rates(t, before, atLimit, n, sizeBefore, runs, tolerance)
		passBeyond, called := w.rates(t, before, beyond, n, sizeBefore, runs/5, tolerance)
		f.called = called
		if f.falseFail > allowed || f.falsePass > allowed || passBeyond > allowed {
			t.Errorf("%v: %+v, and %v false passes far beyond the limit", []any{before, n, sizeBefore}, f, passBeyond)
		}
		return f
	}
	var sum figures
	cases := 0.0
	note := func(name string, f figures) {
		cases++
		sum.falseFail, sum.falsePass = sum.falseFail+f.falseFail, sum.falsePass+f.falsePass
		t.Logf("%-45s false fails %.2f %%, false passes %.2f %%, healthy passes %.0f %%, incident called %.0f %%", name, 100*f.falseFail, 100*f.falsePass, 100*f.healthy, 100*f.called)
	}
	ratio := Tolerance{Factor: 1.25, Add: 0.01}
	for i, p := range []float64{0, 0.001, 0.005, 0.02, 0.1} {
		for _, n := range []int{50, 400, 2000} {
			w := ratioWorld(uint64(100*i + n))
			note(fmt.Sprintf("share %v, windows %d to %d", p, n, 6*n), check(t, w, p, ratio.Limit(p), max(4*ratio.Limit(p), 0.12), n, max(200, 6*n), ratio))
		}
	}
	slower := Tolerance{Factor: 1.25}
	for i, median := range []float64{0.008, 0.06} {
		for _, n := range []int{100, 1000, 5000} {
			w := quantileWorld(uint64(100*i+n), edges, false)
			note(fmt.Sprintf("p99 of median %v, windows %d to %d", median, n, 6*n), check(t, w, median, w.medianFor(edges, median, 1.25), 4*median, n, 6*n, slower))
		}
	}
	w := quantileWorld(7, fineEdges(), true)
	note("p99, native, windows 1000 to 6000", check(t, w, 0.06, w.medianFor(fineEdges(), 0.06, 1.25), 0.24, 1000, 6000, slower))
	t.Logf("in all %.2f %% false fails, %.2f %% false passes", 100*sum.falseFail/cases, 100*sum.falsePass/cases)
	if sum.falseFail/cases > maxError || sum.falsePass/cases > maxError {
		t.Error("wrong more often than in one of a hundred runs")
	}
	if sum.falsePass == 0 {
		t.Error("no false pass at the limit in any run: the bounds decide hardly anything")
	}
}
