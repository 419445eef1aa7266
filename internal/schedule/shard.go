package schedule

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"prober/internal/probe"
)

// A Shard is the part of the probes that one of several probers runs. The zero value runs all.
type Shard struct{ Index, Of int }

// maxShards bounds how often a probe is hashed.
const maxShards = 1000

// Set reads "I/N", such as "0/3": the shard I, counted from 0, of N, which is at most 1000.
func (s *Shard) Set(text string) error {
	index, of, _ := strings.Cut(text, "/")
	i, err := strconv.ParseUint(index, 10, 16)
	n, err2 := strconv.ParseUint(of, 10, 16)
	if errors.Join(err, err2) != nil || i >= n || n > maxShards {
		return fmt.Errorf("expected I/N, as in 0/3, 1/3 and 2/3, got %q", text)
	}
	*s = Shard{int(i), int(n)}
	return nil
}

// String returns "I/N", and nothing for the zero value.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// Type is the word for the value in the help of a flag.
func (Shard) Type() string { return "shard" }

// Home is the index of the shard that runs a probe: the one whose hash with the probe's name is the highest (rendezvous hashing).
// So one shard more takes its share from all others, and nothing moves between those. Probers of different versions must agree:
// what is hashed, and how, never changes.
func (s Shard) Home(k probe.Key) (home int) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(k.String()))
	sum, highest := h.Sum64(), uint64(0)
	for i := range s.Of {
		if w := mix(sum ^ mix(uint64(i)+1)); w > highest {
			home, highest = i, w
		}
	}
	return home
}

// mix is the finalizer of SplitMix64: every bit of x moves half of the bits of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Select returns the jobs of the shard, in their order. A list of targets is of every shard: each makes its own probes from it.
func (s Shard) Select(jobs []probe.Job) []probe.Job {
	if s.Of == 0 {
		return jobs
	}
	var here []probe.Job
	for i := range jobs {
		if jobs[i].Expand != nil || s.Home(jobs[i].Key()) == s.Index {
			here = append(here, jobs[i])
		}
	}
	return here
}
