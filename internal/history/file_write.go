package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"prober/internal/probe"
)

const (
	hoursInDay     = 24
	daysInPeriod   = 32
	probesPerWrite = 500 // in one transaction
	maxIncidents   = 2000
	maxNote        = 16 << 10
)

// number writes a number so that numbers sort by size.
func number(n int64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// within returns the path of a bucket in a bucket, as walk gives it.
func within(outer []byte, n int64) []byte {
	return slices.Concat(outer, []byte("/"), number(n), []byte("/"))
}

// write writes a batch in transactions of limited size. A probe's cells and its open cell change in one.
func (f *file) write(b *batch) error {
	if f.broken.Load() {
		return f.replace()
	}
	err := func() error {
		rest := b.probes
		for len(rest) > 0 {
			part := rest[:min(probesPerWrite, len(rest))]
			if err := f.update(func(tx *bolt.Tx) error { return f.writeProbes(tx, part) }); err != nil {
				return err
			}
			for i := range part {
				part[i].written = true
			}
			rest = rest[len(part):]
		}
		if len(b.changes) == 0 {
			return nil
		}
		err := f.update(func(tx *bolt.Tx) error { return writeChanges(tx, b) })
		if err == nil {
			b.changes = nil
		}
		return err
	}()
	if f.broken.Load() {
		return f.replace()
	}
	return err
}

// replace sets a file aside that turned out to be damaged, and starts another. What is read and written there until
// the process ends is lost; nothing waits for it, not even its lock.
func (f *file) replace() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	aside, err := setAside(f.path)
	if err != nil {
		return err
	}
	if err := f.openDB(f.path); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w while in use; set aside as %s", f.path, errDamaged, aside)
}

func (f *file) writeProbes(tx *bolt.Tx, part []snapshot) error {
	probes := tx.Bucket(probesBucket)
	for i := range part {
		x := &part[i]
		x.id, x.before = x.of.id, last{}
		key := []byte(x.of.name())
		if x.id == 0 {
			before, known := readProbe(key, probes.Get(key))
			if known {
				x.id, x.before = before.id, before.last
				if !before.open.isEmpty() {
					if err := f.addHour(tx, x.id, before.open); err != nil {
						return err
					}
				}
			} else {
				n, err := probes.NextSequence()
				if err != nil {
					return err
				}
				x.id = uint32(n)
			}
		}
		for _, c := range x.sealed {
			if err := f.addHour(tx, x.id, c); err != nil {
				return err
			}
		}
		if err := probes.Put(key, writeProbe(key, x)); err != nil {
			return err
		}
	}
	return nil
}

// A stored is the entry of a probe.
type stored struct {
	id   uint32
	open timed
	last last
}

var probesPath = []byte("probes/")

func writeProbe(key []byte, x *snapshot) []byte {
	l := x.last
	if l.seen == 0 {
		l = x.before
	}
	to := binary.AppendUvarint(nil, uint64(x.id))
	for _, n := range []uint64{uint64(max(l.seen, 0)), uint64(max(l.since, 0)), uint64(l.verdict), uint64(probe.BoolValue(l.exact)), uint64(x.open.at)} {
		to = binary.AppendUvarint(to, n)
	}
	to = x.open.append(to)
	return seal(probesPath, key, append(to, l.reason...))
}

func readProbe(key, text []byte) (s stored, ok bool) {
	if text == nil {
		return s, false
	}
	value, err := unseal(probesPath, key, text)
	if err != nil {
		return s, false
	}
	r := reader{text: value}
	s.id = uint32(r.uint(1<<32 - 1))
	s.last.seen, s.last.since = int64(r.uint(1<<62)), int64(r.uint(1<<62))
	s.last.verdict, s.last.exact = probe.Verdict(r.uint(2)), r.uint(1) == 1
	s.open.at = int64(r.uint(1<<31 - 1))
	s.open.cell = r.cell()
	s.last.reason = string(r.text)
	return s, !r.bad && s.id != 0
}

func (f *file) lasts(of []*state) ([]last, error) {
	all := make([]last, len(of))
	if len(of) == 0 {
		return all, nil
	}
	err := f.view(func(tx *bolt.Tx) error {
		probes := tx.Bucket(probesBucket)
		for i, p := range of {
			key := []byte(p.name())
			s, _ := readProbe(key, probes.Get(key))
			all[i] = s.last
		}
		return nil
	})
	return all, err
}

// addHour merges a cell into the hours of its day, or into the day itself if its hours are gone.
func (f *file) addHour(tx *bolt.Tx, id uint32, c timed) error {
	day := c.at / hoursInDay
	meta := tx.Bucket(metaBucket)
	if b := meta.Get(floorKey); len(b) == 4 && day < int64(binary.BigEndian.Uint32(b)) {
		return f.put(tx, daysBucket, id, day/daysInPeriod, daysInPeriod, func(p pack) pack {
			return p.add(timed{day, c.cell})
		})
	}
	err := f.put(tx, hoursBucket, id, day, hoursInDay, func(p pack) pack { return p.add(c) })
	if due := append(slices.Clone(dueKey), number(day)...); err == nil && meta.Get(due) == nil {
		err = meta.Put(due, []byte{1})
	}
	return err
}

