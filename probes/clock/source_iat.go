package clock

import (
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/timesync"
	"prober/probes/internal/issuance"
)

// tokenRequest is the request for a token. It is made here and measured: the time
// at which a token was issued must lie between the question and the answer.
func (s *source) tokenRequest() (httpx.Request, error) {
	return s.IAT.Grant(httpx.Request{
		Check: "source", Want: httpx.Success,
		Anonymous: true, // the request carries its own credential
		Learn:     issuance.LearnToken("clock " + s.name + " " + s.IAT.TokenURL + " " + s.IAT.ClientID),
	})
}

// readIAT reads the iat of the token that an answer holds. The signature is not verified: it would say nothing more about the clock,
// one, and who answers is known from the URL.
func (s *source) readIAT(a *httpx.Answer) (timesync.Sample, *probe.Outcome) {
	token := jwk.ReadRaw(issuance.IssuedToken(a))
	if token == nil {
		return timesync.Sample{}, readErrorf(probe.Schema, "the token endpoint did not answer with a JWT, so there is no time to read")
	}
	at := token.Date("iat")
	if at.IsZero() || at.Unix() >= 1<<32 { // beyond 2106 offsets would be clamped and look alike
		return timesync.Sample{}, readErrorf(probe.Schema, "the token has no valid iat")
	}
	return timesync.Sample{Earliest: at, Latest: at.Add(time.Second)}, nil
}
