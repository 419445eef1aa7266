package notify

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// evaluateEvery is how often it is decided at least which alerts there are.
const evaluateEvery = 5 * time.Second

// saveDelay is how long a change waits for others before it is saved, and saveEvery how often all is saved: a state is taken up
// only if it is recent.
const (
	saveDelay = time.Second
	saveEvery = 10 * time.Minute
)

// Options say what a Notifier asks, whom it tells, and what it reports.
type Options struct {
	// Evaluate returns the alerts whose condition holds, and what is known of each configured probe; nil if nobody is told of any.
	Evaluate func(now time.Time) (holding []probe.Alert, watches map[probe.Key]probe.Watch)
	Changed  <-chan struct{}          // receives when Evaluate may return something else
	Save     func(state []byte) error // keeps the state of alerts for the next process; called by one goroutine
	Link     func(probe.Key) string   // to the page of a probe; nil if people cannot reach it

	Alertmanagers  []*url.URL
	Settings       httpx.Settings // of requests to Alertmanagers
	ResendInterval time.Duration

	Webhook     PrivateURL // zero for none
	WebhookBody Body

	Watchdog      PrivateURL // zero for none
	WatchdogEvery time.Duration
	Works         func() error // why the prober does not work; nil while it does. It must not wait

	Report func(receiver string, err error) // the outcome of each request; called by several goroutines
}

// A Notifier tells receivers of alerts.
type Notifier struct {
	options   Options
	book      *Book
	receivers []*receiver
}

// New checks the options and returns a Notifier that has sent nothing yet.
func New(o Options) (*Notifier, error) {
	n := &Notifier{options: o, book: NewBook()}
	for _, u := range o.Alertmanagers {
		r, err := newAlertmanager(u, o.Settings, o, n.book)
		if err != nil {
			return nil, fmt.Errorf("alertmanager: %w", err)
		}
		n.receivers = append(n.receivers, r)
	}
	if !o.Webhook.IsZero() {
		r, err := newWebhook(o, n.book)
		if err != nil {
			return nil, fmt.Errorf("webhook: %w", err)
		}
		n.receivers = append(n.receivers, r)
	}
	if !o.Watchdog.IsZero() {
		r, err := newWatchdog(o.Watchdog, o.WatchdogEvery, o.Works, o.Report)
		if err != nil {
			return nil, fmt.Errorf("watchdog: %w", err)
		}
		n.receivers = append(n.receivers, r)
	}
	return n, nil
}

// Receivers names all that are told.
func (n *Notifier) Receivers() (names []string) {
	for _, r := range n.receivers {
		names = append(names, r.name)
	}
	return names
}

// Load takes up the alerts that an earlier process saved. Call it before Run.
func (n *Notifier) Load(state []byte) error { return n.book.Load(state, time.Now()) }

// Run tells the receivers until ctx ends. Alerts that last then are not ended: the next process goes on with them.
func (n *Notifier) Run(ctx context.Context) {
	n.update()
	var running sync.WaitGroup
	for _, r := range n.receivers {
		running.Go(func() { r.run(ctx) })
	}
	if n.options.Save != nil {
		running.Go(func() { n.save(ctx) })
	}
	tick := time.NewTicker(evaluateEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-n.options.Changed:
		case <-ctx.Done():
		}
		if ctx.Err() == nil {
			n.update()
		}
	}
	running.Wait()
}

func (n *Notifier) update() {
	if n.options.Evaluate == nil {
		return
	}
	now := time.Now()
	holding, watches := n.options.Evaluate(now)
	n.book.Update(now, holding, watches)
}

// save saves the alerts after changes, and once more when ctx ends.
func (n *Notifier) save(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.book.dirty:
			pausing(ctx, saveDelay)
		case <-tick.C:
		case <-ctx.Done():
		}
		if state, err := n.book.Save(time.Now()); err == nil {
			_ = n.options.Save(state) // which reports its errors
		}
		if ctx.Err() != nil {
			return
		}
	}
}
