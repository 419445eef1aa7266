package httpx

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"gopkg.in/yaml.v3"

	"prober/internal/dial"
	"prober/internal/secret"
)

// read reads settings as the configuration does: strictly, inlined into a kind.
func read(text string) (*Settings, error) {
	var kind struct {
		Settings `yaml:",inline"`
		URL      string `yaml:"url"`
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	err := d.Decode(&kind)
	return &kind.Settings, err
}

const everything = `headers:
    X-Key:
        env: KEY
    X-Org: a
bearer:
    file: /run/token
tls:
    server_name: a.example
    min_version: "1.3"
connection: reuse
http2: true
max_body: 1000
allow_plaintext: true
resolver: 127.0.0.1:53
trace:
    header: X-Trace
version:
    json: $.version
`

func TestSettingsInYAML(t *testing.T) {
	s, err := read(everything)
	if err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(s)
	if err != nil || string(out) != everything {
		t.Errorf("got\n%s\nwant\n%s%v", out, everything, err)
	}
	if _, err := s.Client("https://a.example/"); err != nil {
		t.Error(err)
	}
	if out, err := yaml.Marshal(&Settings{}); err != nil || string(out) != "{}\n" {
		t.Errorf("no settings are written as %s%v", out, err)
	}
	for text, want := range map[string]string{
		"bearer: " + marker:                 "named by its source",
		"headers: {X-A: [1]}":               "expected a text",
		"headers: {X-A: {fiel: a}}":         "expected a text",
		"basic: {user: a}":                  "field user not found",
		"oauth2: {secret: a}":               "field secret not found",
		"tls: {verify: false}":              "field verify not found",
		"trace: {path: a}":                  "field path not found",
		"trace: {json: 'a.b'}":              "starts with $",
		"basic: {password: " + marker + "}": "named by its source",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), marker) {
			t.Errorf("%s: got error %v, want %s", text, err, want)
		}
	}
}