// put changes a pack.
func (f *file) put(tx *bolt.Tx, outer []byte, id uint32, span, size int64, change func(pack) pack) error {
	b, err := tx.Bucket(outer).CreateBucketIfNotExists(number(span))
	if err != nil {
		return err
	}
	path, key := within(outer, span), number(int64(id))
	p := f.packOf(path, key, b.Get(key), span*size, size)
	return b.Put(key, seal(path, key, change(p).encode(span*size)))
}

// packOf reads a pack. One that is damaged is empty.
func (f *file) packOf(path, key, text []byte, first, size int64) pack {
	if text == nil {
		return nil
	}
	value, err := unseal(path, key, text)
	var p pack
	if err == nil {
		p, err = decode(value, first, size)
	}
	if err != nil {
		f.lost(1)
		return nil
	}
	return p
}

func writeChanges(tx *bolt.Tx, b *batch) error {
	for n, c := range b.changes {
		at := max(c.At.UnixMilli(), 0)
		day := at / (24 * time.Hour).Milliseconds()
		inside, err := tx.Bucket(changesBucket).CreateBucketIfNotExists(number(day))
		if err != nil {
			return err
		}
		id := c.of.id
		for i := range b.probes {
			if b.probes[i].of == c.of {
				id = b.probes[i].id
			}
		}
		if id == 0 {
			continue
		}
		key := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint64(number(int64(id)), uint64(at)), uint16(n))
		text := append([]byte{byte(c.Verdict)}, c.Reason+"\n"+c.Detail...)
		if err := inside.Put(key, seal(within(changesBucket, day), key, text)); err != nil {
			return err
		}
	}
	return nil
}

// saveState keeps the state and the records that differ from what is there.
func (f *file) saveState(state []byte, incidents []probe.IncidentRecord) error {
	if len(state) >= maxStateSize {
		return fmt.Errorf("%s: larger than %d bytes, so it could not be loaded", f.path, maxStateSize)
	}
	if f.broken.Load() {
		return errors.New("the file is damaged, and is about to be replaced")
	}
	return f.update(func(tx *bolt.Tx) error {
		err := putIfNew(tx.Bucket(stateBucket), []byte("state/"), stateKey, slices.Clone(state))
		records := tx.Bucket(incidentsBucket)
		for _, r := range incidents {
			r.Note = r.Note[:min(len(r.Note), maxNote)]
			text, failed := json.Marshal(r)
			key := append(binary.BigEndian.AppendUint64(nil, uint64(max(r.Start.UnixMilli(), 0))), r.System...)
			err = errors.Join(err, failed, putIfNew(records, []byte("incidents/"), key, text))
		}
		for n := count(records); n > maxIncidents; n-- {
			c := records.Cursor()
			c.First()
			err = errors.Join(err, c.Delete())
		}
		return err
	})
}

// saveTexts keeps texts. The texts of an earlier process are replaced key by key.
func (f *file) saveTexts(texts map[string][]byte) error {
	for _, text := range texts {
		if len(text) >= maxStateSize {
			return fmt.Errorf("%s: a text is larger than %d bytes, so it could not be loaded", f.path, maxStateSize)
		}
	}
	if f.broken.Load() {
		return errors.New("the file is damaged, and is about to be replaced")
	}
	return f.update(func(tx *bolt.Tx) (err error) {
		b := tx.Bucket(stateBucket)
		for key, text := range texts {
			if text == nil {
				err = errors.Join(err, b.Delete([]byte(key)))
				continue
			}
			err = errors.Join(err, putIfNew(b, []byte("state/"), []byte(key), slices.Clone(text)))
		}
		return err
	})
}

// texts returns what saveTexts kept. One that is damaged is missing, and an error says so.
func (f *file) texts(prefix string) (all map[string][]byte, err error) {
	all = map[string][]byte{}
	err = f.view(func(tx *bolt.Tx) (damaged error) {
		c := tx.Bucket(stateBucket).Cursor()
		for key, text := c.Seek([]byte(prefix)); bytes.HasPrefix(key, []byte(prefix)); key, text = c.Next() {
			kept, err := unseal([]byte("state/"), key, text)
			if err != nil {
				damaged = errors.Join(damaged, err)
				continue
			}
			all[string(key)] = bytes.Clone(kept)
		}
		return damaged
	})
	if err != nil && !errors.Is(err, errDamaged) {
		return nil, err // it may still be reading
	}
	return all, err
}

func putIfNew(b *bolt.Bucket, path, key, value []byte) error {
	text := seal(path, key, value)
	if bytes.Equal(b.Get(key), text) {
		return nil
	}
	return b.Put(key, text)
}

func count(b *bolt.Bucket) (n int) {
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	return n
}
