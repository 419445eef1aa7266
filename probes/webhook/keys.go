package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/jwk"
)

// maxKeys bounds how many keys are remembered, whatever is published.
const maxKeys = 64

// A keyRecord is what is known of a key of the sender, over runs and restarts.
type keyRecord struct {
	Key    string    `json:"key"`             // a hash of its id and its thumbprint
	Lacked time.Time `json:"lacked,omitzero"` // the last time that the key set was read and did not have it, before it had
	Since  time.Time `json:"since,omitzero"`  // the first time that it had
	Seen   time.Time `json:"seen,omitzero"`   // the last time that it had
	Signed time.Time `json:"signed,omitzero"` // the last delivery that it signed
}

// A document is what the probe keeps over restarts. It holds nothing that is secret and nothing that was delivered.
type document struct {
	Last  time.Time   `json:"last,omitzero"`  // the last delivery that verified
	Stamp time.Time   `json:"stamp,omitzero"` // the latest timestamp of one
	Floor time.Time   `json:"floor,omitzero"` // what was signed until then, and is not in Seen, may have come before
	Seen  []byte      `json:"seen,omitempty"` // the sums of the last contents, as far as they fit
	Doubt time.Time   `json:"doubt,omitzero"` // without a trigger: the last delivery that may be a replay
	Vain  time.Time   `json:"vain,omitzero"`  // the last delivery that could not be verified, for want of a key or secret
	Owed  int         `json:"owed,omitempty"` // failing answers since the last good one
	Read  time.Time   `json:"read,omitzero"`  // the last time that the key set was read
	Set   []byte      `json:"set,omitempty"`  // the key set, by which deliveries are verified until it is read again
	Keys  []keyRecord `json:"keys,omitempty"`
}

// Bounds of the document: the size of the key set, and how many contents.
const (
	maxKeptSet  = 24 << 10
	maxKeptSeen = 1024
)

// nameOf is the name of a key in the document: neither the publisher's text nor of any length.
func nameOf(k jwk.Key) string {
	sum := sha256.Sum256([]byte(k.ID + "\x00" + k.Thumbprint))
	return hex.EncodeToString(sum[:8])
}

func (d *document) find(name string) *keyRecord {
	if i := slices.IndexFunc(d.Keys, func(k keyRecord) bool { return k.Key == name }); i >= 0 {
		return &d.Keys[i]
	}
	return nil
}

// read notes that the key set was read.
func (d *document) read(set jwk.Set, body []byte, now time.Time) {
	for _, k := range set {
		if k.Public == nil {
			continue
		}
		record := d.find(nameOf(k))
		switch {
		case record == nil && len(d.Keys) == maxKeys:
			continue
		case record == nil:
			d.Keys = append(d.Keys, keyRecord{Key: nameOf(k), Lacked: d.Read, Since: now})
			record = &d.Keys[len(d.Keys)-1]
		case record.Seen.Before(d.Read): // it had gone, and is back
			record.Lacked, record.Since = d.Read, now
		}
		record.Seen = now
	}
	d.Read = now
	if d.Set = nil; len(body) <= maxKeptSet {
		d.Set = body
	}
}

// forget drops what no check needs any more.
func (d *document) forget(now time.Time, keep time.Duration) {
	d.Keys = drop.If(d.Keys, func(k keyRecord) bool {
		return k.Seen.Before(d.Read) && now.Sub(k.Seen) > keep && now.Sub(k.Signed) > keep
	})
}

// lead is how long a key that signs at some moment has been published: certainly no longer than most, and at least least. A key
// that was there when the key set was read for the first time has no most.
func (k *keyRecord) lead(at time.Time) (least, most time.Duration, bounded bool) {
	return at.Sub(k.Since), at.Sub(k.Lacked), !k.Lacked.IsZero()
}
