package kubernetes

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/memory"
	"prober/internal/probe"
)

// Bounds of a list.
const (
	pageItems    = 50 // asked for at a time
	maxPages     = 40
	maxItems     = 1000
	maxContinue  = 4 << 10 // bytes of a continue token
	restartsOnce = 1       // of a list that the server has forgotten
)

// A request is one question to the API server.
type request struct {
	api      string // "api/v1" or "apis/apps/v1"
	resource string // "pods"
	kind     string // of the answer's objects: "Pod"
	ns       string
	name     string // of one object; empty for a list
	selector string // of labels, for a list
	next     string // the continue token of the page before
}

func (q request) verb() string {
	if q.name != "" {
		return "get"
	}
	return "list"
}

func (q request) group() string { return q.api }

func (q request) place() string { return "the namespace " + q.ns }

// listKind is the kind of the answer.
func (q request) listKind() string {
	if q.name != "" {
		return q.kind
	}
	return q.kind + "List"
}

func (q request) url(server string) string {
	at := server + "/" + q.api + "/namespaces/" + url.PathEscape(q.ns) + "/" + q.resource
	if q.name != "" {
		return at + "/" + url.PathEscape(q.name)
	}
	params := url.Values{"limit": {strconv.Itoa(pageItems)}}
	if q.selector != "" {
		params.Set("labelSelector", q.selector)
	}
	if q.next != "" {
		params.Set("continue", q.next)
	}
	return at + "?" + params.Encode()
}

// ask makes one request. The answer is complete, and JSON that says nothing twice, if the outcome is OK.
func (c *Client) ask(ctx context.Context, r *probe.Result, check string, q request) (*httpx.Answer, probe.Outcome) {
	server, o := c.server()
	if !o.Passed() {
		return nil, o
	}
	a := c.http.Do(ctx, r, httpx.Request{
		Check: check, URL: q.url(server), Want: httpx.Codes(http.StatusOK), Header: http.Header{"Accept": {"application/json"}},
	})
	if o := c.explain(a, q); !o.Passed() {
		return a, o
	}
	// Not a.JSON, whose document the run would pay for until its end: there may be many pages.
	if _, err := jsonpath.Decode(context.Background(), a.Body); err != nil {
		return a, httpx.NotJSON(err)
	}
	return a, probe.Outcome{Reason: probe.OK}
}

// get fetches one object into out, whose metadata it checks.
func (c *Client) get(ctx context.Context, r *probe.Result, check string, q request, out any, meta *Metadata) probe.Outcome {
	a, o := c.ask(ctx, r, check, q)
	if !o.Passed() {
		return o
	}
	var head struct {
		Kind string `json:"kind"`
	}
	if json.Unmarshal(a.Body, &head) != nil || head.Kind != q.kind || json.Unmarshal(a.Body, out) != nil {
		return probe.Outcomef(probe.Schema, "expected an object of the kind %s, got other JSON", q.kind)
	}
	if meta.Name != q.name || meta.Namespace != q.ns || meta.UID == "" {
		return probe.Outcomef(probe.Schema, "expected %s %s in %s, got another object", q.kind, q.name, q.place())
	}
	meta.Read, _ = http.ParseTime(a.Header.Get("Date"))
	return o
}

