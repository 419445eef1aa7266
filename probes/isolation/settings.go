package isolation

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/sorted"
	"prober/probes/internal/expect"
)

// A Credential authenticates a caller, by exactly one of its fields.
type Credential struct {
	Bearer  secret.Secret          `yaml:"bearer" doc:"a token to send as Authorization: Bearer"`
	Basic   *httpx.Basic           `yaml:"basic" doc:"a user and a password to send as Authorization: Basic"`
	OAuth2  *httpx.OAuth2          `yaml:"oauth2" doc:"where to fetch the token to send, by a grant of OAuth 2.0"`
	Login   *httpx.Login           `yaml:"login" doc:"a request whose response has the token to send"`
	Headers map[string]httpx.Value `yaml:"headers" empty:"true" mask:"true" doc:"headers with the org's credential; each a text, {file: PATH} or {env: NAME}"`
}

// An Org is one test org and the credential to act as it.
type Org struct {
	ID         string `yaml:"id" doc:"the value of {org}; default: the org's name here"`
	TestOrg    bool   `yaml:"test_org" doc:"by your word, this is a test org; for APIs whose identity request cannot say so"`
	Credential `yaml:",inline"`
}

// An UnauthorizedCredential must be accepted nowhere: a token that has expired, that names no org, or that belongs to a
// suspended org.
type UnauthorizedCredential struct {
	Credential `yaml:",inline"`
	Status     expect.Denials `yaml:"status" doc:"responses that refuse it, as in unauthenticated; default: those of unauthenticated, 401 and 403"`
}

// Identity is the request that identifies the owner of a credential.
type Identity struct {
	Request `yaml:",inline"`

	Org     jsonpath.Path            `yaml:"org" doc:"JSON path of the org; two credentials must not belong to the same org"`
	Subject jsonpath.Path            `yaml:"subject" doc:"JSON path of the user or service; two credentials must not belong to the same one"`
	TestOrg map[string]*expect.Match `yaml:"test_org" doc:"by JSON path, the value that marks a test org; nothing is written to an org without it"`
}

// A Request may contain variables such as {org}.
type Request struct {
	Method  string            `yaml:"method" doc:"default: GET; POST to create, PUT to update, DELETE to delete"`
	URL     string            `yaml:"url" required:"true" short:"true" doc:"path below base, or a URL"`
	Headers map[string]string `yaml:"headers" empty:"true" mask:"true" doc:"headers of this request"`
	JSON    map[string]any    `yaml:"json" mask:"true" doc:"what to send, as JSON"`
	Body    string            `yaml:"body" mask:"true" doc:"what to send, as text"`
	Status  httpx.Statuses    `yaml:"status" default:"2xx" doc:"statuses of success"`
}

// A Template is the request of an operation, with the responses that refuse it.
type Template struct {
	Request  `yaml:",inline"`
	Refusals `yaml:",inline"`
}

// A Resource is a kind of object that orgs have, with its operations.
type Resource struct {
	Create   *Template                  `yaml:"create" doc:"creates a canary"`
	Read     *Template                  `yaml:"read" doc:"shows one object"`
	Update   *Template                  `yaml:"update" doc:"changes one object"`
	Delete   *Template                  `yaml:"delete" doc:"deletes one object"`
	List     *Template                  `yaml:"list" doc:"shows the org's objects, page by page with {page} or {cursor}"`
	Search   *Template                  `yaml:"search" doc:"shows the org's objects that contain {canary}"`
	Export   *Template                  `yaml:"export" doc:"shows all of the org's objects at once"`
	Count    *Template                  `yaml:"count" doc:"returns the number of the org's objects"`
	ID       *IDSource                  `yaml:"id" default:"{json: $.id}" doc:"where the response to create has the new id, or the id that create chooses"`
	Expires  bool                       `yaml:"expires" doc:"the service deletes what is created by itself, after a while"`
	Next     jsonpath.Path              `yaml:"next" doc:"JSON path of the next {cursor}; none, null or empty on the last page"`
	Items    jsonpath.Path              `yaml:"items" doc:"JSON path of the objects on a page; a {page} without objects is the last"`
	Number   jsonpath.Path              `yaml:"number" doc:"JSON path of the number in the response to count"`
	MaxPages int                        `yaml:"max_pages" renamed:"pages" default:"10" doc:"maximum number of pages to read"`
	Canaries map[string]PermanentCanary `yaml:"canaries" doc:"by org, a permanent object, if none can be created"`

	Refusals `yaml:",inline"`
}

