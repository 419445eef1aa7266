package sandbox

import "crypto/tls"

// mailFaults break the mail server: what it says, and how it speaks TLS.
func mailFaults() []Fault {
	const (
		port    = "a port that accepts connections, with nothing behind it"
		strip   = "STARTTLS that somebody on the way takes out"
		expires = "a certificate that nobody renewed"
		trust   = "a certificate that clients do not trust"
		old     = "TLS 1.0 and 1.1 must not be accepted (RFC 8996)"
	)
	change := func(f mailFault) []*effect { return []*effect{onMail(f)} }
	shows := func(certificate string) []*effect { return change(func(m *mailServer) { m.certificate = certificate }) }
	return []Fault{
		{"mail-down", "the mail server refuses connections", port, []*effect{refuseConnections(mail)}},
		{"mail-silent", "the mail server accepts connections and says nothing", port, change(func(m *mailServer) { m.silent = true })},
		{"mail-endless", "the greeting of the mail server does not end", port, change(func(m *mailServer) { m.endless = true })},
		{"mail-rejects", "the mail server greets with 554: it accepts nothing", port, change(func(m *mailServer) { m.greeting = "554 no service" })},
		{"mail-starttls-stripped", "the mail server does not offer STARTTLS", strip, change(func(m *mailServer) { m.noStartTLS = true })},
		{"mail-starttls-injected", "something adds a reply in plain text behind that to STARTTLS", strip, change(func(m *mailServer) { m.injects = true })},
		{"mail-certificate-expired", "the certificate of the mail server has expired", expires, shows(expiredCertificate)},
		{"mail-certificate-ends", "the certificate of the mail server expires in 5 days", expires, shows(endingCertificate)},
		{"mail-certificate-name", "the certificate of the mail server is for another name", trust, shows(webCertificate)},
		{"mail-certificate-stranger", "the certificate of the mail server was issued by an authority that is not trusted", trust, shows(strangerCertificate)},
		{"mail-old-tls", "the mail server accepts TLS 1.0 and 1.1", old, change(func(m *mailServer) { m.lowest = tls.VersionTLS10 })},
		{"mail-no-tls13", "the mail server supports no TLS 1.3", old, change(func(m *mailServer) { m.highest = tls.VersionTLS12 })},
	}
}