// A page is a part of a list.
type page struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Continue        string `json:"continue"`
		ResourceVersion string `json:"resourceVersion"`
		Remaining       int64  `json:"remainingItemCount"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// An item is an object in a list. It knows its metadata.
type item interface{ metadata() *Metadata }

// list fetches all objects of a list. T is the type of the objects, and *T an item. All pages are of one moment: the server
// says so by the resourceVersion, and if it has forgotten that moment, the list is begun again, once.
func list[T any, P interface {
	*T
	item
}](ctx context.Context, c *Client, r *probe.Result, check string, q request) ([]T, probe.Outcome) {
	for restarts := 0; ; restarts++ {
		l := lister{client: c, result: r, check: check, request: q, seen: map[string]bool{}}
		var all []T
		o := l.pages(ctx, func(raw json.RawMessage) (*Metadata, bool) {
			var object T
			if json.Unmarshal(raw, &object) != nil {
				return nil, false
			}
			meta := P(&object).metadata()
			meta.trim()
			all = append(all, object)
			return meta, l.keep(ctx, &object)
		})
		if o.Reason == Expired && restarts < restartsOnce && l.read > 0 {
			continue
		}
		if !o.Passed() {
			return nil, o
		}
		return all, o
	}
}

// A lister reads the pages of one list.
type lister struct {
	client  *Client
	result  *probe.Result
	check   string
	request request

	read    int // pages
	version string
	seen    map[string]bool // objects by their uid
	full    error           // no room for more objects
}

// keep takes what an object needs in memory until the run is over.
func (l *lister) keep(ctx context.Context, object any) bool {
	text, err := json.Marshal(object) // a bit longer than the object is large
	if err == nil {
		err = memory.Take(ctx, int64(len(text)))
	}
	l.full = err
	return err == nil
}

// pages reads page after page and hands out each object.
func (l *lister) pages(ctx context.Context, add func(json.RawMessage) (*Metadata, bool)) probe.Outcome {
	for {
		p, o := l.page(ctx)
		if !o.Passed() {
			return o
		}
		for _, raw := range p.Items {
			meta, ok := add(raw)
			if o := l.accept(meta, ok); !o.Passed() {
				return o
			}
		}
		switch next := p.Metadata.Continue; {
		case next == "" && p.Metadata.Remaining > 0:
			return probe.Outcomef(probe.Schema, "the list of %s says that it goes on, and not where", l.request.resource)
		case next == "":
			return o
		case len(next) > maxContinue || next == l.request.next:
			return probe.Outcomef(probe.Schema, "the list of %s does not end: its continue token is too long, or the one before", l.request.resource)
		case l.read == maxPages:
			return probe.Outcomef(probe.TooLarge, "the list of %s has more than %d pages", l.request.resource, maxPages)
		default:
			l.request.next = next
		}
	}
}

// page reads the next page.
func (l *lister) page(ctx context.Context) (page, probe.Outcome) {
	before := memory.Taken(ctx)
	a, o := l.client.ask(ctx, l.result, l.check, l.request)
	// The objects are copied out of the body, which nobody needs afterwards.
	defer func() { memory.Give(ctx, memory.Taken(ctx)-before) }()
	if !o.Passed() {
		return page{}, o
	}
	if err := memory.Take(ctx, int64(len(a.Body))); err != nil {
		return page{}, httpx.NotJSON(err)
	}
	p := page{Items: make([]json.RawMessage, 1)} // which stays if there are none; null, as of some servers, is an empty list
	if json.Unmarshal(a.Body, &p) != nil || p.Kind != l.request.listKind() || len(p.Items) == 1 && p.Items[0] == nil {
		return page{}, probe.Outcomef(probe.Schema, "expected a %s, got other JSON", l.request.listKind())
	}
	l.read++
	switch {
	case p.Metadata.ResourceVersion == "":
		return page{}, probe.Outcomef(probe.Schema, "the list of %s has no resourceVersion", l.request.resource)
	case l.version != "" && l.version != p.Metadata.ResourceVersion:
		return page{}, probe.Outcomef(Expired, "the pages of the list of %s are of different moments", l.request.resource)
	case len(p.Items) > pageItems:
		return page{}, probe.Outcomef(probe.TooLarge, "expected at most %d %s in a page, as asked for, got %d", pageItems, l.request.resource, len(p.Items))
	case len(l.seen)+len(p.Items) > maxItems:
		return page{}, probe.Outcomef(probe.TooLarge, "the list of %s has more than %d objects", l.request.resource, maxItems)
	}
	l.version = p.Metadata.ResourceVersion
	return p, o
}

// accept checks one object of a page.
func (l *lister) accept(meta *Metadata, ok bool) probe.Outcome {
	switch {
	case l.full != nil:
		return httpx.NotJSON(l.full)
	case !ok || meta.Name == "" || meta.UID == "":
		return probe.Outcomef(probe.Schema, "the list of %s has an object that is not one of the kind %s", l.request.resource, l.request.kind)
	case meta.Namespace != l.request.ns:
		return probe.Outcomef(probe.Schema, "the list of %s has an object of another namespace", l.request.resource)
	case l.seen[meta.UID]:
		return probe.Outcomef(probe.Schema, "the list of %s has an object twice", l.request.resource)
	}
	l.seen[meta.UID] = true
	return probe.Outcome{Reason: probe.OK}
}
