package probe

import (
	"context"
	"net/http"
	"time"

	"prober/internal/secret"
	"prober/internal/text"
)

// A Receiver is a Probe to which others send requests: a job that reports in, a system that delivers webhooks. They come to the
// inbound listener, at a path that begins with the token of the probe. What came is in the Inbox, which a run has from InboxOf.
type Receiver interface {
	Probe
	// InboundToken names the secret that is the first segment of the probe's path. It is asked after Validate.
	InboundToken() secret.Secret
	// Receive says how a request is answered, and notes in the inbox what a run is to know of it. It is called between runs and
	// during them, from several goroutines, and returns at once: whoever is to wait is told to by Answer.Delay. All of the request
	// is hostile: whoever knows the token sent it, and nothing else is known of them.
	Receive(Inbox, Delivery) Answer
}

// A BodyIgnorer is a Receiver to which all is said by method, path and query. Its deliveries have no body, and what was sent may have
// MaxIgnored bytes: a job that sends its log along has reported, however long that is.
type BodyIgnorer interface {
	Receiver
	IgnoresBodies()
}

// MaxIgnored is the most bytes of a body that is read and forgotten.
const MaxIgnored = 16 << 20

// A Delivery is a request that came to the path of a Receiver. It is complete: one whose body was cut short or too large is
// answered without asking the probe.
type Delivery struct {
	At     time.Time // when its header had come
	Method string
	Path   string      // what follows the token, escaped as it was sent: "" or "/start"
	Query  string      // raw, without the question mark
	Header http.Header // as it was sent: a proxy's word on who the client is is the client's word
	Body   []byte      // at most MaxDelivery
}

// MaxDelivery is the most bytes that the body of a Delivery may have. A larger one is answered with 413.
const MaxDelivery = 256 << 10

// An Answer is how a Delivery is answered. The zero value is 200 with the text "OK".
type Answer struct {
	Status     int           // 200 to 599; 0 is 200
	RetryAfter time.Duration // the header of that name, in whole seconds, rounded up; 0: none
	Location   string        // the header of that name; empty: none
	Delay      time.Duration // before the answer, at most MaxAnswerDelay
	Close      bool          // without an answer, after Delay
}

// MaxAnswerDelay is how long a Delivery may be kept waiting at most.
const MaxAnswerDelay = time.Minute

// InboxState is what an Inbox holds.
type InboxState struct {
	// Document is kept over reloads with the same settings and, with --storage.path, over restarts: at most MaxInboxDocument. It
	// lies on a disk, so that it must not hold what was sent, only what became of it. Nil before anything was kept. It must not
	// be changed in place.
	Document []byte
	// Volatile is kept over reloads with the same settings. It may hold what was sent, within what the kind bounds.
	Volatile any
}

// MaxInboxDocument is the most bytes that a Document may have. A larger one is kept no longer than the process.
const MaxInboxDocument = 64 << 10

// An Inbox is what the prober keeps for a Receiver. Its methods may be called from several goroutines.
type Inbox interface {
	// Update calls change with the state, while nobody else has it.
	Update(change func(*InboxState))
	// Wait returns nil once done reports true: it is asked at once, and after every Update. If ctx ends before, that is the error.
	Wait(ctx context.Context, done func(*InboxState) bool) error
	// Since is when the prober began to listen for the probe with these settings, in an earlier process too if there is
	// --storage.path. Of what came before it nothing is known.
	Since() time.Time
	// Gap returns the last time between two others at which a request may have come in vain, through no fault of its sender:
	// while the prober did not run, or its listener was overloaded or refused. Neither of the two is before Since.
	Gap(from, to time.Time) (gap InboxGap, any bool)
	// Unauthorized is how many of the last MaxUnauthorized requests with the probe's token came after a time and were refused, since
	// they had not the password that the listener asks for. An earlier process is not known.
	Unauthorized(from time.Time) int
}

// MaxUnauthorized is how many requests without the listener's password are remembered of a probe.
const MaxUnauthorized = 20

// Unauthorized tells in a sentence of requests that were refused for want of the listener's password; it is empty if there were none.
func Unauthorized(in Inbox, from time.Time) string {
	n := in.Unauthorized(from)
	if n == 0 {
		return ""
	}
	return "; " + text.Plural(n, "request", "requests") + " to this path did not have the password of --inbound.config.file"
}

// An InboxGap is a time in which requests may have come in vain.
type InboxGap struct {
	From, To time.Time
	Why      string // words of a closed set, such as "the prober did not run"
}

// ClockSet is why there is a gap where the prober's clock was set: times before it and after it cannot be compared.
const ClockSet = "the prober's clock was set"

// NotListening is the reason of a Receiver that has no Inbox.
var NotListening = Reason{Word: "not_listening", Verdict: Inconclusive, Text: "the prober does not listen",
	Action: "Start the prober with --inbound.listen-address, and let it run: with --once nothing is received."}

type inboxKey struct{}

// withInbox returns a context from which a run can take the inbox.
func withInbox(ctx context.Context, get func() (Inbox, error)) context.Context {
	return context.WithValue(ctx, inboxKey{}, get)
}

// InboxOf returns the inbox of the Receiver that runs. If it has none, the outcome, which did not pass, is that of every check.
func InboxOf(ctx context.Context) (Inbox, Outcome) {
	get, ok := ctx.Value(inboxKey{}).(func() (Inbox, error))
	if !ok {
		return nil, Outcomef(NotListening, "expected requests from others, got no listener: it needs --inbound.listen-address, and --once has none")
	}
	inbox, err := get()
	if err != nil {
		return nil, Outcomef(Credential, "the token: %s", err)
	}
	return inbox, Outcome{Reason: OK}
}
