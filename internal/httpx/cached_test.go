package httpx

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestIsCacheName(t *testing.T) {
	for _, name := range []string{"Cache", "Cache-Status", "X-Cache", "X-Cache-Status", "X-Nginx-Cache-State", "Cdn-Cache", "X-Cache-Remote", "X-Cache-Debug", "X-Cached", "X-Gocache-Cachestatus", "X-Srcache-Fetch-Status", "X-From-Cache"} {
		if !isCacheName(name) {
			t.Errorf("%s is no header of a cache", name)
		}
	}
	for _, name := range []string{"Cache-Control", "Cdn-Cache-Control", "X-Cache-Key", "Cache-Tag", "X-Cache-Lookup", "X-Cache-Miss-Reason", "X-Srcache-Store-Status", "Status", ""} {
		if isCacheName(name) {
			t.Errorf("%s is a header of a cache", name)
		}
	}
}

// TestCached_words reads what caches say in their own words, and in those of RFC 9211.
func TestCached_words(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"X-Cache", "RefreshHit from cloudfront", "X-Cache says REFRESHHIT"},
		{"X-Cache", "Miss from cloudfront", ""},
		{"X-Cache", "LambdaGeneratedResponse from cloudfront", ""},
		{"X-Cache", "cp3066 miss, cp3066 hit/5", "X-Cache says HIT"},
		{"X-Cache", "hit-for-pass", ""},
		{"X-Cache", "hit for miss", ""},
		{"X-Cache", "hit for pass, hit", "X-Cache says HIT"},
		{"X-Cache", "hit-for", "X-Cache says HIT"},
		{"X-Cache", "TCP_REFRESH_MISS", ""},
		{"X-Cache", "EXPIRED", ""},
		{"Cf-Cache-Status", "REVALIDATED", "Cf-Cache-Status says REVALIDATED"},
		{"X-Vercel-Cache", "REVALIDATED", ""},
		{"X-Rack-Cache", "fresh", "a header of a cache says FRESH"},
		{"X-Rack-Cache", "stale, valid, store", "a header of a cache says STALE"},
		{"X-Rack-Cache", "stale, invalid, store", ""},
		{"X-Symfony-Cache", "GET /: fresh", "a header of a cache says FRESH"},
		{"X-Cached", "HIT", "a header of a cache says HIT"},
		{"X-Srcache-Fetch-Status", "HIT", "a header of a cache says HIT"},
		{"X-Srcache-Store-Status", "STORE HIT", ""},
		{"X-Gocache-Cachestatus", "HIT", "a header of a cache says HIT"},
		{"X-Cache-Hit", "true", "a header of a cache says HIT"},
		{"X-Cache-Hit", "0", ""},
		{"X-From-Cache", "1", "a header of a cache says HIT"},
		{"X-Served-From-Cache", "Yes", "a header of a cache says HIT"},
		{"X-Served-From-Cache", "no", ""},
		{"X-Cache-Enabled", "true", ""},
		{"Cache-Status", "Origin; hit; ttl=1100, \"CDN Company Here\"; fwd=uri-miss", "Cache-Status says HIT"},
		{"Cache-Status", "Origin; fwd=uri-miss; stored, CDN;hit", "Cache-Status says HIT"},
		{"Cache-Status", "E; hit=?1", "Cache-Status says HIT"},
		{"Cache-Status", "E; hit=?0", ""},
		{"Cache-Status", "E; hit; ttl=-412", "Cache-Status says HIT"},
		{"Cache-Status", "E; fwd=stale; fwd-status=304", "Cache-Status says REVALIDATED"},
		{"Cache-Status", "E; fwd=stale; fwd-status=200", ""},
		{"Cache-Status", "E; fwd=stale", ""},
		{"Cache-Status", "E; fwd=uri-miss; collapsed; stored", ""},
		{"Cache-Status", "\"hit.example\"; fwd=miss", ""},
		{"Cache-Status", "E; fwd=request; key=\"a, b; hit\"", ""},
		{"Cache-Status", "E; fwd=miss; detail=\"a \\\" b; hit\"", ""},
		{"Cache-Status", "E; fwd=miss; detail=HIT", ""},
		{"Cache-Status", "HIT", "Cache-Status says HIT"},
		{"Cache-Status", "MISS", ""},
		{"Cache-Status", " ; , ;; hit", "Cache-Status says HIT"},
		{"Server-Timing", "cdn-cache-hit,cdn-pop;desc=\"FRA\"", "Server-Timing says HIT"},
		{"Server-Timing", "cdn-cache-miss,cdn-pop;desc=\"FRA\"", ""},
		{"Server-Timing", "cdn-cache-refresh", "Server-Timing says REVALIDATED"},
		{"Server-Timing", "edge;dur=1, cfCacheStatus;dur=2;desc=\"HIT\"", "Server-Timing says HIT"},
		{"Server-Timing", "HIT-CLUSTER, fastly;desc=\"Edge time\"", "Server-Timing says HIT"},
		{"Server-Timing", "db;desc=\"cache, hit\"", ""},
		{"Warning", "199 - \"x\", 110 - \"Response is stale\"", "Warning: 110"},
		{"Warning", "112 - \"Disconnected Operation\"", "Warning: 112"},
		{"Warning", "299 - \"a, 110 b\"", ""},
		{"Warning", "214 - \"Transformation Applied\"", ""},
		{"Warning", "1100 - \"x\"", ""},
	} {
		if got, _ := cached(200, http.Header{c.name: {"", c.value}}, time.Now()); got != c.want {
			t.Errorf("%s: %s: got %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for value, want := range map[string][]string{
		"":           nil,
		" , a ,, b ": {"a", "b"},
		`"a,b",c`:    {`"a,b"`, "c"},
		`"a\\",b`:    {`"a\\"`, "b"},
		`"a\",b`:     {`"a\",b`},
		`"a,b`:       {`"a,b`},
		`"\`:         {`"\`},
	} {
		if got := split(value, ','); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}
