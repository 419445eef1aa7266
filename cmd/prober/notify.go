package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"prober/internal/alerts"
	"prober/internal/dial"
	"prober/internal/file"
	"prober/internal/httpx"
	"prober/internal/notify"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes"
)

// notifyOptions are the flags of alerts without Prometheus.
type notifyOptions struct {
	alertmanagers []string
	resend        time.Duration
	bearerFile    string
	user          string
	passwordFile  string
	tls           dial.TLS

	webhook     notify.PrivateURL
	webhookBody string // a file

	watchdog      notify.PrivateURL
	watchdogEvery time.Duration
}

// notifyFlags adds the flags of alerts without Prometheus.
func notifyFlags(f *pflag.FlagSet, n *notifyOptions) {
	f.StringArrayVar(&n.alertmanagers, "alertmanager.url", nil, "Send alerts to the Alertmanager at `URL`, with the names, labels and waits of the rules that \"prober rules\" writes. Repeatable: each gets all.")
	f.DurationVar(&n.resend, "alertmanager.resend-interval", 30*time.Second, "How often an alert is sent again while it lasts. It ends by itself after six times that.")
	f.StringVar(&n.bearerFile, "alertmanager.bearer-file", "", "`FILE` with the token to send to the Alertmanagers, read at each use.")
	f.StringVar(&n.user, "alertmanager.user", "", "`NAME` to send to the Alertmanagers with the password in --alertmanager.password-file.")
	f.StringVar(&n.passwordFile, "alertmanager.password-file", "", "`FILE` with the password of --alertmanager.user, read at each use.")
	f.StringVar(&n.tls.CAFile, "alertmanager.ca-file", "", "PEM `FILE` of the authorities to trust for https; by default the system's.")
	f.StringVar(&n.tls.CertFile, "alertmanager.cert-file", "", "PEM `FILE` of the client certificate to show.")
	f.StringVar(&n.tls.KeyFile, "alertmanager.key-file", "", "PEM `FILE` of the key of that certificate.")
	f.StringVar(&n.webhook.Text, "webhook.url", "", "Post to `URL` when an alert begins and when it ends, in the shape that Slack reads. Never shown; others may see it in the list of processes.")
	f.StringVar(&n.webhook.File, "webhook.url-file", "", "`FILE` with that URL, read at each use.")
	f.StringVar(&n.webhookBody, "webhook.body-file", "", "`FILE` with the JSON to post in place of Slack's. ${title}, ${text}, ${status} and others inside its quotes are filled in.")
	f.StringVar(&n.watchdog.Text, "watchdog.url", "", "Request `URL` regularly while the prober works, so that a service elsewhere raises an alarm when it no longer does. Never shown; others may see it in the list of processes.")
	f.StringVar(&n.watchdog.File, "watchdog.url-file", "", "`FILE` with that URL, read at each use.")
	f.DurationVar(&n.watchdogEvery, "watchdog.interval", time.Minute, "How often.")
}

// validate reports flags that do not go together.
func (n *notifyOptions) validate() error {
	for _, raw := range n.alertmanagers {
		if _, err := notify.ParseAlertmanager(raw); err != nil {
			return fmt.Errorf("--alertmanager.url: %w", err)
		}
	}
	switch {
	case n.resend < time.Second || n.resend > 10*time.Minute:
		return errors.New("--alertmanager.resend-interval: expected 1s to 10m")
	case n.watchdogEvery < time.Second || n.watchdogEvery > 24*time.Hour:
		return errors.New("--watchdog.interval: expected 1s to 24h")
	case n.watchdog.Text != "" && n.watchdog.File != "":
		return errors.New("--watchdog.url and --watchdog.url-file exclude each other")
	case n.webhook.Text != "" && n.webhook.File != "":
		return errors.New("--webhook.url and --webhook.url-file exclude each other")
	case n.webhookBody != "" && n.webhook.IsZero():
		return errors.New("--webhook.body-file needs --webhook.url or --webhook.url-file")
	case (n.user == "") != (n.passwordFile == ""):
		return errors.New("--alertmanager.user and --alertmanager.password-file need each other")
	case n.user != "" && n.bearerFile != "":
		return errors.New("--alertmanager.user and --alertmanager.bearer-file exclude each other")
	}
	return nil
}

// settings are those of requests to Alertmanagers.
func (n *notifyOptions) settings() httpx.Settings {
	s := httpx.Settings{}
	if n.tls != (dial.TLS{}) {
		s.TLS = &n.tls
	}
	if n.bearerFile != "" {
		s.Bearer = secret.File(n.bearerFile)
	}
	if n.user != "" {
		s.Basic = &httpx.Basic{Username: n.user, Password: secret.File(n.passwordFile)}
	}
	return s
}

