// Package webhook has the kind of probe that receives webhooks as their receivers do, and judges the sender.
package webhook

import (
	"slices"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/signature"
	"prober/internal/sorted"
	"prober/probes/internal/issuance"
)

// Probe is a receiver of webhooks for tests. It has the sender deliver an event for each of its cases, answers the attempts by the
// script of the case, and judges over time: what was delivered, whether its signature verifies, which answers are tried again and
// when, what ends as a dead letter. Nothing that does not verify has a say in a verdict.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	Public    string          `yaml:"public" required:"true" doc:"the URL at which the sender reaches the listener of --inbound.listen-address, with {token} for the token"`
	Token     secret.Secret   `yaml:"token" required:"true" doc:"a random text of at least 22 characters that makes the path one that nobody can guess"`
	Signature Signature       `yaml:"signature" doc:"how deliveries are signed"`
	ID        httpx.Source    `yaml:"id" empty:"true" doc:"where a delivery has the id of its event, the same in each attempt; default with the scheme standard: webhook-id"`
	Key       httpx.Source    `yaml:"key" doc:"where a delivery has the idempotency key, which must be the same in each attempt; default with the scheme standard: webhook-id"`
	Trigger   *Trigger        `yaml:"trigger" doc:"the request that has the sender deliver an event; without it the probe waits for what comes by itself"`
	Within    probe.Duration  `yaml:"within" default:"1m" doc:"how long the first attempt may take after the trigger; without trigger, the longest time without a delivery"`
	Schedule  probe.Duration  `yaml:"schedule" doc:"the longest pause between two attempts of the sender: what was not tried again for so long never is"`
	Cases     map[string]Case `yaml:"cases" doc:"by name, how an event is answered and what must come of it; default: delivered, which is answered 200"`
	Dead      *Dead           `yaml:"dead" doc:"the request that lists the dead letters"`

	form    signature.Form
	cases   []namedCase    // in the order of their names
	implied bool           // no case is configured
	client  *httpx.Client  // of the trigger
	letters *httpx.Client  // of the dead letters
	other   *httpx.Client  // of the key set and the prober's own address: without a credential
	stamp   jsonpath.Path  // of signature.timestamp, for a JWS
	once    httpx.Settings // of letters
	waiting time.Duration  // how long the prober waits for what it sent to itself
}

type namedCase struct {
	name string
	Case
}

// Signature is how deliveries are signed, and how long their keys are good.
type Signature struct {
	Scheme    string          `yaml:"scheme" required:"true" doc:"standard (Standard Webhooks and Svix), hmac, jws, jws-detached or token"`
	Header    string          `yaml:"header" doc:"the header with the signature; without it a jws is the body itself (RFC 8935)"`
	Prefix    string          `yaml:"prefix" doc:"of hmac and token: what stands before the signature, such as sha256= or v1="`
	Encoding  string          `yaml:"encoding" default:"hex" doc:"of hmac: hex or base64"`
	Content   string          `yaml:"content" default:"'{body}'" doc:"of hmac: what is signed, such as {timestamp}.{body}"`
	Timestamp string          `yaml:"timestamp" doc:"of hmac: the header with the time of the attempt in seconds since 1970, or what stands before it in the header of the signature, such as t=; of jws: its path in the JSON"`
	Tolerance probe.Duration  `yaml:"tolerance" default:"5m" doc:"how far the timestamp of an attempt may be from the time of its arrival"`
	Secrets   []secret.Secret `yaml:"secrets" doc:"of standard, hmac and token: the secrets or public keys (whpk_) of which one must verify; two during a rotation"`
	Keys      string          `yaml:"keys" doc:"of jws: the URL of the sender's key set"`
	Cache     probe.Duration  `yaml:"cache" doc:"of jws: how long receivers are told to keep the key set; a key must be published that long before it signs"`
	Grace     probe.Duration  `yaml:"grace" doc:"of jws: how long a key stays published after its last signature"`
	Typ       string          `yaml:"typ" doc:"of jws: the typ that its header must have, such as secevent+jwt; without it a token that the same keys signed is taken for a delivery"`
	Revoked   []secret.Public `yaml:"revoked" empty:"true" doc:"of jws: ids of keys that must neither be published nor sign; each a text, {file: PATH} or {env: NAME}"`
}

