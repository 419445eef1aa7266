package sandbox

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

func isJobFault(f Fault) bool {
	return slices.ContainsFunc(jobFaults(), func(j Fault) bool { return j.Name == f.Name })
}

// The job reports each start and each end under an id of its own, and each fault changes what its summary says.
func TestJobFaults(t *testing.T) {
	s := start(t, Options{})
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+r.URL.RequestURI())
	}))
	defer server.Close()
	id := regexp.MustCompile(`\?rid=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	reports := func() string {
		s.ReportTo(server.URL + "/token")
		s.endReports()
		mu.Lock()
		defer mu.Unlock()
		var paths []string
		for i, line := range got {
			rid := id.FindString(line)
			if rid == "" || strings.Contains(line, "/start") == seen[rid] || i%2 == 1 && !strings.HasSuffix(got[i-1], rid) {
				t.Errorf("got %q", got)
			}
			seen[rid] = true
			paths = append(paths, strings.TrimSuffix(line, rid))
		}
		got = nil
		return strings.Join(paths, ", ")
	}
	const once = "POST /token/start, POST /token"
	for fault, want := range map[string]string{
		"heartbeat-late": "", "heartbeat-fails": "POST /token/start, POST /token/1", "heartbeat-hangs": "POST /token/start",
		"heartbeat-too-often": once + ", " + once + ", " + once,
	} {
		if err := s.Inject(fault); err != nil {
			t.Fatal(err)
		}
		if got := reports(); got != want {
			t.Errorf("%s: expected %q, got %q", fault, want, got)
		}
		if err := s.Clear(fault); err != nil {
			t.Fatal(err)
		}
		if got := reports(); got != once {
			t.Errorf("%s is cleared: expected %q, got %q", fault, once, got)
		}
	}
}
