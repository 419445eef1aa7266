package isolation

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/secret"
	"prober/probes/internal/expect"
)

// A Credential is what somebody is let in by, or is not.
type Credential struct {
	Bearer  secret.Secret          `yaml:"bearer" doc:"a token to send as Authorization: Bearer"`
	Basic   *httpx.Basic           `yaml:"basic" doc:"a user and a password to send as Authorization: Basic"`
	OAuth2  *httpx.OAuth2          `yaml:"oauth2" doc:"where to fetch the token to send, by client credentials"`
	Headers map[string]httpx.Value `yaml:"headers" mask:"true" doc:"headers with the org's credential; each a text, {file: PATH} or {env: NAME}"`
}

// An Org is one test org and the credential to act as it.
type Org struct {
	ID         string `yaml:"id" doc:"the value of {org}; default: the org's name here"`
	Credential `yaml:",inline"`
}

// An UnauthorizedCredential is a credential that must be let in nowhere: a token that has expired, that names no org, or that is of an
// org that is suspended.
type UnauthorizedCredential struct {
	Credential `yaml:",inline"`
	Status     httpx.Statuses `yaml:"status" doc:"statuses that reject it; default: those of unauthenticated, 401 and 403"`
}

// Identity is the request that tells whose credential was sent.
type Identity struct {
	URL     string                  `yaml:"url" required:"true" doc:"path below base, or a URL"`
	Org     jsonpath.Path           `yaml:"org" required:"true" doc:"JSON path of the org; two credentials must not belong to the same org"`
	Subject jsonpath.Path           `yaml:"subject" doc:"JSON path of the user or service; two credentials must not belong to the same one"`
	TestOrg map[string]expect.Match `yaml:"test_org" doc:"by JSON path, the value that marks a test org; nothing is written to an org without it"`
}

// A Template is a request with {org}, {id}, {canary}, {page} or {cursor} in it.
type Template struct {
	Method  string            `yaml:"method" doc:"default: GET; POST to create, PUT to update, DELETE to delete"`
	URL     string            `yaml:"url" required:"true" doc:"path below base, or a URL"`
	Headers map[string]string `yaml:"headers" mask:"true" doc:"headers of this request"`
	JSON    map[string]any    `yaml:"json" mask:"true" doc:"what to send, as JSON"`
	Body    string            `yaml:"body" mask:"true" doc:"what to send, as text"`
	Status  httpx.Statuses    `yaml:"status" doc:"statuses of success; default: 2xx"`
}

// UnmarshalYAML reads a URL or the fields.
func (tmpl *Template) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if unmarshal(&text) == nil {
		*tmpl = Template{URL: text}
		return nil
	}
	type fields Template
	return unmarshal((*fields)(tmpl))
}

// JSONSchema describes the two forms.
func (Template) JSONSchema() map[string]any {
	text, table := map[string]any{"type": "string"}, map[string]any{"type": "object"}
	return map[string]any{"oneOf": []any{text, map[string]any{
		"type": "object", "required": []string{"url"}, "additionalProperties": false,
		"properties": map[string]any{
			"url": text, "method": text, "headers": table, "json": table, "body": text,
			"status": httpx.Statuses{}.JSONSchema(),
		},
	}}}
}

