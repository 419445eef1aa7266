package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The buckets of the file. Hours, days and changes have a bucket inside for each span of time, so that what is too old goes at
// once, and a page that shows one probe reads one entry of each.
var (
	metaBucket      = []byte("meta")
	stateBucket     = []byte("state")
	probesBucket    = []byte("probes")    // by name: its number, last run and open cell
	hoursBucket     = []byte("hours")     // by day and number of the probe: a pack
	daysBucket      = []byte("days")      // by 32 days and number of the probe: a pack
	changesBucket   = []byte("changes")   // by day, and number of the probe and time
	incidentsBucket = []byte("incidents") // by start and system
)

var (
	formatKey   = []byte("format")
	sequenceKey = []byte("sequence") // of the last transaction that took effect
	floorKey    = []byte("floor")    // the first day of which there may be hours
	dueKey      = []byte("due/")     // with a day: its hours are not summed up yet
	stateKey    = []byte("incidents")
)

// fileFormat is the version of the file. Files of other versions are set aside.
const fileFormat = 2

// maxStateSize is more than the state of a hundred systems needs. A larger one is neither written nor read.
const maxStateSize = 64 << 20

// readTimeout bounds how long a page waits for the disk.
const readTimeout = 2 * time.Second

// A file is a backend on disk.
type file struct {
	path     string
	release  func()     // of the lock
	mu       sync.Mutex // one transaction at a time
	db       atomic.Pointer[bolt.DB]
	sequence uint64
	broken   atomic.Bool // a page found the file damaged
	readers  chan struct{}
	lost     func(uint64)
}

// Open opens the file at path, or creates it. Of a file that an earlier version wrote, and of what SaveState kept, it calls
// load with the state. A damaged file, or one that load refuses, is set aside as path.damaged, and the error says so; the Store
// is usable all the same, unless it is nil. The error is ErrInUse if another process has the file.
func Open(path string, load func(state []byte) error, o Options) (*Store, error) {
	release, err := lock(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, release: release, readers: make(chan struct{}, 2), lost: func(n uint64) {
		if o.Lost != nil {
			o.Lost(n)
		}
	}}
	err = f.open(load)
	if err != nil && f.db.Load() == nil {
		release()
		return nil, err
	}
	return newStore(f, o), err
}

// open opens the file, and starts another if it is damaged.
func (f *file) open(load func([]byte) error) error {
	err := f.take(load)
	if err == nil {
		return nil
	}
	if !errors.Is(err, errDamaged) {
		return err
	}
	aside, failed := setAside(f.path)
	if failed != nil {
		return errors.Join(err, failed)
	}
	if failed := f.openDB(f.path); failed != nil {
		return errors.Join(err, failed)
	}
	return fmt.Errorf("%w; set aside as %s", err, aside)
}