// An IDSource says where the id of a new object comes from: from the response to create, or from the prober.
type IDSource struct {
	httpx.Source `yaml:",inline"`
	Text         string `yaml:"text" doc:"the id itself, with {canary} for what makes it unique, if the client chooses ids"`
}

// A PermanentCanary is an object of a test org that somebody created once and that stays.
type PermanentCanary struct {
	ID   httpx.Value   `yaml:"id" required:"true" doc:"the object's id: a text, {file: PATH} or {env: NAME}"`
	Text secret.Secret `yaml:"text" required:"true" doc:"a text in it that occurs nowhere else; at least 16 bytes"`
}

// Overrides are undocumented ways to name an org that the API might accept.
type Overrides struct {
	Headers []string `yaml:"headers" empty:"true" doc:"names of headers"`
	Query   []string `yaml:"query" empty:"true" doc:"names of query parameters"`
	Body    []string `yaml:"body" empty:"true" doc:"names of members of the JSON sent to create and update; a dot leads into an object, as in account.id"`
}

// Interleaving sets the reads by which orgs take turns on shared connections.
type Interleaving struct {
	Requests      int `yaml:"requests" doc:"number of reads"`
	CancelPercent int `yaml:"cancel_percent" renamed:"cancel" doc:"percentage of them that is cancelled midway"`
}

// operations are those of a resource, in the order in which they are shown.
var operations = [...]string{"read", "list", "search", "export", "count", "create", "update", "delete"}

// template returns the request of an operation; nil if there is none.
//
//go:noinline
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

// visibilityOp is the operation by which an owner looks for its own object: the first that the resource has.
//
//go:noinline
func (r *Resource) visibilityOp() string {
	for _, op := range operations[:4] {
		if r.template(op) != nil {
			return op
		}
	}
	return ""
}

// defaultMethods are those that are not GET.
var defaultMethods = map[string]string{"create": "POST", "update": "PUT", "delete": "DELETE"}

// requiredVariables are the variables that a request must contain to concern a particular object.
var requiredVariables = map[string][]string{
	"create": {"{canary}"}, "update": {"{canary}", "{id}"}, "search": {"{canary}"}, "read": {"{id}"}, "delete": {"{id}"},
}

// upserts reports whether an operation creates the object if there is none in the org that it names: an intruder that
// names its own org then changes nothing of the owner's.
func (r *Resource) upserts(p *Probe, op string) bool {
	return op == "update" && r.ID.Text != "" && p.orgLocations(r.Update).any()
}

// needsID reports whether any request names an object by its id.
//
//go:noinline
func (r *Resource) needsID() bool {
	return slices.ContainsFunc(operations[:], func(op string) bool {
		tmpl := r.template(op)
		return tmpl != nil && op != "create" && tmpl.contains("{id}")
	})
}

// validate reports what is wrong with a resource, and fills in the defaults.
func (r *Resource) validate(p *Probe) error {
	wrong := []error{r.Refusals.validate()}
	r.Refusals.inherit(p.Refusals)
	for _, op := range operations {
		tmpl := r.template(op)
		if tmpl == nil {
			continue
		}
		wrong = append(wrong, probe.InSetting(op, tmpl.validate(p, op)))
		tmpl.Refusals.inherit(r.Refusals)
		for _, variable := range requiredVariables[op] {
			if !tmpl.contains(variable) && !(op == "delete" && tmpl.contains("{canary}")) {
				wrong = append(wrong, probe.Settingf(op, "does not contain %s", variable))
			}
		}
		if p.Mismatch == "trust" && !p.orgLocations(tmpl).any() {
			wrong = append(wrong, probe.Settingf(op, "does not contain {org}: with mismatch: trust nothing else names the org"))
		}
	}
	if r.visibilityOp() == "" {
		wrong = append(wrong, probe.Settingf("", "expected a read, list, search or export: the owner must see its canary, or a denial proves nothing"))
	}
	wrong = append(wrong, r.validateCanaries(p))
	if r.Count != nil && (r.Create == nil || r.Number.IsZero()) {
		wrong = append(wrong, probe.Settingf("count", "needs create, since only a count that must not grow proves anything, and number, the path of the count"))
	}
	if r.List != nil {
		wrong = append(wrong, r.validatePaging())
	}
	return errors.Join(append(wrong, r.validateID())...)
}

