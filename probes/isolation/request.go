package isolation

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prober/internal/httpx"
)

// vars are the values of the variables of a template.
type vars struct{ org, id, canary, page, cursor string }

// variables are those that a template may contain.
var variables = []string{"{org}", "{id}", "{canary}", "{page}", "{cursor}", "{unix_nano}"}

// value returns the value of a variable, escaped for its position.
func (v vars) value(variable string, escape func(string) string) (value string, known bool) {
	switch variable {
	case "org":
		return escape(v.org), true
	case "id":
		return escape(v.id), true
	case "canary":
		return escape(v.canary), true
	case "page":
		return escape(v.page), true
	case "cursor":
		return escape(v.cursor), true
	case "unix_nano":
		return strconv.FormatInt(time.Now().UnixNano(), 10), true
	}
	return "", false
}

// expand fills in the variables of a text, in one pass: a value that looks like a variable stays as it is.
func (v vars) expand(text string, escape func(string) string) string {
	var b strings.Builder
	before, rest, found := strings.Cut(text, "{")
	for ; found; before, rest, found = strings.Cut(rest, "{") {
		b.WriteString(before)
		name, after, closed := strings.Cut(rest, "}")
		if value, known := v.value(name, escape); known && closed {
			b.WriteString(value)
			rest = after
		} else {
			b.WriteByte('{')
		}
	}
	return b.String() + before
}

// withOrg returns the values with another org.
func (v vars) withOrg(org string) vars {
	v.org = org
	return v
}

// verbatim is for positions that need no escaping.
func verbatim(s string) string { return s }

// build makes a request from a template. It contains no credential; the client adds that.
func (p *Probe) build(tmpl *Template, v vars, m mutation) (httpx.Request, error) {
	stated := v // with the org that {org} becomes
	if !m.undocumented() && (m.org != "" || m.empty) {
		stated.org = m.org
	}
	httpReq := httpx.Request{Method: tmpl.Method, Addr: p.Address, Header: http.Header{}}
	path, query, _ := strings.Cut(tmpl.URL, "?")
	shown := path
	path = cmp.Or(m.path, stated.expand(path, url.PathEscape))
	if params := p.buildQuery(query, stated, m); params != "" {
		path += "?" + params
	}
	if !strings.Contains(tmpl.URL, "://") {
		path, shown = p.Base+path, p.Base+shown
	}
	httpReq.URL, httpReq.Show = path, shown
	if u, err := url.Parse(httpReq.URL); err != nil || u.Host == "" {
		return httpReq, fmt.Errorf("is not a valid path below %s", p.Base)
	}
	for _, headers := range []map[string]string{p.orgHeaders, tmpl.Headers} {
		for name, text := range headers {
			values := []string{stated.expand(text, verbatim)}
			if strings.Contains(text, "{org}") {
				values = m.orgValues(values, func(org string) string { return v.withOrg(org).expand(text, verbatim) })
			}
			for _, value := range values {
				httpReq.Header.Add(name, value)
			}
		}
	}
	if m.uncached {
		httpReq.Header.Set("Cache-Control", "no-cache")
	}
	if m.header != "" {
		httpReq.Header.Add(m.header, m.org)
	}
	return httpReq, p.buildBody(&httpReq, tmpl, stated, m)
}

// orgValues returns the values of a header or parameter that contains {org}, given those without the mutation.
func (m mutation) orgValues(unmutated []string, of func(org string) string) []string {
	switch {
	case m.omit:
		return nil
	case m.pollution == nil:
		return unmutated
	}
	var all []string
	for _, org := range m.pollution {
		all = append(all, of(org))
	}
	return all
}

// buildQuery makes the query of a URL, with the mutation's parameter.
func (p *Probe) buildQuery(template string, stated vars, m mutation) string {
	var params []string
	for param := range strings.SplitSeq(template, "&") {
		if param == "" {
			continue
		}
		values := []string{stated.expand(param, url.QueryEscape)}
		if strings.Contains(param, "{org}") {
			values = m.orgValues(values, func(org string) string { return stated.withOrg(org).expand(param, url.QueryEscape) })
		}
		for _, value := range values {
			params = append(params, queryEscaper.Replace(value))
		}
	}
	if m.query != "" {
		params = append(params, url.QueryEscape(m.query)+"="+url.QueryEscape(m.org))
	}
	return strings.Join(params, "&")
}