func TestSettingsRefused(t *testing.T) {
	token := secret.Env("TOKEN")
	p := newPKI(t)
	cert, key := files(t, p.server(-day, day))
	for _, c := range []struct {
		name string
		s    Settings
		url  string
		want string // lines
	}{
		{"nothing", Settings{}, "https://a.example/", ""},
		{"no URL yet", Settings{}, "", ""},
		{"userinfo", Settings{}, "https://" + marker + ":" + marker + "@a.example/p?access_token=" + marker + "#" + marker, "url: holds credentials; use basic or bearer"},
		{"fragment", Settings{}, "https://a.example/p#" + marker, "url: https://a.example/p: a fragment is never sent"},
		{"empty fragment", Settings{}, "https://a.example/p#", "url: https://a.example/p: a fragment is never sent"},
		{"secret in the query", Settings{}, "https://a.example/p?a=b&Access_Token=" + marker, "url: https://a.example/p: the query holds a credential (Access_Token); send it as a header"},
		{"query", Settings{}, "https://a.example/p?page=2", ""},
		{"broken query", Settings{}, "https://a.example/p?a=%zz" + marker, "url: https://a.example/p: the query cannot be read"},
		{"scheme", Settings{}, "ftp://a.example/", "url: expected http:// or https://"},
		{"no scheme", Settings{}, "a.example/" + marker, "url: expected http:// or https://"},
		{"no host", Settings{}, "http:///p", "url: http:///p: expected a host, and a port from 1 to 65535 if any"},
		{"port", Settings{}, "http://a.example:99999/", "url: http://a.example:99999/: expected a host, and a port from 1 to 65535 if any"},
		{"no port behind a colon", Settings{}, "http://a.example:/", "url: http://a.example:/: expected a host, and a port from 1 to 65535 if any"},
		{"unreadable", Settings{}, "http://[" + marker, "url: expected a URL that can be parsed"},
		{"metadata", Settings{}, "http://169.254.169.254/latest", "url: http://169.254.169.254/latest: 169.254.169.254 is where clouds hand out credentials: such an address is never dialled"},
		{"bearer in clear", Settings{Bearer: token}, "http://a.example/", "url: http://a.example/: http:// would send the credential in clear; use https, or allow_plaintext if you must"},
		{"bearer in clear to a private address", Settings{Bearer: token}, "http://10.0.0.1/", "url: http://10.0.0.1/: http:// would send the credential in clear; use https, or allow_plaintext if you must"},
		{"bearer in clear, allowed", Settings{Bearer: token, AllowPlaintext: true}, "http://a.example/", ""},
		{"bearer on loopback", Settings{Bearer: token}, "http://127.0.0.1:8080/", ""},
		{"bearer on loopback over IPv6", Settings{Bearer: token}, "http://[::1]:8080/", ""},
		{"bearer on localhost", Settings{Bearer: token}, "http://localhost:8080/", ""},
		{"bearer on what is not localhost", Settings{Bearer: token}, "http://localhost.example/", "url: http://localhost.example/: http:// would send the credential in clear; use https, or allow_plaintext if you must"},
		{"secret header in clear", Settings{Headers: map[string]Value{"X-Key": {Secret: token}}}, "http://a.example/", "url: http://a.example/: http:// would send the credential in clear; use https, or allow_plaintext if you must"},
		{"header in clear", Settings{Headers: map[string]Value{"X-Org": {Text: "a"}}}, "http://a.example/", ""},
		{"secret written as a header", Settings{Headers: map[string]Value{"x-api-key": {Text: marker}}}, "https://a.example/", "headers.x-api-key: is secret: name its source, {file: PATH} or {env: NAME}"},
		{"secret in a header of any name", Settings{Headers: map[string]Value{"X-Custom": {Text: "bearer " + marker}}}, "https://a.example/", "headers.X-Custom: is secret: name its source, {file: PATH} or {env: NAME}"},
		{"secret header of a vendor", Settings{Headers: map[string]Value{"private-token": {Text: marker}}}, "https://a.example/", "headers.private-token: is secret: name its source, {file: PATH} or {env: NAME}"},
		{"secret beside the name of its header", Settings{Headers: map[string]Value{"X-Api-Key: " + marker: {Text: "a"}}}, "https://a.example/", "headers.X-Api-Key: " + marker + ": is not a valid header name"},
		{"header that is ours", Settings{Headers: map[string]Value{"user-agent": {Text: "a"}, "Referer": {Text: "a"}}}, "https://a.example/", "headers.Referer: is written by the prober itself\nheaders.user-agent: is written by the prober itself"},
		{"header without a value", Settings{Headers: map[string]Value{"X-A": {}}}, "https://a.example/", "headers.X-A: has no value"},
		{"header that is not valid", Settings{Headers: map[string]Value{"X A": {Text: "a"}}}, "https://a.example/", `headers.X A: is not a valid header name`},
		{"header with a line break", Settings{Headers: map[string]Value{"X-A": {Text: "a\r\nb" + marker}}}, "https://a.example/", "headers.X-A: holds a character that a header cannot carry"},
		{"header twice", Settings{Headers: map[string]Value{"X-A": {Text: "a"}, "x-a": {Text: "b"}}}, "https://a.example/", "headers.x-a: is the same header as X-A"},
		{"host", Settings{Headers: map[string]Value{"Host": {Text: "a b"}}}, "https://a.example/", "headers.Host: expected a host that is not secret"},
		{"two credentials", Settings{Bearer: token, Basic: &Basic{Username: "a", Password: token}, Headers: map[string]Value{"authorization": {Secret: token}}}, "https://a.example/", "basic: only one of headers.Authorization, bearer, basic can be sent"},
		{"basic", Settings{Basic: &Basic{Username: "a:b"}}, "https://a.example/", "basic.username: expected a name without a colon"},
		{"empty oauth2", Settings{OAuth2: &OAuth2{}}, "https://a.example/", "oauth2.token_url: is missing\noauth2.client_id: is missing\noauth2.client_secret: is missing"},
		{"oauth2", Settings{OAuth2: &OAuth2{TokenURL: "http://b.example/?secret=" + marker, ClientID: "a", ClientSecret: token, AuthStyle: "body", Params: map[string]string{"Client_Secret": marker, "audience": "x"}}}, "https://a.example/",
			"oauth2.token_url: http://b.example/: the query holds a credential (secret); send it as a header\noauth2.auth_style: expected header or params\noauth2.params.Client_Secret: is written by the prober, or secret, and cannot be given here"},
		{"oauth2 in clear", Settings{OAuth2: &OAuth2{TokenURL: "http://b.example/", ClientID: "a", ClientSecret: token}}, "https://a.example/", "oauth2.token_url: http://b.example/: http:// would send the credential in clear; use https, or allow_plaintext if you must"},
		{"unverified with a credential", Settings{Bearer: token, TLS: &dial.TLS{InsecureSkipVerify: true}}, "https://a.example/", "tls.insecure_skip_verify: a credential could be sent to anyone"},
		{"unverified", Settings{TLS: &dial.TLS{InsecureSkipVerify: true}}, "https://a.example/", ""},
		{"certificate without key", Settings{TLS: &dial.TLS{CertFile: cert}}, "https://a.example/", "tls.cert_file: expected key_file beside it"},
		{"certificate", Settings{TLS: &dial.TLS{CertFile: cert, KeyFile: key, CAFile: p.file}}, "https://a.example/", ""},
		{"version of TLS", Settings{TLS: &dial.TLS{MinVersion: "1.1"}}, "https://a.example/", `tls.min_version: expected 1.2 or 1.3`},
		{"connection", Settings{Connection: "keep-alive"}, "https://a.example/", `connection: expected fresh or reuse`},
		{"max_body", Settings{MaxBody: -1}, "https://a.example/", "max_body: expected 1 to 67108864 bytes, got -1"},
		{"huge max_body", Settings{MaxBody: 1 << 40}, "https://a.example/", "max_body: expected 1 to 67108864 bytes, got 1099511627776"},
		{"resolver", Settings{Resolver: "127.0.0.1"}, "https://a.example/", `resolver: expected host:port`},
		{"http2 in clear", Settings{HTTP2: true}, "http://a.example/", "http2: is spoken over https only"},
		{"source of nothing", Settings{Trace: &Source{}, Version: &Source{Header: "a b"}}, "https://a.example/", "trace: expected header or json, and not both\nversion.header: is not a valid header name"},
		{"source of both", Settings{Trace: &Source{Header: "A", JSON: path(t, "$.a")}}, "https://a.example/", "trace: expected header or json, and not both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := c.s.Client(c.url)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if (client == nil) != (err != nil) {
				t.Error("a client, and yet an error")
			}
		})
	}
	// All at once, of several URLs.
	_, err := (&Settings{Connection: "x", MaxBody: -1}).ClientFor(map[string]string{"urls[0]": "http://a.example/#a", "urls[1]": "http://b.example/#b"})
	if n := strings.Count(err.Error(), "\n"); n != 3 {
		t.Errorf("wanted four mistakes, got\n%s", err)
	}
}

