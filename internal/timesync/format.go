package timesync

import (
	"math"
	"strconv"
	"time"
)

// Seconds writes a length of time as a person says it, without its sign: "4.2 s", "30 ms".
func Seconds(d time.Duration) string {
	d = d.Abs()
	switch {
	case d >= 100*time.Second:
		return strconv.FormatFloat(math.Round(d.Seconds()), 'f', -1, 64) + " s"
	case d.Round(time.Millisecond) >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d >= 10*time.Millisecond:
		return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + " ms"
}
