package webconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"prober/internal/text"
)

type tlsSettings struct {
	Cert         string   `yaml:"cert"`
	Key          string   `yaml:"key"`
	ClientCA     string   `yaml:"client_ca"`
	CertFile     string   `yaml:"cert_file"` // this and the other files go before the texts
	KeyFile      string   `yaml:"key_file"`
	ClientCAFile string   `yaml:"client_ca_file"`
	ClientAuth   string   `yaml:"client_auth_type"`
	AllowedSANs  []string `yaml:"client_allowed_sans" empty:"true"` // nil if any will do
	MinVersion   *string  `yaml:"min_version"`
	MaxVersion   *string  `yaml:"max_version"`
	CipherSuites []string `yaml:"cipher_suites" empty:"true"`
	Curves       []string `yaml:"curve_preferences" empty:"true"`
	PreferServer boolean  `yaml:"prefer_server_cipher_suites"` // without effect: Go chooses
}

var clientAuthTypes = map[string]tls.ClientAuthType{
	"":                           tls.NoClientCert,
	"NoClientCert":               tls.NoClientCert,
	"RequestClientCert":          tls.RequestClientCert,
	"RequireAnyClientCert":       tls.RequireAnyClientCert,
	"RequireClientCert":          tls.RequireAnyClientCert, // an old name
	"VerifyClientCertIfGiven":    tls.VerifyClientCertIfGiven,
	"RequireAndVerifyClientCert": tls.RequireAndVerifyClientCert,
}

