package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/sandbox"
)

// tenants are the isolation probes to measure: the demo's, and the demo's with only the resource that has all eight
// operations.
var tenants = map[string]func(text []byte) []byte{
	"demo": func(text []byte) []byte { return text },
	"one_resource": func(text []byte) []byte {
		before, rest, _ := bytes.Cut(text, []byte("      archive:"))
		_, after, _ := bytes.Cut(rest, []byte("  # --- "))
		return slices.Concat(before, []byte("\n  # --- "), after)
	},
}

func tenantsProbe(b *testing.B, sample *sandbox.Sandbox, of string) probe.Job {
	files := demoFiles(sample)
	files[0].Data = tenants[of](files[0].Data)
	jobs := jobsOf(b, files...)
	return jobs[slices.IndexFunc(jobs, func(j probe.Job) bool { return j.Name == "tenants" })]
}

// BenchmarkIsolation measures a run against a service without faults. It fails at the first false alarm and at the first
// memory that is left over: `-benchtime 1000x` is a thousand runs.
func BenchmarkIsolation(b *testing.B) {
	for _, of := range slices.Sorted(maps.Keys(tenants)) {
		b.Run(of, func(b *testing.B) {
			sample := startSandbox(b, sandbox.Options{})
			job := tenantsProbe(b, sample, of)
			before := sample.Memories()
			var took []time.Duration
			requests := 0.0
			b.ReportAllocs()
			start := processorTime(b)
			for b.Loop() {
				r := job.Do(b.Context())
				if r.Verdict() != probe.Pass {
					b.Fatalf("a false alarm: %+v", r.Decisive())
				}
				took = append(took, r.Took)
				for _, s := range r.Samples {
					if s.Name == "probe_isolation_requests" {
						requests = s.Value
					}
				}
			}
			used := processorTime(b) - start
			if after := sample.Memories(); !maps.Equal(before, after) {
				b.Errorf("there were %v memories, and %v are left", before, after)
			}
			slices.Sort(took)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(requests, "requests/run")
			b.ReportMetric(float64(used.Microseconds())/1000/float64(b.N), "cpu-ms/run")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}

// processorTime returns the time that this process has computed for so far, the sample service included. On a busy machine it
// says more than the time that passed.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkLeakByChance measures what percentage of runs find a service that swaps the answers of one read in so many, at
// random and only between concurrent reads: `-benchtime 200x` is accurate to about three points.
func BenchmarkLeakByChance(b *testing.B) {
	for _, of := range slices.Sorted(maps.Keys(tenants)) {
		for _, oneIn := range []int{20, 40, 80, 160} {
			b.Run(fmt.Sprintf("%s/one_in_%d", of, oneIn), func(b *testing.B) {
				sample, err := sandbox.Start(sandbox.Options{Ephemeral: true, SwapOneIn: oneIn, SwapAtRandom: true})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(sample.Close)
				job := tenantsProbe(b, sample, of)
				if err := sample.Inject("tenant-one-in-fifty"); err != nil {
					b.Fatal(err)
				}
				found, runs := 0, 0
				for b.Loop() {
					runs++
					if r := job.Do(b.Context()); r.Verdict() == probe.Fail {
						found++
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(100*float64(found)/float64(runs), "%found")
			})
		}
	}
}
