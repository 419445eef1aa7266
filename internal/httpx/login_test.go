package httpx

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/secret"
)

// loginOf reads a login as it is written in a configuration.
func loginOf(t *testing.T, text string) *Login {
	t.Helper()
	var l Login
	if err := yaml.Unmarshal([]byte(text), &l); err != nil {
		t.Fatal(err)
	}
	return &l
}

// dialects are logins of real software: how they are configured, what they send, what they answer, and where the token goes.
var dialects = map[string]struct {
	login  string // URL stands for that of the server
	answer func(w http.ResponseWriter, q *http.Request, body map[string]any) bool
	sent   func(q *http.Request) string
	life   time.Duration
}{
	"PocketBase": {
		`{url: URL/login, json: {identity: prober@shop.example, password: {env: PROBER_TEST_PASSWORD}}, capture: {json: $.token}}`,
		func(w http.ResponseWriter, _ *http.Request, body map[string]any) bool {
			fmt.Fprint(w, `{"record":{"id":"a"},"token":"issued-token-0123456789"}`)
			return body["identity"] == "prober@shop.example" && body["password"] == "pass-word-0123"
		},
		func(q *http.Request) string { return strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ") }, tokenDefault,
	},
	"Directus": {
		`{url: URL/login, json: {email: prober@shop.example, password: {env: PROBER_TEST_PASSWORD}}, capture: {json: $.data.access_token}, max_age: 10m}`,
		func(w http.ResponseWriter, _ *http.Request, body map[string]any) bool {
			fmt.Fprint(w, `{"data":{"access_token":"issued-token-0123456789","expires":900000,"refresh_token":"r"}}`)
			return body["password"] == "pass-word-0123"
		},
		func(q *http.Request) string { return strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ") }, 10 * time.Minute,
	},
	"Parse": {
		`{url: URL/login, headers: {X-Parse-Application-Id: shop}, json: {username: prober, password: {env: PROBER_TEST_PASSWORD}}, capture: {json: $.sessionToken}, send_header: X-Parse-Session-Token}`,
		func(w http.ResponseWriter, q *http.Request, body map[string]any) bool {
			fmt.Fprint(w, `{"objectId":"a","sessionToken":"issued-token-0123456789"}`)
			return q.Header.Get("X-Parse-Application-Id") == "shop" && body["password"] == "pass-word-0123"
		},
		func(q *http.Request) string { return q.Header.Get("X-Parse-Session-Token") }, tokenDefault,
	},
	"Vault": {
		`{url: URL/login, json: {password: {env: PROBER_TEST_PASSWORD}}, capture: {json: $.auth.client_token}, expires_in: $.auth.lease_duration, send_header: X-Vault-Token}`,
		func(w http.ResponseWriter, _ *http.Request, body map[string]any) bool {
			fmt.Fprint(w, `{"auth":{"client_token":"issued-token-0123456789","lease_duration":3600}}`)
			return body["password"] == "pass-word-0123"
		},
		func(q *http.Request) string { return q.Header.Get("X-Vault-Token") }, time.Hour,
	},
	"Kubernetes TokenRequest": {
		`{url: URL/login, bearer: {env: PROBER_TEST_PASSWORD}, json: {apiVersion: authentication.k8s.io/v1, kind: TokenRequest, spec: {audiences: [shop], expirationSeconds: 600}}, capture: {json: $.status.token}, expires_at: $.status.expirationTimestamp}`,
		func(w http.ResponseWriter, q *http.Request, body map[string]any) bool {
			w.WriteHeader(201)
			fmt.Fprintf(w, `{"status":{"token":"issued-token-0123456789","expirationTimestamp":%q}}`, time.Now().Add(10*time.Minute).UTC().Format(time.RFC3339))
			text, _ := json.Marshal(body["spec"])
			return q.Header.Get("Authorization") == "Bearer pass-word-0123" && string(text) == `{"audiences":["shop"],"expirationSeconds":600}`
		},
		func(q *http.Request) string { return strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ") }, 10 * time.Minute,
	},
	"a form and a cookie": {
		`{url: URL/login, form: {user: prober, password: {env: PROBER_TEST_PASSWORD}}, capture: {cookie: sid}, send_cookie: sid, max_age: 1m}`,
		func(w http.ResponseWriter, q *http.Request, _ map[string]any) bool {
			http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "issued-token-0123456789"})
			http.Redirect(w, q, "/home", http.StatusSeeOther)
			return q.FormValue("user") == "prober" && q.FormValue("password") == "pass-word-0123"
		},
		func(q *http.Request) string { return strings.TrimPrefix(q.Header.Get("Cookie"), "sid=") }, time.Minute,
	},
	"a header": {
		`{url: URL/login, method: GET, basic: {username: prober, password: {env: PROBER_TEST_PASSWORD}}, capture: {header: Authorization}}`,
		func(w http.ResponseWriter, q *http.Request, _ map[string]any) bool {
			w.Header().Set("Authorization", "Bearer issued-token-0123456789")
			user, password, _ := q.BasicAuth()
			return q.Method == "GET" && user == "prober" && password == "pass-word-0123"
		},
		func(q *http.Request) string { return strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ") }, tokenDefault,
	},
}

// loginServer answers /login as a dialect does, and echoes at other paths whether the token was sent.
func loginServer(t *testing.T, name string) (url string, logins func() int) {
	t.Helper()
	d := dialects[name]
	var mu sync.Mutex
	n := 0
	url, _, _ = listen(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/login" {
			if d.sent(q) != "issued-token-0123456789" {
				w.WriteHeader(401)
			}
			return
		}
		mu.Lock()
		n++
		mu.Unlock()
		var body map[string]any
		if strings.HasPrefix(q.Header.Get("Content-Type"), "application/json") {
			text, _ := io.ReadAll(q.Body)
			if json.Unmarshal(text, &body) != nil {
				t.Errorf("%s: sent %s", name, text)
			}
		}
		if !d.answer(w, q, body) {
			t.Errorf("%s: the login sent something else: %v %v", name, q.Header, body)
		}
	})
	return url, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

func TestLogin(t *testing.T) {
	t.Setenv("PROBER_TEST_PASSWORD", "pass-word-0123")
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			url, logins := loginServer(t, name)
			client, err := (&Settings{Login: loginOf(t, strings.ReplaceAll(d.login, "URL", url))}).Client(url)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					r := probe.NewResult(probe.ID{})
					a := client.Do(t.Context(), r, Request{URL: url})
					if a.Status != 200 || len(r.Exchanges) != 1 || !a.SoughtCredential {
						t.Errorf("got %d %s %s; %+v", a.Status, a.Reason, a.Detail, r.Exchanges)
					}
				})
			}
			all.Wait()
			if n := logins(); n != 1 {
				t.Errorf("logged in %d times, want 1", n)
			}
			if a, _ := askWith(t, client, patience, Request{URL: url, Anonymous: true}); a.Status != 401 {
				t.Errorf("anonymous, and yet the token was sent: %d", a.Status)
			}
			if left := time.Until(client.tokens.until); left > d.life || left < d.life/2 {
				t.Errorf("the token is used for %s, want a little less than %s", left, d.life)
			}
			if text := secret.Redact("issued-token-0123456789 pass-word-0123"); strings.Contains(text, "0123") {
				t.Errorf("a secret is not known: %s", text)
			}
			client.tokens.until = time.Now() // expired
			if a, _ := askWith(t, client, patience, Request{URL: url}); a.Status != 200 || logins() != 2 {
				t.Errorf("got %d after %d logins", a.Status, logins())
			}
		})
	}
}

