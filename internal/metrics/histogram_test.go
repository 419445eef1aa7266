package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"prober/internal/probe"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

func TestHistogramIsTheLibrarys(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	special := []float64{0, 1e-9, zeroThreshold, math.Nextafter(zeroThreshold, 1), .005, .0050001, .5, 1, 2, 2.5, 10, 10.1, 86400}
	for _, bound := range parts {
		special = append(special, bound, math.Nextafter(bound, 1), 8*bound)
	}
	for round := range 50 {
		lib := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Help: "x", Buckets: edges[:], NativeHistogramBucketFactor: 1.1})
		var h histogram
		for i := range 50 + rng.IntN(400) {
			v := math.Exp(rng.NormFloat64()*float64(round)/6 - 3)
			if i < len(special) && round%2 == 0 {
				v = special[i]
			}
			x := &probe.Exchange{TraceID: trace(i + 1)}
			h.observe(v, x, int64(i))
			lib.(prometheus.ExemplarObserver).ObserveWithExemplar(v, prometheus.Labels{"trace_id": x.TraceID})
		}
		var out dto.Metric
		if err := lib.Write(&out); err != nil {
			t.Fatal(err)
		}
		want, got := out.Histogram, new(form).fill(&h, 0)
		forgetTimes(want)
		forgetTimes(got)
		if !proto.Equal(want, got) {
			t.Fatalf("round %d\nlibrary %s\nours    %s", round, want, got)
		}
	}
}

// forgetTimes takes away what the library takes from its own clock, and its choice of exemplars for native buckets.
func forgetTimes(h *dto.Histogram) {
	h.CreatedTimestamp, h.Exemplars = nil, nil
	for _, b := range h.Bucket {
		if b.Exemplar != nil {
			b.Exemplar.Timestamp = nil
		}
	}
}

func TestExemplarsAreOnlyTraces(t *testing.T) {
	for _, id := range []string{"", "abc", trace(0), trace(1) + "0", "zz" + trace(1)[2:], "a\xff" + trace(1)[2:]} {
		if _, ok := traceOf(&probe.Exchange{TraceID: id}); ok {
			t.Errorf("%q was taken for a trace id", id)
		}
	}
	if _, ok := traceOf(nil); ok {
		t.Error("no exchange has no trace")
	}
	if _, ok := traceOf(&probe.Exchange{TraceID: trace(7)}); !ok {
		t.Error("a trace id was not taken")
	}
}

func TestNativeBucketsAreBoundedByTheLengthOfADay(t *testing.T) {
	var h histogram
	for d := time.Duration(1); d <= 24*time.Hour; d += d/50 + 1 {
		h.observe(d.Seconds(), nil, 0)
	}
	if len(h.native) > 380 {
		t.Errorf("%d native buckets, want no more than 380", len(h.native))
	}
}
