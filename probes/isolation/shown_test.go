package isolation

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"prober/internal/canary"
	"prober/internal/testenv"
)

// TestCanariesAreNoVersion: a service that states a canary as its version, or as its trace id, gets it into no metric and no report.
func TestCanariesAreNoVersion(t *testing.T) {
	testenv.WithoutRace(t)
	for name, encode := range map[string]func(string) string{
		"plain":  func(text string) string { return text },
		"part":   canary.Secret,
		"base64": func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) },
		"hex":    func(text string) string { return hex.EncodeToString([]byte(text)) },
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("header")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				recorded := httptest.NewRecorder()
				next(recorded, q.Request)
				w.Header().Set("X-Version", "1.2.3")
				w.Header().Set("X-Trace", "0123456789abcdef")
				if shown := canary.Find(recorded.Body.String()); shown != nil {
					text := encode(shown[0].Text)
					w.Header().Set("X-Version", text)
					w.Header().Set("X-Trace", text)
				}
				w.WriteHeader(recorded.Code)
				_, _ = bytes.NewReader(recorded.Body.Bytes()).WriteTo(w)
			}
			r := api.runProbe(t, "visibility_delay:", "version: {header: X-Version}\n    trace: {header: X-Trace}\n    visibility_delay:")
			stated := 0
			for _, x := range r.Exchanges {
				if x.Version != "" && x.Version != "1.2.3" || strings.Trim(x.TargetTraceID, "0123456789abcdef") != "" || len(x.TargetTraceID) > 16 {
					t.Fatalf("%s %s shows the version %q and the trace id %q", x.Method, x.URL, x.Version, x.TargetTraceID)
				}
				if x.Version != "" && x.TargetTraceID != "" {
					stated++
				}
			}
			if stated == 0 {
				t.Errorf("no answer without a canary states its version and its trace id: %d exchanges, %+v", len(r.Exchanges), r.Exchanges[:min(2, len(r.Exchanges))])
			}
		})
	}
}