func TestLogin_refused(t *testing.T) {
	t.Setenv("PROBER_TEST_PASSWORD", "pass-word-0123")
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		do    http.HandlerFunc
		want  string
		asked int64
	}{
		"wrong password":  {answer(401, marker), "the login answered 401", 1},
		"bad request":     {answer(400, `{"code":101}`), "the login answered 400", 1},
		"too many logins": {answer(429, ""), "the login answered 429", 1},
		"down":            {answer(503, ""), "the login answered 503", 3},
		"a redirect":      {answer(302, `{"token":"abcdefgh"}`), "the login answered 302", 1},
		"no JSON":         {answer(200, "<html>"+marker), "the answer of the login has no token where it is expected", 1},
		"no token":        {answer(200, `{"hello":"`+marker+`"}`), "the answer of the login has no token where it is expected", 1},
		"two tokens":      {answer(200, `{"token":["abcdefgh","ijklmnop"]}`), "the answer of the login has no token where it is expected", 1},
		"a short token":   {answer(200, `{"token":"abc"}`), "the login issued an invalid token", 1},
		"a line break":    {answer(200, `{"token":"abc\r\ndefgh"}`), "the login issued an invalid token", 1},
		"too large":       {answer(200, strings.Repeat("x", 2<<20)), "the answer of the login is larger than 1048576 bytes", 1},
	} {
		t.Run(name, func(t *testing.T) {
			url, asked, _ := listen(t, c.do)
			l := loginOf(t, `{url: "`+url+`/login", json: {password: {env: PROBER_TEST_PASSWORD}}, capture: {json: "$['token','token'][*]"}}`)
			if name != "two tokens" {
				l.Capture.JSON = loginOf(t, `{capture: {json: $.token}}`).Capture.JSON
			}
			client, err := (&Settings{Login: l}).Client(url)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			a, r := askWith(t, client, patience, Request{URL: url})
			if a.Reason != probe.Credential || a.Detail != "no access token: "+c.want || asked.Load() != c.asked || len(r.Exchanges) != 0 {
				t.Errorf("got %s %q after %d requests, %d recorded; want %q after %d", a.Reason, a.Detail, asked.Load(), len(r.Exchanges), c.want, c.asked)
			}
		})
	}
	url, asked, _ := listen(t, answer(200, `{}`))
	client, err := (&Settings{Login: loginOf(t, `{url: "`+url+`/login", json: {a: [{password: {env: PROBER_TEST_UNSET}}]}, capture: {json: $.token}}`)}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := askWith(t, client, patience, Request{URL: url}); a.Reason != probe.Credential || a.Detail != "login.json: secret from env PROBER_TEST_UNSET: the variable is not set" || asked.Load() != 0 {
		t.Errorf("got %s %q", a.Reason, a.Detail)
	}
}

