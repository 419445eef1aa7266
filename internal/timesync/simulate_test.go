package timesync

import (
	"math/rand/v2"
	"testing"
	"time"
)

// rounds is how many cases each simulation generates.
const rounds = 100_000

// A verdict on an offset, with the truth known.
type outcome int

const (
	unknown outcome = iota
	pass
	fail
)

func judge(i Interval, limit time.Duration) outcome {
	switch {
	case i.Within(limit):
		return pass
	case i.Beyond(limit):
		return fail
	}
	return unknown
}

// contradicts reports whether a verdict is wrong.
func (o outcome) contradicts(truth, limit time.Duration) bool {
	return o == pass && truth.Abs() > limit || o == fail && truth.Abs() <= limit
}

// upTo is a random length of time, small ones as likely as large ones.
func upTo(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Float64() * r.Float64() * float64(most))
}

func between(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration((2*r.Float64() - 1) * float64(most))
}

// A dated is a server that gives the time in whole seconds and may update it only once in a while.
type dated struct {
	offset  time.Duration // of its clock
	renewed time.Duration // how often it writes its Date; 0: for each answer
	phase   time.Duration // when it does
}

// shows returns what the server shows at a true time.
func (d dated) shows(at time.Time) time.Time {
	if d.renewed > 0 {
		since := (time.Duration(at.UnixNano()%int64(d.renewed)) + d.renewed - d.phase) % d.renewed
		at = at.Add(-since)
	}
	return at.Add(d.offset).Truncate(time.Second)
}

// read queries the server at a true time and returns the sample, and when the reply arrived.
func (d dated) read(r *rand.Rand, at time.Time, own, spare, slowest time.Duration) (Sample, time.Time) {
	there := at.Add(upTo(r, slowest))
	back := there.Add(upTo(r, slowest))
	shown := d.shows(there)
	return Sample{shown, shown.Add(time.Second + spare), at.Add(own), back.Add(own)}, back
}

// Two servers give the time in their Dates; this machine's clock is wrong too. Whatever the delays, the phases and the
// age of the Dates, no verdict on the difference contradicts the truth.
func TestNoFalseVerdictOnServices(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	counts := map[outcome]int{}
	questions, limit := 0, 2*time.Second
	for range rounds {
		own := between(r, 100*time.Hour)
		start := time.Unix(1_800_000_000+r.Int64N(1e6), r.Int64N(1e9))
		slowest := upTo(r, time.Second)
		var offsets [2]time.Duration
		var estimates [2]Estimate
		for i := range 2 {
			offsets[i] = between(r, 4*time.Second)
			d := dated{offset: offsets[i], phase: upTo(r, time.Second)}
			spare := time.Duration(r.IntN(2)) * time.Second
			if spare > 0 {
				d.renewed = time.Duration(r.IntN(2)) * time.Second
			}
			e := &estimates[i]
			for at := start; e.Samples < 8 && !e.Exhausted(spare); {
				var s Sample
				s, at = d.read(r, at, own, spare, slowest)
				e.Add(s)
				at = at.Add(e.Next(at.Add(own), spare, 0))
				questions++
			}
			if e.Empty() || !(Interval{e.Lo, e.Hi}).Meets(Around(offsets[i]-own, 0)) {
				t.Fatalf("offset %s is not in %s to %s", offsets[i]-own, e.Lo, e.Hi)
			}
		}
		truth := offsets[0] - offsets[1]
		got := judge(estimates[0].Minus(estimates[1].Interval), limit)
		if got.contradicts(truth, limit) {
			t.Fatalf("%s apart, limit %s: verdict %d", truth, limit, got)
		}
		counts[got]++
	}
	if counts[pass] < rounds/10 || counts[fail] < rounds/10 || counts[unknown] > rounds/2 {
		t.Errorf("the simulation decides too little to prove anything: %v", counts)
	}
	t.Logf("pass %d, fail %d, inconclusive %d; %.1f requests per service", counts[pass], counts[fail], counts[unknown], float64(questions)/rounds/2)
}

// Servers answer with any delays, honest bounds and any true offset; fewer than a majority lie at will, together or
// each on its own. No verdict on this machine's offset contradicts the truth, and no honest server is called a falseticker.
func TestNoFalseVerdictOnNTP(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	counts := map[outcome]int{}
	const limit = 500 * time.Millisecond
	named, wrongServers := 0, 0
	for range rounds {
		truth := between(r, time.Second)
		n := 4 + r.IntN(4)
		quorum := max(3, n/2+1)
		lying := r.IntN(n - quorum + 1)
		together := between(r, 10*time.Second)
		servers := make([]Interval, n)
		for i := range servers {
			there, back, wrong := upTo(r, 300*time.Millisecond), upTo(r, 300*time.Millisecond), between(r, 20*time.Millisecond)
			distance := (there+back)/2 + wrong.Abs()
			servers[i] = Around(truth+wrong+(there-back)/2, distance)
			if i < lying {
				lie := between(r, 10*time.Second)
				if r.IntN(2) == 0 {
					lie = together
				}
				servers[i] = Around(truth+lie, upTo(r, time.Second))
			}
		}
		agreed, falsetickers, ok := Intersect(servers, quorum)
		if !ok {
			t.Fatalf("%d honest servers of %d do not agree", n-lying, n)
		}
		for i, out := range falsetickers {
			if out && i >= lying {
				t.Fatal("an honest server is called a falseticker")
			}
			if out {
				named++
			}
		}
		wrongServers += lying
		got := judge(agreed, limit)
		if got.contradicts(truth, limit) {
			t.Fatalf("offset %s, limit %s: verdict %d of %v", truth, limit, got, agreed)
		}
		counts[got]++
	}
	if counts[pass] < rounds/10 || counts[fail] < rounds/10 || named < wrongServers/2 {
		t.Errorf("the simulation decides too little to prove anything: %v, %d of %d falsetickers named", counts, named, wrongServers)
	}
	t.Logf("pass %d, fail %d, inconclusive %d; %d of %d falsetickers named", counts[pass], counts[fail], counts[unknown], named, wrongServers)
}
