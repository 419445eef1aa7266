package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// burden starts the slow readers and the idle connections. They come back whenever the prober gets rid of them.
func (s *subject) burden(ctx context.Context) {
	for i := range slowReaders {
		path := [...]string{"/metrics", "/api/v1/status", "/"}[i%3]
		coding := [...]string{"gzip", "identity"}[i/3%2]
		go persist(ctx, s.address, readSlowly(ctx, path, coding))
	}
	for i := range visitors {
		go persist(ctx, s.public, readSlowly(ctx, "/", [...]string{"gzip", "identity"}[i%2]))
	}
	for i := range idle {
		go persist(ctx, [...]string{s.address, s.public}[i/2%2], func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	}
}

// readSlowly asks for a page, and reads a kilobyte of it in a second.
func readSlowly(ctx context.Context, path, coding string) func(net.Conn) {
	return func(conn net.Conn) {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: %s\r\n\r\n", path, coding)
		for ctx.Err() == nil {
			if _, err := conn.Read(make([]byte, 100)); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// persist opens one connection after the other until ctx ends.
func persist(ctx context.Context, address string, use func(net.Conn)) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	for ctx.Err() == nil {
		if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			use(conn)
			stop()
			conn.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(4 * time.Second):
		}
	}
}

// reloads changes the configuration and has it loaded, again and again.
func (s *subject) reloads(ctx context.Context, change func(n int) error) {
	for n := 1; ctx.Err() == nil; n++ {
		if err := change(n); err != nil {
			fmt.Println("the configuration cannot be changed:", err)
			return
		}
		if resp, err := http.Post("http://"+s.address+"/-/reload", "", nil); err == nil {
			resp.Body.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(reloadEvery):
		}
	}
}

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// firstLine reads what a child says first.
func firstLine(r io.Reader) (string, error) {
	lines := bufio.NewScanner(r)
	if !lines.Scan() {
		return "", errors.New("the targets do not start")
	}
	return lines.Text(), nil
}
