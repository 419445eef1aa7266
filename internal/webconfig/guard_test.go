package webconfig

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const users = "basic_auth_users:\n  on-call: " + aHash + "\n"

func TestGuard_passwords(t *testing.T) {
	t.Parallel()
	empty, err := bcrypt.GenerateFromPassword(nil, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, t.TempDir(), users+"  nobody: "+string(empty)+"\n")
	for range 2 { // the second time from memory
		for _, c := range []struct {
			user, password string
			want           int
		}{
			{"on-call", "correct horse", 200},
			{"on-call", "wrong horse", 401},
			{"on-call", "", 401},
			{"On-Call", "correct horse", 401},
			{"admin", "correct horse", 401},
			{"", "", 401},
			{"-", "-", 401},
			{"on-call:correct horse", "", 401},
			{"nobody", "", 200},
			{"nobody", "correct horse", 401},
		} {
			status, body, header := s.get(c.user, c.password)
			if status != c.want || (status == 200) != (body == "user "+c.user) || (status == 401) != (header.Get("WWW-Authenticate") == `Basic realm="prober"`) {
				t.Errorf("%q %q: got %d %q %v, expected %d", c.user, c.password, status, body, header, c.want)
			}
		}
	}
	// Who is refused is told of, and that it is for what they sent, unless nobody could look at it in time.
	var told []string
	g := s.guard()
	g.file.Refused = func(by *http.Request) {
		path := "nobody"
		if by != nil {
			path = by.URL.Path
		}
		told = append(told, path)
	}
	ask := func(path, password string, left bool) {
		r := httptest.NewRequest("POST", path, nil)
		if password != "" {
			r.SetBasicAuth("on-call", password)
		}
		if left {
			ctx, leave := context.WithCancel(t.Context())
			leave()
			r = r.WithContext(ctx)
		}
		g.ServeHTTP(httptest.NewRecorder(), r)
	}
	ask("/right", "correct horse", false)
	ask("/none", "", false)
	ask("/wrong", "wrong horse", false)
	g.checking <- struct{}{} // somebody else's password is compared
	ask("/new", "new horse", true)
	ask("/wrong-again", "wrong horse", true)
	<-g.checking
	if got := strings.Join(told, " "); got != "/none /wrong nobody /wrong-again" {
		t.Errorf("told of %s", got)
	}
	g.file.Refused = nil
	s.write(strings.Replace(users, aHash, string(empty), 1))
	if status, _, _ := s.get("on-call", "correct horse"); status != 401 {
		t.Errorf("after the password was changed: got %d", status)
	}
}

// TestGuard_cost: what an unknown user costs is what some user costs, and what is remembered is bounded.
func TestGuard_cost(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), users)
	s.get("on-call", "correct horse")
	g := s.guard()
	hashes := map[string]string{"a": "$2a$04$", "b": "$2a$12$"}
	seen := map[string]bool{}
	for i := range 100 {
		user := fmt.Sprint("guess", i)
		hash := g.anyHash(hashes, user)
		if seen[hash] = true; g.anyHash(hashes, user) != hash {
			t.Fatal("one user costs now this, now that")
		}
	}
	if len(seen) != 2 {
		t.Errorf("got %v, expected the hashes of all users", seen)
	}
	for i := range maxResults + 5 {
		s.get("on-call", fmt.Sprint("guess", i))
		if got := len(g.known.right); got > maxResults {
			t.Fatalf("%d passwords are remembered", got)
		}
	}
	if right, known := g.known.get(g.known.key("on-call", aHash, "correct horse")); !right || !known {
		t.Error("guesses pushed out a right password")
	}
	for i := range 3 * maxResults {
		if g.known.set(g.known.key("on-call", aHash, fmt.Sprint(i)), true); len(g.known.right) > maxResults {
			t.Fatalf("%d right passwords are remembered", len(g.known.right))
		}
	}
}

// TestGuard_change: what the file says while it is served.
func TestGuard_change(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), users)
	s.get("-", "-") // it listens
	for _, c := range []struct {
		text  string
		right int // status with the password; "-" without gets 401 in place of 200
		log   string
	}{
		{users + "http_server_config: {headers: {X-Frame-Options: deny}}\n", 200, ""},
		{"basic_auth_users:\n  on-call: [\n", 500, "Unable to parse configuration"},
		{"basic_auth_users:\n  on-call: hunter2222\n", 500, "expected a bcrypt hash"},
		{users + "unknown: 1\n", 500, "unknown key unknown"},
		{"", 500, "basic_auth_users is no longer there; to serve without it, restart"},
		{"basic_auth_users:\n", 500, ""}, // said once
		{"basic_auth_users: {}\n", 500, ""},
		{users, 200, ""},
		{"basic_auth_users:\n  other: " + aHash + "\n", 401, ""},
	} {
		before := len(s.log.String())
		s.write(c.text)
		for range 2 {
			if status, body, _ := s.get("on-call", "correct horse"); status != c.right || strings.Contains(body, "web.yaml") {
				t.Errorf("%q: got %d %q, expected %d", c.text, status, body, c.right)
			}
			if status, _, _ := s.get("-", "-"); status != max(c.right, 401) {
				t.Errorf("%q: got %d without a password", c.text, status)
			}
		}
		if got := s.log.String()[before:]; !strings.Contains(got, c.log) || (got == "") != (c.log == "") || strings.Count(got, "\n") > 1 || strings.Contains(got, "hunter") {
			t.Errorf("%q: the log has %q, expected once %q", c.text, got, c.log)
		}
	}
	os.Remove(s.dir + "/web.yaml")
	if status, _, _ := s.get("on-call", "correct horse"); status != 500 {
		t.Errorf("without the file: got %d", status)
	}
}

func TestGuard_headers(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), users+"http_server_config: {headers: {X-Frame-Options: deny, X-XSS-Protection: '0', Content-Security-Policy: ''}}\n")
	for _, password := range []string{"correct horse", "wrong"} {
		_, _, header := s.get("on-call", password)
		if got := header.Get("X-Frame-Options") + header.Get("X-XSS-Protection"); got != "deny0" || header["Content-Security-Policy"] != nil {
			t.Errorf("got %v", header)
		}
	}
}

func TestGuard_rate(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "rate_limit: {interval: 1h, burst: 2}\n")
	for i, want := range []int{200, 200, 429, 429} {
		if status, _, _ := s.get("-", "-"); status != want {
			t.Errorf("request %d: got %d, expected %d", i, status, want)
		}
	}
}

// TestServe_plain: without a file everybody is answered, and nobody's password has been checked.
func TestServe_plain(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	if status, body, _ := s.get("on-call", "any"); status != 200 || body != "user " {
		t.Errorf("got %d %q", status, body)
	}
	if got := s.log.String(); !strings.Contains(got, `msg="Listening on" address=`+s.address) || !strings.Contains(got, `msg="TLS is disabled." http2=false address=`+s.address) {
		t.Errorf("got %q", got)
	}
}
