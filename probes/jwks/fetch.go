package jwks

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/replicas"
)

// An endpoint is where one verifier, or one replica of it, has its keys.
type endpoint struct {
	target string // as it is shown
	url    string
	addr   string    // to dial; empty: what the URL's host resolves to
	given  *Verifier // has a bundle in place of a URL
	of     string    // the verifier whose replica it is; empty if it has none
}

// A keySetSnapshot is what was seen of one place.
type keySetSnapshot struct {
	endpoint
	probe.Outcome               // OK if the set was read and is not out of a cache, unless that is allowed
	set           jwk.Set       // nil if it could not be read
	cached        string        // why it may have come out of a cache
	maxAge        time.Duration // how long it may be kept
	maxAgeGiven   bool          // the answer says so
	stale         time.Duration // for how much longer a cache may give it away stale (RFC 5861)
}

// authoritative reports whether what is in the set is what the verifier has.
func (v *keySetSnapshot) authoritative() bool { return v.set != nil && v.Passed() }

// endpoints lists where keys are, in the order of the settings. It notes what cannot be found.
func (p *Probe) endpoints(ctx context.Context, r *probe.Result) ([]endpoint, bool) {
	var all []endpoint
	for _, raw := range p.URLs {
		all = append(all, endpoint{target: targetName(raw), url: raw})
	}
	names := sorted.Keys(p.Verifiers)
	replicated := drop.If(slices.Clone(names), func(name string) bool { return p.Verifiers[name].Replicas.None() })
	found := make([][]string, len(replicated))
	r.Each(replicated, func(i int, r *probe.Result) {
		v := p.Verifiers[replicated[i]]
		if addresses, ok := v.Replicas.Find(ctx, r, p.client.Resolver()); ok {
			found[i] = addresses
		}
	})
	for _, name := range names {
		v := p.Verifiers[name]
		i := slices.Index(replicated, name)
		switch {
		case !v.PEM.IsZero():
			all = append(all, endpoint{target: name, given: &v})
		case i < 0:
			all = append(all, endpoint{target: name, url: v.URL})
		default:
			for _, address := range found[i] {
				all = append(all, endpoint{target: name + "/" + address, url: v.URL, addr: address, of: name})
			}
		}
	}
	if len(all) > replicas.MaxReplicas {
		r.Inconclusive("keyset", probe.TooLarge, "found %d verifiers and replicas; more than %d cannot be asked at once", len(all), replicas.MaxReplicas)
		return nil, false
	}
	return all, true
}

// snapshot reads the keys of one place.
func (p *Probe) snapshot(ctx context.Context, r *probe.Result, at endpoint) keySetSnapshot {
	v := keySetSnapshot{endpoint: at}
	var err error
	if at.given != nil {
		v.set, v.Outcome = at.given.bundle()
	} else if answer := p.ask(ctx, r, at); v.readable(answer, p.Authenticates()) {
		v.maxAge, v.stale, v.maxAgeGiven = freshness(answer)
		v.cached = answer.Cached
		v.set, err = jwk.Parse(ctx, answer.Body)
		v.Outcome = notParsed(err)
	}
	if v.cached != "" && v.Passed() && !p.AllowCached {
		v.Outcome = probe.Outcomef(probe.StaleOrCached, "the key set may come out of a cache (%s), which proves nothing about its origin", v.cached)
	}
	if p.AllowExponent3 {
		v.set.AllowExponent3()
	}
	return v
}

func (p *Probe) ask(ctx context.Context, r *probe.Result, at endpoint) *httpx.Answer {
	header := http.Header{"Cache-Control": {"no-cache"}, "Accept": {"application/jwk-set+json, application/json"}}
	return p.client.Do(ctx, r, httpx.Request{Check: "keyset", URL: at.url, Addr: at.addr, Header: header, Want: httpx.Success})
}

// readable reports whether an answer can hold a key set, and keeps why it cannot.
func (v *keySetSnapshot) readable(a *httpx.Answer, credential bool) bool {
	// snapshot judges cached sets
	c := a.Classify(httpx.ClassifyOptions{Want: httpx.Success, AllowCached: true, Credential: credential, Public: !credential})
	v.Outcome = c.Outcome
	return c.Class == httpx.ClassExpected
}

// notParsed says what is wrong with a key set as a whole.
func notParsed(err error) probe.Outcome {
	switch {
	case err == nil:
		return probe.Outcome{Reason: probe.OK}
	case errors.Is(err, jwk.ErrEmpty):
		return probe.Outcomef(reasonEmpty, "expected a key set, got one without keys: no token can be verified with it")
	}
	return probe.Outcomef(probe.Schema, "expected a key set: %s", err)
}

// bundle reads the keys of a verifier that has no endpoint.
func (v *Verifier) bundle() (jwk.Set, probe.Outcome) {
	ids := resolve(v.Kids)
	if ids.err != nil {
		return nil, probe.Outcomef(probe.Credential, "kids: %s", ids.err)
	}
	text, err := v.PEM.Read()
	if err != nil {
		return nil, probe.Outcomef(probe.Credential, "pem: %s", err)
	}
	set, err := jwk.ParsePEM([]byte(text), ids.list)
	if err != nil {
		return nil, probe.Outcomef(probe.Schema, "expected a bundle of public keys in PEM: %s", err)
	}
	return set, probe.Outcome{Reason: probe.OK}
}

// deltaSeconds reads a number of seconds (RFC 9111, section 1.2.2).
func deltaSeconds(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		seconds, err = 1<<31-1, nil // as much as anybody can count
	}
	return time.Duration(seconds) * time.Second, err == nil
}

// freshness is how long an answer says that it may be kept (RFC 9111, section 4.2.1), at the longest, and for how much
// longer a cache may give it away stale (RFC 5861); said is false if it does not say.
func freshness(a *httpx.Answer) (life, stale time.Duration, said bool) {
	for name, values := range a.Header {
		// Caches of CDNs go by a header of their own (RFC 9213), and many vendors have one more, such as Cloudflare-CDN-Cache-Control.
		if name == "Cache-Control" || name == "Surrogate-Control" || strings.HasSuffix(name, "Cdn-Cache-Control") {
			l, s, ok := directives(values)
			life, stale, said = max(life, l), max(stale, s), said || ok
		}
	}
	if said {
		return life, stale, true
	}
	expires, err := http.ParseTime(a.Header.Get("Expires"))
	if err != nil {
		return 0, 0, false
	}
	since, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		since = time.Now()
	}
	return max(0, expires.Sub(since)), stale, true
}

// directives is what one header of an answer says about it.
func directives(values []string) (life, stale time.Duration, said bool) {
	for _, directive := range strings.Split(strings.ToLower(strings.Join(values, ",")), ",") {
		name, value, valued := strings.Cut(strings.TrimSpace(directive), "=")
		seconds, counted := deltaSeconds(value)
		switch {
		case (name == "no-store" || name == "no-cache") && !valued: // with a value it is about single headers (RFC 9111, section 5.2.2.4)
			return 0, 0, true
		case !counted:
		case name == "max-age" || name == "s-maxage":
			life, said = max(life, seconds), true
		case name == "stale-while-revalidate" || name == "stale-if-error":
			stale = max(stale, seconds)
		}
	}
	return life, stale, said
}
