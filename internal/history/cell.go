package history

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"time"

	"prober/internal/probe"
)

// sketchSize is the number of latency classes: below 1 ms, below 2 ms and so on, each twice as wide; the last has no bound.
const sketchSize = 16

// A cell counts the runs of a probe in an hour or a day, and the time for which their verdicts stood.
type cell struct {
	pass, fail, inconclusive uint32
	passed, failed           uint32 // time in ms
	latencySum, latencyMax   uint64 // of the runs that passed, in µs: a refused connection is not a fast answer
	sketch                   [sketchSize]uint32
}

// add counts a run.
func (c *cell) add(v probe.Verdict, latency time.Duration) {
	switch v {
	case probe.Pass:
		c.pass++
		took := uint64(max(latency.Microseconds(), 0))
		c.latencySum, c.latencyMax = c.latencySum+took, max(c.latencyMax, took)
		c.sketch[min(bits.Len64(took/1000), sketchSize-1)]++
	case probe.Fail:
		c.fail++
	default:
		c.inconclusive++
	}
}

// stand adds time for which a verdict stood. Of an inconclusive one it stays unknown.
func (c *cell) stand(v probe.Verdict, ms int64) {
	switch v {
	case probe.Pass:
		c.passed = sum(c.passed, uint32(ms))
	case probe.Fail:
		c.failed = sum(c.failed, uint32(ms))
	}
}

// merge adds the runs of another cell of the same time.
func (c *cell) merge(other cell) {
	c.pass, c.fail, c.inconclusive = sum(c.pass, other.pass), sum(c.fail, other.fail), sum(c.inconclusive, other.inconclusive)
	c.passed, c.failed = sum(c.passed, other.passed), sum(c.failed, other.failed)
	c.latencySum, c.latencyMax = c.latencySum+other.latencySum, max(c.latencyMax, other.latencyMax)
	for i, n := range other.sketch {
		c.sketch[i] = sum(c.sketch[i], n)
	}
}

func sum(a, b uint32) uint32 { return uint32(min(uint64(a)+uint64(b), math.MaxUint32)) }

// runs counts all runs.
func (c *cell) runs() uint64 { return uint64(c.pass) + uint64(c.fail) + uint64(c.inconclusive) }

func (c *cell) isEmpty() bool { return c.runs() == 0 && c.passed == 0 && c.failed == 0 }

// uptime returns the time of the verdicts within a span: that of the cell, or the part of it that has gone by.
func (c *cell) uptime(span time.Duration) probe.Uptime {
	known, passed := float64(c.passed)+float64(c.failed), float64(c.passed)
	if most := float64(span.Milliseconds()); known > most { // the clock was set back
		known, passed = most, passed*most/known
	}
	return probe.Uptime{Span: span, Known: time.Duration(known) * time.Millisecond, Passed: time.Duration(passed) * time.Millisecond}
}

// quantile returns an upper bound of the latency of a share of the runs that passed; 0 without any.
func (c *cell) quantile(share float64) time.Duration {
	rest := share * float64(c.pass)
	for class, n := range c.sketch {
		if rest -= float64(n); n > 0 && rest <= 0 && class < sketchSize-1 {
			return time.Duration(min(uint64(1000)<<class, c.latencyMax)) * time.Microsecond
		}
	}
	return time.Duration(c.latencyMax) * time.Microsecond
}

// describe says of a day or an hour, whose span is known, what the cell counted.
func (c *cell) describe(d *probe.Day) {
	d.Uptime = c.uptime(d.Span)
	d.Pass, d.Fail, d.Inconclusive = int(c.pass), int(c.fail), int(c.inconclusive)
	d.LatencyMax, d.Latency95 = time.Duration(c.latencyMax)*time.Microsecond, c.quantile(.95)
}

// append writes the cell: numbers of variable length, of the sketch those classes that have runs.
func (c *cell) append(to []byte) []byte {
	for _, n := range []uint64{uint64(c.pass), uint64(c.fail), uint64(c.inconclusive), uint64(c.passed), uint64(c.failed), c.latencySum, c.latencyMax} {
		to = binary.AppendUvarint(to, n)
	}
	var used uint16
	for class, n := range c.sketch {
		if n > 0 {
			used |= 1 << class
		}
	}
	to = binary.LittleEndian.AppendUint16(to, used)
	for _, n := range c.sketch {
		if n > 0 {
			to = binary.AppendUvarint(to, uint64(n))
		}
	}
	return to
}

// errDamaged means that what was read is not what was written.
var errDamaged = errors.New("damaged")

// A reader takes numbers from a text. After the first that cannot be read, all are 0 and bad is set.
type reader struct {
	text []byte
	bad  bool
}

func (r *reader) uint(most uint64) uint64 {
	n, size := binary.Uvarint(r.text)
	if size <= 0 || n > most {
		r.text, r.bad = nil, true
		return 0
	}
	r.text = r.text[size:]
	return n
}

// cell reads what cell.append wrote.
func (r *reader) cell() (c cell) {
	for _, n := range []*uint32{&c.pass, &c.fail, &c.inconclusive, &c.passed, &c.failed} {
		*n = uint32(r.uint(math.MaxUint32))
	}
	c.latencySum, c.latencyMax = r.uint(math.MaxUint64), r.uint(math.MaxUint64)
	if len(r.text) < 2 {
		r.text, r.bad = nil, true
		return cell{}
	}
	used := binary.LittleEndian.Uint16(r.text)
	r.text = r.text[2:]
	for class := range c.sketch {
		if used&(1<<class) != 0 {
			c.sketch[class] = uint32(r.uint(math.MaxUint32))
		}
	}
	return c
}

// A timed cell is a cell with the number of its hour or day since 1970.
type timed struct {
	at int64
	cell
}

// A pack is the cells of up to 32 hours or days in a row, in their order.
type pack []timed

// add merges a cell into the pack.
func (p pack) add(c timed) pack {
	at := 0
	for at < len(p) && p[at].at < c.at {
		at++
	}
	if at < len(p) && p[at].at == c.at {
		p[at].merge(c.cell)
		return p
	}
	p = append(p, timed{})
	copy(p[at+1:], p[at:])
	p[at] = c
	return p
}

// encode writes the pack; first is the number of the earliest cell that it may have.
func (p pack) encode(first int64) []byte {
	var to []byte
	for i := range p {
		to = binary.AppendUvarint(to, uint64(p[i].at-first))
		to = p[i].append(to)
	}
	return to
}

// decode reads what encode wrote.
func decode(text []byte, first, size int64) (p pack, err error) {
	const smallest = 10 // bytes of a cell
	r := reader{text: text}
	p = make(pack, 0, min(size, 32, int64(len(text)/smallest)+1)) // pages decode thousands
	for len(r.text) > 0 {
		c := timed{at: first + int64(r.uint(uint64(size-1)))}
		c.cell = r.cell()
		if r.bad || len(p) > 0 && p[len(p)-1].at >= c.at {
			return nil, errDamaged
		}
		p = append(p, c)
	}
	return p, nil
}
