package inbound

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"strings"

	"prober/internal/probe"
	"prober/internal/secret"
)

// What a token must have, so that nobody finds it by trying: 22 characters of base64 are 128 bits.
const (
	minToken = 22
	maxToken = 128
	minBits  = 70 // as the frequencies of its characters have it: of 22 random ones, one in a million has fewer
)

var errTwice = errors.New("another probe has the same one; nobody knows for whom a request is")

// readToken reads a token. The error does not hold it.
func readToken(s secret.Secret) (string, error) {
	token, err := s.Reveal()
	if err != nil {
		return "", err
	}
	return token, checkToken(token)
}

// checkToken refuses what is no segment of a path, or can be guessed.
func checkToken(token string) error {
	const make = "; \"openssl rand -hex 24\" makes one"
	if len(token) < minToken || len(token) > maxToken {
		return fmt.Errorf("expected %d to %d characters, got %d%s", minToken, maxToken, len(token), make)
	}
	var count [128]float64
	steps := 0
	for i := range len(token) {
		c := token[i]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '_') {
			return errors.New("expected letters, digits, - and _ only" + make)
		}
		count[c]++
		if i > 0 && (c == token[i-1]+1 || c == token[i-1]-1 || c == token[i-1]) {
			steps++
		}
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			bits -= n * math.Log2(n/float64(len(token)))
		}
	}
	repeats := strings.Contains((token + token)[1:2*len(token)-1], token)
	if bits < minBits || repeats || steps > len(token)/2 {
		return errors.New("expected a random text, got one that can be guessed" + make)
	}
	return nil
}

// A digest is of a token, under a key of this process: the time that it takes to compare digests says nothing of tokens.
type digest [sha256.Size]byte

var digestKey = func() (key [sha256.Size]byte) {
	rand.Read(key[:])
	return key
}()

func digestOf(token string) digest {
	return sha256.Sum256(append(digestKey[:], token...))
}

// find returns whose token it is, nil if nobody's. It takes the same time for every token of a length.
func (r *Receivers) find(token string) *receiver {
	d := digestOf(token)
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found *receiver
	for _, x := range r.all {
		if subtle.ConstantTimeCompare(x.digest[:], d[:]) == 1 && x.known {
			found = x
		}
	}
	return found
}

// Check reads the tokens of the probes, and returns what is wrong with those that can be read: one can be guessed, or two
// probes have the same.
func Check(jobs []probe.Job) error {
	var wrong []error
	by := map[any]string{}
	for _, j := range jobs {
		p, ok := j.Probe.(probe.Receiver)
		if !ok {
			continue
		}
		source, who := p.InboundToken(), j.Key().String()
		refuse := func(err error) {
			wrong = append(wrong, fmt.Errorf("prober: %s: token from %s: %w", who, source.Source(), err))
		}
		var same any = source
		if token, err := source.Reveal(); err == nil { // one that cannot be read may be there by then
			same = digestOf(token)
			if err := checkToken(token); err != nil {
				refuse(err)
				continue
			}
		}
		if other, twice := by[same]; twice {
			refuse(fmt.Errorf("it is that of %s too; each probe needs one of its own", other))
			continue
		}
		by[same] = who
	}
	return errors.Join(wrong...)
}
