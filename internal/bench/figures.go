package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// gaps returns how far the time between two arrivals of the same probe is from the interval, in either direction.
func gaps(all []arrival, interval time.Duration) []float64 {
	last := map[int]time.Duration{}
	var out []float64
	for _, a := range byTime(all) {
		if before, ok := last[a.probe]; ok {
			out = append(out, (a.at - before - interval).Abs().Seconds())
		}
		last[a.probe] = a.at
	}
	return out
}

// burst is the maximum number of arrivals in any window of that length, divided by the mean. 1 is perfectly even.
func burst(all []arrival, window time.Duration) float64 {
	all = byTime(all)
	if len(all) < 2 {
		return math.NaN()
	}
	most, from := 0, 0
	for to := range all {
		for all[to].at-all[from].at >= window {
			from++
		}
		most = max(most, to-from+1)
	}
	span := all[len(all)-1].at - all[0].at
	return float64(most) / (float64(len(all)-1) * float64(window) / float64(span))
}

func byTime(all []arrival) []arrival {
	return slices.SortedFunc(slices.Values(all), func(a, b arrival) int { return int(a.at - b.at) })
}

// quantile returns the smallest value that a share of the values does not exceed (nearest rank); NaN if there are none.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := math.Ceil(share*float64(len(sorted)) - 1e-9) // 0.07*100 is a little more than 7
	return sorted[max(int(rank), 1)-1]
}

func mean(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// An exposition has the metrics of a subject that are compared.
type exposition struct {
	sum, count float64         // of probe_run_duration_seconds, all probes
	passing    int             // probes whose last run passed
	notPassed  float64         // runs that failed or were inconclusive, all probes
	latest     map[int]float64 // seconds of each probe's last request

	allocated, allocations float64 // bytes and objects, since the start
}

// read parses an exposition in the text format.
func read(r io.Reader) (exposition, error) {
	e := exposition{latest: map[int]float64{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Bytes()
		if err := e.readOwn(line); err != nil {
			return e, err
		}
		name, rest, ok := bytes.Cut(line, []byte("{"))
		if !ok || line[0] == '#' {
			continue
		}
		labels, text, ok := bytes.Cut(rest, []byte("} "))
		if !ok {
			continue
		}
		probe, ok := probeOf(labels)
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return e, fmt.Errorf("the exposition has a value that is not a number: %w", err)
		}
		switch string(name) {
		case "probe_success":
			if value == 1 {
				e.passing++
			}
		case "probe_runs_total":
			if !bytes.Contains(labels, []byte(`verdict="pass"`)) {
				e.notPassed += value
			}
		case "probe_run_duration_seconds_sum":
			e.sum += value
		case "probe_run_duration_seconds_count":
			e.count += value
		case "probe_http_duration_seconds", "probe_last_duration_seconds": // the prober's, by phase; the bare loop's
			e.latest[probe] += value
		}
	}
	return e, lines.Err()
}

// readOwn reads a line about the subject itself.
func (e *exposition) readOwn(line []byte) (err error) {
	if text, ok := bytes.CutPrefix(line, []byte("go_memstats_alloc_bytes_total ")); ok {
		e.allocated, err = strconv.ParseFloat(string(text), 64)
	}
	if text, ok := bytes.CutPrefix(line, []byte("go_memstats_mallocs_total ")); ok {
		e.allocations, err = strconv.ParseFloat(string(text), 64)
	}
	return err
}

// probeOf returns the number in probe="p17".
func probeOf(labels []byte) (int, bool) {
	_, rest, ok := bytes.Cut(labels, []byte(`probe="p`))
	if !ok {
		return 0, false
	}
	digits, _, _ := bytes.Cut(rest, []byte(`"`))
	n, err := strconv.Atoi(string(digits))
	return n, err == nil
}

// A row is one line of the report.
type row struct {
	figure       string
	unit         string
	bare, prober float64
	aim          string
	met          func(bare, prober float64) bool // nil: there is no aim
}

func below(limit float64) func(float64, float64) bool {
	return func(_, prober float64) bool { return prober < limit }
}

func atMost(limit float64) func(float64, float64) bool {
	return func(_, prober float64) bool { return prober <= limit }
}

func timesBare(limit float64) func(float64, float64) bool {
	return func(bare, prober float64) bool { return prober <= limit*bare }
}

// table writes the rows as a person reads them and, with little loss, as Markdown.
func table(w io.Writer, rows []row) {
	fmt.Fprintf(w, "| %-47s | %10s | %10s | %6s | %-18s | %-3s |\n", "figure", "bare loop", "prober", "ratio", "aim", "met")
	fmt.Fprintf(w, "|%s|%s:|%s:|%s:|%s|%s|\n", dashes(49), dashes(11), dashes(11), dashes(7), dashes(20), dashes(5))
	for _, r := range rows {
		met := ""
		if r.met != nil {
			if met = "no"; r.met(r.bare, r.prober) {
				met = "yes"
			}
		}
		fmt.Fprintf(w, "| %-47s | %10s | %10s | %6s | %-18s | %-3s |\n",
			r.figure+", "+r.unit, number3(r.bare), number3(r.prober), number3(r.prober/r.bare), r.aim, met)
	}
}

func dashes(n int) string { return strings.Repeat("-", n) }

// number3 writes a number with as many decimals as tell something.
func number3(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