func TestWith(t *testing.T) {
	one, two := secret.Env("ONE"), secret.Env("TWO")
	base := Settings{Bearer: one, Headers: map[string]Value{"x-org": {Text: "a"}, "X-B": {Text: "b"}}, MaxBody: 5, Resolver: "127.0.0.1:53"}
	if got := base.Merge(Settings{}); !reflect.DeepEqual(got, base) {
		t.Errorf("got %+v", got)
	}
	got := base.Merge(Settings{Basic: &Basic{Username: "u", Password: two}, Headers: map[string]Value{"X-Org": {Text: "c"}}, MaxBody: 6, HTTP2: true})
	want := Settings{Basic: &Basic{Username: "u", Password: two}, Headers: map[string]Value{"X-Org": {Text: "c"}, "X-B": {Text: "b"}}, MaxBody: 6, HTTP2: true, Resolver: "127.0.0.1:53"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	own1, own2 := &dial.TLS{CAFile: "a.pem"}, &dial.TLS{CAFile: "b.pem"}
	if (Settings{TLS: own1}).Merge(Settings{}).TLS != own1 || (Settings{TLS: own1}).Merge(Settings{TLS: own2}).TLS != own2 || (Settings{}).Merge(Settings{TLS: own2}).TLS != own2 {
		t.Error("the settings of TLS are not those of the caller, where it has some")
	}
	got = base.Merge(Settings{Headers: map[string]Value{"authorization": {Secret: two}}})
	if !got.Bearer.IsZero() || got.Headers["authorization"].Secret != two || !got.HasCredential() {
		t.Errorf("got %+v", got)
	}
	got = got.Merge(Settings{Bearer: one})
	if _, still := got.Headers["authorization"]; still || len(got.Headers) != 2 || got.Bearer != one {
		t.Errorf("got %+v", got)
	}
	own := Settings{Headers: map[string]Value{"authorization": {Secret: one}, "X-B": {Text: "b"}}}
	if got := own.Merge(Settings{Bearer: two}); len(got.Headers) != 1 || got.Bearer != two {
		t.Errorf("a credential beside that of a header: got %+v", got)
	}
	if own.Headers["authorization"].Secret != one || len(own.Headers) != 2 {
		t.Errorf("the settings themselves were changed: %+v", own)
	}
	plain, more := Settings{Headers: map[string]Value{"X-B": {Text: "b"}}}, Settings{Headers: map[string]Value{"X-C": {Text: "c"}}}
	if got := plain.Merge(more); len(got.Headers) != 2 || len(plain.Headers) != 1 || len(more.Headers) != 1 || len((Settings{}).Merge(more).Headers) != 1 {
		t.Errorf("got %+v of %+v and %+v", got, plain, more)
	}
	if base.Headers["x-org"].Text != "a" || len(base.Headers) != 2 {
		t.Errorf("the settings themselves were changed: %+v", base)
	}
}

func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		yaml, text, again string
		in, out           []int
		codes             []int
		denial            bool
	}{
		{"200", "200", "200\n", []int{200}, []int{199, 201, 2, 0}, []int{200}, false},
		{`"404"`, "404", "404\n", []int{404}, []int{400}, []int{404}, true},
		{"2xx", "2xx", "2xx\n", []int{200, 204, 299}, []int{300, 199, 2}, nil, false},
		{"[200, 204, 3XX]", "200, 204 or 3xx", "- 200\n- 204\n- 3xx\n", []int{200, 204, 300, 399}, []int{201, 400}, []int{200, 204}, false},
		{"[401, 403]", "401 or 403", "- 401\n- 403\n", []int{401, 403}, []int{402}, []int{401, 403}, true},
		{"[4xx, 500]", "4xx or 500", "- 4xx\n- 500\n", []int{404, 500}, []int{501}, []int{500}, false},
		{"4xx", "4xx", "4xx\n", []int{404}, []int{4}, nil, true},
	} {
		var s Statuses
		if err := yaml.Unmarshal([]byte(c.yaml), &s); err != nil {
			t.Errorf("%s: %v", c.yaml, err)
			continue
		}
		again, err := yaml.Marshal(s)
		if s.String() != c.text || string(again) != c.again || err != nil || s.IsZero() || s.Denial() != c.denial || !reflect.DeepEqual(s.Codes(), c.codes) {
			t.Errorf("%s: got %q, %q, denial %t, codes %v", c.yaml, s, again, s.Denial(), s.Codes())
		}
		for _, code := range c.in {
			if !s.Contains(code) {
				t.Errorf("%s does not contain %d", c.yaml, code)
			}
		}
		for _, code := range c.out {
			if s.Contains(code) {
				t.Errorf("%s contains %d", c.yaml, code)
			}
		}
	}
	for _, text := range []string{"[]", "0x1F5", "20", "2000", "600", "99", "0xx", "6xx", "2x", "xx", "ok", "[200, 200]", "{a: b}", "1e2", "+200", "-200", "200.0", `""`} {
		var s Statuses
		if err := yaml.Unmarshal([]byte(text), &s); err == nil || s != nil {
			t.Errorf("%s was read as %s", text, s)
		}
	}
	if (Statuses{}).Denial() || !(Statuses{}).IsZero() || (Statuses{}).String() != "" || (Statuses)(nil).Contains(0) {
		t.Error("the empty set is something")
	}
	if !Success.Contains(204) || Codes(200, 404).String() != "200 or 404" {
		t.Error("sets made in Go differ")
	}
}

func TestValue(t *testing.T) {
	t.Setenv("HTTPX_VALUE", "from-the-environment")
	for text, want := range map[string]string{
		"plain": "plain", "12": "12", "true": "true", `""`: "", "{env: HTTPX_VALUE}": "from-the-environment",
	} {
		var v Value
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got, err := v.Reveal(); got != want || err != nil {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
		if v.IsZero() != (want == "") {
			t.Errorf("%s: zero %t", text, v.IsZero())
		}
	}
	for _, s := range []interface{ JSONSchema() map[string]any }{Value{}, Statuses{}} {
		if _, err := json.Marshal(s.JSONSchema()); err != nil {
			t.Error(err)
		}
	}
}

// TestSmallClients keeps ten thousand clients affordable.
func TestSmallClients(t *testing.T) {
	if size := unsafe.Sizeof(Client{}); size > 1024 {
		t.Errorf("a client is %d bytes large", size)
	}
	var all []*Client
	allocated := testing.AllocsPerRun(100, func() {
		c, err := (&Settings{}).Client("https://a.example/")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	})
	if allocated > 30 {
		t.Errorf("a client takes %f allocations", allocated)
	}
}