// take opens a file that is there, takes over one of an earlier version, or creates one.
func (f *file) take(load func([]byte) error) error {
	state, old, err := check(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	if state != nil && load != nil {
		if err := load(state); err != nil {
			return fmt.Errorf("%s: %w: %w", f.path, errDamaged, err)
		}
	}
	if !old {
		return f.openDB(f.path)
	}
	// The new file replaces the old one only once it has all of it.
	next := f.path + ".next"
	os.Remove(next)
	if err := f.openDB(next); err != nil {
		return err
	}
	if err := errors.Join(f.saveState(state, nil), f.db.Load().Close()); err != nil {
		f.db.Store(nil)
		return err
	}
	f.db.Store(nil)
	if err := os.Rename(next, f.path); err != nil {
		return err
	}
	return f.openDB(f.path)
}

// openFile opens a file to read it. A named pipe does not block it, as nothing may that a prober does before it probes.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// check checks the file at path and returns the state in it, and whether it is of an earlier version.
func check(path string) (state []byte, old bool, err error) {
	in, err := openFile(path)
	if err != nil {
		return nil, false, err
	}
	defer in.Close()
	at, err := in.Stat()
	if err != nil {
		return nil, false, err
	}
	if !at.Mode().IsRegular() {
		return nil, false, errors.New("expected a regular file")
	}
	if at.Size() == 0 {
		return nil, false, nil // bbolt fills it
	}
	first := make([]byte, 1)
	if _, err := in.ReadAt(first, 0); err != nil {
		return nil, false, err
	}
	if first[0] == '{' {
		state, err := io.ReadAll(io.LimitReader(in, maxStateSize+1))
		switch {
		case err != nil:
			return nil, false, err
		case len(state) > maxStateSize:
			return nil, false, damaged("larger than %d bytes", maxStateSize)
		case !json.Valid(state):
			return nil, false, damaged("not a file that prober wrote, or a part of one")
		}
		return state, true, nil
	}
	format := uint64(0)
	err = walk(in, at.Size(), nil, func(path, key, value []byte) error {
		switch {
		case string(path) == "meta/":
			if bytes.Equal(key, formatKey) && len(value) == 8 {
				format = binary.BigEndian.Uint64(value)
			}
			return nil
		case string(path) == "state/" && bytes.Equal(key, stateKey):
			text, err := unseal(path, key, value)
			state = bytes.Clone(text)
			return err
		}
		return nil // a cell has its own sum, and is missing if it is damaged
	})
	if err == nil && format != fileFormat {
		err = damaged("expected format %d, got %d", fileFormat, format)
	}
	return state, false, err
}

// ReadState returns what SaveState kept in the file at path, or the text of an earlier version. It takes no lock, so that it
// may be called while another process writes. A missing file is no error.
func ReadState(path string) ([]byte, error) { return readText(path, string(stateKey)) }

// ReadTargets is ReadState for what SaveTargets kept.
func ReadTargets(path string) ([]byte, error) { return readText(path, targetsKey) }

func readText(path, name string) (state []byte, err error) {
	for range 5 { // what is being written meanwhile is not read in vain more often
		if state, err = readTextOnce(path, name); err == nil || !errors.Is(err, errDamaged) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return state, err
}

func readTextOnce(path, name string) (state []byte, err error) {
	in, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	first := make([]byte, 1)
	if _, err := in.ReadAt(first, 0); err == nil && first[0] == '{' {
		if name != string(stateKey) {
			return nil, nil
		}
		return io.ReadAll(io.LimitReader(in, maxStateSize))
	}
	at, err := in.Stat()
	if err != nil {
		return nil, err
	}
	inState := func(path []byte) bool { return string(path) == "state/" }
	err = walk(in, at.Size(), inState, func(path, key, value []byte) error {
		if !inState(path) || string(key) != name {
			return nil
		}
		text, err := unseal(path, key, value)
		state = bytes.Clone(text)
		return err
	})
	return state, err
}

// setAside renames a file to path.damaged, and refuses what is not a regular file.
func setAside(path string) (string, error) {
	at, err := os.Lstat(path)
	if err == nil && !at.Mode().IsRegular() {
		err = fmt.Errorf("%s: expected a regular file", path)
	}
	if err != nil {
		return "", err
	}
	aside := path + ".damaged"
	return aside, os.Rename(path, aside)
}

// openDB opens a file that was checked, or creates it.
//
//go:noinline
func (f *file) openDB(path string) error {
	return f.protect(func() error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{metaBucket, stateBucket, probesBucket, hoursBucket, daysBucket, changesBucket, incidentsBucket} {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			meta := tx.Bucket(metaBucket)
			if b := meta.Get(sequenceKey); len(b) == 8 {
				f.sequence = binary.BigEndian.Uint64(b)
			}
			return meta.Put(formatKey, binary.BigEndian.AppendUint64(nil, fileFormat))
		})
		if err != nil {
			db.Close()
			return fmt.Errorf("%s: %w", path, err)
		}
		f.db.Store(db)
		f.broken.Store(false)
		return nil
	})
}

// protect turns what bbolt does to a damaged file, a panic or a fault in mapped memory, into an error.
func (f *file) protect(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			f.broken.Store(true)
			err = damaged("%v", p)
		}
	}()
	return do()
}

// update runs a transaction. One whose commit reports an error, but took effect, is a success: nothing is written twice.
func (f *file) update(do func(*bolt.Tx) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.protect(func() error {
		next := f.sequence + 1
		err := f.db.Load().Update(func(tx *bolt.Tx) error {
			if err := tx.Bucket(metaBucket).Put(sequenceKey, binary.BigEndian.AppendUint64(nil, next)); err != nil {
				return err
			}
			return do(tx)
		})
		if err != nil {
			var kept uint64
			f.db.Load().View(func(tx *bolt.Tx) error {
				if b := tx.Bucket(metaBucket).Get(sequenceKey); len(b) == 8 {
					kept = binary.BigEndian.Uint64(b)
				}
				return nil
			})
			if kept != next {
				return err
			}
		}
		f.sequence = next
		return nil
	})
}

// A value ends with a sum of itself and of where it is, so that what is damaged or out of place is not believed.
var sums = crc32.MakeTable(crc32.Castagnoli)

func sumOf(path, key, value []byte) uint32 {
	return crc32.Update(crc32.Update(crc32.Checksum(path, sums), sums, key), sums, value)
}

func seal(path, key, value []byte) []byte {
	return binary.LittleEndian.AppendUint32(value, sumOf(path, key, value))
}

func unseal(path, key, text []byte) ([]byte, error) {
	if len(text) < 4 {
		return nil, errDamaged
	}
	value := text[:len(text)-4]
	if binary.LittleEndian.Uint32(text[len(value):]) != sumOf(path, key, value) {
		return nil, errDamaged
	}
	return value, nil
}

// closeTimeout bounds how long the end of the process waits for the disk.
const closeTimeout = time.Second

func (f *file) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if !f.broken.Load() {
			f.db.Load().Close()
		}
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
	}
	f.release()
}
