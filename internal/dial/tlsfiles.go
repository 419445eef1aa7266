package dial

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"prober/internal/file"
)

// ResolveFiles makes the paths of the settings absolute or relative to the working directory; so far they are relative to
// dir.
func (t *TLS) ResolveFiles(dir string) {
	for _, path := range []*string{&t.CAFile, &t.CertFile, &t.KeyFile} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
}

// CheckFiles returns why files cannot be used now, by their setting.
func (t *TLS) CheckFiles() map[string]error {
	wrong := map[string]error{}
	var f tlsFiles
	if _, err := f.authorities(t); err != nil {
		wrong["ca_file"] = err
	}
	if t.CertFile != "" && t.KeyFile != "" {
		if _, err := f.certificate(t); err != nil {
			wrong["cert_file"] = err
		}
	}
	return wrong
}

// tlsFiles are the files of TLS settings, parsed. They are read again when they change. The zero value is ready for use.
type tlsFiles struct {
	mu     sync.Mutex
	roots  parsed[*x509.CertPool]
	client parsed[*tls.Certificate]
}

// authorities returns those to trust; nil for the system's.
func (f *tlsFiles) authorities(t *TLS) (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roots.get(func(content [][]byte) (*x509.CertPool, error) { return roots(t.CAFile, content[0]) }, t.CAFile)
}

// certificate returns the client certificate.
func (f *tlsFiles) certificate(t *TLS) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.client.get(func(content [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(content[0], content[1])
		if err != nil {
			return nil, fmt.Errorf("%s and %s are no certificate with its key", t.CertFile, t.KeyFile)
		}
		return &pair, nil
	}, t.CertFile, t.KeyFile)
}

// roots parses a file of authorities. One that is cut off in the middle is refused: the authority that matters may be
// missing, and that is not the server's fault.
func roots(path string, content []byte) (*x509.CertPool, error) {
	blocks := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		blocks++
	}
	if blocks < bytes.Count(content, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("%s is damaged, or not yet written to its end", path)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}

// A parsed value is made from the content of files, and made again once one of them has changed.
type parsed[T any] struct {
	from  []stamp
	sum   [sha256.Size]byte // of the content
	value T
}

// get returns the value for the files as they are. There is none for files that cannot be used, whatever they were before.
func (p *parsed[T]) get(parse func(content [][]byte) (T, error), paths ...string) (T, error) {
	now := make([]stamp, len(paths))
	unchanged := len(p.from) == len(paths)
	for i, path := range paths {
		now[i].read = time.Now()
		info, err := os.Stat(path)
		if err == nil && (!info.Mode().IsRegular() || info.Size() > maxFile) {
			err = fmt.Errorf("%s is no file of certificates", path)
		}
		if err != nil {
			return p.forget(path, err)
		}
		now[i].info = info
		unchanged = unchanged && p.from[i].covers(info)
	}
	if unchanged {
		return p.value, nil
	}
	content, sum := make([][]byte, len(paths)), sha256.New()
	for i, path := range paths {
		var err error
		if content[i], err = file.Read(path, maxFile); err == nil && len(content[i]) > maxFile { // it grew
			err = fmt.Errorf("%s is no file of certificates", path)
		}
		if err != nil {
			return p.forget(path, err)
		}
		part := sha256.Sum256(content[i])
		sum.Write(part[:])
	}
	same := p.from != nil && p.sum == [sha256.Size]byte(sum.Sum(nil))
	p.from = now
	if same {
		return p.value, nil
	}
	value, err := parse(content)
	if err != nil {
		return p.forget("", err)
	}
	p.value = value
	sum.Sum(p.sum[:0])
	return value, nil
}

func (p *parsed[T]) forget(path string, err error) (T, error) {
	*p = parsed[T]{}
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		err = fmt.Errorf("%s: %w", path, pe.Err)
	}
	return p.value, err
}

// maxFile bounds the size of a certificate file. The authorities of a whole system take some 250 KiB.
const maxFile = 4 << 20

// A stamp is what a file looked like before it was read.
type stamp struct {
	info os.FileInfo
	read time.Time
}

// clockTick is longer than a file system takes for the next tick of its clock: two changes within one look the same.
const clockTick = 2 * time.Second

// covers reports whether a file that looks like that has the content that was read. If it had just been changed then, it
// may have been changed again without looking different.
func (s stamp) covers(info os.FileInfo) bool {
	return os.SameFile(s.info, info) && s.info.ModTime().Equal(info.ModTime()) && s.info.Size() == info.Size() &&
		s.read.Sub(info.ModTime()) > clockTick
}
