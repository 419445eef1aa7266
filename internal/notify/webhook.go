package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

const (
	groupWait    = 10 * time.Second // for what begins or ends at about the same time
	webhookEvery = time.Minute      // when what was refused is sent again, and the longest pause between attempts

	maxText        = 3500 // bytes of the text of a message, which chats cut off
	maxDescription = 600  // bytes of a description in it, if there are others
)

// A webhook is told once that an alert began, and once that it ended.
type webhook struct {
	client client
	book   *Book
	body   Body
	link   func(probe.Key) string // to the page of a probe; nil if people cannot reach it
}

// newWebhook makes the receiver for a webhook.
func newWebhook(o Options, book *Book) (*receiver, error) {
	c, err := o.Webhook.client()
	if err != nil {
		return nil, err
	}
	w := &webhook{client: c, book: book, body: o.WebhookBody, link: o.Link}
	return &receiver{name: "webhook", interval: webhookEvery, wake: book.Changed(), tell: w.tell, report: o.Report}, nil
}

// tell sends what the webhook does not know yet: a message of all that began, and one of all that ended. What is wrong with one
// message does not keep the others from being sent.
func (w *webhook) tell(ctx context.Context) error {
	if began, ended := w.book.unsent(time.Now()); len(began)+len(ended) == 0 {
		return errIdle
	}
	if !pausing(ctx, groupWait) {
		return ctx.Err()
	}
	began, ended := w.book.unsent(time.Now())
	if len(began)+len(ended) == 0 {
		return errIdle
	}
	var failed error
	for _, group := range [2][]Alert{began, ended} {
		for len(group) > 0 {
			batch := group[:min(len(group), maxBatch)]
			group = group[len(batch):]
			err := w.send(ctx, batch)
			if err != nil && !errors.Is(err, errRefused) {
				return err
			}
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

func (w *webhook) send(ctx context.Context, group []Alert) error {
	body := w.body.fill(message{group, w.link})
	err := w.client.send(ctx, http.MethodPost, http.Header{"Content-Type": {"application/json"}}, body)
	if err == nil {
		w.book.noteSent(group)
	}
	return err
}

// A message is about alerts that began together, or ended together.
type message struct {
	alerts []Alert
	link   func(probe.Key) string
}

// values are what a template may name. Of several alerts they hold each value once.
func (m message) values() map[string]string {
	label := func(name string) string { return m.each(func(a Alert) string { return a.Labels[name] }) }
	return map[string]string{
		"status": m.status(), "title": m.title(), "text": m.text(),
		"alertname": label("alertname"), "severity": label("severity"), "system": label("system"), "probe": label("probe"), "runbook": label("runbook"),
		"summary":     m.each(func(a Alert) string { return a.Annotations["summary"] }),
		"description": m.each(func(a Alert) string { return a.Annotations["description"] }),
		"impact":      m.each(func(a Alert) string { return a.Annotations["impact"] }),
		"deploys":     m.each(func(a Alert) string { return a.Annotations["deploys"] }),
		"reason":      m.each(func(a Alert) string { return a.Reason }),
		"url":         m.first(m.page),
		"runbook_url": m.first(func(a Alert) string { return a.Annotations["runbook_url"] }),
		"starts_at":   m.first(func(a Alert) string { return written(a.Started) }),
		"ends_at":     m.first(func(a Alert) string { return written(a.Ended) }),
	}
}

// written is a time as RFC 3339 has it; empty for none.
func written(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// each lists a value of all alerts, each once.
func (m message) each(of func(Alert) string) string {
	var all []string
	for _, a := range m.alerts {
		if value := of(a); value != "" && !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	return cut(strings.Join(all, ", "), maxText)
}

// first is a value of the first alert that has it.
func (m message) first(of func(Alert) string) string {
	for _, a := range m.alerts {
		if value := of(a); value != "" {
			return value
		}
	}
	return ""
}

func (m message) page(a Alert) string {
	if m.link == nil || a.Probe == (probe.Key{}) {
		return ""
	}
	return m.link(a.Probe)
}

// status is a word of Alertmanager's.
func (m message) status() string {
	if len(m.alerts) > 0 && !m.alerts[0].Ended.IsZero() {
		return "resolved"
	}
	return "firing"
}

// title is one line.
func (m message) title() string {
	if len(m.alerts) == 1 {
		return m.status() + ": " + headline(m.alerts[0])
	}
	return fmt.Sprintf("%s: %d alerts: %s", m.status(), len(m.alerts), m.each(func(a Alert) string { return a.Labels["alertname"] }))
}

func headline(a Alert) string {
	about := a.Labels["alertname"]
	if severity := a.Labels["severity"]; severity != "" {
		about += " (" + severity + ")"
	}
	return about + ": " + a.Annotations["summary"]
}

// impact is what an alert means to customers.
func impact(a Alert) string {
	if a.Annotations["impact"] == "" {
		return ""
	}
	return "Impact: " + cut(a.Annotations["impact"], maxDescription)
}

// text is the title with what is known of each alert, as far as there is room.
func (m message) text() string {
	var b strings.Builder
	b.WriteString(m.title())
	for i, a := range m.alerts {
		described := maxText
		var part string
		if len(m.alerts) > 1 {
			part, described = "\n- "+headline(a), maxDescription
		}
		for _, line := range []string{impact(a), cut(a.Annotations["description"], described), cut(strings.TrimSpace(a.Annotations["deploys"]), described), a.Annotations["runbook_url"], m.page(a)} {
			if line != "" {
				part += "\n" + line
			}
		}
		if i > 0 && b.Len()+len(part) > maxText {
			fmt.Fprintf(&b, "\nand %d more", len(m.alerts)-i)
			break
		}
		b.WriteString(part)
	}
	return b.String()
}

// cut shortens a text to a number of bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
