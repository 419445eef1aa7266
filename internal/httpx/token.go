package httpx

import (
	"context"

	"prober/internal/probe"
)

// Token returns the bearer token that the client's requests carry now: read at its source, or issued and kept as for
// any request; empty if the settings name none. The reason is probe.OK, or why there is no token, which the detail
// says. The token is known to the redactor.
func (c *Client) Token(ctx context.Context) (token string, why probe.Reason, detail string) {
	switch {
	case !c.settings.Bearer.IsZero():
		value, err := c.settings.Bearer.Reveal()
		if err != nil {
			return "", probe.Credential, "bearer: " + err.Error()
		}
		return value, probe.OK, ""
	case c.tokens != nil:
		value, f := c.tokens.get(ctx)
		if f != nil {
			return "", f.why, f.detail
		}
		return value, probe.OK, ""
	}
	return "", probe.OK, ""
}
