package isolation

import (
	"net/http"
	"strings"

	"prober/internal/canary"
	"prober/internal/httpx"
)

// inBody is where a leak is that is in no header. The other places are the headers of the response, those of the interim
// answers before it, and the trailers behind it.
const inBody = "body"

// A part is a part of a response that may show a text.
type part struct {
	where string
	hay   *canary.Haystack
}

// parts are all of a response.
type parts []part

// partsOf prepares a response to be searched.
func partsOf(answer *httpx.Answer) parts {
	all := parts{{inBody, canary.NewHaystack(answer.Body)}, {"header", canary.NewHaystack(headText(answer.StatusText, answer.Header))}}
	if len(answer.Interim) > 0 {
		all = append(all, part{"interim answer", canary.NewHaystack(headText("", interimFields(answer)))})
	}
	if len(answer.Trailer) > 0 {
		all = append(all, part{"trailer", canary.NewHaystack(headText("", answer.Trailer))})
	}
	return all
}

// find returns the first place that shows a text, and in which form; both are empty if none does.
func (p parts) find(needle canary.Needle) (where, form string) {
	for _, part := range p {
		if form := part.hay.Find(needle); form != "" {
			return part.where, string(form)
		}
	}
	return "", ""
}

// contain reports whether any part shows a text.
func (p parts) contain(needle canary.Needle) bool {
	where, _ := p.find(needle)
	return where != ""
}

// interimFields are the headers of all interim answers together.
func interimFields(answer *httpx.Answer) http.Header {
	all := http.Header{}
	for _, fields := range answer.Interim {
		for name, values := range fields {
			all[name] = append(all[name], values...)
		}
	}
	return all
}

// headText is a status line and headers as one text.
func headText(status string, fields http.Header) string {
	var b strings.Builder
	b.WriteString(status)
	b.WriteByte('\n')
	for name, values := range fields {
		b.WriteString(name)
		b.WriteString(": ")
		for _, v := range values {
			b.WriteString(v)
			b.WriteByte('\n')
		}
	}
	return b.String()
}
