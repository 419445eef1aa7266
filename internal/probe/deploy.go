package probe

import (
	"cmp"
	"strings"
	"time"
)

// A Deploy is one rollout of a version of a system, as the platform that made it reports it.
type Deploy struct {
	ID      string      `json:"id"`
	Version string      `json:"version,omitempty"` // a commit, a digest or a tag; empty if unknown
	State   DeployState `json:"state"`
	Started time.Time   `json:"started,omitzero"` // zero if unknown
	Ended   time.Time   `json:"ended,omitzero"`   // when it went live or failed; zero if unknown
}

// A DeployState is what became of a deploy.
type DeployState string

// The states of a deploy. The zero value is none of them.
const (
	DeployWaiting    DeployState = "waiting"     // for a person to approve it
	DeployPaused     DeployState = "paused"      // a person holds it; some of it serves
	DeployQueued     DeployState = "queued"      // not begun
	DeployInProgress DeployState = "in_progress" // the rollout goes on
	DeployLive       DeployState = "live"        // it is what serves
	DeploySuperseded DeployState = "superseded"  // it was live, and another one replaced it
	DeployFailed     DeployState = "failed"
	DeployCanceled   DeployState = "canceled"
	DeployUnknown    DeployState = "unknown" // a state that the prober does not know, or no state
)

// String names the deploy in a sentence.
func (d Deploy) String() string {
	return "deploy " + d.ID + " of " + cmp.Or(ShortVersion(d.Version), "an unknown version")
}

// UnderWay reports whether the rollout goes on, or is about to begin without anybody's doing.
func (d Deploy) UnderWay() bool { return d.State == DeployQueued || d.State == DeployInProgress }

// beforeOnset is how long before the first failure a deploy is near the onset: «If a rollout started near onset».
const beforeOnset = 30 * time.Minute

// NearOnset reports whether the rollout was made shortly before a failure. One that started after it is no cause, but perhaps a
// rollback. One that was long in the making counts from when it went live.
func (d Deploy) NearOnset(onset time.Time) bool {
	if d.State == DeployWaiting || d.State == DeployCanceled || d.Started.IsZero() || d.Started.After(onset) {
		return false
	}
	changed := d.Started
	if d.UnderWay() {
		changed = onset
	} else if d.Ended.After(changed) {
		changed = d.Ended
	}
	return onset.Sub(changed) <= beforeOnset
}

// ShortVersion abbreviates a whole commit or digest to twelve digits, as people write them.
func ShortVersion(version string) string {
	prefix := ""
	if rest, ok := strings.CutPrefix(version, digestPrefix); ok {
		prefix, version = digestPrefix, rest
	}
	if wholeHash(version) {
		version = version[:12]
	}
	return prefix + version
}

// minAbbreviation is the least number of digits that name a commit.
const minAbbreviation = 7

const digestPrefix = "sha256:"

// SameVersion reports whether two texts name one version: they are equal but for a leading v, or one abbreviates the commit
// or the digest that the other is. An empty text names none.
func SameVersion(a, b string) bool {
	a, b = plainVersion(a), plainVersion(b)
	if len(a) > len(b) {
		a, b = b, a
	}
	switch {
	case a == "":
		return false
	case a == b:
		return true
	case len(a) < minAbbreviation || !hexadecimal(a) || !hexadecimal(b) || !strings.HasPrefix(b, a):
		return false
	}
	// Of two abbreviations, digits alone may be a date or a build number.
	return wholeHash(b) || strings.ContainsAny(a, "abcdef")
}

// plainVersion is a version without what people write it with.
func plainVersion(version string) string {
	version = strings.TrimPrefix(version, digestPrefix)
	if rest, ok := strings.CutPrefix(version, "v"); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		version = rest
	}
	if lower := strings.ToLower(version); hexadecimal(lower) {
		return lower
	}
	return version
}

// wholeHash reports whether a text is a commit or a digest that is not abbreviated.
func wholeHash(text string) bool {
	return (len(text) == 40 || len(text) == 64) && hexadecimal(text)
}

func hexadecimal(text string) bool { return text != "" && strings.Trim(text, "0123456789abcdef") == "" }
