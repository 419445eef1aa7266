package httpx

import (
	"context"

	"prober/internal/probe"
)

// Token returns the bearer token that the client's requests carry now: read at its source, or issued and kept as for
// any request; empty if the settings name none. The outcome is OK, or says why there is no token. The token is known to
// the redactor.
func (c *Client) Token(ctx context.Context) (string, probe.Outcome) {
	switch {
	case !c.settings.Bearer.IsZero():
		value, err := c.settings.Bearer.Reveal()
		if err != nil {
			return "", probe.Outcomef(probe.Credential, "bearer: %s", err)
		}
		return value, probe.Outcome{Reason: probe.OK}
	case c.settings.Login != nil && !c.settings.Login.IsBearer():
		return "", probe.Outcome{Reason: probe.OK}
	case c.tokens != nil:
		value, f := c.tokens.get(ctx)
		if f != nil {
			return "", *f
		}
		return value, probe.Outcome{Reason: probe.OK}
	}
	return "", probe.Outcome{Reason: probe.OK}
}