// A Trigger is the request that has the sender deliver an event. Its texts may contain {case}, the name of the case, and {nonce},
// a random text.
type Trigger struct {
	Method string         `yaml:"method" default:"POST" doc:"the HTTP method"`
	URL    string         `yaml:"url" required:"true" doc:"the URL to request, with {case} and {nonce} if need be"`
	Body   string         `yaml:"body" mask:"true" doc:"what to send, with {case} and {nonce} if need be"`
	Status httpx.Statuses `yaml:"status" default:"2xx" doc:"statuses of success"`
	ID     httpx.Source   `yaml:"id" doc:"where the response has the id of the event; default: {nonce} is the id"`
}

// A Case is how the attempts to deliver an event are answered, and what must come of it.
type Case struct {
	Answers   []Answer        `yaml:"answers" required:"true" doc:"the answers to its attempts, in order; any further attempt is answered 200"`
	Attempts  int             `yaml:"attempts" doc:"how many attempts there must be; default: as many as answers"`
	Within    probe.Duration  `yaml:"within" doc:"how long the next attempt may take after an answer; default: the longer of within and schedule of the probe"`
	NotBefore probe.Duration  `yaml:"not_before" doc:"how long the sender waits before the second attempt; default: retry_after of the first answer"`
	Backoff   float64         `yaml:"backoff" doc:"how many times as long each pause is as the one before, at least: 1.5 if they double, since a retry that is late makes the next pause look short"`
	Quiet     *probe.Duration `yaml:"quiet" doc:"how long no further attempt may come after the last one; default: schedule, and none after a 2xx"`
	Dead      *bool           `yaml:"dead" doc:"whether the event must be among the dead letters in the end, or must not be"`
}

// An Answer is one of a script.
type Answer struct {
	Status     int            `yaml:"status" short:"true" doc:"the status; a 3xx leads to a path that must not be requested"`
	RetryAfter probe.Duration `yaml:"retry_after" doc:"the header Retry-After, in whole seconds"`
	After      probe.Duration `yaml:"after" doc:"how long to wait before the answer, at most 1m"`
	Close      bool           `yaml:"close" doc:"close the connection without an answer"`
}

// accepts reports whether the answer says, at once, that the event was received: nothing is due after it.
func (a Answer) accepts() bool { return a.Status/100 == 2 && a.After == 0 }

// Dead is the request that lists dead letters.
type Dead struct {
	Headers map[string]httpx.Value `yaml:"headers" empty:"true" mask:"true" doc:"headers to send; each a text, {file: PATH} or {env: NAME}"`
	Bearer  secret.Secret          `yaml:"bearer" doc:"a token to send as Authorization: Bearer, in place of the credential of the trigger"`
	URL     string                 `yaml:"url" required:"true" doc:"the URL of the list, with {id} for the event if need be"`
	Has     string                 `yaml:"has" required:"true" doc:"RFC 9535 path that finds something if the event {id} is in the list: $.items[?@.event_id == '{id}']"`
}

