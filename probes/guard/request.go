package guard

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"prober/internal/httpx"
)

// variable stands for the query in a request.
const variable = "{query}"

// request makes the request that asks a query. The client adds the credential.
func (p *Probe) request(query string) httpx.Request {
	request := httpx.Request{Method: p.Method, URL: strings.ReplaceAll(p.URL, variable, url.QueryEscape(query)), Header: http.Header{}}
	kind := "text/plain; charset=utf-8"
	switch {
	case p.JSON != nil:
		kind = "application/json"
		request.Body, _ = json.Marshal(filled(p.JSON, query)) // what was read from YAML can be encoded
	case p.Body != "":
		text := query
		switch {
		case strings.HasPrefix(strings.TrimSpace(p.Body), "{\""):
			kind, text = "application/json", jsonEscaped(query)
		case strings.HasPrefix(p.header("Content-Type"), "application/x-www-form-urlencoded"):
			text = url.QueryEscape(query)
		}
		request.Body = []byte(strings.ReplaceAll(p.Body, variable, text))
	default:
		return request
	}
	if p.header("Content-Type") == "" {
		request.Header.Set("Content-Type", kind)
	}
	return request
}

// header returns a header of the settings that is no secret.
func (p *Probe) header(name string) string {
	for key, value := range p.Headers {
		if strings.EqualFold(key, name) {
			return value.Text
		}
	}
	return ""
}

// filled returns a copy of a JSON value with the query in its texts.
func filled(value any, query string) any {
	switch value := value.(type) {
	case string:
		return strings.ReplaceAll(value, variable, query)
	case []any:
		list := make([]any, len(value))
		for i := range value {
			list[i] = filled(value[i], query)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, inner := range value {
			object[key] = filled(inner, query)
		}
		return object
	}
	return value
}

// jsonEscaped escapes a text for use between the quotes of a JSON text.
func jsonEscaped(text string) string {
	quoted, _ := json.Marshal(text) // every text can be encoded
	return string(quoted[1 : len(quoted)-1])
}
