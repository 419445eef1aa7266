package exposition

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

func TestHistogramEqualsClientGolang(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	special := []float64{0, 1e-9, zeroThreshold, math.Nextafter(zeroThreshold, 1), .005, .0050001, .5, 1, 2, 2.5, 10, 10.1, 86400}
	for _, bound := range nativeBounds {
		special = append(special, bound, math.Nextafter(bound, 1), 8*bound)
	}
	for round := range 50 {
		lib := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Help: "x", Buckets: Bounds[:], NativeHistogramBucketFactor: 1.1})
		var h Histogram
		for i := range 50 + rng.IntN(400) {
			v := math.Exp(rng.NormFloat64()*float64(round)/6 - 3)
			if i < len(special) && round%2 == 0 {
				v = special[i]
			}
			id := traceID(i + 1)
			h.Observe(v, id, int64(i))
			lib.(prometheus.ExemplarObserver).ObserveWithExemplar(v, prometheus.Labels{"trace_id": id})
		}
		var out dto.Metric
		if err := lib.Write(&out); err != nil {
			t.Fatal(err)
		}
		want, got := out.Histogram, h.message()
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

func TestParseTraceID(t *testing.T) {
	for _, id := range []string{"", "abc", traceID(0), traceID(1) + "0", "zz" + traceID(1)[2:], "a\xff" + traceID(1)[2:]} {
		if _, ok := parseTraceID(id); ok {
			t.Errorf("%q was taken for a trace id", id)
		}
	}
	if _, ok := parseTraceID(traceID(7)); !ok {
		t.Error("a trace id was not taken")
	}
}

func TestHistogram_nativeBucketsAreBounded(t *testing.T) {
	var h Histogram
	for d := time.Duration(1); d <= 24*time.Hour; d += d/50 + 1 {
		h.Observe(d.Seconds(), "", 0)
	}
	if len(h.native) > 380 {
		t.Errorf("%d native buckets, want no more than 380", len(h.native))
	}
}
