package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// alertsPath is where Alertmanager takes alerts, below its URL.
const alertsPath = "/api/v2/alerts"

const (
	maxBatch = 100 // alerts in one request

	// resendsUntilEnd is for how many intervals an Alertmanager takes an alert to last that it is not told of again.
	resendsUntilEnd = 6
)

// An alertmanager is one that is told of all alerts every interval, and at once when one begins or ends.
type alertmanager struct {
	client   client
	book     *Book
	interval time.Duration
	link     func(probe.Key) string // to the page of a probe; nil if people cannot reach it
}

// A posted is an alert as Alertmanager's API v2 reads it.
type posted struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// ParseAlertmanager checks the URL of an Alertmanager. It may have a path, and no credential.
func ParseAlertmanager(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("expected http://HOST:PORT or https://HOST:PORT, with a path if there is one, and credentials elsewhere")
	}
	return u, nil
}

// newAlertmanager makes the receiver for one Alertmanager.
func newAlertmanager(u *url.URL, settings httpx.Settings, o Options, book *Book) (*receiver, error) {
	target := strings.TrimSuffix(u.String(), "/") + alertsPath
	if _, err := settings.Client(target); err != nil {
		return nil, err
	}
	h, err := newClient(settings)
	if err != nil {
		return nil, err
	}
	a := &alertmanager{
		client: client{http: h, url: func() (string, error) { return target, nil }},
		book:   book, interval: o.ResendInterval, link: o.Link,
	}
	return &receiver{name: "alertmanager " + u.Host, interval: o.ResendInterval, wake: book.Changed(), tell: a.tell, report: o.Report}, nil
}

// tell sends all alerts, in batches. What is wrong with one of them does not keep the others from being sent.
func (a *alertmanager) tell(ctx context.Context) error {
	told := a.book.Told()
	if len(told) == 0 {
		return a.reachable(ctx)
	}
	var failed error
	for len(told) > 0 {
		batch := told[:min(len(told), maxBatch)]
		told = told[len(batch):]
		body, err := json.Marshal(a.post(batch, time.Now()))
		if err != nil {
			return fmt.Errorf("writing alerts: %w", err)
		}
		err = a.client.send(ctx, http.MethodPost, http.Header{"Content-Type": {"application/json"}}, body)
		if err != nil && !errors.Is(err, errRefused) {
			return err
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// reachable asks an Alertmanager that has nothing to be told whether it would take it: an empty list changes nothing.
func (a *alertmanager) reachable(ctx context.Context) error {
	return a.client.send(ctx, http.MethodPost, http.Header{"Content-Type": {"application/json"}}, []byte("[]"))
}

// post writes alerts for a time. One that lasts ends by itself if it is not sent again.
func (a *alertmanager) post(all []Alert, now time.Time) []posted {
	out := make([]posted, len(all))
	for i, alert := range all {
		out[i] = posted{Labels: alert.Labels, Annotations: alert.Annotations, StartsAt: alert.Started, EndsAt: alert.Ended}
		if alert.Ended.IsZero() {
			out[i].EndsAt = now.Add(resendsUntilEnd * a.interval)
		}
		if a.link != nil && alert.Probe != (probe.Key{}) {
			out[i].GeneratorURL = a.link(alert.Probe)
		}
	}
	return out
}