// Reasons of the webhook kind.
var (
	reasonLost = probe.Reason{Word: "lost", Verdict: probe.Fail, Text: "not delivered",
		Action: "Look whether the sender's dispatcher runs and its queue moves, and whether the endpoint is still enabled there."}
	reasonLate = probe.Reason{Word: "delivered_late", Verdict: probe.Fail, Text: "delivered too late",
		Action: "Look at the sender's queue: how long it is, and which receiver is so slow that the others wait for it."}
	reasonRetried = probe.Reason{Word: "retried_unexpectedly", Verdict: probe.Fail, Text: "tried again after an answer that is final",
		Action: "Compare the sender's retry classes with its documentation: receivers get the event twice, or refuse it for days."}
	reasonDropped = probe.Reason{Word: "dropped_unexpectedly", Verdict: probe.Fail, Text: "not tried again",
		Action: "Compare the sender's retry classes and its schedule with its documentation: a receiver that restarts loses events."}
	reasonEarly = probe.Reason{Word: "retry_after_ignored", Verdict: probe.Fail, Text: "tried again before the time that was asked for",
		Action: "Have the sender wait for as long as Retry-After says, or write its own pause into the settings of the case."}
	reasonBackoff = probe.Reason{Word: "no_backoff", Verdict: probe.Fail, Text: "tried again without a longer pause",
		Action: "Have the sender wait longer before each further attempt: a receiver that is down is kept down by those who try again and again."}
	reasonRedirect = probe.Reason{Word: "redirect_followed", Verdict: probe.Fail, Text: "followed a redirect",
		Action: "Have the sender follow no redirect: most clients turn the POST into a GET without a body, and the event is lost while it counts as delivered."}
	reasonKey = probe.Reason{Word: "key_changed", Verdict: probe.Fail, Text: "no idempotency key, or another in a retry",
		Action: "Have the sender make the key once for each event: with a new one for each attempt, receivers process the event twice."}
	reasonUnsigned = probe.Reason{Word: "unsigned", Verdict: probe.Fail, Text: "delivered without a signature",
		Action: "Find out why the sender does not sign: receivers that verify lose every event, and the others accept forged ones."}
	reasonMalformed = probe.Reason{Word: "malformed_signature", Verdict: probe.Fail, Text: "the signature cannot be read",
		Action: "Compare a delivery with the scheme that receivers are told: another form, another header or a timestamp that is no number."}
	reasonUnknownKey = probe.Reason{Word: "unknown_kid", Verdict: probe.Fail, Text: "signed with a key that is not published",
		Action: "Publish the key with which the sender signs, or switch back to the one before: receivers reject every event."}
	reasonUnusable = probe.Reason{Word: "unusable_key", Verdict: probe.Fail, Text: "signed with a key that is published in a form that nobody can use",
		Action: "Look at the key in the sender's key set: a member is missing or wrong, it is weak, or it says that it is for something else."}
	reasonUnsupported = probe.Reason{Word: "unsupported", Verdict: probe.Inconclusive, Text: "signed in a way that the prober does not know",
		Action: "Nothing is known to be wrong: the prober cannot verify this algorithm or type of key, as many receivers cannot. Have it sign by RFC 7518 or Ed25519."}
	reasonTyp = probe.Reason{Word: "other_typ", Verdict: probe.Fail, Text: "signed as something else",
		Action: "Compare the typ of the signature with signature.typ: receivers that look at it take the event for another token."}
	reasonTimestamp = probe.Reason{Word: "old_timestamp", Verdict: probe.Fail, Text: "signed for another time",
		Action: "Check the clock of the sender, and that each attempt is signed when it is sent: receivers take the event for a replay."}
	reasonNotDead = probe.Reason{Word: "not_dead", Verdict: probe.Fail, Text: "no dead letter",
		Action: "Find out where the sender keeps an event that was refused: if nowhere, it is lost and nobody sees it."}
	reasonNotSettled = probe.Reason{Word: "not_settled", Verdict: probe.Fail, Text: "a dead letter, though the receiver has the event",
		Action: "Have the sender take the answer for a delivery: the dead letters that count as failures are none."}
	reasonDisabled = probe.Reason{Word: "disabled", Verdict: probe.Fail, Text: "nothing is delivered any more after the failing answers",
		Action: "Enable the endpoint at the sender again, and have it tolerate a few failures; leave 410 out of the cases."}
	reasonWindow = probe.Reason{Word: "window_too_short", Verdict: probe.Inconclusive, Text: "not watched for long enough",
		Action: "Make quiet as long as schedule, and the timeout of the probe long enough for both: the sender may try again later."}
)

