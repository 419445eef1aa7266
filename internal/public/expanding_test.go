package public

import (
	"net/http/httptest"
	"testing"
)

// TestServe_readersWithoutGzip serves a few at a time of those that do not accept gzip, and all others.
func TestServe_readersWithoutGzip(t *testing.T) {
	s := newWorld(t, "login").site()
	answer := func(encoding string) *httptest.ResponseRecorder {
		q := httptest.NewRequest("GET", "/", nil)
		q.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, q)
		return w
	}
	if w := answer("identity"); w.Code != 200 || w.Body.Len() < 1000 || len(s.expanding) != 0 {
		t.Errorf("expected the page and no place taken, got %d, %d bytes, %d places", w.Code, w.Body.Len(), len(s.expanding))
	}
	for range maxExpanding {
		s.expanding <- struct{}{}
	}
	if w := answer("identity"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("expected 503 and when to come again, got %d, %v", w.Code, w.Header())
	}
	if w := answer("gzip"); w.Code != 200 {
		t.Errorf("expected 200 for who accepts gzip, got %d", w.Code)
	}
}
