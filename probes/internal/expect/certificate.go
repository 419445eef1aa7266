package expect

import (
	"errors"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// Certificate is for how long the certificates of an answer must be valid. It warns and fails apart: a certificate to be
// renewed within weeks is no outage.
type Certificate struct {
	Warn     *probe.Duration `yaml:"warn" short:"true" doc:"a remaining validity below this raises ProbeCertificateExpiring; the check still passes"`
	Fail     *probe.Duration `yaml:"fail" doc:"a remaining validity below this fails the check; by default a quarter of warn"`
	Severity string          `yaml:"severity" doc:"severity of ProbeCertificateExpiring; by default one level below that of the probe"`
}

// CertificateExpiring is what Report measures. A kind whose probes expect a Certificate declares it.
var CertificateExpiring = &probe.Measure{
	Name: probe.CertificateExpiring,
	Help: "Whether the certificate that expires first in the chain of the last response is to be renewed (expect.certificate.warn); absent without a certificate.",
}

// Validate reports what is wrong with the settings.
func (c *Certificate) Validate() error {
	var wrong []error
	if c.Warn == nil && c.Fail == nil {
		wrong = append(wrong, probe.Settingf("", "expected warn or fail"))
	}
	if c.Warn != nil && *c.Warn <= 0 {
		wrong = append(wrong, probe.Settingf("warn", "must be above zero"))
	}
	if c.Fail != nil && *c.Fail <= 0 {
		wrong = append(wrong, probe.Settingf("fail", "must be above zero"))
	}
	if c.Warn != nil && *c.Warn > 0 && c.Fail != nil && *c.Fail >= *c.Warn {
		wrong = append(wrong, probe.Settingf("fail", "expected less than warn, which is %s", c.Warn))
	}
	if c.Severity != "" {
		if err := probe.ValidateSeverity(c.Severity); err != nil {
			wrong = append(wrong, probe.Settingf("severity", "%s", err))
		}
	}
	return errors.Join(wrong...)
}

// failBelow is the remaining validity below which the check fails.
func (c *Certificate) failBelow() probe.Duration {
	if c.Fail != nil {
		return *c.Fail
	}
	return *c.Warn / 4
}

// Judge compares the expiry of the certificate that expires first with what is expected. The expiry is zero without one.
func (c *Certificate) Judge(expiry, now time.Time) probe.Outcome {
	limit := c.failBelow()
	if expiry.IsZero() {
		return probe.Outcomef(probe.Cert, "expected a certificate valid for another %s, got none", limit)
	}
	left := expiry.Sub(now)
	rest := text.Roughly(left)
	switch {
	case left < 0:
		return probe.Outcomef(probe.Cert, "expected a certificate valid for another %s, got one that expired %s ago", limit, text.Roughly(-left))
	case left < limit.D():
		return probe.Outcomef(probe.Cert, "expected a certificate valid for another %s, got one that expires in %s", limit, rest)
	case c.expiring(left):
		return probe.Outcomef(probe.OK, "the certificate is valid for another %s: renew it, it fails below %s", rest, limit)
	}
	return probe.Outcomef(probe.OK, "the certificate is valid for another %s", rest)
}

func (c *Certificate) expiring(left time.Duration) bool { return c.Warn != nil && left < c.Warn.D() }

// Report measures whether the certificate is to be renewed, if that is asked and there is one.
func (c *Certificate) Report(r *probe.Result, expiry, now time.Time) {
	if c != nil && c.Warn != nil && !expiry.IsZero() {
		r.Measure(CertificateExpiring, probe.BoolValue(c.expiring(expiry.Sub(now))))
	}
}