// causes are the reasons of deliveries that do not verify, by their error, with the words of their results.
var causes = []struct {
	err    error
	result string
	reason probe.Reason
}{
	{signature.ErrMissing, "unsigned", reasonUnsigned},
	{signature.ErrMalformed, "malformed", reasonMalformed},
	{signature.ErrUnknownKey, "unknown_kid", reasonUnknownKey},
	{signature.ErrMismatch, "bad_signature", issuance.BadSignature},
	{signature.ErrType, "other_typ", reasonTyp},
	{signature.ErrUnusable, "unusable_key", reasonUnusable},
	{signature.ErrUnknown, "unsupported", reasonUnsupported},
}

// Results of a delivery, for the series. Those of causes come in between.
const (
	resultVerified  = "verified"
	resultUnmatched = "unmatched"
	resultReplayed  = "replayed"
	resultStale     = "stale"
	resultNoKeys    = "no_keys"
)

func results() []string {
	all := []string{resultVerified, resultUnmatched, resultReplayed, resultStale, resultNoKeys}
	for _, c := range causes {
		all = append(all, c.result)
	}
	return all
}

// outcomes of a case, for the series.
var outcomes = []string{"as_specified", "inconclusive", reasonLost.Word, reasonLate.Word, reasonRetried.Word, reasonDropped.Word, reasonEarly.Word, reasonBackoff.Word, reasonRedirect.Word}

// Measures of the webhook kind.
var (
	deliverySeconds = &probe.Measure{Name: "probe_webhook_delivery_seconds",
		Help: "Longest time from a trigger to the first attempt of its event in the last run."}
	attemptsGauge = &probe.Measure{Name: "probe_webhook_attempts", Labels: []string{"case"},
		Help: "Attempts to deliver the event of the case in the last run, replays not counted."}
	caseGauge = &probe.Measure{Name: "probe_webhook_case", Labels: []string{"case", "outcome"},
		Help: "1 for what came of the case in the last run, 0 for the other outcomes."}
	lastDelivery = &probe.Measure{Name: "probe_webhook_last_delivery_timestamp_seconds", Kept: true,
		Help: "When the last delivery that verified had come."}
	unverifiedRatio = &probe.Measure{Name: "probe_webhook_unverified_ratio",
		Help: "Share of the latest deliveries that did not verify, of 4 at least and 20 at most; whoever knows the path can send such."}
	deliveriesTotal = &probe.Measure{Name: "probe_webhook_deliveries_total", Labels: []string{"result"}, Counter: true,
		Help: "Requests to the probe's path by result; only verified ones, which are of the run, have a say in verdicts."}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "webhooks as a receiver gets them: delivery, signature, retries by answer, dead letters, rotation of keys",
		Measures: []*probe.Measure{deliverySeconds, attemptsGauge, caseGauge, lastDelivery, unverifiedRatio, deliveriesTotal},
		Reasons: []probe.Reason{
			reasonLost, reasonLate, reasonRetried, reasonDropped, reasonEarly, reasonBackoff, reasonRedirect, reasonKey, reasonUnsigned, reasonMalformed, reasonUnknownKey,
			issuance.BadSignature, reasonUnusable, reasonUnsupported, reasonTyp, reasonTimestamp, reasonNotDead, reasonNotSettled, reasonDisabled, reasonWindow,
			issuance.PublishedTooLate, issuance.GraceTooShort, issuance.RevokedKeyPublished,
		},
		Traits: probe.Traits{WritesToTarget: true},
	}
}

var (
	_ probe.Addresser      = (*Probe)(nil)
	_ probe.Closer         = (*Probe)(nil)
	_ probe.Initializer    = (*Probe)(nil)
	_ probe.Receiver       = (*Probe)(nil)
	_ probe.TimeoutChecker = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	return &Probe{waiting: 5 * time.Second, Within: probe.Duration(time.Minute), Signature: Signature{Tolerance: probe.Duration(5 * time.Minute)}}
}

