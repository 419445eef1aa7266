package history

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"prober/internal/drop"

	bolt "go.etcd.io/bbolt"
)

// How much is kept. Spans are counted, not compared with the clock: one that jumps forward must not delete the past.
const (
	keptDays    = 91 // with hours and changes, today included
	keptPeriods = 24 // of 32 days: two years and a month
	maxAhead    = 32 // days that a wrong clock left in the future
	rollPerStep = 1000
	dropPerStep = 1000
)

// retain does one small part of what is to be done: it sums up days that are over, and removes what is too old.
func (f *file) retain(now time.Time) {
	if f.broken.Load() {
		return
	}
	today := now.Unix() / 3600 / hoursInDay
	_ = f.update(func(tx *bolt.Tx) error { // what fails is tried again in a minute
		for _, step := range []func(*bolt.Tx, int64) (bool, error){f.sumUpDay, dropFuture, dropDay, dropPeriod} {
			if did, err := step(tx, today); did || err != nil {
				return err
			}
		}
		return nil
	})
}

// sumUpDay sums up the hours of some probes of the first day that is over, into the days.
func (f *file) sumUpDay(tx *bolt.Tx, today int64) (did bool, err error) {
	meta := tx.Bucket(metaBucket)
	key, from := meta.Cursor().Seek(dueKey)
	if !bytes.HasPrefix(key, dueKey) || len(key) != len(dueKey)+4 {
		return false, nil
	}
	day := int64(binary.BigEndian.Uint32(key[len(dueKey):]))
	if day >= today {
		return false, nil
	}
	key = slices.Clone(key)
	hours := tx.Bucket(hoursBucket).Bucket(number(day))
	if hours == nil {
		return true, meta.Delete(key)
	}
	if len(from) != 4 {
		from = number(0) // the mark of a new day
	}
	path, c := within(hoursBucket, day), hours.Cursor()
	k, text := c.Seek(from)
	for range rollPerStep {
		if k == nil {
			return true, meta.Delete(key)
		}
		if sum, any := sumHours(f.packOf(path, k, text, day*hoursInDay, hoursInDay)); any && len(k) == 4 {
			err := f.put(tx, daysBucket, binary.BigEndian.Uint32(k), day/daysInPeriod, daysInPeriod, func(p pack) pack {
				p = drop.If(p, func(c timed) bool { return c.at == day })
				return p.add(timed{day, sum})
			})
			if err != nil {
				return true, err
			}
		}
		k, text = c.Next()
	}
	if k == nil {
		return true, meta.Delete(key)
	}
	return true, meta.Put(key, slices.Clone(k))
}

// dropFuture removes days far in the future, if there are many: a wrong clock made them.
func dropFuture(tx *bolt.Tx, today int64) (bool, error) {
	hours := tx.Bucket(hoursBucket)
	ahead, last := 0, []byte(nil)
	c := hours.Cursor()
	for k, _ := c.Last(); len(k) == 4 && int64(binary.BigEndian.Uint32(k)) > today+1; k, _ = c.Prev() {
		if ahead++; last == nil {
			last = slices.Clone(k)
		}
	}
	if ahead <= maxAhead {
		return false, nil
	}
	if err := tx.Bucket(metaBucket).Delete(append(slices.Clone(dueKey), last...)); err != nil {
		return true, err
	}
	return true, dropSpan(tx, last)
}

// dropDay removes the hours, changes and incidents of the first day, if there are more than are kept.
func dropDay(tx *bolt.Tx, _ int64) (bool, error) {
	hours := tx.Bucket(hoursBucket)
	if count(hours) <= keptDays {
		return false, nil
	}
	first, _ := hours.Cursor().First()
	first = slices.Clone(first)
	if meta := tx.Bucket(metaBucket); len(first) == 4 {
		if meta.Get(append(slices.Clone(dueKey), first...)) != nil {
			return false, nil // it is to be summed up before
		}
		floor := int64(binary.BigEndian.Uint32(first)) + 1
		if err := meta.Put(floorKey, number(floor)); err != nil {
			return true, err
		}
		if err := dropIncidents(tx, floor); err != nil {
			return true, err
		}
	}
	return true, dropSpan(tx, first)
}

// dropSpan removes the hours and the changes of a day, and earlier changes.
func dropSpan(tx *bolt.Tx, day []byte) error {
	changes := tx.Bucket(changesBucket)
	if k, _ := changes.Cursor().First(); k != nil && bytes.Compare(k, day) <= 0 {
		if err := changes.DeleteBucket(slices.Clone(k)); err != nil {
			return err
		}
	} else if changes.Bucket(day) != nil {
		if err := changes.DeleteBucket(day); err != nil {
			return err
		}
	}
	return tx.Bucket(hoursBucket).DeleteBucket(day)
}

// dropIncidents removes incidents that began before a day.
func dropIncidents(tx *bolt.Tx, day int64) error {
	c := tx.Bucket(incidentsBucket).Cursor()
	for range dropPerStep {
		k, _ := c.First()
		if len(k) < 8 || int64(binary.BigEndian.Uint64(k)) >= day*(24*time.Hour).Milliseconds() {
			return nil
		}
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// dropPeriod removes the first 32 days, if there are more than are kept, and the probes that did not run since.
func dropPeriod(tx *bolt.Tx, _ int64) (bool, error) {
	days := tx.Bucket(daysBucket)
	if count(days) <= keptPeriods+1 {
		return false, nil
	}
	first, _ := days.Cursor().First()
	first = slices.Clone(first)
	if err := days.DeleteBucket(first); err != nil || len(first) != 4 {
		return true, err
	}
	end := (int64(binary.BigEndian.Uint32(first)) + 1) * daysInPeriod * (24 * time.Hour).Milliseconds()
	probes := tx.Bucket(probesBucket)
	var gone [][]byte
	c := probes.Cursor()
	for k, text := c.First(); k != nil; k, text = c.Next() {
		if s, ok := readProbe(k, text); !ok || s.last.seen < end {
			gone = append(gone, slices.Clone(k))
		}
	}
	for _, k := range gone {
		if err := probes.Delete(k); err != nil {
			return true, err
		}
	}
	return true, nil
}
