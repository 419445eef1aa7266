package config

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"prober/internal/file"
	"prober/internal/secret"
)

// A File is the name and the bytes of one configuration file. The name is used in messages, and relative paths in the file
// are below its directory.
type File struct {
	Name string
	Data []byte
	Env  *secret.Environment // of {env: NAME} in this file; nil: that of the process

	problem string    // why there are no bytes
	changed time.Time // when the file was changed last
}

// Bounds of all files together, so that a mistaken file cannot end a running prober. Fifty thousand probes with 300 bytes
// of settings each fit well.
const (
	maxBytes  = 16 << 20
	maxProbes = 50_000
)

// Read reads each path once: a file, or a directory's *.yaml and *.yml in the order of their names. Hidden entries
// are left out, as a mounted Kubernetes volume keeps its former contents under names that begin with "..". What
// cannot be read is returned too, without bytes, and Parse refuses it.
func Read(paths ...string) []File {
	r := reader{left: maxBytes}
	var files []File
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			files = append(files, File{Name: path, problem: file.Reason(err)})
		case info.IsDir():
			files = append(files, r.readDir(path)...)
		default:
			files = append(files, r.readFile(path))
		}
	}
	return files
}

// A reader reads files as long as they are not too large together.
type reader struct{ left int }

func (r *reader) readDir(dir string) []File {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []File{{Name: dir, problem: file.Reason(err)}}
	}
	var files []File
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if strings.HasPrefix(e.Name(), ".") || (ext != ".yaml" && ext != ".yml") {
			continue
		}
		files = append(files, r.readFile(filepath.Join(dir, e.Name())))
	}
	if len(files) == 0 {
		return []File{{Name: dir, problem: "the directory holds no *.yaml and no *.yml"}}
	}
	return files
}

// readFile reads a regular file and nothing else.
func (r *reader) readFile(path string) File {
	f, info, err := file.Open(path)
	if err != nil {
		return File{Name: path, problem: file.Reason(err)}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(r.left)+1)) // one more than allowed
	if err != nil {
		return File{Name: path, problem: file.Reason(err)}
	}
	if len(data) > r.left {
		r.left = 0
		return File{Name: path, problem: "the configuration is larger than " + strconv.Itoa(maxBytes>>20) + " MiB, all files together"}
	}
	r.left -= len(data)
	return File{Name: path, Data: data, changed: info.ModTime()}
}

// Sum hashes the bytes of files, so that a caller can tell whether anything has changed without parsing it.
func Sum(files ...File) string {
	return hashOf(files, func(f File) []string { return []string{string(f.Data), f.problem} })
}

// Fingerprint hashes the bytes of files, their names and when they were changed. As long as it changes, somebody is writing.
func Fingerprint(files ...File) string {
	return hashOf(files, func(f File) []string { return []string{string(f.Data), f.problem, f.Name, f.changed.String()} })
}

func hashOf(files []File, parts func(File) []string) string {
	h := sha256.New()
	for _, f := range files {
		for _, part := range parts(f) {
			binary.Write(h, binary.BigEndian, uint64(len(part)))
			io.WriteString(h, part)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
