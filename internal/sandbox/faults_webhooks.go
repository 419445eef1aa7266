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
	keys := func(i interceptor) []*effect { return []*effect{on([]string{onepass}, webhookKeys, i)} }
	revoked := addKey(func(s *Sandbox) any {
		key := s.dispatcher.keys[2].Public()
		key.KeyID = revokedHook
		return asJSON(key)
	})
	instead := func(members object) interceptor {
		members["kid"] = webhookKid
		return publishKeys(replaceKey(func(*Sandbox) any { return members }))
	}
	return []Fault{
		{"webhook-no-dispatcher", "webhooks are accepted and never sent: the dispatcher does not run", failing, with(func(w *webhookSender) { w.stopped = true })},
		{"webhook-disables", "a webhook that is refused disables the endpoint", failing, with(disables(new(atomic.Bool)))},
		{"webhook-no-retry", "a webhook that is answered 5xx, or not at all, is not sent again", classes, with(func(w *webhookSender) { w.dropsErrors = true })},
		{"webhook-408-dead", "a webhook that is answered 408 is not sent again", classes, with(func(w *webhookSender) { w.dropsTimeouts = true })},
		{"webhook-retries-400", "a webhook that is answered 400 is sent again", classes, with(func(w *webhookSender) { w.retriesRefused = true })},
		{"webhook-no-pause", "a webhook that is answered 5xx is sent again at once", classes, with(func(w *webhookSender) { w.hasty = true })},
		{"webhook-impatient", "a webhook whose answer takes long is sent again, though it was received", classes, with(func(w *webhookSender) { w.impatient = true })},
		{"webhook-ignores-retry-after", "a webhook that is answered 429 is sent again before Retry-After is over", classes, with(func(w *webhookSender) { w.ignoresRetryAfter = true })},
		{"webhook-follows-redirects", "a redirect of a webhook is followed, without its body", classes, with(func(w *webhookSender) { w.follows = true })},
		{"webhook-not-kept", "a webhook that is refused is forgotten, and not among the dead ones", classes, with(func(w *webhookSender) { w.forgets = true })},
		{"webhook-409-dead", "a webhook that is answered 409 on a retry ends among the dead ones", conflict, with(func(w *webhookSender) { w.conflictIsFailure = true })},
		{"webhook-new-key-each-try", "each attempt to deliver a webhook has another idempotency key", conflict, with(func(w *webhookSender) { w.newKeys = true })},
		{"webhook-unsigned", "webhooks are not signed", signature, with(func(w *webhookSender) { w.unsigned = true })},
		{"webhook-bad-signature", "webhooks are signed with another key than the one that they name", signature, with(func(w *webhookSender) { w.badSignature = true })},
		{"webhook-kid-unpublished", "webhooks are signed with a key that is not published", signature, with(func(w *webhookSender) { w.unpublished = true })},
		{"webhook-kid-late", "webhooks are signed with a key that is published once it has signed", signature, with(func(w *webhookSender) { w.late = true })},
		{"webhook-key-broken", "the key that webhooks are signed with is published without one of its coordinates", signature, keys(instead(object{"kty": "EC", "crv": "P-256", "y": "AAAA"}))},
		{"webhook-key-unknown", "the key that webhooks are signed with is published as one of a type that is not common yet", signature, keys(instead(object{"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA"}))},
		{"webhook-keys-down", "the key set of webhooks answers 503", signature, keys(respondPage(503, unavailablePage))},
		{"webhook-keys-revoked", "a revoked key is in the key set of webhooks again", signature, keys(publishKeys(revoked))},
		{"webhook-old-timestamp", "webhooks say that they were sent an hour ago", signature, with(func(w *webhookSender) { w.stale = true })},
		{"webhook-forged", "somebody sends forged webhooks beside the real ones, and the real ones twice", signature, with(func(w *webhookSender) { w.forges = true })},
		{"webhook-second-host", "a second host sends each webhook too, and does not sign it", signature, with(func(w *webhookSender) { w.twoHosts = true })},
	}
}

func disables(failed *atomic.Bool) webhookFault {
	return func(w *webhookSender) { w.failed = failed }
}