// Names of the checks.
const (
	checkReachable = "reachable"
	checkTriggered = "triggered"
	checkDelivered = "delivered"
	checkSignature = "signature"
	checkTampered  = "tampered"
	checkTimestamp = "timestamp"
	checkRevoked   = "revoked"
	checkCached    = "cached_keys"
	checkGrace     = "grace"
	checkKey       = "same_key"
	checkCase      = "case"
	checkDead      = "dead"
	checkEnabled   = "enabled"
)

// Checks names the checks of a run.
func (p *Probe) Checks() (names []string) {
	s := &p.Signature
	for _, c := range []struct {
		name string
		made bool
	}{
		{checkReachable, true}, {checkTriggered, p.Trigger != nil}, {checkDelivered, true}, {checkSignature, true}, {checkTampered, true},
		{checkTimestamp, p.timed()}, {checkRevoked, len(s.Revoked) > 0}, {checkCached, s.Cache > 0}, {checkGrace, s.Grace > 0},
		{checkKey, slices.ContainsFunc(p.cases, func(c namedCase) bool { return c.Attempts > 1 })},
		{checkCase, p.Trigger != nil || !p.implied}, {checkDead, p.Dead != nil}, {checkEnabled, p.provokes()},
	} {
		if c.made {
			names = append(names, c.name)
		}
	}
	return names
}

// timed reports whether deliveries say when they were signed.
func (p *Probe) timed() bool {
	return p.Signature.Scheme == signature.Standard || p.Signature.Timestamp != ""
}

// provokes reports whether the probe gives answers that may have the sender disable the endpoint.
func (p *Probe) provokes() bool {
	return p.Trigger != nil && slices.ContainsFunc(p.cases, func(c namedCase) bool {
		return slices.ContainsFunc(c.Answers, func(a Answer) bool { return !a.accepts() })
	})
}

// Addresses lists the servers that the configuration names.
func (p *Probe) Addresses() []string {
	all := []string{p.Signature.Keys, p.AuthURL(), strings.ReplaceAll(p.Public, tokenVariable, "")}
	if p.Trigger != nil {
		all = append(all, p.Trigger.URL)
	}
	if p.Dead != nil {
		all = append(all, p.Dead.URL)
	}
	return drop.If(all, func(a string) bool { return a == "" })
}

// Close closes what the clients keep open.
func (p *Probe) Close() {
	for _, c := range []*httpx.Client{p.client, p.letters, p.other} {
		if c != nil {
			c.Close()
		}
	}
}

// InitialSamples lists the counters.
func (p *Probe) InitialSamples() (all []probe.Sample) {
	for _, result := range results() {
		all = append(all, probe.Sample{Measure: deliveriesTotal, Values: []string{result}})
	}
	return all
}

// InboundToken names the token of the path.
func (p *Probe) InboundToken() secret.Secret { return p.Token }

// longest is how long a run may take for its cases, if all goes well: from the first trigger to the last quiet moment.
func (p *Probe) longest() (all time.Duration) {
	for _, c := range p.cases {
		t := p.Within.D() + c.quiet(p).D()
		for i, a := range c.Answers {
			t += a.After.D()
			if i < c.Attempts-1 {
				t += c.Within.D()
			}
		}
		all = max(all, t)
	}
	if p.provokes() {
		all += p.Within.D()
	}
	return all
}

// quiet is how long no further attempt may come.
func (c *Case) quiet(p *Probe) probe.Duration {
	switch {
	case c.Quiet != nil:
		return *c.Quiet
	case c.last().accepts():
		return 0
	}
	return p.Schedule
}

// last is the answer to the last attempt that there must be.
func (c *Case) last() Answer {
	if c.Attempts > len(c.Answers) || c.Attempts < 1 {
		return Answer{Status: 200}
	}
	return c.Answers[c.Attempts-1]
}

// caseNames lists the cases by name.
func (p *Probe) caseNames() []string { return sorted.Keys(p.Cases) }
