package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"syscall"
)

// maxConnections is how many connections readers may have open: a part of the descriptors that the process may have, since
// the probes need the others.
func maxConnections() int {
	const enough = 128
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil {
		return enough
	}
	return int(max(8, min(enough, files.Cur/4)))
}

// hosts returns the names under which the pages may be requested.
func (o serveOptions) hosts() []string {
	var names []string
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	for _, raw := range o.external {
		if u, err := url.Parse(raw); err == nil {
			names = append(names, u.Hostname())
		}
	}
	return names
}

// listen listens on all addresses or none.
func listen(addresses []string) ([]net.Listener, error) {
	var open []net.Listener
	for _, address := range slices.Compact(slices.Sorted(slices.Values(addresses))) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			return nil, fmt.Errorf("prober: cannot listen on %s: %w", address, err)
		}
		open = append(open, l)
	}
	return open, nil
}
