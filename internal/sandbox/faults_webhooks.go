package sandbox

import "sync/atomic"

// webhookFaults break the delivery of webhooks.
func webhookFaults() []Fault {
	const (
		failing   = "webhook delivery failing in bulk"
		classes   = "5xx/408/429 are retried; any other 4xx goes straight to the DLQ"
		conflict  = "on a retry with the same idempotency_key, the RP returns 409"
		signature = "RP signature verification failure — the kid is not in the RP's cache"
	)
	with := onWebhooks
	return []Fault{
		{"webhook-no-dispatcher", "webhooks are accepted and never sent: the dispatcher does not run", failing, with(func(w *webhookSender) { w.stopped = true })},
		{"webhook-disables", "a webhook that is refused disables the endpoint", failing, with(disables(new(atomic.Bool)))},
		{"webhook-no-retry", "a webhook that is answered 5xx, or not at all, is not sent again", classes, with(func(w *webhookSender) { w.dropsErrors = true })},
		{"webhook-408-dead", "a webhook that is answered 408 is not sent again", classes, with(func(w *webhookSender) { w.dropsTimeouts = true })},
		{"webhook-retries-400", "a webhook that is answered 400 is sent again", classes, with(func(w *webhookSender) { w.retriesRefused = true })},
		{"webhook-ignores-retry-after", "a webhook that is answered 429 is sent again before Retry-After is over", classes, with(func(w *webhookSender) { w.ignoresRetryAfter = true })},
		{"webhook-follows-redirects", "a redirect of a webhook is followed, without its body", classes, with(func(w *webhookSender) { w.follows = true })},
		{"webhook-not-kept", "a webhook that is refused is forgotten, and not among the dead ones", classes, with(func(w *webhookSender) { w.forgets = true })},
		{"webhook-409-dead", "a webhook that is answered 409 on a retry ends among the dead ones", conflict, with(func(w *webhookSender) { w.conflictIsFailure = true })},
		{"webhook-new-key-each-try", "each attempt to deliver a webhook has another idempotency key", conflict, with(func(w *webhookSender) { w.newKeys = true })},
		{"webhook-unsigned", "webhooks are not signed", signature, with(func(w *webhookSender) { w.unsigned = true })},
		{"webhook-bad-signature", "webhooks are signed with another key than the one that they name", signature, with(func(w *webhookSender) { w.badSignature = true })},
		{"webhook-kid-unpublished", "webhooks are signed with a key that is not published", signature, with(func(w *webhookSender) { w.unpublished = true })},
		{"webhook-old-timestamp", "webhooks say that they were sent an hour ago", signature, with(func(w *webhookSender) { w.stale = true })},
		{"webhook-forged", "somebody sends forged webhooks beside the real ones, and the real ones twice", signature, []*effect{harmless(with(func(w *webhookSender) { w.forges = true })[0])}},
	}
}

func disables(failed *atomic.Bool) webhookFault {
	return func(w *webhookSender) { w.failed = failed }
}
