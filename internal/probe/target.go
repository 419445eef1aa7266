package probe

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Target is one entry of a list from which probes are made.
type Target struct {
	Address string            `json:"address"` // host, host:port or a URL
	Labels  map[string]string `json:"labels,omitempty"`
}

// A TargetLister is a Probe that lists the targets of other probes, those with for_each: it notes them by Result.Listed. Local
// returns the list if files of this machine are enough for that, so that it can be shown what would be asked; asks reports
// whether it takes more.
type TargetLister interface {
	Probe
	Local() (list []Target, o Outcome, asks bool)
}

// A TargetLimiter is a TargetLister that says which hosts its targets may name at all.
type TargetLimiter interface {
	Allows(host string) bool
}

// CheckProbes is the check of a TargetLister that all its targets have their probes. Do notes it.
const CheckProbes = "probes"

// Reasons of TargetListers.
var (
	TargetRefused = Reason{Word: "target_refused", Verdict: Inconclusive, Text: "targets are refused, and not probed",
		Action: "Read the detail for the target and what is wrong with it, and correct the list, or the entry with for_each."}
	NoTargets = Reason{Word: "no_targets", Verdict: Inconclusive, Text: "no list of targets",
		Action: "Look at whoever writes the list: what it would name is not probed, or no longer as it should be."}
)

// Listed notes the targets that were found. An empty list is none: it notes nothing.
func (r *Result) Listed(list []Target) { r.append(func() { r.Targets = list }) }

// noteProbes notes whether the targets that a run found have their probes.
func (j Job) noteProbes(out *Result) {
	if j.Expand != nil {
		out.appendCheck(CheckProbes, "", "", j.Expand(out.Targets))
	} else if _, lists := j.Probe.(TargetLister); lists {
		out.appendCheck(CheckProbes, "", "", Outcomef(NoTargets, "no entry has for_each with this list, so that no probe is made from it"))
	}
}

type intervalKey struct{}

// IntervalOf returns how often the job of a run is run; 0 if that is not known.
func IntervalOf(ctx context.Context) time.Duration {
	d, _ := ctx.Value(intervalKey{}).(time.Duration)
	return d
}

// hostPattern is what names look like in DNS, underscores included, which some networks have.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// ValidHost reports whether a text is an IP address without a zone, or could be a name in DNS.
func ValidHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" || len(host) <= 253 && hostPattern.MatchString(host)
}

// Split takes the address apart. A URL has the port that its scheme implies; an address without one has none. It returns false for
// an address that is neither host, host:port nor a URL without user, query and fragment.
func (t Target) Split() (host, port string, ok bool) {
	rest := t.Address
	if t.IsURL() {
		u, err := url.Parse(t.Address)
		if err != nil || strings.ContainsAny(t.Address, "?#@\\") || (u.Scheme != "http" && u.Scheme != "https") ||
			strings.ContainsFunc(t.Address, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`"<>^{}|`+"`", c) }) {
			return "", "", false
		}
		if rest, port = u.Host, "80"; u.Scheme == "https" {
			port = "443"
		}
	}
	if h, p, err := net.SplitHostPort(rest); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != p {
			return "", "", false
		}
		host, port = h, p
	} else {
		host = rest
		if inner, ok := strings.CutPrefix(rest, "["); ok {
			if host, ok = strings.CutSuffix(inner, "]"); !ok {
				return "", "", false
			}
		}
	}
	if bracketed := strings.HasPrefix(rest, "["); bracketed != strings.Contains(host, ":") { // an IPv6 address, and nothing else
		return "", "", false
	}
	return host, port, ValidHost(host)
}

// IsURL reports whether the address is a URL.
func (t Target) IsURL() bool { return strings.Contains(t.Address, "://") }
