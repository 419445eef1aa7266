package httpx

import (
	"context"
	"sync"
	"time"
)

// Bounds of kept connections, with connection: reuse.
const (
	idleFor = 2 * time.Minute  // how long one waits for its next exchange
	maxAge  = 5 * time.Minute  // how old one may get: a new client may meet another server, or another certificate
	nameAge = 10 * time.Second // how long a name is taken to have the address that it had
	maxIdle = 16               // how many are kept that may replace each other, for exchanges at the same time
)

// kept are the connections that wait for their next exchange. The zero value is ready for use.
type kept struct {
	mu    sync.Mutex
	conns map[string][]*conn // by key, the one used last at the end
	timer *time.Timer        // drops those that have waited for too long; nil if none waits
}

// take returns a connection of a key that may carry another exchange, and forgets it; nil if there is none. Those that may
// not are closed by the deadline of ctx.
func (k *kept) take(ctx context.Context, key string) *conn {
	for {
		c := k.pop(key)
		if c == nil {
			return nil
		}
		if !c.worn(time.Now()) && c.silent() {
			c.kept = true
			c.wrote = c.raw.Written()
			return c
		}
		c.raw.Bind(ctx)
		c.close(true)
	}
}

func (k *kept) pop(key string) *conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.conns[key]
	if len(all) == 0 {
		return nil
	}
	k.set(key, all[:len(all)-1])
	return all[len(all)-1]
}

// worn reports whether a connection is too old.
func (c *conn) worn(now time.Time) bool {
	end := c.raw.CertExpiry()
	return now.Sub(c.idle) > idleFor || now.Sub(c.opened) > maxAge || (!end.IsZero() && now.After(end))
}

// put keeps a connection, unless enough are kept that may replace it. It reports whether it did.
func (k *kept) put(c *conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.conns[c.key]
	if len(all) >= maxIdle {
		return false
	}
	c.idle = time.Now()
	k.set(c.key, append(all, c))
	if k.timer == nil {
		k.timer = time.AfterFunc(idleFor, k.prune)
	}
	return true
}

func (k *kept) set(key string, all []*conn) {
	switch {
	case len(all) == 0:
		delete(k.conns, key)
		return
	case k.conns == nil:
		k.conns = map[string][]*conn{}
	}
	k.conns[key] = all
}

// prune closes the connections that are too old, and comes back for the others.
func (k *kept) prune() {
	now := time.Now()
	k.drop(func(c *conn) bool { return c.worn(now) })
}

// close closes all.
//
//go:noinline
func (k *kept) close() { k.drop(func(*conn) bool { return true }) }

// drop closes some of the connections.
func (k *kept) drop(which func(*conn) bool) {
	k.mu.Lock()
	var dropped []*conn
	for key, all := range k.conns {
		var rest []*conn
		for _, c := range all {
			if which(c) {
				dropped = append(dropped, c)
			} else {
				rest = append(rest, c)
			}
		}
		k.set(key, rest)
	}
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
	if len(k.conns) > 0 {
		k.timer = time.AfterFunc(idleFor, k.prune)
	}
	k.mu.Unlock()
	for _, c := range dropped {
		c.close(true)
	}
}

// reused returns a kept connection for the exchange; nil if there is none. The name of a host is looked up again: a
// connection to an address that it no longer has is closed.
func (x *exchange) reused(ctx context.Context) (*conn, error) {
	for {
		c := x.client.kept.take(ctx, x.key())
		if c == nil {
			return nil, nil
		}
		if !c.verifiedBy(x.tls) { // the files have changed
			c.close(false)
			continue
		}
		if x.unix != "" || time.Since(c.named) < nameAge {
			return c, nil
		}
		still, err := x.client.dialer.Resolves(ctx, x.address, c.raw.Peer())
		switch {
		case err != nil:
			c.close(false)
			return nil, err
		case still:
			c.named = time.Now()
			return c, nil
		}
		c.close(false)
	}
}
