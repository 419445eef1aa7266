package httpx

import "testing"

func TestIsCacheName(t *testing.T) {
	for _, name := range []string{"Cache", "Cache-Status", "X-Cache", "X-Cache-Status", "x-nginx-cache-state", "Cdn-Cache", "X-Cache-Remote", "X-Cache-Debug", "X-CACHE-RESULT"} {
		if !isCacheName(name) {
			t.Errorf("%s is no header of a cache", name)
		}
	}
	for _, name := range []string{"Cache-Control", "X-Cache-Key", "Xcache", "X-Cached", "X-Cache-Statuses", "Status", "X-Cache-Status-Debug", ""} {
		if isCacheName(name) {
			t.Errorf("%s is a header of a cache", name)
		}
	}
}
