//go:build !linux

package dial

// Pending reports whether bytes wait to be read. Only Linux is asked.
func (c *Conn) Pending() (pending bool, err error) { return false, nil }

func (c *Conn) acknowledged() (n uint64, ok bool) { return 0, false }
