package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"prober/internal/drop"
	"prober/internal/probe"
)

var errNotRead = errors.New("the history cannot be read at the moment")

// view runs a transaction that reads, on a goroutine of its own: a page waits for the disk no longer than readTimeout, and
// few wait at a time.
func (f *file) view(do func(*bolt.Tx) error) error {
	late := time.NewTimer(readTimeout)
	defer late.Stop()
	select {
	case f.readers <- struct{}{}:
	case <-late.C:
		return errNotRead
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-f.readers }()
		if f.broken.Load() {
			done <- errNotRead
			return
		}
		done <- f.protect(func() error { return f.db.Load().View(do) })
	}()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return errNotRead
	}
}

func (f *file) read(do func(view) error) error {
	return f.view(func(tx *bolt.Tx) error { return do(fileView{f, tx}) })
}

// A fileView is a view of a file within a transaction.
type fileView struct {
	f  *file
	tx *bolt.Tx
}

// packs returns the cells of a probe in the spans of a bucket that cover a time.
func (v fileView) packs(outer []byte, id uint32, from, to, size int64) (all pack) {
	key := number(int64(id))
	for span := from / size; span <= to/size; span++ {
		b := v.tx.Bucket(outer).Bucket(number(span))
		if b == nil {
			continue
		}
		all = append(all, v.f.packOf(within(outer, span), key, b.Get(key), span*size, size)...)
	}
	return drop.If(all, func(c timed) bool { return c.at < from || c.at > to })
}

func (v fileView) open(p ref) timed {
	key := []byte(p.name)
	s, _ := readProbe(key, v.tx.Bucket(probesBucket).Get(key))
	if p.id != 0 {
		return timed{} // that of this process, which is in memory
	}
	return s.open
}

func (v fileView) hours(p ref, from, to int64) (pack, int64) {
	return v.packs(hoursBucket, v.id(p), from, to, hoursInDay), 1
}

func (v fileView) days(p ref, from, to int64) pack {
	id := v.id(p)
	all := v.packs(daysBucket, id, from, to, daysInPeriod)
	c := v.tx.Bucket(metaBucket).Cursor()
	for k, _ := c.Seek(dueKey); bytes.HasPrefix(k, dueKey) && len(k) == len(dueKey)+4; k, _ = c.Next() {
		day := int64(binary.BigEndian.Uint32(k[len(dueKey):]))
		if day < from || day > to {
			continue
		}
		all = drop.If(all, func(c timed) bool { return c.at == day })
		if sum, any := sumHours(v.packs(hoursBucket, id, day*hoursInDay, day*hoursInDay+hoursInDay-1, hoursInDay)); any {
			all = all.add(timed{day, sum})
		}
	}
	return all
}

// id is the number of a probe in the file.
func (v fileView) id(p ref) uint32 {
	if p.id != 0 {
		return p.id
	}
	key := []byte(p.name)
	s, _ := readProbe(key, v.tx.Bucket(probesBucket).Get(key))
	return s.id
}

func sumHours(hours pack) (sum cell, any bool) {
	for _, c := range hours {
		sum.merge(c.cell)
	}
	return sum, len(hours) > 0
}

// changes reads days from the last one backwards until it has enough.
func (v fileView) changes(p ref, most int) (all []probe.Change) {
	prefix := number(int64(v.id(p)))
	outer := v.tx.Bucket(changesBucket)
	days := outer.Cursor()
	for day, _ := days.Last(); day != nil && len(all) < most; day, _ = days.Prev() {
		inside := outer.Bucket(day)
		if inside == nil || len(day) != 4 {
			continue
		}
		path := within(changesBucket, int64(binary.BigEndian.Uint32(day)))
		c := inside.Cursor()
		k, text := c.Seek(append(slices.Clone(prefix), bytes.Repeat([]byte{0xFF}, 10)...))
		if k == nil {
			k, text = c.Last()
		} else if !bytes.HasPrefix(k, prefix) {
			k, text = c.Prev()
		}
		for ; bytes.HasPrefix(k, prefix) && len(k) == 14 && len(all) < most; k, text = c.Prev() {
			value, err := unseal(path, k, text)
			if err != nil || len(value) == 0 {
				v.f.lost(1)
				continue
			}
			reason, detail, _ := bytes.Cut(value[1:], []byte("\n"))
			all = append(all, probe.Change{
				At:      time.UnixMilli(int64(binary.BigEndian.Uint64(k[4:]))),
				Verdict: probe.Verdict(min(value[0], 2)), Reason: string(reason), Detail: string(detail),
			})
		}
	}
	return all
}

func (v fileView) incidents(from, before time.Time, most int) (all []probe.IncidentRecord) {
	c := v.tx.Bucket(incidentsBucket).Cursor()
	k, text := c.Last()
	if !before.IsZero() {
		if k, _ = c.Seek(binary.BigEndian.AppendUint64(nil, uint64(max(before.UnixMilli(), 0)))); k == nil {
			k, text = c.Last()
		} else {
			k, text = c.Prev()
		}
	}
	for ; k != nil && len(all) < most; k, text = c.Prev() {
		var r probe.IncidentRecord
		value, err := unseal([]byte("incidents/"), k, text)
		if err != nil || json.Unmarshal(value, &r) != nil {
			v.f.lost(1)
			continue
		}
		if r.Start.Before(from) {
			break
		}
		all = append(all, r)
	}
	return all
}
