package web

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
)

// closable is a connection that knows whether it was closed.
type closable struct {
	net.Conn
	closed bool
}

func (c *closable) Close() error {
	c.closed = true
	return nil
}

// A storm of connections must not leave the goroutines of thousands that were closed and have not ended yet.
func TestConnectionLimit_storm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 4
		c := newConnectionLimit(most)
		accepted := make(chan *closable, 100)
		go func() { // as a server accepts, one after the other
			for range cap(accepted) {
				conn := &closable{}
				c.changed(conn, http.StateNew)
				accepted <- conn
			}
			close(accepted)
		}()
		var open []*closable
		for ended := 0; ; {
			synctest.Wait()
			for len(accepted) > 0 {
				open = append(open, <-accepted)
			}
			if len(open) == 0 {
				if ended != cap(accepted) {
					t.Fatalf("%d connections ended, expected %d", ended, cap(accepted))
				}
				return
			}
			if len(open) > most+1 {
				t.Fatalf("%d connections have goroutines, expected at most %d", len(open), most+1)
			}
			if !open[0].closed && ended < cap(accepted)-most {
				t.Fatal("the connection that has waited the longest is open, expected it to make room")
			}
			c.changed(open[0], http.StateClosed)
			open, ended = open[1:], ended+1
		}
	})
}
