package history

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt trusts its file: a damaged page can make it read forever or end the process. So each page is checked by itself before
// the file is opened, and a process that only reads does without bbolt, which would want the lock of the one that writes.

// The layout of the file, format 2 of bbolt.
const (
	pageHeader   = 16
	elementSize  = 16
	metaSize     = 64
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketEntry  = 0x01
	maxDepth     = 32
	maxPageBytes = 128 << 20 // of one page with its overflow
)

// A walker visits all entries of a file, each page once.
type walker struct {
	file     io.ReaderAt
	size     int64
	pageSize int64
	pages    uint64 // in use
	freelist uint64
	seen     []uint64 // a bit for each page
	path     []byte   // of the bucket
	into     func(path []byte) bool
	visit    func(path, key, value []byte) error
}

// walk calls visit for each entry with the path of its bucket, in the buckets that into selects. It returns errDamaged if
// the file is not as bbolt wrote it.
func walk(file io.ReaderAt, size int64, into func(path []byte) bool, visit func(path, key, value []byte) error) error {
	w := &walker{file: file, size: size, into: into, visit: visit}
	root, err := w.readMeta()
	if err != nil {
		return err
	}
	w.seen = make([]uint64, w.pages/64+1)
	if err := w.page(root, 0); err != nil {
		return err
	}
	return w.checkFreelist()
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

// readMeta reads the newer one of the two meta pages that is sound.
func (w *walker) readMeta() (root uint64, err error) {
	var newest uint64
	found := false
	for _, pageSize := range []int64{4096, 8192, 16384, 32768, 65536} {
		for _, at := range []int64{0, pageSize} {
			var m [metaSize]byte
			if _, err := w.file.ReadAt(m[:], at+pageHeader); err != nil {
				continue
			}
			sum := fnv.New64a()
			sum.Write(m[:metaSize-8])
			le := binary.LittleEndian
			if le.Uint32(m[0:]) != boltMagic || le.Uint32(m[4:]) != boltVersion || le.Uint64(m[metaSize-8:]) != sum.Sum64() {
				continue
			}
			if size, txid := int64(le.Uint32(m[8:])), le.Uint64(m[48:]); size == pageSize && (!found || txid > newest) {
				found, newest = true, txid
				root, w.pageSize, w.freelist, w.pages = le.Uint64(m[16:]), size, le.Uint64(m[32:]), le.Uint64(m[40:])
			}
		}
		if found {
			break
		}
	}
	switch {
	case !found:
		return 0, damaged("no valid meta page")
	case w.pages > uint64(w.size/w.pageSize):
		return 0, damaged("it is cut off")
	}
	return root, nil
}

// read returns a page with its overflow, which must not have been read before.
func (w *walker) read(id uint64) ([]byte, error) {
	if id < 2 || id >= w.pages {
		return nil, damaged("no page %d", id)
	}
	var head [pageHeader]byte
	if _, err := w.file.ReadAt(head[:], int64(id)*w.pageSize); err != nil {
		return nil, err
	}
	more := uint64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint64(head[:]) != id || id+more >= w.pages || (more+1)*uint64(w.pageSize) > maxPageBytes {
		return nil, damaged("page %d", id)
	}
	for n := id; n <= id+more; n++ {
		if w.seen[n/64]&(1<<(n%64)) != 0 {
			return nil, damaged("page %d is used twice", n)
		}
		w.seen[n/64] |= 1 << (n % 64)
	}
	text := make([]byte, int64(more+1)*w.pageSize)
	_, err := w.file.ReadAt(text, int64(id)*w.pageSize)
	return text, err
}

// page visits the tree below a page.
func (w *walker) page(id uint64, depth int) error {
	text, err := w.read(id)
	if err != nil {
		return err
	}
	return w.elements(text, depth)
}

// elements visits the elements of a page.
func (w *walker) elements(text []byte, depth int) error {
	le := binary.LittleEndian
	if depth > maxDepth || len(text) < pageHeader {
		return damaged("a tree is too deep")
	}
	kind, count := le.Uint16(text[8:]), int(le.Uint16(text[10:]))
	if kind != leafPage && (kind != branchPage || count == 0) || pageHeader+count*elementSize > len(text) {
		return damaged("a page of kind %d", kind)
	}
	var before []byte
	for i := range count {
		at := uint64(pageHeader + i*elementSize)
		e := text[at : at+elementSize]
		pos, keySize, valueSize, child, isBucket := uint64(le.Uint32(e)), uint64(le.Uint32(e[4:])), uint64(0), le.Uint64(e[8:]), false
		if kind == leafPage {
			isBucket = le.Uint32(e)&bucketEntry != 0
			pos, keySize, valueSize = uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
		}
		if at+pos+keySize+valueSize > uint64(len(text)) {
			return damaged("an entry ends behind its page")
		}
		key, value := text[at+pos:at+pos+keySize], text[at+pos+keySize:at+pos+keySize+valueSize]
		if i > 0 && string(before) >= string(key) {
			return damaged("keys are not in order")
		}
		before = key
		var err error
		switch {
		case kind == branchPage:
			err = w.page(child, depth+1)
		case isBucket:
			err = w.bucket(key, value, depth+1)
		case w.visit != nil:
			err = w.visit(w.path, key, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket visits a bucket, whose page is in its value if it is small.
func (w *walker) bucket(key, value []byte, depth int) error {
	const header = 16
	if len(value) < header {
		return damaged("a bucket is cut off")
	}
	outer := w.path
	w.path = append(append(outer[:len(outer):len(outer)], key...), '/')
	defer func() { w.path = outer }()
	if w.into != nil && !w.into(w.path) {
		return nil
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return w.page(root, depth)
	}
	return w.elements(value[header:], depth)
}

// checkFreelist checks that no page that may be overwritten is in use.
func (w *walker) checkFreelist() error {
	if w.into != nil {
		return nil // not all pages were seen
	}
	text, err := w.read(w.freelist)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	count, list := uint64(le.Uint16(text[10:])), text[pageHeader:]
	if count == 0xFFFF {
		count, list = le.Uint64(list), list[8:]
	}
	if le.Uint16(text[8:]) != freelistPage || count > uint64(len(list)/8) {
		return damaged("the list of free pages")
	}
	for i := range count {
		if id := le.Uint64(list[8*i:]); id < 2 || id >= w.pages || w.seen[id/64]&(1<<(id%64)) != 0 {
			return damaged("page %d is in use and listed as free", id)
		}
	}
	return nil
}