// validateID reports what is wrong with the source of ids, and fills in its default.
func (r *Resource) validateID() error {
	if r.ID == nil {
		id, _ := jsonpath.Parse("$.id")
		r.ID = &IDSource{Source: httpx.Source{JSON: id}}
	}
	given := 0
	for _, is := range []bool{r.ID.Header != "", !r.ID.JSON.IsZero(), r.ID.Text != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return probe.Settingf("id", "expected either a header, a json path or a text")
	case r.ID.Text == "" && r.Create != nil && r.Create.contains("{id}"):
		return probe.Settingf("create", "contains {id}, which only id.text can say before there is a response")
	case r.ID.Text == "":
		return nil
	case !strings.Contains(r.ID.Text, "{canary}"):
		return probe.Settingf("id.text", "does not contain {canary}: each object needs an id of its own")
	case r.Create != nil && !r.Create.contains("{id}") && r.ID.Text != "{canary}":
		return probe.Settingf("create", "does not contain {id}, which id.text says")
	}
	for _, name := range variablePattern.FindAllString(r.ID.Text, -1) {
		if name != "{canary}" && name != "{org}" {
			return probe.Settingf("id.text", "%s is not one of {canary}, {org}", name)
		}
	}
	return nil
}

func (r *Resource) validateCanaries(p *Probe) error {
	var wrong []error
	if r.Create != nil {
		if len(r.Canaries) > 0 {
			wrong = append(wrong, probe.Settingf("canaries", "are for a resource without create; with create each run makes its own"))
		}
		if r.Delete == nil && !r.Expires {
			wrong = append(wrong, probe.Settingf("create", "needs delete: what a run creates must not stay; or expires: true, if the service deletes it by itself"))
		}
		return errors.Join(wrong...)
	}
	for _, op := range []string{"update", "delete"} {
		if r.template(op) != nil {
			wrong = append(wrong, probe.Settingf(op, "needs create: a permanent canary must not be put at risk"))
		}
	}
	for _, org := range sorted.Keys(p.Orgs) {
		if c, ok := r.Canaries[org]; !ok {
			wrong = append(wrong, probe.Settingf("canaries."+org, "is missing: name an object of every org, or a create request"))
		} else if c.ID.IsZero() || c.Text.IsZero() {
			wrong = append(wrong, probe.Settingf("canaries."+org, "expected an id and a text"))
		}
	}
	for _, org := range sorted.Keys(r.Canaries) {
		if _, ok := p.Orgs[org]; !ok {
			wrong = append(wrong, probe.Settingf("canaries."+org, "is not one of the orgs"))
		}
	}
	return errors.Join(wrong...)
}

func (r *Resource) validatePaging() error {
	var wrong []error
	if r.MaxPages == 0 {
		r.MaxPages = 10
	}
	if r.MaxPages < 1 || r.MaxPages > 100 {
		wrong = append(wrong, probe.Settingf("max_pages", "expected 1 to 100, got %d", r.MaxPages))
	}
	if r.List.contains("{cursor}") == r.Next.IsZero() {
		wrong = append(wrong, probe.Settingf("next", "goes with {cursor} in the list: the path of the next cursor in a response"))
	}
	if r.List.contains("{page}") && r.Items.IsZero() {
		wrong = append(wrong, probe.Settingf("items", "is missing: without it the last {page} is not known"))
	}
	return errors.Join(wrong...)
}

// validate reports what is wrong with a request, and fills in its method and the statuses of success.
func (tmpl *Template) validate(p *Probe, op string) error {
	wrong := []error{tmpl.Refusals.validate()}
	tmpl.Method = cmp.Or(tmpl.Method, defaultMethods[op], http.MethodGet)
	wrong = append(wrong, probe.InSetting("method", httpx.ValidateMethod(tmpl.Method)))
	if tmpl.Status.IsZero() {
		tmpl.Status = httpx.Success
	}
	for code := 300; code < 600; code++ {
		if tmpl.Status.Contains(code) {
			wrong = append(wrong, probe.Settingf("status", "%d is not a success", code))
			break
		}
	}
	if tmpl.JSON != nil && tmpl.Body != "" {
		wrong = append(wrong, probe.Settingf("body", "cannot be sent beside json"))
	}
	// Build a request as a run will, to see whether that works.
	built, err := p.build(tmpl, vars{org: "org", id: "id", canary: "canary", page: "1", cursor: "next"}, mutation{})
	if err != nil {
		wrong = append(wrong, probe.Settingf("url", "%s", err))
	} else if u, err := url.Parse(built.URL); err == nil && (u.Scheme != p.baseURL.Scheme || u.Host != p.baseURL.Host) {
		wrong = append(wrong, probe.Settingf("url", "expected a path, or a URL below %s: credentials are sent nowhere else", p.Base))
	} else if unknown := unknownVariable(tmpl); unknown != "" {
		wrong = append(wrong, probe.Settingf("", "%s is not one of %s", unknown, strings.Join(variables, ", ")))
	}
	return errors.Join(wrong...)
}
