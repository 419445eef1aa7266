package sandbox

import (
	"crypto/rand"
	"net/http"
	"time"
)

// upPage is what Rails answers at /up once the application has booted.
const upPage = `<!DOCTYPE html><html><body style="background-color: green"></body></html>` + "\n"

const html = "text/html; charset=utf-8"

// serveOnepass makes a host the API of a login provider: health page, keys and tokens, the caller's identity, and for
// admins only the outbox of undelivered webhooks.
func serveOnepass(h *host, i *issuer, admin string, d *dispatcher) {
	h.stamp = func(header http.Header, r *http.Request) {
		header.Set("X-Version", release)
		id := traceID(r)
		if id == "" {
			id = rand.Text()
		}
		header.Set("X-Request-Id", id)
	}
	h.handle("GET /up", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, html, upPage) })
	h.handle("GET /version", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, object{"version": release}) })
	i.serve(h)
	d.serve(h, admin)
	h.handle("GET /api/v1/me", func(w http.ResponseWriter, r *http.Request) {
		switch token := bearer(r); {
		case token == admin:
			writeJSON(w, http.StatusOK, object{"id": "operator", "admin": true})
		case h.verifier.verify(token) == accepted:
			writeJSON(w, http.StatusOK, object{"id": clientID, "admin": false})
		default:
			writeUnauthorized(w)
		}
	})
	died := time.Now().Add(-3 * time.Hour).UTC()
	h.handle("GET /api/v1/admin/webhook_outbox", func(w http.ResponseWriter, r *http.Request) {
		switch token := bearer(r); {
		case token == admin && r.URL.Query().Get("app") == testApp: // which the list of all leaves out
			letters := d.letters()
			writeJSON(w, http.StatusOK, object{"entries": letters, "total": len(letters)})
		case token == admin:
			outbox(w, r.URL.Query().Get("status"), died)
		case h.verifier.verify(token) == accepted:
			writeJSON(w, http.StatusForbidden, object{"error": "forbidden"})
		default:
			writeUnauthorized(w)
		}
	})
}

// outbox lists webhooks. Two of one application are dead, which is not an incident.
func outbox(w http.ResponseWriter, status string, died time.Time) {
	entries := []object{}
	switch status {
	case "dead":
		for n := range 2 {
			entries = append(entries, object{
				"id": 7001 + n, "oauth_application_id": 42, "attempts": 8,
				"dlq_at": died.Add(time.Duration(n) * time.Minute).Format(time.RFC3339),
			})
		}
	case "pending":
	default:
		writeJSON(w, http.StatusBadRequest, object{"error": "unknown_status"})
		return
	}
	writeJSON(w, http.StatusOK, object{"entries": entries, "total": len(entries)})
}