// A Resource is a kind of object that orgs keep, and what can be done with it.
type Resource struct {
	Create   *Template                  `yaml:"create" doc:"creates a canary"`
	Read     *Template                  `yaml:"read" doc:"shows one object"`
	Update   *Template                  `yaml:"update" doc:"changes one object"`
	Delete   *Template                  `yaml:"delete" doc:"deletes one object"`
	List     *Template                  `yaml:"list" doc:"shows the org's objects, page by page with {page} or {cursor}"`
	Search   *Template                  `yaml:"search" doc:"shows the org's objects that contain {canary}"`
	Export   *Template                  `yaml:"export" doc:"shows all of the org's objects at once"`
	Count    *Template                  `yaml:"count" doc:"returns the number of the org's objects"`
	ID       *httpx.Source              `yaml:"id" doc:"where the response to create has the new id; default: {json: $.id}"`
	Next     jsonpath.Path              `yaml:"next" doc:"JSON path of the next {cursor}; none, null or empty on the last page"`
	Items    jsonpath.Path              `yaml:"items" doc:"JSON path of the objects on a page; a {page} without objects is the last"`
	Number   jsonpath.Path              `yaml:"number" doc:"JSON path of the number in the response to count"`
	MaxPages int                        `yaml:"pages" doc:"maximum number of pages to read; default: 10"`
	Canaries map[string]PermanentCanary `yaml:"canaries" doc:"by org, a permanent object, if none can be created"`
}

// PermanentCanary is a long-lived canary: an object of a test org that somebody once put there.
type PermanentCanary struct {
	ID   httpx.Value   `yaml:"id" required:"true" doc:"the object's id: a text, {file: PATH} or {env: NAME}"`
	Text secret.Secret `yaml:"text" required:"true" doc:"a text in it that occurs nowhere else; at least 16 bytes"`
}

// Overrides are ways to name an org that the API does not document and might heed all the same.
type Overrides struct {
	Headers []string `yaml:"headers" doc:"names of headers"`
	Query   []string `yaml:"query" doc:"names of query parameters"`
	Body    []string `yaml:"body" doc:"names of members of the JSON sent to create"`
}

// Interleaving says how orgs take turns on shared connections.
type Interleaving struct {
	Requests      int `yaml:"requests" doc:"number of reads"`
	CancelPercent int `yaml:"cancel" doc:"percentage of them that is cancelled midway"`
}

// operations are what can be done with a resource, in the order in which they are shown.
var operations = [...]string{"read", "list", "search", "export", "count", "create", "update", "delete"}

// template returns the request of an operation; nil if there is none.
func (r *Resource) template(op string) *Template {
	switch op {
	case "read":
		return r.Read
	case "list":
		return r.List
	case "search":
		return r.Search
	case "export":
		return r.Export
	case "count":
		return r.Count
	case "create":
		return r.Create
	case "update":
		return r.Update
	case "delete":
		return r.Delete
	}
	return nil
}

// visibilityOp is the operation by which an owner looks for its own object: the first there is.
func (r *Resource) visibilityOp() string {
	for _, op := range operations[:4] {
		if r.template(op) != nil {
			return op
		}
	}
	return ""
}

// defaultMethods are what an operation is asked with unless said otherwise.
var defaultMethods = map[string]string{"create": "POST", "update": "PUT", "delete": "DELETE"}

// requiredVariables are the variables without which an operation asks for nothing in particular.
var requiredVariables = map[string]string{"create": "{canary}", "update": "{canary}", "search": "{canary}", "read": "{id}", "delete": "{id}"}

// validate reports what is wrong with a resource, and fills in what was left out.
func (r *Resource) validate(p *Probe, name string) error {
	var wrong []error
	fail := func(key, format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("resources.%s%s: %s", name, key, fmt.Sprintf(format, args...)))
	}
	for _, op := range operations {
		tmpl := r.template(op)
		if tmpl == nil {
			continue
		}
		if err := tmpl.validate(p, op); err != nil {
			fail("."+op, "%s", err)
		}
		if want := requiredVariables[op]; want != "" && !tmpl.contains(want) {
			fail("."+op, "nothing in it says %s", want)
		}
	}
	if r.Update != nil && !r.Update.contains("{id}") {
		fail(".update", "nothing in it says {id}")
	}
	if r.visibilityOp() == "" {
		fail("", "wanted a read, list, search or export: its owner must see a canary, or a denial proves nothing")
	}
	r.validateCanaries(p, fail)
	if r.Read == nil && (r.Update != nil || r.Delete != nil) {
		fail("", "update and delete need a read: whether they changed another org's object is seen by its owner")
	}
	if r.Count != nil && (r.Create == nil || r.Number.IsZero()) {
		fail(".count", "needs create, since only a count that must not grow proves anything, and number, where it stands")
	}
	if r.List != nil {
		r.validatePaging(fail)
	}
	if r.ID == nil {
		id, _ := jsonpath.Parse("$.id")
		r.ID = &httpx.Source{JSON: id}
	}
	if (r.ID.Header == "") == r.ID.JSON.IsZero() {
		fail(".id", "wanted a header or a json path, and not both")
	}
	return errors.Join(wrong...)
}

