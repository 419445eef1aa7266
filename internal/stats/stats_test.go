package stats

import (
	"math"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-4*math.Max(1, math.Abs(want))) && got != want {
		t.Errorf("%s: got %v, expected %v", what, got, want)
	}
}

// TestRatio compares with what R's binom.test gives, at 2.5 % for each bound, and with what follows from the definition.
func TestRatio(t *testing.T) {
	for _, test := range []struct {
		bad, total float64
		want       Estimate
	}{
		{0, 100, Estimate{0, 0, 0.03621669}},
		{100, 100, Estimate{0.96378331, 1, 1}},
		{5, 100, Estimate{0.01643187, 0.05, 0.11283491}},
		{50, 100, Estimate{0.39832113, 0.5, 0.60167887}},
		{1, 1, Estimate{0.025, 1, 1}},
		{0, 1, Estimate{0, 0, 0.975}},
		{1, 10, Estimate{0.00252858, 0.1, 0.44501612}},
		{0, 0, Estimate{0, 0, 1}},
		{7, 5, Estimate{math.Pow(0.025, 1.0/5), 1, 1}},
		{-1, 100, Estimate{0, 0, 0.03621669}},
	} {
		got := Ratio(test.bad, test.total, 0.025)
		near(t, "low", got.Low, test.want.Low)
		near(t, "value", got.Value, test.want.Value)
		near(t, "high", got.High, test.want.High)
	}
	rough := RoughRatio(5, 100, 3, 0.025)
	near(t, "rough low", rough.Low, Ratio(2, 100, 0.025).Low)
	near(t, "rough high", rough.High, Ratio(8, 100, 0.025).High)
	huge := Ratio(5e297, 1e299, 0.01)
	if !(huge.Low > 0.049 && huge.Low < 0.05 && huge.High > 0.05 && huge.High < 0.051) {
		t.Errorf("of very many: %v", huge)
	}
}

// TestRanks compares with the definition: of 100 events, the median lies between those of ranks 40 and 61 with 95 %.
func TestRanks(t *testing.T) {
	for _, test := range []struct{ n, q, alpha, low, high float64 }{
		{100, 0.5, 0.025, 40, 61},
		{100, 0.99, 0.01, 96, 101}, // 100 events are too few for an upper bound
		{500, 0.99, 0.01, 489, 500},
		{458, 0.99, 0.01, 448, 459},
		{1, 0.5, 0.01, 0, 2},
	} {
		low, high := ranks(test.n, test.q, test.alpha)
		if low != test.low || high != test.high {
			t.Errorf("%v: got %v and %v", test, low, high)
		}
	}
	low, high := ranks(1e12, 0.5, 0.01)
	if !(low < 0.5e12 && low > 0.499e12 && high > 0.5e12 && high < 0.501e12) {
		t.Errorf("of very many: %v to %v", low, high)
	}
}

func TestQuantile(t *testing.T) {
	h, err := FromCumulative([]float64{1, 2, math.Inf(1)}, []float64{500, 1000, 1000})
	if err != nil {
		t.Fatal(err)
	}
	e := h.Quantile(0.5, 0.025)
	near(t, "value", e.Value, 1)
	if !(e.Low > 0.9 && e.Low < 1 && e.High > 1 && e.High < 1.1) {
		t.Errorf("got %v", e)
	}
	clipped, _ := FromCumulative([]float64{1, 2, math.Inf(1)}, []float64{0, 10, 1000})
	if e := clipped.Quantile(0.99, 0.01); e.Value != 2 || e.Low != 2 || !math.IsInf(e.High, 1) || clipped.Beyond() != 990 {
		t.Errorf("above the last finite edge: %v", e)
	}
	if e := (Histogram{}).Quantile(0.99, 0.01); !math.IsNaN(e.Value) || !math.IsInf(e.High, 1) || !math.IsInf(e.Low, -1) {
		t.Errorf("of nothing: %v", e)
	}
	native := Histogram{Exponential: true, Buckets: []Bucket{{1, 4, 100}}}
	near(t, "in the middle of a native bucket", native.Quantile(0.5, 0.01).Value, 2)
	negative, _ := FromCumulative([]float64{-1, 1, math.Inf(1)}, []float64{90, 100, 100})
	near(t, "in the lowest bucket, without a lower edge", negative.Quantile(0.5, 0.01).Value, -1)
	if _, err := FromCumulative([]float64{1, 2, math.Inf(1)}, []float64{100, 50, 100}); err == nil {
		t.Error("counts that fall are taken")
	}
}

