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

// replacements lists variables and values in turn, each value written by a rule of where it will stand.
func (v vars) replacements(write func(string) string) []string {
	return []string{
		"{org}", write(v.org), "{id}", write(v.id), "{canary}", write(v.canary), "{page}", write(v.page), "{cursor}", write(v.cursor),
	}
}

func (v vars) expand(text string, write func(string) string) string {
	return strings.NewReplacer(v.replacements(write)...).Replace(text)
}

func verbatim(s string) string { return s }

// build writes a request. What it returns holds no credential.
func (p *Probe) build(tmpl *Template, v vars, m mutation) (httpx.Request, error) {
	stated := v // what the request says through {org}
	if !m.undocumented() && (m.org != "" || m.empty) {
		stated.org = m.org
	}
	httpReq := httpx.Request{Method: tmpl.Method, Addr: p.Address, Header: http.Header{}}
	path, query, _ := strings.Cut(tmpl.URL, "?")
	shown := path
	path = stated.expand(path, url.PathEscape)
	if params := p.buildQuery(query, stated, m); params != "" {
		path += "?" + params
	}
	if !strings.Contains(tmpl.URL, "://") {
		path, shown = p.Base+path, p.Base+shown
	}
	httpReq.URL, httpReq.Show = path, strings.NewReplacer("{", ":", "}", "").Replace(shown) // braces would be shown escaped
	if u, err := url.Parse(httpReq.URL); err != nil || u.Host == "" {
		return httpReq, fmt.Errorf("cannot be read as a path below %s", p.Base)
	}
	for _, headers := range []map[string]string{p.orgHeaders, tmpl.Headers} {
		for name, text := range headers {
			values := []string{stated.expand(text, verbatim)}
			if strings.Contains(text, "{org}") {
				values = m.orgValues(values, func(org string) string { return with(v, org).expand(text, verbatim) })
			}
			for _, value := range values {
				httpReq.Header.Add(name, value)
			}
		}
	}
	if m.header != "" {
		httpReq.Header.Add(m.header, m.org)
	}
	return httpReq, p.buildBody(&httpReq, tmpl, stated, m)
}

func with(v vars, org string) vars {
	v.org = org
	return v
}

// orgValues returns what stands where {org} does, given what would stand there without the mutation.
func (m mutation) orgValues(usual []string, of func(org string) string) []string {
	switch {
	case m.omit:
		return nil
	case m.pollution == nil:
		return usual
	}
	var all []string
	for _, org := range m.pollution {
		all = append(all, of(org))
	}
	return all
}

// buildQuery writes the parameters of a URL.
func (p *Probe) buildQuery(template string, stated vars, m mutation) string {
	var params []string
	for param := range strings.SplitSeq(template, "&") {
		if param == "" {
			continue
		}
		values := []string{stated.expand(param, url.QueryEscape)}
		if strings.Contains(param, "{org}") {
			values = m.orgValues(values, func(org string) string { return with(stated, org).expand(param, url.QueryEscape) })
		}
		params = append(params, values...)
	}
	if m.query != "" {
		params = append(params, url.QueryEscape(m.query)+"="+url.QueryEscape(m.org))
	}
	return strings.Join(params, "&")
}

// buildBody writes the body.
func (p *Probe) buildBody(httpReq *httpx.Request, tmpl *Template, stated vars, m mutation) error {
	kind := "text/plain; charset=utf-8"
	switch {
	case tmpl.JSON != nil:
		kind = "application/json"
		table, _ := fillJSON(tmpl.JSON, stated, m).(map[string]any)
		if m.member != "" {
			table[m.member] = m.org
		}
		body, err := json.Marshal(table)
		if err != nil {
			return fmt.Errorf("json: cannot be written")
		}
		httpReq.Body = body
	case tmpl.Body != "":
		write := verbatim
		switch text := strings.TrimSpace(tmpl.Body); {
		case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
			kind, write = "application/json", jsonEscaped
		case strings.HasPrefix(httpReq.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
			write = url.QueryEscape
		}
		httpReq.Body = []byte(stated.expand(tmpl.Body, write))
	default:
		return nil
	}
	if httpReq.Header.Get("Content-Type") == "" {
		httpReq.Header.Set("Content-Type", kind)
	}
	return nil
}

// jsonEscaped writes a text as it stands within the quotes of JSON.
func jsonEscaped(text string) string {
	b, err := json.Marshal(text)
	if err != nil || len(b) < 2 {
		return ""
	}
	return string(b[1 : len(b)-1])
}

// fillJSON returns a copy of a JSON value with its variables filled in.
func fillJSON(value any, v vars, m mutation) any {
	switch value := value.(type) {
	case string:
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
		table := make(map[string]any, len(value))
		for key, inner := range value {
			if !m.omits(inner) {
				table[key] = fillJSON(inner, v, m)
			}
		}
		return table
	}
	return value
}

// omits reports whether a value of the JSON that is sent is left out.
func (m mutation) omits(value any) bool {
	text, ok := value.(string)
	return ok && m.omit && strings.Contains(text, "{org}")
}

// contains reports whether a variable stands anywhere in the request.
func (tmpl *Template) contains(variable string) bool {
	return slices.ContainsFunc(tmpl.texts(), func(text string) bool { return strings.Contains(text, variable) })
}

// texts lists everything in a request that may hold a variable.
func (tmpl *Template) texts() []string {
	return append(append([]string{tmpl.URL, tmpl.Body}, slices.Sorted(maps.Values(tmpl.Headers))...), jsonTexts(tmpl.JSON)...)
}

// jsonTexts lists the texts in a JSON value.
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

// unknownVariable returns a variable of a request that stands for nothing.
func unknownVariable(tmpl *Template) string {
	for _, text := range tmpl.texts() {
		for _, name := range variablePattern.FindAllString(text, -1) {
			if !slices.Contains([]string{"{org}", "{id}", "{canary}", "{page}", "{cursor}"}, name) {
				return name
			}
		}
	}
	return ""
}