// A token that the target refuses is not fetched again in the same run: that would hide the refusal. See TestTokenLife.
func TestLogin_targetRefuses(t *testing.T) {
	t.Setenv("PROBER_TEST_PASSWORD", "pass-word-0123")
	logins := 0
	url, _, _ := listen(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/login" {
			logins++
			fmt.Fprint(w, `{"token":"issued-token-0123456789"}`)
			return
		}
		w.WriteHeader(401)
	})
	client, err := (&Settings{Login: loginOf(t, `{url: "`+url+`/login", json: {password: {env: PROBER_TEST_PASSWORD}}, capture: {json: $.token}}`)}).Client(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, want := range []int{1, 1, 1, 2} {
		if logins == 1 && want == 1 {
			client.tokens.fetched = time.Now()
		}
		if a, _ := askWith(t, client, patience, Request{URL: url}); a.Status != 401 || logins > want {
			t.Errorf("got %d after %d logins, want %d", a.Status, logins, want)
		}
		client.tokens.fetched = time.Now().Add(-2 * tokenRefetchAge)
	}
}

func TestLogin_keysDiffer(t *testing.T) {
	const one = `{url: https://a.example/login, json: {user: a, password: {env: P}}, capture: {json: $.token}}`
	for text, same := range map[string]bool{
		one: true,
		strings.Replace(one, "user: a", "user: b", 1):     false,
		strings.Replace(one, "env: P", "env: Q", 1):       false,
		strings.Replace(one, "a.example", "b.example", 1): false,
	} {
		if got := loginOf(t, one).Equal(loginOf(t, text)); got != same {
			t.Errorf("%s: equal %v, want %v", text, got, same)
		}
	}
	const basic = `{url: https://a.example/login, basic: {username: a, password: {env: P}}, capture: {json: $.token}}`
	for _, text := range []string{strings.Replace(basic, "username: a", "username: b", 1), strings.Replace(basic, "env: P", "env: Q", 1)} {
		if loginOf(t, basic).Equal(loginOf(t, text)) {
			t.Errorf("%s equals %s", text, basic)
		}
	}
	if loginOf(t, one).Equal(nil) {
		t.Error("equals none")
	}
}

