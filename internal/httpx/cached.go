package httpx

import (
	"errors"
	"net/http"
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

// isCacheName reports whether a header tells, by its name, what a cache did: Cache-Status (RFC 9211), X-Cache, CF-Cache-Status,
// X-Proxy-Cache, X-Cached, X-SRCache-Fetch-Status, CDN-Cache and their kin. Those that say what a cache may do, or what it would have
// found, are none.
func isCacheName(name string) bool {
	if !strings.Contains(name, "Cache") && !strings.Contains(name, "cache") { // as net/http writes all names
		return false
	}
	for _, other := range []string{"Control", "Key", "Tag", "Lookup", "Miss", "Store"} {
		if strings.Contains(name, other) {
			return false
		}
	}
	return true
}

// hitBy reads whether a cache says that it answered.
func hitBy(h http.Header) string {
	var names []string
	for name := range h {
		if name == "Server-Timing" || name == "X-Varnish" || isCacheName(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			if why := hitIn(name, v); why != "" {
				return why
			}
		}
	}
	return ""
}

// hitIn reads one value of a header.
func hitIn(name, value string) string {
	var word string
	switch name {
	case "X-Cache-Hits":
		if slices.ContainsFunc(numbers(value), func(n uint64) bool { return n > 0 }) {
			return "X-Cache-Hits is above 0"
		}
		return ""
	case "X-Varnish": // the request that is answered, and the one whose answer was kept
		if len(numbers(value)) > 1 {
			return "X-Varnish names two requests"
		}
		return ""
	case "Cache-Status":
		word = eachOf(value, statusHit)
	case "Server-Timing":
		word = eachOf(value, timingHit)
	default:
		word = cacheHit(value)
		yes := strings.HasSuffix(name, "-Cache-Hit") || strings.HasSuffix(name, "-From-Cache")
		switch {
		case yes && (value == "1" || strings.EqualFold(value, "true") || strings.EqualFold(value, "yes")):
			word = "HIT"
		case word == "REVALIDATED" && name == "X-Vercel-Cache": // from the origin, and kept since
			word = ""
		}
	}
	if word == "" {
		return ""
	}
	return cacheHeader(name) + " says " + word
}

// eachOf returns the first word that is read in a member of a list.
func eachOf(list string, read func(name string, params []string) string) string {
	for _, member := range split(list, ',') {
		if parts := split(member, ';'); len(parts) > 0 {
			if word := read(parts[0], parts[1:]); word != "" {
				return word
			}
		}
	}
	return ""
}

// statusHit reads what one cache says in Cache-Status (RFC 9211). It has answered by itself, or the origin told it that its copy is
// still good. Where it forwarded the request because of a stale copy, the answer is the origin's.
func statusHit(cache string, params []string) string {
	if len(params) == 0 {
		return cacheHit(cache) // of servers that write the word alone
	}
	for _, p := range params {
		switch strings.ToLower(p) {
		case "hit", "hit=?1":
			return "HIT"
		case "fwd-status=304":
			return "REVALIDATED"
		}
	}
	return ""
}

// timingHit reads a metric of Server-Timing: cdn-cache; desc=HIT, or as a word of its own, cdn-cache-hit.
func timingHit(metric string, params []string) string {
	of := strings.ToLower(metric)
	switch {
	case cacheHit(of) == "HIT":
		return "HIT"
	case of == "cdn-cache-refresh":
		return "REVALIDATED"
	case !strings.Contains(of, "cache"):
		return ""
	}
	for _, p := range params {
		if word := cacheHit(p); word != "" {
			return word
		}
	}
	return ""
}

// split cuts a text at a separator outside of quoted strings (RFC 9110, section 5.6.4), and leaves out what is empty.
func split(value string, at byte) (parts []string) {
	quoted, start := false, 0
	for i := 0; i <= len(value); i++ {
		switch {
		case i == len(value) || value[i] == at && !quoted:
			if part := strings.TrimSpace(value[start:i]); part != "" {
				parts = append(parts, part)
			}
			start = i + 1
		case value[i] == '"':
			quoted = !quoted
		case quoted && value[i] == '\\' && i+1 < len(value):
			i++
		}
	}
	return parts
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

// warnedBy reads the warnings of caches that an answer is stale: 110 to 113 (RFC 7234, section 5.5).
func warnedBy(h http.Header) string {
	for _, v := range h["Warning"] {
		for _, warning := range split(v, ',') {
			code, _, _ := strings.Cut(warning, " ")
			if len(code) == 3 && code >= "110" && code <= "113" {
				return "Warning: " + code
			}
		}
	}
	return ""
}

// cacheHit returns the word of a header that says that a cache answered: with a copy that is fresh, that the origin confirmed, or
// that is stale while the origin is asked or down; empty if there is no such word.
func cacheHit(value string) (found string) {
	words := strings.FieldsFunc(strings.ToUpper(value), func(c rune) bool { return c < 'A' || c > 'Z' })
	for i, word := range words {
		switch word {
		case "HIT", "STALE", "UPDATING", "PRERENDER", "REVALIDATED", "REFRESHHIT", "FRESH":
			next := strings.Join(words[i+1:min(i+3, len(words))], " ")
			if found == "" && next != "FOR PASS" && next != "FOR MISS" { // what is found says that nothing is kept
				found = word
			}
		case "INVALID": // the stale copy, in the trace of Rack::Cache: the origin answered with another one
			return ""
		}
	}
	return found
}
