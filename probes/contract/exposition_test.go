package contract

import (
	"context"
	"errors"
	"math"
	"testing"

	"prober/internal/memory"
	"prober/internal/selector"
	"prober/probes/internal/exposed"
)

func all(string) bool { return true }

// The series of a histogram that the target does not expose do not exist, and so are not 0.
func TestTotal_ofWhatIsNotThere(t *testing.T) {
	x, err := exposed.Read(t.Context(), []byte("# TYPE h histogram\nh_bucket{le=\"1\"} 0\n# TYPE s summary\ns{quantile=\"0.5\"} 0\n"), false, all)
	if err != nil {
		t.Fatal(err)
	}
	s := &scrape{Exposition: x}
	for text, want := range map[string]int{`h_bucket`: 1, `h_bucket{le="1"}`: 1, `h_bucket{le="2"}`: 0, `h_count`: 0, `h_sum`: 0, `s_count`: 0, `s_sum`: 0, `s{quantile="0.5"}`: 1, `h`: 0} {
		of, err := selector.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.total(of); got.n != want {
			t.Errorf("%s: expected %d series, got %d", text, want, got.n)
		}
	}
}

// FuzzRead finds what makes the reader crash, and errors that repeat what was sent.
func FuzzRead(f *testing.F) {
	f.Add(sound, false)
	f.Add("# TYPE a counter\na_total{b=\"c\"} 1 2 # {d=\"e\"} 1\n# EOF\n", true)
	f.Add("# TYPE h histogram\nc 1\n{\"h\",le=\"1\",a=\"b\"} 1\n", false)
	f.Fuzz(func(t *testing.T, text string, openMetrics bool) {
		x, err := exposed.Read(context.Background(), []byte(text), openMetrics, all)
		if _, is := errors.AsType[*exposed.LineError](err); err != nil && !is && !memory.IsLimit(err) && !errors.Is(err, exposed.ErrCut) {
			t.Errorf("an error of another kind: %v", err)
		}
		if err != nil {
			return
		}
		for _, family := range x.Families {
			duplicates(family)
			exposed.Each(family, func(_ string, label func(string) string, value float64) {
				label("le")
				_ = math.IsNaN(value)
			})
		}
	})
}
