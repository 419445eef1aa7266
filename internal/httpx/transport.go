package httpx

import (
	"context"
	"net/http"
)

// A roundTripper makes exchanges for an http.Client. Each request has a connection of its own. The exchange, which outlives
// them, travels in the context of the requests.
type roundTripper struct{}

type exchangeKey struct{}

// carried returns a context that carries the exchange.
func (x *exchange) carried() context.Context {
	return context.WithValue(x.Context(), exchangeKey{}, x)
}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// RoundTrip ends what is left of the request before, and sends another.
func (roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	x := exchangeOf(req.Context())
	x.drop(false)
	return x.roundTrip(req)
}

// noRedirect follows no redirect: it would forward credentials to other ports and sub-domains, and in clear.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
