package webconfig

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/http"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"

	"prober/internal/sorted"
)

// A guard answers requests that the file does not let through, and passes on the others.
type guard struct {
	file     *File
	server   *http.Server
	pages    http.Handler
	log      *slog.Logger
	limiter  *rate.Limiter // nil for no limit
	known    *results
	checking chan struct{} // holds one value while a password is compared: one at a time, since each takes a core for long
	seed     maphash.Seed

	files, handshakes reporter
}

func newGuard(f *File, server *http.Server, c *config, log *slog.Logger) *guard {
	g := &guard{file: f, server: server, pages: server.Handler, log: log, known: newResults(), checking: make(chan struct{}, 1), seed: maphash.MakeSeed()}
	if c.interval > 0 {
		g.limiter = rate.NewLimiter(rate.Every(c.interval), c.Rate.Burst)
		log.Info("Rate Limiter is enabled.", "burst", c.Rate.Burst, "interval", c.interval)
	}
	return g
}

// current returns what the file says now, and logs why it cannot be used.
func (g *guard) current() (*config, error) {
	c, err := g.file.current()
	g.files.report(g.log, "Unable to parse configuration", err)
	return c, err
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := g.current()
	if err != nil {
		g.file.refused(nil)
		refuse(w, http.StatusInternalServerError)
		return
	}
	if g.limiter != nil && !g.limiter.Allow() {
		g.file.refused(nil)
		refuse(w, http.StatusTooManyRequests)
		return
	}
	for name, value := range c.HTTP.Headers {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	if len(c.Users) == 0 {
		g.pages.ServeHTTP(w, r)
		return
	}
	user, password, ok := r.BasicAuth()
	right, judged := false, true
	if ok {
		right, judged = g.authentic(r.Context(), c.Users, user, password)
	}
	if !right {
		by := r
		if !judged {
			by = nil
		}
		g.file.refused(by)
		w.Header().Set("WWW-Authenticate", `Basic realm="prober"`)
		refuse(w, http.StatusUnauthorized)
		return
	}
	g.pages.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

type userKey struct{}

// User returns whose password was checked before the request was passed on; "" if the file asks for none.
func User(r *http.Request) string {
	user, _ := r.Context().Value(userKey{}).(string)
	return user
}

// authentic reports whether a password is that of a user. It is not judged if the client left before.
func (g *guard) authentic(ctx context.Context, users map[string]string, user, password string) (right, judged bool) {
	hash, exists := users[user]
	if !exists {
		hash = g.anyHash(users, user)
	}
	key := g.known.key(user, hash, password)
	if right, known := g.known.get(key); known {
		return right && exists, true
	}
	select {
	case g.checking <- struct{}{}:
		defer func() { <-g.checking }()
	case <-ctx.Done():
		return false, false
	}
	right, known := g.known.get(key) // somebody else may have asked the same
	if !known {
		right = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil && exists
		g.known.set(key, right)
	}
	return right && exists, true
}

// anyHash returns somebody's hash for a user who does not exist, always the same: who exists shall not be seen by the time
// that an answer takes, even if some hashes take longer than others.
func (g *guard) anyHash(users map[string]string, user string) string {
	names := sorted.Keys(users)
	return users[names[maphash.String(g.seed, user)%uint64(len(names))]]
}
