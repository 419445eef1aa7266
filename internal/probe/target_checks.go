package probe

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/internal/drop"
	"prober/internal/text"
)

// Names of checks that are made of every answer, whatever the kind. They are noted only if they do not pass.
const (
	CheckSecrets  = "secrets"  // no answer repeats the credential that was sent
	CheckVersions = "versions" // one URL is not served by different versions for long
)

// CheckCertificate is the check that the certificates of a target are valid for long enough, in each kind that has one.
const CheckCertificate = "certificate"

// CertificateExpiring is the series that is 1 while such a certificate is to be renewed, and the check still passes.
const CertificateExpiring = "probe_certificate_expiring"

// A CertificateWarner is a Probe that may measure CertificateExpiring. CertificateWarning tells whether it does and the
// severity of the alert on it; the severity is empty for one level below that of the probe.
type CertificateWarner interface {
	Probe
	CertificateWarning() (severity string, ok bool)
}

// A VersionReporter is a Probe that reads the version of its target. Its grace is how long one URL may report different
// versions before that is a failure.
type VersionReporter interface {
	Probe
	MixedVersionsGrace() time.Duration
}

// TargetChecks names the checks that are made of every answer to a probe.
func TargetChecks(p Probe) []string {
	if _, http := p.(VersionReporter); http {
		return []string{CheckSecrets, CheckVersions}
	}
	return nil
}

// checkSecrets fails for each target that repeats the credential that it was sent.
func (r *Result) checkSecrets() {
	told := map[string]bool{}
	for _, x := range r.Exchanges {
		if x.Reflected != "" && !told[x.Target] {
			told[x.Target] = true
			r.appendCheck(CheckSecrets, x.Target, x.TraceID, Outcomef(SecretReflected,
				"the answer repeats the credential that was sent, in %s: whoever sees answers, such as logs and caches, has it; replace it", x.Reflected))
		}
	}
}

// appendCheck appends a check to a sealed result.
func (r *Result) appendCheck(check, target, traceID string, o Outcome) {
	note := NewResult(r.ID)
	note.target = target
	note.Note(check, o)
	note.LinkExchange(check, traceID)
	r.Checks = append(r.Checks, note.Checks...)
}

// A VersionHistory remembers since when URLs have reported different versions. A nil one remembers nothing.
type VersionHistory struct {
	mu    sync.Mutex
	mixed map[string]time.Time // by method and URL
	known map[string]time.Time // when a version was reported last
	fresh []time.Time          // when each of the newest versions was reported first
}

// maxNewVersions is how many new versions are told apart in an hour, and maxKnownVersions in all: each makes a series.
const (
	maxNewVersions   = 20
	maxKnownVersions = 100
)

// admits reports whether a version may be told apart from others at a time.
func (h *VersionHistory) admits(version string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.known[version]; known {
		h.known[version] = now
		return true
	}
	maps.DeleteFunc(h.known, func(_ string, last time.Time) bool { return now.Sub(last) > time.Hour })
	h.fresh = drop.If(h.fresh, func(first time.Time) bool { return now.Sub(first) > time.Hour })
	if len(h.fresh) >= maxNewVersions || len(h.known) >= maxKnownVersions {
		return false
	}
	if h.known == nil {
		h.known = map[string]time.Time{}
	}
	h.known[strings.Clone(version)] = now
	h.fresh = append(h.fresh, now)
	return true
}

// limitVersions forgets versions that are too many for one hour, which only a target invents that says another each time.
func (r *Result) limitVersions(history *VersionHistory) {
	if history == nil {
		return
	}
	for i := range r.Exchanges {
		if x := &r.Exchanges[i]; x.Version != "" && !history.admits(x.Version, r.Started) {
			x.Version = ""
		}
	}
}

// maxMixedURLs bounds the URLs that a history remembers.
const maxMixedURLs = 1000

// since returns since when a URL has reported different versions.
func (h *VersionHistory) since(url string, now time.Time) time.Time {
	if h == nil {
		return now
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, known := h.mixed[url]; known {
		return at
	}
	if h.mixed == nil {
		h.mixed = map[string]time.Time{}
	}
	if len(h.mixed) < maxMixedURLs {
		h.mixed[url] = now
	}
	return now
}

// same forgets a URL: all its answers came from one version.
func (h *VersionHistory) same(url string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mixed, url)
}

// versionsOf are the answers from one URL that state a version.
type versionsOf struct {
	url       string
	versions  []string // sorted, each once
	exchanges []Exchange
}

// versionsByURL gathers the versions by method and URL, whichever replica answered: two URLs may be of two services.
func (r *Result) versionsByURL() (all []versionsOf) {
	at := map[string]int{}
	for _, x := range r.Exchanges {
		if x.Version == "" {
			continue
		}
		url := x.Method + " " + x.URL
		i, known := at[url]
		if !known {
			i, at[url] = len(all), len(all)
			all = append(all, versionsOf{url: url})
		}
		v := &all[i]
		if !slices.Contains(v.versions, x.Version) {
			v.versions = append(v.versions, x.Version)
		}
		v.exchanges = append(v.exchanges, x)
	}
	for i := range all {
		slices.Sort(all[i].versions)
	}
	return all
}

// MaxVersions returns how many different versions one URL reported, at the URL with the most; 0 if none did.
func (r Result) MaxVersions() (n int) {
	for _, v := range r.versionsByURL() {
		n = max(n, len(v.versions))
	}
	return n
}

// checkVersions notes the URL that has reported different versions for longest: a rollout that goes on, or one that is stuck.
func (r *Result) checkVersions(history *VersionHistory, grace time.Duration) {
	now := time.Now()
	var worst versionsOf
	var oldest time.Time
	for _, v := range r.versionsByURL() {
		if len(v.versions) == 1 {
			if len(v.exchanges) == r.asked(v.url) { // the others may still be of another version
				history.same(v.url)
			}
			continue
		}
		if since := history.since(v.url, now); oldest.IsZero() || since.Before(oldest) {
			worst, oldest = v, since
		}
	}
	if oldest.IsZero() {
		return
	}
	mixed := now.Sub(oldest)
	detail := fmt.Sprintf("%s is answered by %s: %s", worst.url, text.Count(len(worst.versions), "version"), strings.Join(worst.versions[:min(len(worst.versions), 3)], ", "))
	o := Outcomef(MixedVersions, "%s, for %s; a rollout may take %s (version_grace)", detail, mixed.Round(time.Second), Duration(grace))
	if mixed < grace {
		o = Outcomef(Settling, "%s; that is a failure if it lasts for %s (version_grace)", detail, Duration(grace))
	}
	last := slices.MaxFunc(worst.exchanges, func(a, b Exchange) int { return cmp.Compare(a.Version, b.Version) })
	r.appendCheck(CheckVersions, "", last.TraceID, o)
}

// asked counts the exchanges with a URL, whether or not they state a version.
func (r *Result) asked(url string) (n int) {
	for i := range r.Exchanges {
		if r.Exchanges[i].Method+" "+r.Exchanges[i].URL == url {
			n++
		}
	}
	return n
}
