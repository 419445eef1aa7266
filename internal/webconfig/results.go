package webconfig

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"sync"
)

// maxResults is how many passwords are remembered as right or wrong.
const maxResults = 100

// A digest stands for a user, a hash and a password. Without the key that a process makes up, nothing can be found out from
// it.
type digest [sha256.Size]byte

// results remember which passwords were right: to compare one takes a core for a tenth of a second. They hold no passwords.
type results struct {
	secret []byte
	mu     sync.Mutex
	right  map[digest]bool
}

func newResults() *results {
	r := &results{secret: make([]byte, sha256.Size), right: map[digest]bool{}}
	rand.Read(r.secret)
	return r
}

func (r *results) key(user, hash, password string) (out digest) {
	mac := hmac.New(sha256.New, r.secret)
	for _, s := range []string{user, hash, password} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		mac.Write([]byte(s))
	}
	mac.Sum(out[:0])
	return out
}

func (r *results) get(key digest) (right, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	right, known = r.right[key]
	return right, known
}

// set remembers a result. To make room, wrong passwords are forgotten first: whoever guesses must not slow down others.
func (r *results) set(key digest, right bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.right) >= maxResults {
		maps.DeleteFunc(r.right, func(_ digest, right bool) bool { return !right })
	}
	if len(r.right) >= maxResults {
		clear(r.right)
	}
	r.right[key] = right
}