// body reads the template of the webhook, if a file has one.
func (n *notifyOptions) body() (notify.Body, error) {
	if n.webhookBody == "" {
		return notify.Body{}, nil
	}
	text, err := file.Read(n.webhookBody, notify.MaxBody)
	if err != nil {
		return notify.Body{}, err
	}
	return notify.ParseBody(n.webhookBody, string(text))
}

// An alerting is what tells people of alerts without Prometheus. Its fields are nil if nobody is told.
type alerting struct {
	evaluator *alerts.Evaluator
	notifier  *notify.Notifier
	instance  string // this machine, in the alerts on the prober itself
	reloader  atomic.Pointer[reloader]

	mu      sync.Mutex
	failing map[string]bool // by receiver
}

// tells reports whether somebody is told of alerts.
func (n *notifyOptions) tells() bool { return len(n.alertmanagers) > 0 || !n.webhook.IsZero() }

// openAlerting makes what tells people of alerts, if flags say whom.
func (s *server) openAlerting(o *options) error {
	n := &o.serve.notify
	if !n.tells() && n.watchdog.IsZero() {
		return nil
	}
	a := &s.alerting
	a.failing = map[string]bool{}
	a.instance, _ = os.Hostname()
	options := notify.Options{
		Settings: n.settings(), ResendInterval: n.resend, Link: o.serve.pageOf(), Report: s.notified,
		Webhook: n.webhook, Watchdog: n.watchdog, WatchdogEvery: n.watchdogEvery, Works: s.works,
	}
	if n.tells() {
		a.evaluator = alerts.NewEvaluator(alerts.Options{Kinds: probes.Kinds()}, s.history.Since)
		options.Evaluate, options.Changed, options.Save = s.evaluateAlerts, a.evaluator.Changed(), s.saveAlerts
	}
	for _, raw := range n.alertmanagers {
		u, err := notify.ParseAlertmanager(raw)
		if err != nil {
			return err
		}
		options.Alertmanagers = append(options.Alertmanagers, u)
	}
	var err error
	if options.WebhookBody, err = n.body(); err != nil {
		return fmt.Errorf("prober: webhook: %w", err)
	}
	if a.notifier, err = notify.New(options); err != nil {
		return fmt.Errorf("prober: %w", err)
	}
	s.metrics.Notifies(a.notifier.Receivers())
	if !n.tells() {
		return nil
	}
	state, err := s.history.Alerts()
	if err == nil && state != nil {
		err = a.notifier.Load(state)
	}
	if err != nil {
		s.log.Warn("The saved alerts are lost", "err", err)
	}
	return nil
}

// evaluateAlerts returns the alerts whose condition holds, those on the prober itself too, and what is known of each probe.
func (s *server) evaluateAlerts(now time.Time) ([]probe.Alert, map[probe.Key]probe.Watch) {
	all := s.alerting.evaluator.Alerts(now)
	for _, check := range s.self.failed() {
		all = append(all, alerts.SelfCheckFailed(check, s.alerting.instance))
	}
	if r := s.alerting.reloader.Load(); r != nil && r.failed() != nil {
		all = append(all, alerts.ReloadFailed(s.alerting.instance))
	}
	return all, s.alerting.evaluator.Watches(now)
}

// works returns why the prober does not work; nil while it does.
func (s *server) works() error {
	return errors.Join(s.ready(), s.scheduler.Healthy(), s.engine.tests())
}

// saveAlerts keeps the state of alerts for the next process.
func (s *server) saveAlerts(state []byte) error {
	err := s.history.SaveAlerts(state)
	s.disk.report("alerts", err)
	return err
}

// notified is called after every request to a receiver: a log line when it begins to fail and when it works again, a self-check of
// each kind of receiver, and metrics.
func (s *server) notified(receiver string, err error) {
	s.metrics.Notified(receiver, err == nil)
	a := &s.alerting
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.failing[receiver]
	a.failing[receiver] = err != nil
	switch {
	case err != nil && !was:
		s.log.Error("Cannot send alerts", "receiver", receiver, "err", err)
	case err == nil && was:
		s.log.Info("Alerts can be sent again", "receiver", receiver)
	}
	kind, _, _ := strings.Cut(receiver, " ")
	ok := true
	for other, failing := range a.failing {
		if strings.HasPrefix(other, kind) && failing {
			ok = false
		}
	}
	s.self.report(kind, ok)
}

// pageOf returns the address of a probe's page; nil if it is not known under which URL people reach the prober.
func (o serveOptions) pageOf() func(probe.Key) string {
	if len(o.external) == 0 {
		return nil
	}
	base, err := url.Parse(o.external[0])
	if err != nil {
		return nil
	}
	return func(k probe.Key) string {
		return base.JoinPath("probes", url.PathEscape(k.System), url.PathEscape(k.Name)).String()
	}
}
