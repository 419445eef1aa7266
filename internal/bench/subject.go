package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// timeout is that of every probe, which must be shorter than its interval. Only what waits for something itself gets more than 2 s.
func (w work) timeout() time.Duration {
	if w.Client != "" {
		return w.Interval * 4 / 5
	}
	return min(2*time.Second, w.Interval*4/5)
}

// A subject is a running process that is measured: the prober, or the bare loop beside it.
type subject struct {
	name  string
	cmd   *exec.Cmd
	base  string // of its own pages
	began time.Time
	ended chan struct{}
	err   error // of its end; set before ended is closed
}

// A starter makes a subject of one kind do some work.
type starter struct {
	name  string
	start func(w work) (*subject, error)
}

// starters returns the two that are compared.
func starters(prober, dir string) []starter {
	return []starter{
		{"bare loop", func(w work) (*subject, error) {
			self, err := os.Executable()
			if err != nil {
				return nil, err
			}
			text, err := json.Marshal(w)
			if err != nil {
				return nil, err
			}
			path := filepath.Join(dir, "work.json")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return nil, err
			}
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), bareVariable+"="+path)
			return launch("bare loop", cmd, w)
		}},
		{"prober", func(w work) (*subject, error) {
			path := filepath.Join(dir, "config")
			if err := configure(path, w); err != nil {
				return nil, err
			}
			cmd := exec.Command(prober, "--config.file="+path, "--web.listen-address="+w.Listen, "--log.level=error")
			cmd.Env = w.environ()
			return launch("prober", cmd, w)
		}},
	}
}

// environ is the environment of a prober that does the work.
func (w work) environ() []string {
	env := os.Environ()
	for name, value := range w.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// perFile keeps each file below the maximum size of a configuration file.
const perFile = 5000

// configure writes a prober configuration for the work into a directory.
func configure(dir string, w work) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if w.Config != nil {
		return os.WriteFile(filepath.Join(dir, "0.yaml"), w.Config, 0o600)
	}
	connection := "fresh"
	if w.Reuse {
		connection = "reuse"
	}
	for from := 0; from < len(w.URLs); from += perFile {
		var b strings.Builder
		fmt.Fprintf(&b, "system: bench%d\ninterval: %s\ntimeout: %s\nprobes:\n", from/perFile, w.Interval, w.timeout())
		for i := from; i < min(from+perFile, len(w.URLs)); i++ {
			fmt.Fprintf(&b, "  - {name: p%d, type: http, url: %q, connection: %s, expect: {status: 200}}\n", i, w.URLs[i], connection)
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.yaml", from/perFile))
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func launch(name string, cmd *exec.Cmd, w work) (*subject, error) {
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	s := &subject{name: name, cmd: cmd, base: "http://" + w.Listen, began: time.Now(), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// waitUntilUp waits until a page of the subject answers 200, and returns the time since its start.
func (s *subject) waitUntilUp(ctx context.Context, page string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if err := s.get(ctx, page, io.Discard); err == nil {
			return time.Since(s.began), nil
		}
		select {
		case <-s.ended:
			return 0, fmt.Errorf("%s ended immediately: %v", s.name, s.err)
		case <-ctx.Done():
			return 0, fmt.Errorf("%s does not answer on %s", s.name, page)
		case <-time.After(500 * time.Microsecond):
		}
	}
}

// get reads a page over a new connection, like the first scrape of a scraper.
func (s *subject) get(ctx context.Context, page string, into io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+page, nil)
	if err != nil {
		return err
	}
	return fetch(req, into)
}

func fetch(req *http.Request, into io.Writer) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	began := time.Now()
	if n, err := io.Copy(into, answer.Body); err != nil {
		return fmt.Errorf("%s, after %d bytes in %s: %w", req.URL.Path, n, time.Since(began).Round(time.Millisecond), err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", req.URL.Path, answer.StatusCode)
	}
	return nil
}

// scrape requests the metrics like Prometheus, which accepts gzip, or without that, and returns the duration and the number of bytes.
func (s *subject) scrape(ctx context.Context, gzip bool) (time.Duration, int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/metrics", nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	if gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	var n counter
	began := time.Now()
	err = fetch(req, &n)
	return time.Since(began), int64(n), err
}

// counter counts bytes and discards them.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// stop sends SIGTERM and returns how long the process took to end.
func (s *subject) stop() (time.Duration, error) {
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("%s had ended before SIGTERM: %v", s.name, s.err)
	}
	select {
	case <-s.ended:
		return time.Since(began), nil
	case <-time.After(15 * time.Second):
		s.cmd.Process.Kill()
		<-s.ended
		return 0, fmt.Errorf("%s did not end within 15 s of SIGTERM", s.name)
	}
}

// freeAddress returns a free loopback address.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
