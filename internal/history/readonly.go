package history

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// OpenReadOnly opens a file that no prober uses, and changes nothing: not even beside it. A file that is missing, damaged or of
// an earlier version is an error, and it is ErrInUse if another process has the file.
func OpenReadOnly(path string) (*Store, error) {
	_, old, err := check(path)
	if err == nil && old {
		err = errors.New("it is of an earlier version, and has no history")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &file{path: path, release: func() {}, readers: make(chan struct{}, 1), lost: func(uint64) {}}
	err = f.protect(func() error {
		db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true, Timeout: 200 * time.Millisecond})
		if err == nil {
			f.db.Store(db)
		}
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w", path, ErrInUse)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return newStore(f, Options{}), nil
}
