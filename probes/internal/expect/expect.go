// Package expect says what an answer must be and judges one.
package expect

import (
	"errors"
	"fmt"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// Expect is what the answer to a request must be. Only what is written is tested, the status always.
type Expect struct {
	Status      httpx.Statuses `yaml:"status" default:"2xx" doc:"200, 2xx or a list of these"`
	Content     `yaml:",inline"`
	HTTPVersion HTTPVersions    `yaml:"http_version" doc:"the versions of HTTP that the response may have: 1.0, 1.1, 2 or a list of these"`
	Latency     *probe.Duration `yaml:"latency" doc:"maximum duration of the exchange"`
	Certificate *Certificate    `yaml:"certificate" doc:"minimum remaining validity of every certificate in the chain: warn, or warn and fail"`
}

// A Check is the outcome of one named check.
type Check struct {
	Name string
	probe.Outcome
}

// Validate reports what is wrong with the expectations. The argument says whether the answer comes over https.
func (e *Expect) Validate(https bool) error {
	wrong := []error{e.Content.Validate(), ValidateLatency(e.Latency)}
	if e.Certificate != nil {
		wrong = append(wrong, probe.InSetting("certificate", e.Certificate.Validate()))
	}
	if e.Certificate != nil && !https {
		wrong = append(wrong, probe.Settingf("certificate", "the URL is not https"))
	}
	return errors.Join(wrong...)
}

// ValidateLatency refuses a maximum of the setting latency that no answer can keep. There is none if it is nil.
//
//go:noinline
func ValidateLatency(maximum *probe.Duration) error {
	if maximum != nil && *maximum <= 0 {
		return probe.Settingf("latency", "must be above zero")
	}
	return nil
}

// LatencyLimit returns a maximum of the setting latency; 0 if there is none.
func LatencyLimit(maximum *probe.Duration) time.Duration {
	if maximum == nil {
		return 0
	}
	return maximum.D()
}

// CheckLatency refuses a maximum of the setting latency that is never exceeded, since the run ends before.
func CheckLatency(maximum *probe.Duration, timeout time.Duration) error {
	if maximum != nil && maximum.D() > timeout {
		return probe.Settingf("latency", "%s is longer than the timeout of %s", maximum, probe.Duration(timeout))
	}
	return nil
}

// Negative names the first expectation that a target that is down or wrong would also meet; empty if there is none.
func (e *Expect) Negative() string {
	for code := 400; code < 600; code++ {
		if e.Status.Contains(code) {
			return fmt.Sprintf("status %d", code)
		}
	}
	return e.Content.Negative()
}

// Checks names the checks beyond the status, in the order of Judge.
func (e *Expect) Checks() []string {
	names := e.Content.Checks()
	if len(e.HTTPVersion) > 0 {
		names = append(names, "http_version")
	}
	if e.Latency != nil {
		names = append(names, "latency")
	}
	if e.Certificate != nil {
		names = append(names, probe.CheckCertificate)
	}
	return names
}

// Judge returns the outcome of every check beyond the status.
func (e *Expect) Judge(answer *httpx.Answer, now time.Time) []Check {
	found := e.Content.Judge(answer)
	if len(e.HTTPVersion) > 0 {
		found = append(found, Check{"http_version", e.HTTPVersion.judge(answer.Proto)})
	}
	if e.Latency != nil {
		found = append(found, Check{"latency", JudgeLatency(&answer.Exchange, *e.Latency)})
	}
	if e.Certificate != nil {
		found = append(found, Check{probe.CheckCertificate, e.Certificate.Judge(answer.CertExpiry, now)})
	}
	return found
}

// Matches reports whether an answer looks like the expected one. Latency and certificate do not count.
func (e *Expect) Matches(answer *httpx.Answer) bool {
	return e.Status.Contains(answer.Status) && e.Mismatch(answer).Passed()
}

// JudgeLatency compares how long an exchange took with the maximum. A delay of the prober's own is not held against the target.
func JudgeLatency(x *probe.Exchange, maximum probe.Duration) probe.Outcome {
	took := x.Took.Round(time.Millisecond)
	if x.Took < 10*time.Millisecond {
		took = x.Took.Round(100 * time.Microsecond)
	}
	if x.OwnDelay(maximum.D()) {
		return probe.Outcomef(probe.SelfDelay, "expected an answer within %s, got one after %s, but the prober itself was late by %s",
			maximum, took, x.Late.Round(time.Millisecond))
	}
	if x.Took > maximum.D() {
		return probe.Outcomef(probe.Slow, "expected an answer within %s, got one after %s", maximum, took)
	}
	return probe.Outcomef(probe.OK, "answered within %s", took)
}
