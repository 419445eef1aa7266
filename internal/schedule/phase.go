package schedule

import (
	"math/bits"
	"time"
)

// goldenRatio is 2^64 divided by the golden ratio. The multiples of that ratio, taken modulo 1, fill the interval more evenly
// than hashes or random numbers do, whatever their number, and another one moves none of those before it.
const goldenRatio = 0x9e3779b97f4a7c15

// maxFirstWait bounds the wait for a job's first run, so that a daily probe has a result soon after a restart.
const maxFirstWait = time.Minute

// minInterval is the shortest interval, so that a job without one cannot spin.
const minInterval = time.Millisecond

// phase returns the phase of the job with that index among the jobs of its interval, in 2^-64 of the interval. Each
// interval has another offset, so that the first jobs of all intervals do not coincide.
func phase(index int, interval time.Duration, offset uint64) uint64 {
	start, _ := bits.Mul64(uint64(interval)*goldenRatio, goldenRatio)
	return uint64(index)*goldenRatio + start*goldenRatio + offset
}

// fraction returns the phase, in 2^-64, as a part of a duration.
func fraction(phase uint64, of time.Duration) time.Duration {
	high, _ := bits.Mul64(phase, uint64(of))
	return time.Duration(high)
}

// next returns the first tick of the phase that is not before at, both counted from a start that was wall
// nanoseconds after 1970. Ticks are aligned to the wall clock at the start, so that they are the same after a restart
// and replicas keep their distance; from then on they follow the monotonic clock.
func next(at time.Duration, wall int64, phase uint64, interval time.Duration) time.Duration {
	past := (time.Duration(wall%int64(interval)) + at%interval) % interval
	wait := (fraction(phase, interval) - past) % interval
	if wait < 0 {
		wait += interval
	}
	return at + wait
}

// latest returns the last tick from due until now, how many ticks were missed, and whether the last one is recent enough
// to be run. If it is not, it counts as missed too.
func latest(due, now, interval time.Duration) (tick time.Duration, missed int, fresh bool) {
	missed = int((now - due) / interval)
	tick = due + time.Duration(missed)*interval
	if now-tick > tolerance(interval) {
		return tick, missed + 1, false
	}
	return tick, missed, true
}

// tolerance is how late a tick may still be run. After a stall of any length only the ticks of this span run
// at once.
func tolerance(interval time.Duration) time.Duration {
	return min(max(interval/20, 250*time.Millisecond), 2*time.Second)
}