var versions = map[string]uint16{"TLS10": tls.VersionTLS10, "TLS11": tls.VersionTLS11, "TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13}

var curves = map[string]tls.CurveID{"CurveP256": tls.CurveP256, "CurveP384": tls.CurveP384, "CurveP521": tls.CurveP521, "X25519": tls.X25519}

// ciphers returns the cipher suites that are not insecure, by name.
func ciphers() map[string]uint16 {
	all := map[string]uint16{}
	for _, c := range tls.CipherSuites() {
		all[c.Name] = c.ID
	}
	return all
}

// enabled reports whether TLS is spoken. Settings that only refine it do not turn it on.
func (s *tlsSettings) enabled() bool {
	return s.CertFile != "" || s.Cert != "" || s.KeyFile != "" || s.Key != "" || s.hasClientCA() || s.ClientAuth != ""
}

func (s *tlsSettings) hasClientCA() bool { return s.ClientCAFile != "" || s.ClientCA != "" }

func (s *tlsSettings) clientAuth() tls.ClientAuthType { return clientAuthTypes[s.ClientAuth] }

// version returns the version with a name, or what applies if none is given.
func version(name *string, byDefault uint16) uint16 {
	if name == nil {
		return byDefault
	}
	return versions[*name]
}

func (s *tlsSettings) versions() (lowest, highest uint16) {
	return version(s.MinVersion, tls.VersionTLS12), version(s.MaxVersion, tls.VersionTLS13)
}

// checkTLS refuses words that mean nothing, and settings that contradict each other.
func (c *config) checkTLS() {
	s := &c.TLS
	checkWord(c, "client_auth_type", s.ClientAuth, clientAuthTypes)
	for name, v := range map[string]*string{"min_version": s.MinVersion, "max_version": s.MaxVersion} {
		if v != nil {
			checkWord(c, name, *v, versions)
		}
	}
	for i, name := range s.CipherSuites {
		checkWord(c, fmt.Sprintf("cipher_suites[%d]", i), name, ciphers())
	}
	for i, name := range s.Curves {
		checkWord(c, fmt.Sprintf("curve_preferences[%d]", i), name, curves)
	}
	if s.enabled() && s.CertFile == "" && s.Cert == "" {
		c.refuse("tls_server_config.cert_file", "cert_file or cert is missing")
	}
	if s.enabled() && s.KeyFile == "" && s.Key == "" {
		c.refuse("tls_server_config.key_file", "key_file or key is missing")
	}
	if lowest, highest := s.versions(); lowest > highest {
		c.refuse("tls_server_config.max_version", "is below min_version")
	}
	if s.clientAuth() == tls.NoClientCert && s.hasClientCA() {
		c.refuse("tls_server_config", "client_ca and client_ca_file need a client_auth_type, such as RequireAndVerifyClientCert")
	}
	if s.AllowedSANs != nil && s.clientAuth() < tls.VerifyClientCertIfGiven { // anybody can write a name into a certificate of their own
		c.refuse("tls_server_config.client_allowed_sans", "needs a client_auth_type that verifies, such as RequireAndVerifyClientCert")
	}
	if s.enabled() && bool(c.HTTP.HTTP2) && !s.allowsHTTP2() {
		c.refuse("tls_server_config.cipher_suites", "HTTP/2 requires TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; add it, or set http2 to false")
	}
}

// checkWord refuses a word of tls_server_config that is not known.
func checkWord[T any](c *config, key, word string, known map[string]T) {
	if _, ok := known[word]; ok {
		return
	}
	var words []string
	for w := range known {
		if w != "" {
			words = append(words, w)
		}
	}
	slices.Sort(words)
	expected := "expected one of " + strings.Join(words, ", ")
	if near := text.DidYouMean(word, words); near != "" {
		expected = "unknown word" + near
	}
	c.refuse("tls_server_config."+key, "%s", expected)
}

// allowsHTTP2 reports whether the cipher suites have one of those that HTTP/2 over TLS 1.2 requires.
func (s *tlsSettings) allowsHTTP2() bool {
	lowest, _ := s.versions()
	return len(s.CipherSuites) == 0 || lowest >= tls.VersionTLS13 ||
		slices.Contains(s.CipherSuites, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256") || slices.Contains(s.CipherSuites, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
}

// serverTLS reads the certificates and returns the TLS of the server; nil if it speaks none. The config may be in use by others.
func (c *config) serverTLS() (*tls.Config, error) {
	s := &c.TLS
	if !s.enabled() {
		return nil, nil
	}
	reading := &config{file: c.file, root: c.root} // with mistakes of its own
	certificate, clientCAs := reading.certificate(s), reading.clientCAs(s)
	if err := reading.mistakes(); err != nil {
		return nil, err
	}
	lowest, highest := s.versions()
	out := &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: clientCAs, ClientAuth: s.clientAuth(),
		MinVersion: lowest, MaxVersion: highest,
		// A resumed session would go on with a certificate that has been checked by what was configured then.
		SessionTicketsDisabled: s.clientAuth() != tls.NoClientCert,
	}
	known := ciphers()
	for _, name := range s.CipherSuites {
		out.CipherSuites = append(out.CipherSuites, known[name])
	}
	for _, name := range s.Curves {
		out.CurvePreferences = append(out.CurvePreferences, curves[name])
	}
	if s.AllowedSANs != nil {
		out.VerifyConnection = s.allowed
	}
	return out, nil
}

func (c *config) certificate(s *tlsSettings) (pair tls.Certificate) {
	cert, key := c.read("cert", s.CertFile, s.Cert), c.read("key", s.KeyFile, s.Key)
	if cert == nil || key == nil {
		return pair
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		c.refuse("tls_server_config", "the certificate and the key cannot be used: %s", err)
	}
	return pair
}

// clientCAs returns who may sign certificates of clients; nil is everyone whom this machine trusts.
func (c *config) clientCAs(s *tlsSettings) *x509.CertPool {
	if !s.hasClientCA() {
		return nil
	}
	pool := x509.NewCertPool()
	if pem := c.read("client_ca", s.ClientCAFile, s.ClientCA); pem != nil && !pool.AppendCertsFromPEM(pem) {
		c.refuse("tls_server_config", "the client CA has no certificate in PEM")
	}
	return pool
}

// read returns a text, or that of a file, which goes before. It is nil if there is neither.
func (c *config) read(key, file, inline string) []byte {
	if file == "" && inline == "" {
		return nil
	}
	if file == "" {
		return []byte(inline)
	}
	data, err := read(c.path(file))
	if err == nil && len(data) > maxSize {
		err = errors.New("it is larger than 1 MiB")
	}
	if err == nil {
		return data
	}
	if wrong, ok := errors.AsType[*fs.PathError](err); ok {
		err = wrong.Err // without the name: it may be a key in the wrong place
	}
	c.refuse("tls_server_config."+key+"_file", "the file cannot be read: %s; names are relative to %s", err, filepath.Dir(c.file))
	return nil
}

// allowed refuses a client whose certificate has none of the names that are allowed.
func (s *tlsSettings) allowed(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("expected a certificate of the client")
	}
	cert := state.PeerCertificates[0]
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	for _, name := range names {
		if slices.Contains(s.AllowedSANs, name) {
			return nil
		}
	}
	return errors.New("expected a certificate of a client with one of client_allowed_sans")
}
