package httpx

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/text"
)

// maxDateAge is how old the Date of an answer may be. Clocks of sound servers differ by less.
const maxDateAge = 24 * time.Hour

// cached returns what suggests that an answer comes out of a cache; empty if nothing does. With oldDate it is its Date
// alone, which may also be due to a wrong clock.
func cached(status int, h http.Header, now time.Time) (why string, oldDate bool) {
	if status == http.StatusNotModified {
		return "status 304", false
	}
	for _, sign := range []func(http.Header) string{agedBy, hitBy, warnedBy} {
		if why := sign(h); why != "" {
			return why, false
		}
	}
	for _, date := range h["Date"] {
		if at, err := http.ParseTime(date); err == nil && now.Sub(at) > maxDateAge {
			return "a Date of " + text.Roughly(now.Sub(at)) + " ago", true
		}
	}
	return "", false
}

// agedBy reads the time that an answer has spent in caches.
func agedBy(h http.Header) string {
	if len(h["Age"]) == 0 {
		return ""
	}
	for age := range strings.SplitSeq(strings.Join(h["Age"], ","), ",") {
		switch n, err := strconv.ParseUint(strings.TrimSpace(age), 10, 31); {
		case errors.Is(err, strconv.ErrRange):
			return "Age: over 2147483647" // RFC 9111, section 1.2.2: the largest value
		case err != nil && strings.TrimSpace(age) != "":
			return "an Age that is not a number"
		case n > 0:
			return "Age: " + strconv.FormatUint(n, 10)
		}
	}
	return ""
}

// Headers in which caches say what they did: Cache-Status (RFC 9211), X-Cache, CF-Cache-Status, X-Proxy-Cache,
// X-FastCGI-Cache, X-LiteSpeed-Cache, X-Vercel-Cache, CDN-Cache and their kin; and the metric of one in Server-Timing.
var cacheTiming = regexp.MustCompile(`(?i)cache[a-z_-]*\s*;\s*desc\s*=\s*"?(hit|stale)\b`)

// isCacheName reports whether a header is one of those by its name.
func isCacheName(name string) bool {
	for _, suffix := range []string{"-status", "-state", "-result", "-remote", "-debug"} {
		if cut, ok := cutSuffix(name, suffix); ok {
			name = cut
			break
		}
	}
	_, ok := cutSuffix(name, "-cache")
	return ok || strings.EqualFold(name, "cache")
}

// cutSuffix is strings.CutSuffix for any case of letters.
func cutSuffix(text, suffix string) (before string, found bool) {
	at := len(text) - len(suffix)
	if at < 0 || !strings.EqualFold(text[at:], suffix) {
		return text, false
	}
	return text[:at], true
}

// hitBy reads whether a cache says that it answered.
func hitBy(h http.Header) string {
	var names []string
	for name := range h {
		if mayTellOfCache(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			word := ""
			switch {
			case isCacheName(name):
				word = cacheHit(v)
			case name == "Server-Timing" && cacheTiming.MatchString(v):
				word = "HIT"
			case name == "X-Cache-Hits" && slices.ContainsFunc(numbers(v), func(n uint64) bool { return n > 0 }):
				return "X-Cache-Hits is above 0"
			case name == "X-Varnish" && len(numbers(v)) > 1: // the request that is answered, and the one whose answer was kept
				return "X-Varnish names two requests"
			}
			if word != "" {
				return cacheHeader(name) + " says " + word
			}
		}
	}
	return ""
}

// mayTellOfCache reports whether a header may say that a cache answered, by its name.
func mayTellOfCache(name string) bool {
	return name == "Server-Timing" || name == "X-Cache-Hits" || name == "X-Varnish" || isCacheName(name)
}

// cacheHeader returns the name of a header for a message. The name of an unknown one is the server's own text.
func cacheHeader(name string) string {
	for _, known := range []string{
		"X-Cache", "X-Cache-Status", "Cf-Cache-Status", "Cache-Status", "X-Proxy-Cache", "X-Fastcgi-Cache", "X-Vercel-Cache",
		"X-Litespeed-Cache", "X-Nginx-Cache", "Cdn-Cache", "X-Cache-Remote", "Server-Timing",
	} {
		if name == known {
			return name
		}
	}
	return "a header of a cache"
}

func numbers(v string) (all []uint64) {
	for _, field := range strings.FieldsFunc(v, func(c rune) bool { return c == ' ' || c == ',' }) {
		if n, err := strconv.ParseUint(field, 10, 64); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// warnedBy reads the warnings of caches that an answer is stale: 110, 111 and 113 (RFC 7234, section 5.5).
func warnedBy(h http.Header) string {
	for _, v := range h["Warning"] {
		for _, code := range []string{"110", "111", "113"} {
			if strings.HasPrefix(strings.TrimSpace(v), code+" ") {
				return "Warning: " + code
			}
		}
	}
	return ""
}

// cacheHit returns the word of a header that says that a cache answered: with a fresh copy, or with a stale one while the
// origin is asked or down; empty if there is no such word.
func cacheHit(value string) string {
	words := strings.FieldsFunc(value, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
	for _, word := range words {
		switch word = strings.ToUpper(word); word {
		case "HIT", "STALE", "UPDATING", "PRERENDER":
			return word
		}
	}
	return ""
}