func TestLogin_settings(t *testing.T) {
	for text, want := range map[string]string{
		`{url: https://api.example/login, json: {a: 1}, capture: {json: $.t}}`:                                               "",
		`{url: "https://API.example:443/login", capture: {json: $.t}}`:                                                       "",
		`{url: https://other.example/login, capture: {json: $.t}}`:                                                           "login.url: is of another host than what is probed; if that is meant, set allow_other_host: true",
		`{url: https://other.example/login, allow_other_host: true, capture: {json: $.t}}`:                                   "",
		`{url: https://api.example:8443/login, capture: {json: $.t}}`:                                                        "login.url: is of another host than what is probed; if that is meant, set allow_other_host: true",
		`{url: http://10.0.0.1/login, allow_other_host: true, capture: {json: $.t}}`:                                         "login.url: http://10.0.0.1/login: http:// would send the credential in clear; use https, or allow_plaintext if you must",
		`{url: http://127.0.0.1/login, allow_other_host: true, capture: {json: $.t}}`:                                        "",
		`{url: https://api.example/login, json: {user: {password: hunter22}}, capture: {json: $.t}}`:                         "login.json.user.password: is secret: name its source, {file: PATH} or {env: NAME}",
		`{url: https://api.example/login, json: {token: [{file: a}, hunter22]}, capture: {json: $.t}}`:                       "login.json.token[1]: is secret: name its source, {file: PATH} or {env: NAME}",
		`{url: https://api.example/login, form: {client_secret: hunter22}, capture: {json: $.t}}`:                            "login.form.client_secret: is secret: name its source, {file: PATH} or {env: NAME}",
		`{url: https://api.example/login, headers: {X-Api-Key: hunter22}, capture: {json: $.t}}`:                             "login.headers.X-Api-Key: is secret: name its source, {file: PATH} or {env: NAME}",
		`{url: https://api.example/login, capture: {json: $.t, header: X-T}}`:                                                "login.capture: expected one of header, json and cookie",
		`{url: https://api.example/login, capture: {json: $.t}, send_header: Host}`:                                          "login.send_header: expected the name of a header that the prober does not write itself",
		`{url: https://api.example/login, capture: {json: $.t}, send_header: x-own}`:                                         "login.send_header: is given under headers as well",
		`{url: https://api.example/login, capture: {json: $.t}, send_header: X-T, send_cookie: a}`:                           "login.send_cookie: only one of send_header and send_cookie can be used",
		`{url: https://api.example/login, capture: {json: $.t}, expires_in: $.e, expires_at: $.e}`:                           "login.expires_at: only one of expires_in and expires_at can be read",
		`{url: https://api.example/login, json: {a: 1}, form: {a: b}, capture: {json: $.t}}`:                                 "login.form: only one of json and form can be sent",
		`{url: https://api.example/login, method: post it, capture: {json: $.t}}`:                                            "login.method: expected one word such as POST",
		`{url: https://api.example/login, bearer: {env: A}, basic: {username: a, password: {env: B}}, capture: {json: $.t}}`: "login.basic: only one of bearer, basic can be sent",
	} {
		s := &Settings{Login: loginOf(t, text), Headers: map[string]Value{"X-Own": {Text: "a"}}}
		_, err := s.Client("https://api.example/things")
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	both := &Settings{Login: loginOf(t, `{url: https://api.example/login, capture: {json: $.t}}`), Bearer: secret.Env("A")}
	if _, err := both.Client("https://api.example/"); err == nil || !strings.Contains(err.Error(), "only one of bearer, login can be sent") {
		t.Errorf("got %v", err)
	}
	var j LoginJSON
	if err := yaml.Unmarshal([]byte(`[1, 2]`), &j); err == nil {
		t.Error("an array is taken for an object")
	}
	if err := yaml.Unmarshal([]byte(`{a: [{env: Bearer hunter22}]}`), &j); err == nil || !strings.Contains(err.Error(), "never written here") || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("a secret in the place of its name: %v", err)
	}
}

