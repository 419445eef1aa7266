package schedule

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"prober/internal/probe"
)

func keys(n int) (all []probe.Key) {
	for i := range n {
		all = append(all, probe.Key{System: fmt.Sprintf("s%d", i%7), Name: fmt.Sprintf("p%05d", i)})
	}
	return all
}

// Every shard has its share of the probes, and one more takes its share from all others alike; what it does not take stays.
func TestShard_grow(t *testing.T) {
	all := keys(30000)
	for n := 1; n <= 12; n++ {
		before, after := Shard{Of: n}, Shard{Of: n + 1}
		held, lost := make([]int, n), make([]int, n)
		for _, k := range all {
			was, is := before.Home(k), after.Home(k)
			held[was]++
			if is == was {
				continue
			}
			if is != n {
				t.Fatalf("of %d shards, %s moved from %d to %d, want to the new one or not at all", n, k, was, is)
			}
			lost[was]++
		}
		for i := range n {
			share, moved := float64(len(all))/float64(n), float64(held[i])/float64(n+1)
			if got := float64(held[i]); math.Abs(got-share) > 5*math.Sqrt(share) {
				t.Errorf("shard %d of %d runs %v probes, want about %.0f", i, n, got, share)
			}
			if got := float64(lost[i]); math.Abs(got-moved) > 5*math.Sqrt(moved) {
				t.Errorf("shard %d of %d gave %v probes to a new one, want about %.0f", i, n, got, moved)
			}
		}
	}
}

// Probers of different versions agree on who runs what.
func TestShard_neverChanges(t *testing.T) {
	got := ""
	for _, k := range keys(16) {
		got += fmt.Sprint(Shard{Of: 5}.Home(k))
	}
	if want := "0021003124302230"; got != want {
		t.Errorf("got %s, want %s: during an update a probe would run twice, or not at all", got, want)
	}
}

// The shards divide the jobs: each has one home, and keeps its place in the order.
func TestShard_select(t *testing.T) {
	var jobs []probe.Job
	for _, k := range keys(100) {
		jobs = append(jobs, probe.Job{ID: probe.ID{System: k.System, Name: k.Name}})
	}
	seen := map[probe.Key]int{}
	for i := range 3 {
		here := Shard{i, 3}.Select(jobs)
		at := -1
		for _, j := range here {
			seen[j.Key()]++
			next := slices.IndexFunc(jobs, func(o probe.Job) bool { return o.Key() == j.Key() })
			if next <= at {
				t.Errorf("%s is out of order", j.Key())
			}
			at = next
		}
	}
	for _, j := range jobs {
		if n := seen[j.Key()]; n != 1 {
			t.Errorf("%s is in %d shards", j.Key(), n)
		}
	}
	if all := (Shard{}).Select(jobs); len(all) != len(jobs) {
		t.Errorf("without shards, %d of %d probes", len(all), len(jobs))
	}
}

func TestShard_set(t *testing.T) {
	for _, c := range []struct {
		text string
		want Shard
		ok   bool
	}{
		{"", Shard{}, false}, {"0/1", Shard{0, 1}, true}, {"2/3", Shard{2, 3}, true}, {"999/1000", Shard{999, 1000}, true},
		{"3/3", Shard{}, false}, {"0/0", Shard{}, false}, {"-1/3", Shard{}, false}, {"1", Shard{}, false}, {"/3", Shard{}, false}, {"1/", Shard{}, false},
		{"1/3/4", Shard{}, false}, {"1/1001", Shard{}, false}, {"a/b", Shard{}, false}, {"$(INDEX)/3", Shard{}, false}, {" 1/3", Shard{}, false}, {"1/99999999999999999999", Shard{}, false},
	} {
		var got Shard
		err := got.Set(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: got %v, %v", c.text, got, err)
		}
		if c.ok && got.String() != c.text {
			t.Errorf("%q became %q", c.text, got)
		}
	}
}
