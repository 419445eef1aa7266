package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrInUse means that another process has locked a file.
var ErrInUse = errors.New("another prober uses it")

// lock keeps other processes from using the file at path, until this one ends or calls release. It locks path.lock, which
// stays, since earlier versions replaced the file itself, and removes what they left when they were killed. The error is
// ErrInUse if another process has the lock.
func lock(path string) (release func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", path, ErrInUse)
		}
		return nil, &os.PathError{Op: "lock", Path: path + ".lock", Err: err}
	}
	removeTemporary(path)
	return func() { f.Close() }, nil
}

// removeTemporary removes the files that earlier versions wrote to rename them, path.*.tmp.
func removeTemporary(path string) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // whoever writes there will say why
	}
	for _, e := range entries {
		middle, begins := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		middle, ends := strings.CutSuffix(middle, ".tmp")
		if begins && ends && middle != "" && strings.Trim(middle, "0123456789") == "" && e.Type().IsRegular() {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