// TestLoginJSON_roundTrip writes an object as it was read: a secret as its source.
func TestLoginJSON_roundTrip(t *testing.T) {
	const text = "a:\n    - b: 1\n    - file: /run/secret\nc:\n    env: NAME\n"
	var j LoginJSON
	if err := yaml.Unmarshal([]byte(text), &j); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(j)
	if err != nil || string(out) != strings.Replace(text, "    - file", "    - file", 1) {
		t.Errorf("got %v\n%s", err, out)
	}
	if s := j.Secrets(); len(s) != 2 || s[0].Source() != "file /run/secret" || s[1].Source() != "env NAME" {
		t.Errorf("got %d secrets", len(s))
	}
	if got := fmt.Sprintf("%v %+v %#v", j, j, j); strings.Contains(got, "hunter") {
		t.Errorf("got %s", got)
	}
}

// TestLogin_life uses a token until it expires, as the response says in one way or another.
func TestLogin_life(t *testing.T) {
	const inPath, atPath = "{expires_in: $.e}", "{expires_at: $.e}"
	synctest.Test(t, func(t *testing.T) {
		at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
		for _, c := range []struct {
			settings, body string
			want           time.Duration
		}{
			{inPath, `{"e":90}`, 90 * time.Second},
			{inPath, `{"e":"90"}`, 90 * time.Second},
			{inPath, `{"e":0.5}`, time.Second / 2},
			{inPath, `{"e":0}`, tokenDefault},
			{inPath, `{"e":-90}`, tokenDefault},
			{inPath, `{"e":1e9}`, tokenDefault},
			{inPath, `{"e":"soon"}`, tokenDefault},
			{atPath, `{"e":` + at(time.Hour) + `}`, time.Hour},
			{atPath, `{"e":"` + at(time.Hour) + `"}`, time.Hour},
			{atPath, `{"e":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"}`, time.Hour},
			{atPath, `{"e":` + at(-time.Hour) + `}`, tokenDefault},
			{atPath, `{"e":0.5}`, tokenDefault},
			{atPath, `{"e":0}`, tokenDefault},
			{atPath, `{"e":-1}`, tokenDefault},
			{atPath, `{"e":1e11}`, tokenDefault},
			{atPath, `{"e":"tomorrow"}`, tokenDefault},
			{atPath, `{}`, tokenDefault},
			{"{expires_at: $.e, max_age: 10m}", `{"e":` + at(time.Hour) + `}`, 10 * time.Minute},
			{"{expires_at: $.e, max_age: 10m}", `{"e":` + at(time.Minute) + `}`, time.Minute},
			{"{expires_at: $.e, max_age: 10m}", `{"e":"tomorrow"}`, 10 * time.Minute},
		} {
			if got := loginOf(t, c.settings).life(&Answer{Body: []byte(c.body)}); got != c.want {
				t.Errorf("%s of %s: got %s, expected %s", c.settings, c.body, got, c.want)
			}
		}
	})
}

