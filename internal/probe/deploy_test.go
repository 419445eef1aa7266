package probe

import (
	"strings"
	"testing"
	"time"
)

func TestSameVersion(t *testing.T) {
	t.Parallel()
	commit, digest := strings.Repeat("3f2a91c0", 5), strings.Repeat("9a0b1c2d", 8)
	for _, same := range [][2]string{
		{"1.4.2", "1.4.2"}, {"v1.4.2", "1.4.2"}, {"v0.1", "0.1"}, {"v9", "9"}, {commit, commit}, {commit, "3f2a91c"}, {commit, strings.ToUpper(commit)},
		{"3f2a91c", "3f2a91c03f2a"}, {"sha256:" + digest, digest}, {"sha256:" + digest, "sha256:9a0b1c2d9a0b"}, {commit, commit[:39]},
	} {
		if !SameVersion(same[0], same[1]) || !SameVersion(same[1], same[0]) {
			t.Errorf("expected %s and %s to be one version", same[0], same[1])
		}
	}
	for _, other := range [][2]string{
		{"", ""}, {"", "1.4.2"}, {"1.4.2", "1.4.20"}, {"1.4.2", "1.4"}, {commit, "3f2a91"}, {commit, "3f2a91d"}, {commit, commit[1:]},
		{"2026112", "20261128"}, {"20261128", "202611281"}, {"1.4.2-A", "1.4.2-a"}, {"v", "vv"}, {"vendor", "endor"}, {"abc", "abcd"}, {"", commit}, {"3f2a91c", "3f2a91c-dirty"},
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

// TestDeploy_nearOnset: which deploys an incident note names as what may have caused the failure.
func TestDeploy_nearOnset(t *testing.T) {
	t.Parallel()
	onset := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return onset.Add(-d) }
	for name, c := range map[string]struct {
		deploy Deploy
		near   bool
	}{
		"half an hour before":             {Deploy{State: DeployLive, Started: before(30 * time.Minute)}, true},
		"longer before":                   {Deploy{State: DeployLive, Started: before(30*time.Minute + time.Second)}, false},
		"long in the making":              {Deploy{State: DeployLive, Started: before(2 * time.Hour), Ended: before(time.Minute)}, true},
		"live for long":                   {Deploy{State: DeployLive, Started: before(3 * time.Hour), Ended: before(2 * time.Hour)}, false},
		"still going on":                  {Deploy{State: DeployInProgress, Started: before(2 * time.Hour)}, true},
		"queued for long":                 {Deploy{State: DeployQueued, Started: before(2 * time.Hour)}, true},
		"as the failure came":             {Deploy{State: DeployFailed, Started: onset}, true},
		"after it, perhaps a rollback":    {Deploy{State: DeployLive, Started: onset.Add(time.Second)}, false},
		"waiting for a person":            {Deploy{State: DeployWaiting, Started: before(time.Minute)}, false},
		"canceled":                        {Deploy{State: DeployCanceled, Started: before(time.Minute)}, false},
		"nobody knows when it was begun":  {Deploy{State: DeployInProgress}, false},
		"paused, with some of it serving": {Deploy{State: DeployPaused, Started: before(time.Minute)}, true},
	} {
		if got := c.deploy.NearOnset(onset); got != c.near {
			t.Errorf("%s: near the onset: %t", name, got)
		}
	}
	if got := (Deploy{ID: "17"}).String(); got != "deploy 17 of an unknown version" {
		t.Errorf("got %s", got)
	}
}
