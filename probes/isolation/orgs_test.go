package isolation

import (
	"testing"

	"prober/internal/httpx"
	"prober/internal/secret"
)

// TestCredential_equal: two orgs with the same credential are one, and with another part of it they are two.
func TestCredential_equal(t *testing.T) {
	client := func(change func(o *httpx.OAuth2)) Credential {
		o := &httpx.OAuth2{TokenURL: "https://a.example/token", ClientID: "prober", ClientSecret: secret.Env("A"), Username: "red", Password: secret.Env("B"),
			RefreshToken: secret.Env("C"), Scopes: []string{"read"}, Params: map[string]string{"org": "red"}}
		if change != nil {
			change(o)
		}
		return Credential{OAuth2: o}
	}
	basic := func(name, password string) Credential {
		return Credential{Basic: &httpx.Basic{Username: name, Password: secret.Env(password)}}
	}
	header := Credential{Headers: map[string]httpx.Value{"X-Key": {Secret: secret.Env("A")}}}
	for name, c := range map[string]struct {
		a, b Credential
		same bool
	}{
		"a token":                 {Credential{Bearer: secret.Env("A")}, Credential{Bearer: secret.Env("A")}, true},
		"another token":           {Credential{Bearer: secret.Env("A")}, Credential{Bearer: secret.Env("B")}, false},
		"a password":              {basic("red", "A"), basic("red", "A"), true},
		"another name":            {basic("red", "A"), basic("blue", "A"), false},
		"another password":        {basic("red", "A"), basic("red", "B"), false},
		"a password, and a token": {basic("red", "A"), Credential{Bearer: secret.Env("A")}, false},
		"a client":                {client(nil), client(nil), true},
		"another client":          {client(nil), client(func(o *httpx.OAuth2) { o.ClientID = "other" }), false},
		"another secret":          {client(nil), client(func(o *httpx.OAuth2) { o.ClientSecret = secret.Env("Z") }), false},
		"another user":            {client(nil), client(func(o *httpx.OAuth2) { o.Username = "blue" }), false},
		"a user's other password": {client(nil), client(func(o *httpx.OAuth2) { o.Password = secret.Env("Z") }), false},
		"another refresh token":   {client(nil), client(func(o *httpx.OAuth2) { o.RefreshToken = secret.Env("Z") }), false},
		"other scopes":            {client(nil), client(func(o *httpx.OAuth2) { o.Scopes = nil }), false},
		"other parameters":        {client(nil), client(func(o *httpx.OAuth2) { o.Params = map[string]string{"org": "blue"} }), false},
		"a client, and a token":   {client(nil), Credential{Bearer: secret.Env("A")}, false},
		"a header":                {header, header, true},
		"another header":          {header, Credential{Headers: map[string]httpx.Value{"X-Key": {Secret: secret.Env("B")}}}, false},
		"nothing":                 {Credential{}, Credential{}, false},
	} {
		if got := c.a.equal(c.b); got != c.same {
			t.Errorf("%s: the same is %t", name, got)
		}
	}
}

// TestLeave: what runs leave for the next one is bounded, what is there already included.
func TestLeave(t *testing.T) {
	left := &leftStore{repeats: true}
	half := make([]leftCanary, maxLeft/4) // each has a twin
	for i, want := range []bool{true, true, false} {
		if got := left.leave(half, nil); got != want {
			t.Errorf("the %d. time: %t", i+1, got)
		}
	}
	if canaries, _ := left.take(); 2*len(canaries) != maxLeft {
		t.Errorf("%d objects were left, expected %d", 2*len(canaries), maxLeft)
	}
}