// TestOAuth2_grants sends the grants of a user's password and of a refresh token, which the issuer replaces.
func TestOAuth2_grants(t *testing.T) {
	var forms []string
	valid, following := "refresh-token-0", ""
	url, _, _ := listen(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/token" {
			return
		}
		q.ParseForm()
		forms = append(forms, q.PostForm.Encode())
		w.Header().Set("Content-Type", "application/json")
		if q.FormValue("grant_type") == "refresh_token" {
			if q.FormValue("refresh_token") != valid {
				w.WriteHeader(400)
				fmt.Fprint(w, `{"error":"invalid_grant"}`)
				return
			}
			valid = cmp.Or(following, fmt.Sprintf("refresh-token-%d", len(forms)))
		}
		fmt.Fprintf(w, `{"access_token":"issued-token-0123456789","token_type":"bearer","refresh_token":%q}`, valid)
	})
	client := func(o *OAuth2) *Client {
		t.Helper()
		o.TokenURL, o.ClientID = url+"/token", "prober"
		c, err := (&Settings{OAuth2: o}).Client(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	ask := func(c *Client, want probe.Reason, form string) {
		t.Helper()
		forms = nil
		c.tokens.until = time.Now()
		a, _ := askWith(t, c, patience, Request{URL: url})
		if a.Reason != want || len(forms) != 1 || forms[0] != form {
			t.Errorf("got %s %s, sent %q, want %s, %q", a.Reason, a.Detail, forms, want, form)
		}
	}
	ask(client(&OAuth2{GrantType: "password", Username: "anna", Password: keep(t, "pass-word-0123")}), probe.OK,
		"client_id=prober&grant_type=password&password=pass-word-0123&username=anna")

	refresh := client(&OAuth2{GrantType: "refresh_token", RefreshToken: keep(t, "refresh-token-0")})
	ask(refresh, probe.OK, "client_id=prober&grant_type=refresh_token&refresh_token=refresh-token-0")
	ask(refresh, probe.OK, "client_id=prober&grant_type=refresh_token&refresh_token=refresh-token-1")
	if text := secret.Redact("refresh-token-1"); text != "<redacted>" {
		t.Errorf("the refresh token is not known: %s", text)
	}
	valid = "somebody else used it"
	ask(refresh, probe.Credential, "client_id=prober&grant_type=refresh_token&refresh_token=refresh-token-1")
	valid = "refresh-token-0" // and wrote a new one to the file
	ask(refresh, probe.OK, "client_id=prober&grant_type=refresh_token&refresh_token=refresh-token-0")

	for next, want := range map[string]string{"abc": "refresh-token-0", "abcd": "abcd"} { // what is too short is no token
		valid = "refresh-token-0"
		c := client(&OAuth2{GrantType: "refresh_token", RefreshToken: keep(t, valid)})
		following = next
		ask(c, probe.OK, "client_id=prober&grant_type=refresh_token&refresh_token=refresh-token-0")
		valid = want
		ask(c, probe.OK, "client_id=prober&grant_type=refresh_token&refresh_token="+want)
	}

	for name, c := range map[string]struct {
		o    OAuth2
		want string
	}{
		"no client secret":           {OAuth2{}, "oauth2.client_secret: is missing"},
		"another grant":              {OAuth2{GrantType: "implicit"}, "oauth2.grant_type: expected client_credentials, password or refresh_token"},
		"a password without a user":  {OAuth2{GrantType: "password", Password: secret.Env("A")}, "oauth2.username: is for the grant_type password, which needs it"},
		"a user without a password":  {OAuth2{GrantType: "password", Username: "a"}, "oauth2.password: is for the grant_type password, which needs it"},
		"no refresh token":           {OAuth2{GrantType: "refresh_token"}, "oauth2.refresh_token: is for the grant_type refresh_token, which needs it"},
		"a user of another grant":    {OAuth2{ClientSecret: secret.Env("A"), Username: "a"}, "oauth2.username: is for the grant_type password, which needs it"},
		"a refresh token of another": {OAuth2{ClientSecret: secret.Env("A"), RefreshToken: secret.Env("A")}, "oauth2.refresh_token: is for the grant_type refresh_token, which needs it"},
	} {
		c.o.TokenURL, c.o.ClientID = "https://issuer.example/token", "prober"
		if _, err := (&Settings{OAuth2: &c.o}).Client("https://api.example/"); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	var refused probe.SettingError
	if _, err := (&Settings{OAuth2: &OAuth2{}}).Client("https://api.example/"); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}
