package stats

import (
	"math"
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
