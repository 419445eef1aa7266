package resp

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"prober/internal/probe"
)

// slots is how many parts the keys of a cluster have.
const slots = 16384

// A Shard is a primary of a cluster, with its slots.
type Shard struct {
	Primary  Server
	Replicas int
	ranges   [][2]int64
}

// A Layout is what a server says of its cluster: its primaries, those with the lowest slots first.
type Layout struct {
	Shards  []Shard
	Missing int    // slots that have no primary
	Hash    string // the same for the same primaries with the same slots
}

// maxShards bounds the primaries of a cluster.
const maxShards = 100

// Layout asks which servers of the cluster have which slots.
func (c *Conn) Layout() (Layout, error) {
	v, err := c.Do("CLUSTER", "SLOTS")
	if err != nil {
		return Layout{}, err
	}
	var owners [slots]int // index in primaries, and one
	var primaries []Shard
	for _, entry := range v.Items {
		first, last, nodes, ok := readRange(entry)
		if !ok {
			return Layout{}, errUnreadable
		}
		server, err := c.foundAt(nodes[0].Items[0].Text, nodes[0].Items[1].Text)
		if err != nil {
			return Layout{}, err
		}
		i := slices.IndexFunc(primaries, func(s Shard) bool { return s.Primary.address == server.address })
		if i < 0 {
			i = len(primaries)
			primaries = append(primaries, Shard{Primary: server, Replicas: len(nodes) - 1})
		}
		for s := first; s <= last; s++ {
			owners[s] = i + 1
		}
	}
	if len(primaries) > maxShards {
		return Layout{}, &Error{Outcome: probe.Outcomef(probe.TooLarge, "expected at most %d primaries in the cluster, got %d", maxShards, len(primaries))}
	}
	return layout(owners[:], primaries), nil
}

// layout puts the primaries in the order of their slots.
func layout(owners []int, primaries []Shard) (l Layout) {
	var order []int // as in owners
	for s, owner := range owners {
		if owner == 0 {
			l.Missing++
			continue
		}
		if !slices.Contains(order, owner) {
			order = append(order, owner)
		}
		shard := &primaries[owner-1]
		if s > 0 && owners[s-1] == owner {
			shard.ranges[len(shard.ranges)-1][1] = int64(s)
		} else {
			shard.ranges = append(shard.ranges, [2]int64{int64(s), int64(s)})
		}
	}
	var text strings.Builder
	for _, owner := range order {
		s := primaries[owner-1]
		l.Shards = append(l.Shards, s)
		fmt.Fprintln(&text, s.Primary.address, s.ranges)
	}
	l.Hash = fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text.String())))
	return l
}

// readRange reads the slots from first to last and the servers that have them, the primary first.
func readRange(v Value) (first, last int64, nodes []Value, ok bool) {
	if len(v.Items) < 3 {
		return 0, 0, nil, false
	}
	first, ok1 := v.Items[0].Int()
	last, ok2 := v.Items[1].Int()
	nodes = v.Items[2:]
	return first, last, nodes, ok1 && ok2 && 0 <= first && first <= last && last < slots && len(nodes[0].Items) >= 2
}

// errUnreadable is the error of an answer to another question.
var errUnreadable = &Error{Outcome: probe.Outcomef(probe.Schema, "the answer is not what the question asks for")}

// Has reports whether the shard has the slot of a key.
func (s Shard) Has(key string) bool {
	n := int64(slot(key))
	return slices.ContainsFunc(s.ranges, func(r [2]int64) bool { return r[0] <= n && n <= r[1] })
}

// slot is that of a key: CRC16/XMODEM of it, or of what is in its first braces.
func slot(key string) uint16 {
	if _, behind, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(behind, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % slots
}

// PrimaryOf asks a sentinel for the primary that it watches under a name; ok is false if it knows none of that name.
func (c *Conn) PrimaryOf(name string) (server Server, ok bool, err error) {
	v, err := c.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
	switch {
	case err != nil:
		return Server{}, false, err
	case v.Kind == Null:
		return Server{}, false, nil
	case len(v.Items) != 2:
		return Server{}, false, errUnreadable
	}
	server, err = c.foundAt(v.Items[0].Text, v.Items[1].Text)
	return server, err == nil, err
}
