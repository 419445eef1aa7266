package postgres

import (
	"strings"
	"testing"

	"prober/internal/dial"
)

func TestSettings_Client(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*Settings)
		address string
		want    string // of the error; none if empty
	}{
		"a password, elsewhere":       {nil, "db.example:5432", ""},
		"a password, here":            {nil, "localhost:5432", ""},
		"no password, here":           {func(s *Settings) { *s = *anonymous() }, "[::1]:5432", ""},
		"no password, elsewhere":      {func(s *Settings) { *s = *anonymous() }, "db.example:5432", "address: expected a password or tls.cert_file"},
		"no port":                     {nil, "db.example", "address: expected host:port"},
		"a URL":                       {nil, "postgres://db.example:5432", "address: expected host:port"},
		"a socket":                    {nil, "/run/postgresql:5432", "address: expected host:port"},
		"where clouds hand out roles": {nil, "169.254.169.254:5432", "address: 169.254.169.254 is where clouds hand out credentials"},
		"a certificate not verified":  {func(s *Settings) { s.TLS = &dial.TLS{InsecureSkipVerify: true} }, "db.example:5432", "tls.insecure_skip_verify: a credential could be sent to anyone"},
		"a long database":             {func(s *Settings) { s.Database = strings.Repeat("d", 64) }, "", "database: expected a name of at most 63 bytes"},
		"a role with a NUL":           {func(s *Settings) { s.User = "a\x00b" }, "", "user: expected a name of at most 63 bytes"},
		"a name server without port":  {func(s *Settings) { s.Resolver = "ns.example" }, "", "resolver: expected host:port"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			if test.change != nil {
				test.change(s)
			}
			_, err := s.Client(map[string]string{"address": test.address})
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
				t.Errorf("got %v, expected %s", err, test.want)
			}
		})
	}
}
