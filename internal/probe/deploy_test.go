package probe

import (
	"strings"
	"testing"
)

func TestSameVersion(t *testing.T) {
	t.Parallel()
	commit, digest := strings.Repeat("3f2a91c0", 5), strings.Repeat("9a0b1c2d", 8)
	for _, same := range [][2]string{
		{"1.4.2", "1.4.2"}, {"v1.4.2", "1.4.2"}, {commit, commit}, {commit, "3f2a91c"}, {commit, strings.ToUpper(commit)},
		{"3f2a91c", "3f2a91c03f2a"}, {"sha256:" + digest, digest}, {"sha256:" + digest, "sha256:9a0b1c2d9a0b"}, {commit, commit[:39]},
	} {
		if !SameVersion(same[0], same[1]) || !SameVersion(same[1], same[0]) {
			t.Errorf("expected %s and %s to be one version", same[0], same[1])
		}
	}
	for _, other := range [][2]string{
		{"", ""}, {"", "1.4.2"}, {"1.4.2", "1.4.20"}, {"1.4.2", "1.4"}, {commit, "3f2a91"}, {commit, "3f2a91d"}, {commit, commit[1:]},
		{"2026112", "20261128"}, {"20261128", "202611281"}, {"1.4.2-A", "1.4.2-a"}, {"v", "vv"}, {"vendor", "endor"}, {"abc", "abcd"},
	} {
		if SameVersion(other[0], other[1]) || SameVersion(other[1], other[0]) {
			t.Errorf("expected %s and %s to be two versions", other[0], other[1])
		}
	}
}

func TestShortVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.4.2": "1.4.2", strings.Repeat("3f2a91c0", 5): "3f2a91c03f2a", "sha256:" + strings.Repeat("9a0b1c2d", 8): "sha256:9a0b1c2d9a0b",
		"3f2a91c": "3f2a91c", strings.Repeat("z", 40): strings.Repeat("z", 40), "": "",
	} {
		if got := ShortVersion(version); got != want {
			t.Errorf("expected %s for %s, got %s", want, version, got)
		}
	}
}
