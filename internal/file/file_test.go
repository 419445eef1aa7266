package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"empty": "", "whole": "abc", "longer": "abcdef"} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(at("pipe"), 0o600), os.Symlink(at("pipe"), at("link to a pipe")), os.Symlink(at("whole"), at("link")),
		os.Symlink(at("loop"), at("loop"))); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		at("empty"): "", at("whole"): "abc", at("longer"): "abcd", at("link"): "abc",
		at("pipe"): "not a regular file", at("link to a pipe"): "not a regular file", dir: "not a regular file", "/dev/zero": "not a regular file",
		at("none"): "no such file or directory", at("loop"): "too many levels of symbolic links", "": "no such file or directory",
	} {
		data, err := Read(path, 3)
		got := string(data)
		if err != nil {
			got = Reason(err)
			if _, ok := errors.AsType[*fs.PathError](err); !ok {
				t.Errorf("%s: got an error of type %T", path, err)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, expected %q", path, got, want)
		}
	}
	if got := Reason(errors.New("secret")); got != "cannot be read" {
		t.Errorf("got %q", got)
	}
}
