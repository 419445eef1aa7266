package oauth

import (
	"net/url"
	"testing"
	"time"
)

func TestRequest(t *testing.T) {
	form := ClientCredentials(map[string]string{"audience": "x y", "grant_type": "password"}, []string{"a", "b"})
	header, body := Client{ID: "me:", Secret: "s&cret ü"}.Request(form)
	if got := header.Get("Authorization"); got != "Basic bWUlM0E6cyUyNmNyZXQrJUMzJUJD" { // me%3A:s%26cret+%C3%BC
		t.Errorf("the client says it is %s", got)
	}
	if string(body) != "audience=x+y&grant_type=client_credentials&scope=a+b" {
		t.Errorf("the form is %s", body)
	}
	header, body = Client{ID: "me", Secret: "s&cret", InForm: true}.Request(Revocation("t+"))
	if header.Get("Authorization") != "" || header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("the headers are %v", header)
	}
	sent, err := url.ParseQuery(string(body))
	if err != nil || sent.Get("client_id") != "me" || sent.Get("client_secret") != "s&cret" || sent.Get("token") != "t+" || sent.Get("token_type_hint") != "access_token" {
		t.Errorf("the form is %s: %v", body, err)
	}
}

func TestRead(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `"text"`, "<html>", `{"a": 1} {}`} {
		if a := Read([]byte(body)); a != nil {
			t.Errorf("%s: read as %v", body, a)
		}
	}
	a := Read([]byte(`{"access_token": "abc", "token_type": "bEARER", "expires_in": 3600, "scope": 7}`))
	if a.AccessToken() != "abc" || !a.IsBearer() || a.Text("scope") != "" || a.Text("none") != "" || a.IsError() {
		t.Errorf("read %v", a)
	}
	for said, want := range map[string]time.Duration{
		`3600`: time.Hour, `"3600"`: time.Hour, `0.5`: time.Second / 2, `0`: 0, `-1`: 0, `1e9`: 0, `1e999`: 0, `"soon"`: 0, `null`: 0, `{}`: 0,
	} {
		if got := Read([]byte(`{"expires_in": ` + said + `}`)).ExpiresIn(); got != want {
			t.Errorf("expires_in %s is %s, want %s", said, got, want)
		}
	}
	for body, want := range map[string]string{
		`{"error": "invalid_client"}`: "invalid_client", `{"error": "a word of its own"}`: "", `{"error": 7}`: "", `{}`: "",
	} {
		if got := Read([]byte(body)).ErrorCode(); got != want {
			t.Errorf("%s has the code %q, want %q", body, got, want)
		}
	}
	if !Read([]byte(`{"error": "a word of its own"}`)).IsError() {
		t.Error("an error with a code of its own is none")
	}
}