// TestBetaCDF compares with its definition for whole parameters: so many of a+b-1 events or more.
func TestBetaCDF(t *testing.T) {
	for _, a := range []int{1, 2, 3, 10, 60} {
		for _, b := range []int{1, 2, 5, 40, 300} {
			for _, x := range []float64{0, 1e-6, 0.01, 0.2, 0.5, 0.8, 0.99, 1} {
				want := 0.0
				for _, p := range binomial(a+b-1, min(x, 1-1e-16))[a:] {
					want += p
				}
				if got := betaCDF(x, float64(a), float64(b)); !(math.Abs(got-want) <= 1e-11) {
					t.Errorf("betaCDF(%v, %d, %d): got %v, expected %v", x, a, b, got, want)
				}
			}
		}
	}
}

// TestQuantile_ranks has each event in a bucket of its own, so that a bound is the value of a rank. The lower one is the end
// of the bucket before, since the event may be anywhere in its own.
func TestQuantile_ranks(t *testing.T) {
	for _, test := range []struct{ n, q, alpha, low, value, high float64 }{
		{100, 0.5, 0.025, 39, 50, 61},
		{500, 0.99, 0.01, 488, 495, 500},
		{100, 0.99, 0.01, 95, 99, math.Inf(1)},
		{8, 0.5, 0.005, 0, 4, 8}, // the first and the last event: less often than 1 in 200 are all of 8 on one side
		{1, 0.5, 0.01, math.Inf(-1), 0.5, math.Inf(1)},
		{0.9, 0.5, 0.01, math.Inf(-1), math.NaN(), math.Inf(1)},
	} {
		var h Histogram
		for at := 0.0; at < test.n; at++ {
			h.Buckets = append(h.Buckets, Bucket{at, at + 1, min(1, test.n-at)})
		}
		e := h.Quantile(test.q, test.alpha)
		if e.Low != test.low || e.High != test.high || !(e.Value == test.value || math.IsNaN(e.Value) && math.IsNaN(test.value)) {
			t.Errorf("%+v: got %v", test, e)
		}
	}
}

func TestQuantile_insideBuckets(t *testing.T) {
	inf := math.Inf(1)
	for name, test := range map[string]struct {
		h    Histogram
		want float64 // of the median
	}{
		"linear":                      {Histogram{Buckets: []Bucket{{1, 4, 100}}}, 2.5},
		"exponential":                 {Histogram{Exponential: true, Buckets: []Bucket{{2, 8, 100}}}, 4},
		"exponential, around zero":    {Histogram{Exponential: true, Buckets: []Bucket{{-1, 1, 100}}}, 0},
		"less than an event each":     {Histogram{Buckets: []Bucket{{0, 1, 0.5}, {1, 2, 0.5}, {2, 3, 0.5}, {3, 4, 0.5}}}, 2},
		"at the end, and a gap":       {Histogram{Buckets: []Bucket{{0, 1, 50}, {1, 5, 0}, {5, 6, 50}}}, 1},
		"all in a bucket to infinity": {Histogram{Buckets: []Bucket{{0, 3, 0}, {3, inf, 100}}}, 3},
		"all in the last bucket":      {Histogram{Buckets: []Bucket{{3, inf, 100}}}, 3},
		"all in the only bucket":      {Histogram{Buckets: []Bucket{{-inf, inf, 100}}}, math.NaN()},
	} {
		if got := test.h.Quantile(0.5, 0.01).Value; !(math.Abs(got-test.want) < 1e-9) && !(math.IsNaN(got) && math.IsNaN(test.want)) {
			t.Errorf("%s: got %v, expected %v", name, got, test.want)
		}
	}
}

// TestFromCumulative: increase() extrapolates the counts one by one, so one may be a little below the one before.
func TestFromCumulative(t *testing.T) {
	inf := math.Inf(1)
	for name, test := range map[string]struct {
		edges, counts []float64
		want          []Bucket // nil: refused
	}{
		"from zero":                {[]float64{0.5, inf}, []float64{3, 4}, []Bucket{{0, 0.5, 3}, {0.5, inf, 1}}},
		"from below zero":          {[]float64{0, inf}, []float64{3, 4}, []Bucket{{-inf, 0, 3}, {0, inf, 1}}},
		"none":                     {nil, nil, []Bucket{}},
		"fewer by an event":        {[]float64{1, inf}, []float64{1, 0}, []Bucket{{0, 1, 1}, {1, inf, 0}}},
		"fewer by 2 % and one":     {[]float64{1, inf}, []float64{50, 48}, []Bucket{{0, 1, 50}, {1, inf, 0}}},
		"fewer by more than that":  {[]float64{1, inf}, []float64{50, 47.9}, nil},
		"fewer, and more again":    {[]float64{1, 2, inf}, []float64{50, 49, 52}, []Bucket{{0, 1, 50}, {1, 2, 0}, {2, inf, 2}}},
		"fewer of very many":       {[]float64{1, inf}, []float64{10_000, 9_850}, []Bucket{{0, 1, 10_000}, {1, inf, 0}}},
		"far fewer of very many":   {[]float64{1, inf}, []float64{10_000, 9_700}, nil},
		"fewer by two of very few": {[]float64{1, inf}, []float64{2, 0}, nil},
	} {
		h, err := FromCumulative(test.edges, test.counts)
		if (err != nil) != (test.want == nil) || !slices.Equal(h.Buckets, test.want) {
			t.Errorf("%s: got %v, %v", name, h.Buckets, err)
		}
	}
}

