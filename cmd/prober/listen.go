package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"prober/internal/dial"
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
			names = append(names, strings.TrimSuffix(dial.HostName(u.Hostname()), ".")) // as browsers send it
		}
	}
	return names
}

// listenOptions are the flags of the listener.
type listenOptions struct {
	addresses []string
	config    string // the file of --web.config.file
	systemd   bool   // take the sockets that systemd has opened
}

func (o listenOptions) listen() ([]net.Listener, error) {
	if !o.systemd {
		return listen(o.addresses)
	}
	count, err := activated(os.Getpid(), os.Getenv)
	if err != nil {
		return nil, fmt.Errorf("prober: web.systemd-socket: %w", err)
	}
	return inherit(firstActivated, count)
}

// firstActivated is the descriptor of the first socket of systemd, by sd_listen_fds(3).
const firstActivated = 3

// activated returns how many sockets systemd has opened for a process.
func activated(pid int, env func(string) string) (int, error) {
	count, err := strconv.Atoi(env("LISTEN_FDS"))
	if err != nil || count < 1 || env("LISTEN_PID") != strconv.Itoa(pid) {
		return 0, errors.New("expected sockets of systemd in LISTEN_FDS and LISTEN_PID, got no such sockets")
	}
	return count, nil
}

// inherit returns listeners on descriptors that the process was started with. Programs that it starts do not get them.
func inherit(first, count int) (open []net.Listener, err error) {
	for fd := first; fd < first+count; fd++ {
		file := os.NewFile(uintptr(fd), "socket of systemd")
		l, err := net.FileListener(file) // a duplicate, which is closed when a program starts
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("prober: web.systemd-socket: cannot listen on socket %d: %w", fd-first+1, err)
		}
		open = append(open, l)
	}
	return open, nil
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
