package arch

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPictures bounds what everybody who clones the project downloads for its pictures.
func TestPictures(t *testing.T) {
	const maxPictures, maxBytes = 12, 2_000_000
	pictures, err := filepath.Glob("../../docs/images/*")
	if err != nil || len(pictures) == 0 || len(pictures) > maxPictures {
		t.Errorf("%d pictures, expected 1 to %d: %v", len(pictures), maxPictures, err)
	}
	var sum int64
	for _, name := range pictures {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) != ".png" {
			t.Errorf("%s is no picture of `make pictures`", name)
		}
		sum += info.Size()
	}
	if sum > maxBytes {
		t.Errorf("the pictures have %d bytes, expected at most %d", sum, maxBytes)
	}
}
