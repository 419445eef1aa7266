package isolation

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"prober/internal/httpx"
)

// vars are what the variables of a template stand for.
type vars struct{ org, id, canary, page, cursor string }

// pairs lists variables and values in turn, each value written by a rule of where it will stand.
func (v vars) pairs(write func(string) string) []string {
	return []string{
		"{org}", write(v.org), "{id}", write(v.id), "{canary}", write(v.canary), "{page}", write(v.page), "{cursor}", write(v.cursor),
	}
}

func (v vars) fill(text string, write func(string) string) string {
	return strings.NewReplacer(v.pairs(write)...).Replace(text)
}

func plainly(s string) string { return s }

// build writes a request. What it returns holds no credential.
func (p *Probe) build(t *Template, v vars, m mutation) (httpx.Request, error) {
	stated := v // what the request says through {org}
	if !m.extra() && (m.org != "" || m.blank) {
		stated.org = m.org
	}
	q := httpx.Request{Method: t.Method, Addr: p.Address, Header: http.Header{}}
	path, query, _ := strings.Cut(t.URL, "?")
	shown := path
	path = stated.fill(path, url.PathEscape)
	if params := p.query(query, stated, m); params != "" {
		path += "?" + params
	}
	if !strings.Contains(t.URL, "://") {
		path, shown = p.Base+path, p.Base+shown
	}
	q.URL, q.Show = path, strings.NewReplacer("{", ":", "}", "").Replace(shown) // braces would be shown escaped
	if u, err := url.Parse(q.URL); err != nil || u.Host == "" {
		return q, fmt.Errorf("cannot be read as a path below %s", p.Base)
	}
	for _, headers := range []map[string]string{p.spoken, t.Headers} {
		for name, text := range headers {
			values := []string{stated.fill(text, plainly)}
			if strings.Contains(text, "{org}") {
				values = m.values(values, func(org string) string { return with(v, org).fill(text, plainly) })
			}
			for _, value := range values {
				q.Header.Add(name, value)
			}
		}
	}
	if m.header != "" {
		q.Header.Add(m.header, m.org)
	}
	return q, p.content(&q, t, stated, m)
}

func with(v vars, org string) vars {
	v.org = org
	return v
}

// values returns what stands where {org} does, given what would stand there without the mutation.
func (m mutation) values(usual []string, of func(org string) string) []string {
	switch {
	case m.drop:
		return nil
	case m.double == nil:
		return usual
	}
	var all []string
	for _, org := range m.double {
		all = append(all, of(org))
	}
	return all
}

// query writes the parameters of a URL.
func (p *Probe) query(template string, stated vars, m mutation) string {
	var params []string
	for param := range strings.SplitSeq(template, "&") {
		if param == "" {
			continue
		}
		values := []string{stated.fill(param, url.QueryEscape)}
		if strings.Contains(param, "{org}") {
			values = m.values(values, func(org string) string { return with(stated, org).fill(param, url.QueryEscape) })
		}
		params = append(params, values...)
	}
	if m.query != "" {
		params = append(params, url.QueryEscape(m.query)+"="+url.QueryEscape(m.org))
	}
	return strings.Join(params, "&")
}

// content writes the body.
func (p *Probe) content(q *httpx.Request, t *Template, stated vars, m mutation) error {
	kind := "text/plain; charset=utf-8"
	switch {
	case t.JSON != nil:
		kind = "application/json"
		table, _ := filled(t.JSON, stated, m).(map[string]any)
		if m.member != "" {
			table[m.member] = m.org
		}
		body, err := json.Marshal(table)
		if err != nil {
			return fmt.Errorf("json: cannot be written")
		}
		q.Body = body
	case t.Body != "":
		write := plainly
		switch text := strings.TrimSpace(t.Body); {
		case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
			kind, write = "application/json", inQuotes
		case strings.HasPrefix(q.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
			write = url.QueryEscape
		}
		q.Body = []byte(stated.fill(t.Body, write))
	default:
		return nil
	}
	if q.Header.Get("Content-Type") == "" {
		q.Header.Set("Content-Type", kind)
	}
	return nil
}

// inQuotes writes a text as it stands within the quotes of JSON.
func inQuotes(text string) string {
	b, err := json.Marshal(text)
	if err != nil || len(b) < 2 {
		return ""
	}
	return string(b[1 : len(b)-1])
}

// filled returns a copy of a JSON value with its variables filled in.
func filled(value any, v vars, m mutation) any {
	switch value := value.(type) {
	case string:
		return v.fill(value, plainly)
	case []any:
		list := make([]any, 0, len(value))
		for _, inner := range value {
			if !m.drops(inner) {
				list = append(list, filled(inner, v, m))
			}
		}
		return list
	case map[string]any:
		table := make(map[string]any, len(value))
		for key, inner := range value {
			if !m.drops(inner) {
				table[key] = filled(inner, v, m)
			}
		}
		return table
	}
	return value
}

// drops reports whether a value of the JSON that is sent is left out.
func (m mutation) drops(value any) bool {
	text, ok := value.(string)
	return ok && m.drop && strings.Contains(text, "{org}")
}

// holds reports whether a variable stands anywhere in the request.
func (t *Template) holds(variable string) bool {
	return slices.ContainsFunc(t.texts(), func(text string) bool { return strings.Contains(text, variable) })
}

// texts lists everything in a request that may hold a variable.
func (t *Template) texts() []string {
	return append(append([]string{t.URL, t.Body}, slices.Sorted(maps.Values(t.Headers))...), members(t.JSON)...)
}

// members lists the texts in a JSON value.
func members(value any) []string {
	var all []string
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, inner := range value {
			all = append(all, members(inner)...)
		}
	case map[string]any:
		for _, inner := range value {
			all = append(all, members(inner)...)
		}
	}
	return all
}

var variable = regexp.MustCompile(`\{[a-z_]+\}`)

// unknownVariable returns a variable of a request that stands for nothing.
func unknownVariable(t *Template) string {
	for _, text := range t.texts() {
		for _, name := range variable.FindAllString(text, -1) {
			if !slices.Contains([]string{"{org}", "{id}", "{canary}", "{page}", "{cursor}"}, name) {
				return name
			}
		}
	}
	return ""
}
