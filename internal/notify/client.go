package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// Bounds of one request to a receiver.
const (
	sendTimeout = 10 * time.Second
	maxAnswer   = 16 << 10
)

// errRefused means that the receiver answered, and that the same request would be answered the same again.
var errRefused = errors.New("refused")

// A client sends requests to one receiver.
type client struct {
	http *httpx.Client
	url  func() (string, error) // read at each use
	// private says that the URL holds a secret, so that it is shown nowhere.
	private bool
}

func newClient(settings httpx.Settings) (*httpx.Client, error) {
	settings.MaxBody = maxAnswer
	return settings.Client("")
}

// send makes one request. The error holds no byte of the answer, and not the URL of a private one.
func (c *client) send(ctx context.Context, method string, header http.Header, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	url, err := c.url()
	if err != nil {
		return err
	}
	q := httpx.Request{Check: "send", Method: method, URL: url, Header: header, Body: body, Secret: c.private}
	if c.private {
		q.Show = "<secret>"
	}
	a := c.http.Do(ctx, probe.NewResult(probe.ID{}), q)
	switch {
	case a.Reason != probe.OK:
		return errors.New(a.Detail)
	case a.Status >= 200 && a.Status < 300:
		return nil
	case a.Status >= 400 && a.Status < 500 && a.Status != http.StatusRequestTimeout && a.Status != http.StatusTooManyRequests:
		return fmt.Errorf("%w: expected 2xx, got %d", errRefused, a.Status)
	}
	return fmt.Errorf("expected 2xx, got %d", a.Status)
}
