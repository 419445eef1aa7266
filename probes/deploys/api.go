package deploys

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// An api asks the API of a platform on behalf of one check.
type api struct {
	client     *httpx.Client
	limit      *rateLimit
	base       string
	credential bool
	r          *probe.Result
	check      string
}

// get asks for a path, and reads the JSON of the answer into a value. Members that are missing or null leave it as it is. It
// never follows a link of the answer.
func (a *api) get(ctx context.Context, path string, query url.Values, header http.Header, into any) probe.Outcome {
	if until := a.limit.ends(); time.Until(until) > 0 {
		return probe.Outcomef(probe.RateLimited, "the platform limits the rate of requests; it is not asked before %s", clock(until))
	}
	target := strings.TrimSuffix(a.base, "/") + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	answer := a.client.Do(ctx, a.r, httpx.Request{Check: a.check, URL: target, Header: header, Want: httpx.Codes(http.StatusOK)})
	if o := a.classify(answer); !o.Passed() {
		return o
	}
	if _, err := answer.JSON(); err != nil { // which bounds what the document costs, and refuses one that says two things
		return httpx.NotJSON(err)
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return probe.Outcomef(probe.Schema, "expected an answer in the form of the platform's API, got other JSON")
	}
	return probe.Outcome{Reason: probe.OK}
}

// classify says what an answer means, beside what it says.
func (a *api) classify(answer *httpx.Answer) probe.Outcome {
	c := answer.Classify(httpx.ClassifyOptions{Want: httpx.Codes(http.StatusOK), Credential: a.credential})
	switch {
	case answer.Reason != probe.OK:
	case answer.Status == http.StatusForbidden || answer.Status == http.StatusTooManyRequests:
		wait, limited := limitOf(answer.Header, time.Now())
		if !limited && answer.Status == http.StatusForbidden {
			break
		}
		a.limit.wait(wait)
		more := ""
		if wait > 0 {
			more = ", for another " + wait.Round(time.Second).String()
		}
		return probe.Outcomef(probe.RateLimited, "expected 200, got %d: the platform limits the rate of requests%s", answer.Status, more)
	case answer.Status == http.StatusServiceUnavailable:
		if wait, limited := limitOf(answer.Header, time.Now()); limited {
			a.limit.wait(wait)
		}
	case answer.Status == http.StatusNotFound:
		return probe.Outcomef(probe.Status, "expected 200, got 404: there is no such thing at the platform, or the credential may not see it")
	}
	return c.Outcome
}

// maxWait bounds for how long a platform is not asked because it said so.
const maxWait = time.Hour

// limitOf reads for how long an answer asks to be left alone, by Retry-After or by the headers of a limit that is used up.
// GitHub answers 403 with them, as well as 429.
func limitOf(h http.Header, now time.Time) (wait time.Duration, limited bool) {
	for _, prefix := range []string{"X-Ratelimit-", "Ratelimit-"} {
		if h.Get(prefix+"Remaining") != "0" {
			continue
		}
		limited = true
		if n, err := strconv.ParseInt(h.Get(prefix+"Reset"), 10, 64); err == nil && n > 0 && n < 1<<40 {
			wait = time.Duration(min(n, int64(maxWait/time.Second))) * time.Second // the draft of the IETF: in so many seconds
			if n > 1e9 {
				wait = time.Unix(n, 0).Sub(now) // GitHub: at that time
			}
		}
	}
	if text := h.Get("Retry-After"); text != "" {
		limited = true
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			wait = time.Duration(n) * time.Second
		} else if at, err := http.ParseTime(text); err == nil {
			wait = at.Sub(now)
		}
	}
	return min(max(wait, 0), maxWait), limited
}

// A rateLimit remembers until when a platform is not to be asked.
type rateLimit struct {
	mu    sync.Mutex
	until time.Time
}

func (l *rateLimit) ends() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

func (l *rateLimit) wait(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(d)
}

// word is the form of an id or a version. They stand in notes and chats, so they can be neither an address to click on nor
// somebody's name.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+:-]{0,127}$`)

// words returns those texts that have the form of one, each once.
func words(texts ...string) (found []string) {
	for _, t := range texts {
		if word.MatchString(t) {
			found = append(found, t)
		}
	}
	return found
}

// numbered returns a tag if it has a digit: one like latest, and a branch, name no version.
func numbered(tag string) string {
	if strings.ContainsAny(tag, "0123456789") {
		return tag
	}
	return ""
}

// moment reads a time after RFC 3339. One that is missing, cannot be read or lies in the future is unknown.
func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Year() < 1970 || time.Until(at) > maxClockDifference {
		return time.Time{}
	}
	return at
}

// maxClockDifference is how far the clock of a platform may be ahead of the prober's.
const maxClockDifference = time.Minute

// tag is the tag of an image, as in registry.example/shop:1.4.2@sha256:...; empty if it has no numbered one.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if _, after, ok := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":"); ok {
		return numbered(after)
	}
	return ""
}

func clock(at time.Time) string { return at.UTC().Format(time.RFC3339) }