// queryEscaper escapes what a query language has and a URL cannot contain, so that people may write it as it is.
var queryEscaper = strings.NewReplacer(" ", "%20", `"`, "%22", "{", "%7B", "}", "%7D", "|", "%7C", "<", "%3C", ">", "%3E", "`", "%60", `\`, "%5C", "^", "%5E")

// buildBody sets the body and its Content-Type.
func (p *Probe) buildBody(httpReq *httpx.Request, tmpl *Template, stated vars, m mutation) error {
	contentType := "text/plain; charset=utf-8"
	switch {
	case tmpl.JSON != nil:
		contentType = "application/json"
		object, _ := fillJSON(tmpl.JSON, stated, m).(map[string]any)
		if m.member != "" {
			m.addMember(tmpl.JSON, object)
		}
		body, err := json.Marshal(object)
		if err != nil {
			return errors.New("json: cannot be encoded")
		}
		httpReq.Body = body
	case tmpl.Body != "":
		escape := verbatim
		switch text := strings.TrimSpace(tmpl.Body); {
		case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
			contentType, escape = "application/json", jsonEscaped
		case strings.HasPrefix(httpReq.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
			escape = url.QueryEscape
		}
		httpReq.Body = []byte(stated.expand(tmpl.Body, escape))
	default:
		return nil
	}
	if httpReq.Header.Get("Content-Type") == "" {
		httpReq.Header.Set("Content-Type", contentType)
	}
	return nil
}

// jsonEscaped escapes a text for use between the quotes of a JSON string.
func jsonEscaped(text string) string {
	b, err := json.Marshal(text)
	if err != nil || len(b) < 2 {
		return ""
	}
	return string(b[1 : len(b)-1])
}

// fillJSON returns a copy of a JSON value with its variables filled in and without what the mutation omits.
func fillJSON(value any, v vars, m mutation) any {
	switch value := value.(type) {
	case string:
		if value == "{cursor}" && v.cursor == "" {
			return nil // GraphQL takes an empty text for a cursor, and an invalid one
		}
		return v.expand(value, verbatim)
	case []any:
		list := make([]any, 0, len(value))
		for _, inner := range value {
			if !m.omits(inner) {
				list = append(list, fillJSON(inner, v, m))
			}
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, inner := range value {
			if !m.omits(inner) {
				object[key] = fillJSON(inner, v, m)
			}
		}
		return object
	}
	return value
}

// omits reports whether a value is left out of the JSON that is sent.
func (m mutation) omits(value any) bool {
	text, ok := value.(string)
	return ok && m.omit && strings.Contains(text, "{org}")
}

// contains reports whether a variable occurs anywhere in the request.
func (tmpl *Template) contains(variable string) bool {
	return slices.ContainsFunc(tmpl.texts(), func(text string) bool { return strings.Contains(text, variable) })
}

// texts lists everything in a request that may contain a variable.
func (tmpl *Template) texts() []string {
	return append(append([]string{tmpl.URL, tmpl.Body}, slices.Sorted(maps.Values(tmpl.Headers))...), jsonTexts(tmpl.JSON)...)
}

// jsonTexts lists the strings in a JSON value.
func jsonTexts(value any) []string {
	var all []string
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, inner := range value {
			all = append(all, jsonTexts(inner)...)
		}
	case map[string]any:
		for _, inner := range value {
			all = append(all, jsonTexts(inner)...)
		}
	}
	return all
}

var variablePattern = regexp.MustCompile(`\{[a-z_]+\}`)

// unknownVariable returns a variable of a request that does not exist; empty if there is none.
func unknownVariable(tmpl *Template) string {
	for _, text := range tmpl.texts() {
		for _, name := range variablePattern.FindAllString(text, -1) {
			if !slices.Contains(variables, name) {
				return name
			}
		}
	}
	return ""
}