func (r *Resource) validateCanaries(p *Probe, fail func(key, format string, args ...any)) {
	if r.Create != nil {
		if len(r.Canaries) > 0 {
			fail(".canaries", "are for a resource that cannot be created; with create they are made in each run")
		}
		if r.Delete == nil {
			fail(".create", "needs delete: what a run creates must not stay")
		}
		return
	}
	for _, op := range []string{"update", "delete"} {
		if r.template(op) != nil {
			fail("."+op, "needs create: a canary that is there for good must not be put at risk")
		}
	}
	for _, org := range slices.Sorted(maps.Keys(p.Orgs)) {
		if planted, ok := r.Canaries[org]; !ok {
			fail(".canaries", "%s has none: name an object of every org, or how to create one", org)
		} else if planted.ID.IsZero() || planted.Text.IsZero() {
			fail(".canaries."+org, "wanted an id and a text")
		}
	}
	for _, org := range slices.Sorted(maps.Keys(r.Canaries)) {
		if _, ok := p.Orgs[org]; !ok {
			fail(".canaries."+org, "is none of the orgs")
		}
	}
}

func (r *Resource) validatePaging(fail func(key, format string, args ...any)) {
	if r.MaxPages == 0 {
		r.MaxPages = 10
	}
	if r.MaxPages < 1 || r.MaxPages > 100 {
		fail(".pages", "wanted 1 to 100")
	}
	if r.List.contains("{cursor}") == r.Next.IsZero() {
		fail(".next", "goes with {cursor} in the list: where an answer says the next one")
	}
	if r.List.contains("{page}") && r.Items.IsZero() {
		fail(".items", "is missing: without it nobody knows which {page} is the last")
	}
}

// validate reports what is wrong with a request, and fills in its method and the statuses of success.
func (tmpl *Template) validate(p *Probe, op string) error {
	var wrong []error
	if tmpl.Method == "" {
		tmpl.Method = "GET"
		if m := defaultMethods[op]; m != "" {
			tmpl.Method = m
		}
	}
	if strings.Trim(tmpl.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		wrong = append(wrong, errors.New("method: wanted one word such as GET"))
	}
	if tmpl.Status.IsZero() {
		tmpl.Status = httpx.Success
	}
	for code := 300; code < 600; code++ {
		if tmpl.Status.Contains(code) {
			wrong = append(wrong, fmt.Errorf("status: %d is no success", code))
			break
		}
	}
	if tmpl.JSON != nil && tmpl.Body != "" {
		wrong = append(wrong, errors.New("json and body: only one of them can be sent"))
	}
	// A request is built as it will be, to see that it can be.
	built, err := p.build(tmpl, vars{org: "org", id: "id", canary: "canary", page: "1", cursor: "next"}, mutation{})
	if err == nil {
		var u *url.URL
		if u, err = url.Parse(built.URL); err == nil && (u.Scheme != p.baseURL.Scheme || u.Host != p.baseURL.Host) {
			err = fmt.Errorf("wanted a path, or a URL below %s: credentials go nowhere else", p.Base)
		}
	}
	if err != nil {
		wrong = append(wrong, fmt.Errorf("url: %w", err))
	} else if rest := unknownVariable(tmpl); rest != "" {
		wrong = append(wrong, fmt.Errorf("%s is none of {org}, {id}, {canary}, {page}, {cursor}", rest))
	}
	return errors.Join(wrong...)
}
