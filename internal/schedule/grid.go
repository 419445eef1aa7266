package schedule

import (
	"math/bits"
	"time"
)

// golden is 2^64 divided by the golden ratio. The multiples of that ratio, taken modulo 1, fill a circle more evenly
// than hashes or chance do, whatever their number, and a further one moves none of those before it.
const golden = 0x9e3779b97f4a7c15

// soon bounds the wait for a job's first run, so that a probe of once a day is not blind for a day after a restart.
const soon = time.Minute

// shortest bounds the interval below, so that a job without one cannot spin.
const shortest = time.Millisecond

// phase returns the place of the job with that index among those of its interval, in 2^-64 of the interval. Each
// interval begins elsewhere, lest the first jobs of all intervals meet on the full minute.
func phase(index int, interval time.Duration, offset uint64) uint64 {
	start, _ := bits.Mul64(uint64(interval)*golden, golden)
	return uint64(index)*golden + start*golden + offset
}

// part returns that part, in 2^-64, of a duration.
func part(phase uint64, of time.Duration) time.Duration {
	high, _ := bits.Mul64(phase, uint64(of))
	return time.Duration(high)
}

// next returns the first tick of the phase that is not before at, both counted from a start that was wall
// nanoseconds after 1970. Grids hang on the wall clock at the start, so that they are the same after a restart and
// replicas keep their distance; from there on they follow the monotonic clock.
func next(at time.Duration, wall int64, phase uint64, interval time.Duration) time.Duration {
	past := (time.Duration(wall%int64(interval)) + at%interval) % interval
	wait := (part(phase, interval) - past) % interval
	if wait < 0 {
		wait += interval
	}
	return at + wait
}

// latest returns the last tick that has come by now, of those from due on, how many ticks were missed, and whether
// that last one is still fresh enough to be run. One that is not counts as missed too.
func latest(due, now, interval time.Duration) (tick time.Duration, missed int, fresh bool) {
	missed = int((now - due) / interval)
	tick = due + time.Duration(missed)*interval
	if now-tick > tolerance(interval) {
		return tick, missed + 1, false
	}
	return tick, missed, true
}

// tolerance is how late a tick may still be run. After a stall of any length only the ticks of this span come at
// once.
func tolerance(interval time.Duration) time.Duration {
	return min(max(interval/20, 250*time.Millisecond), 2*time.Second)
}