// TestTolerance: whichever allows more.
func TestTolerance(t *testing.T) {
	for _, test := range []struct {
		tolerance     Tolerance
		before, limit float64
		level         float64
	}{
		{Tolerance{Factor: 1.25}, 100, 125, maxError / 3},
		{Tolerance{Factor: 0.5}, 10, 5, maxError / 3},
		{Tolerance{Add: 10}, 20, 30, maxError / 3},
		{Tolerance{Add: 0.5}, 1, 1.5, maxError / 3},
		{Tolerance{Factor: 1.25, Add: 10}, 20, 30, maxError / 6},
		{Tolerance{Factor: 1.25, Add: 10}, 100, 125, maxError / 6},
		{Tolerance{}, 100, math.Inf(-1), maxError / 3},
	} {
		if got := test.tolerance.Limit(test.before); got != test.limit {
			t.Errorf("%+v: the limit of %v is %v, expected %v", test.tolerance, test.before, got, test.limit)
		}
		if got := Level(3, test.tolerance); got != test.level {
			t.Errorf("%+v: the level is %v, expected %v", test.tolerance, got, test.level)
		}
		point := func(v float64) Estimate { return Estimate{v, v, v} }
		if math.IsInf(test.limit, -1) {
			continue
		}
		for now, want := range map[float64]Decision{test.limit - 0.1: Within, test.limit: Undecided, test.limit + 0.1: Beyond} {
			if got := Compare(point(now), point(test.before), test.tolerance); got != want {
				t.Errorf("%+v: %v after %v is %s, expected %s", test.tolerance, now, test.before, got, want)
			}
		}
	}
}

// TestCompare_unbounded: what has no bound decides nothing in its direction.
func TestCompare_unbounded(t *testing.T) {
	inf := math.Inf(1)
	tolerance := Tolerance{Factor: 1.25}
	for name, test := range map[string]struct {
		now, before Estimate
		want        Decision
	}{
		"within":                  {Estimate{1, 1, 1}, Estimate{1, 1, 1}, Within},
		"at the limit":            {Estimate{1.25, 1.25, 1.25}, Estimate{1, 1, 1}, Undecided},
		"beyond":                  {Estimate{2, 2, 2}, Estimate{1, 1, 1}, Beyond},
		"no upper bound":          {Estimate{1, 1, inf}, Estimate{1, 1, 1}, Undecided},
		"no upper bound, beyond":  {Estimate{2, 2, inf}, Estimate{1, 1, 1}, Beyond},
		"nothing now":             {Estimate{-inf, math.NaN(), inf}, Estimate{1, 1, 1}, Undecided},
		"nothing before":          {Estimate{1, 1, 1}, Estimate{-inf, math.NaN(), inf}, Undecided},
		"no upper bound before":   {Estimate{2, 2, 2}, Estimate{1, 1, inf}, Undecided},
		"no lower bound before":   {Estimate{1, 1, 1}, Estimate{-inf, 1, 1}, Undecided},
		"far within what was bad": {Estimate{1, 1, 1}, Estimate{2, 2, inf}, Within},
	} {
		if got := Compare(test.now, test.before, tolerance); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := Compare(Estimate{}, Estimate{}, Tolerance{}); got != Undecided {
		t.Errorf("without a tolerance: %s", got)
	}
}

// TestSequence: a wider window decides nothing that a narrower one contradicts.
func TestSequence(t *testing.T) {
	good, bad, wide := Estimate{0.9, 1, 1.1}, Estimate{1.9, 2, 2.1}, Estimate{0, 1, 9}
	for name, test := range map[string]struct {
		windows []Estimate
		want    Decision
	}{
		"the first":                      {[]Estimate{good}, Within},
		"the second":                     {[]Estimate{wide, good}, Within},
		"bad in a wider one":             {[]Estimate{wide, bad}, Undecided},
		"good in a wider one":            {[]Estimate{{0, 2, 9}, good}, Undecided},
		"bad in both":                    {[]Estimate{{0, 2, 9}, bad}, Beyond},
		"contradicted by the one before": {[]Estimate{wide, {0, 2, 9}, good}, Undecided},
	} {
		s := Sequence{Before: Estimate{1, 1, 1}, Tolerance: Tolerance{Factor: 1.25}}
		var got Decision
		for _, w := range test.windows {
			got = s.Next(w)
		}
		if got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
